//! Which clusters of the fleet, in which order, and which part of them.

use std::cmp::Ordering;
use std::sync::Arc;

use super::entry::Entry;
use super::snapshot::Snapshot;
use crate::domain::Error;
use crate::domain::freshness::Freshness;
use crate::domain::warnings::KINDS;

/// Most clusters on a page.
const MAX_LIMIT: usize = 10_000;

/// Which clusters, in which order, and which part of them. Without anything: all, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    filter: Option<String>,
    states: Vec<Freshness>,
    warnings: Vec<String>,
    sort: Sort,
    limit: Option<usize>,
    after: Option<String>,
}

/// What a list is sorted by; clusters that are equal by it come by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sort {
    key: Key,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Key {
    #[default]
    Name,
    Description,
    State,
    Seen,
    Members,
    Instances,
    Memory,
    Storage,
    Pool,
    Load,
    Warnings,
    Joined,
}

/// In the order of [`Query::ORDERS`].
const KEYS: [Key; 12] = [
    Key::Name,
    Key::Description,
    Key::State,
    Key::Seen,
    Key::Members,
    Key::Instances,
    Key::Memory,
    Key::Storage,
    Key::Pool,
    Key::Load,
    Key::Warnings,
    Key::Joined,
];

impl Query {
    /// What a list can be sorted by.
    pub const ORDERS: [&str; 12] = [
        "name",
        "description",
        "state",
        "seen",
        "members",
        "instances",
        "memory",
        "storage",
        "pool",
        "load",
        "warnings",
        "joined",
    ];

    /// Parses what was asked for, each part as text.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the part that cannot be understood and says what can.
    pub fn parse(part: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let given = |name| part(name).filter(|text| !text.is_empty());
        let list = |name| match given(name) {
            Some(text) => text.split(',').map(str::to_owned).collect::<Vec<_>>(),
            None => Vec::new(),
        };
        let states =
            list("state").iter().map(|state| parse_state(state)).collect::<Result<_, _>>()?;
        let warnings = list("warning");
        if let Some(unknown) = warnings.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(invalid("warning", &KINDS, unknown));
        }
        let limit = part("limit").map(|text| match text.parse() {
            Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            _ => Err(Error::Invalid(format!("limit must be 1 to {MAX_LIMIT}"))),
        });
        Ok(Self {
            filter: given("filter").map(|text| text.to_lowercase()),
            states,
            warnings,
            sort: part("sort").map(|text| Sort::parse(&text)).transpose()?.unwrap_or_default(),
            limit: limit.transpose()?,
            after: given("after"),
        })
    }

    /// Whether everything is asked for.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The clusters that were asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the page should begin after a cluster that is not there any more and the order does not tell where
    /// that was.
    pub fn select<'a>(&self, fleet: &'a Snapshot) -> Result<Vec<&'a Arc<Entry>>, Error> {
        let mut chosen: Vec<_> = fleet.entries.iter().filter(|entry| self.matches(entry)).collect();
        if self.sort != Sort::default() {
            chosen.sort_by(|one, other| self.sort.compare(one, other));
        }
        let begin = self.after.as_ref().map(|name| self.beginning(fleet, name, &chosen));
        let rest = chosen.into_iter().skip(begin.transpose()?.unwrap_or(0));
        Ok(rest.take(self.limit.unwrap_or(usize::MAX)).collect())
    }

    fn matches(&self, entry: &Entry) -> bool {
        let names = |text: &str| {
            entry.cluster.name.to_lowercase().contains(text)
                || entry.cluster.description.to_lowercase().contains(text)
        };
        self.filter.as_deref().is_none_or(names)
            && (self.states.is_empty() || self.states.contains(&entry.freshness))
            && (self.warnings.is_empty()
                || self.warnings.iter().any(|kind| entry.kinds.contains(&kind.as_str())))
    }

    fn beginning(
        &self,
        fleet: &Snapshot,
        after: &str,
        chosen: &[&Arc<Entry>],
    ) -> Result<usize, Error> {
        if self.sort.key == Key::Name {
            let comes_later = |entry: &&Arc<Entry>| {
                let order = entry.cluster.name.as_str().cmp(after);
                order == if self.sort.descending { Ordering::Less } else { Ordering::Greater }
            };
            return Ok(chosen.iter().position(comes_later).unwrap_or(chosen.len()));
        }
        let last = fleet.find(after).ok_or_else(|| {
            Error::Invalid(
                "after names a cluster that is not there: begin with the first page".into(),
            )
        })?;
        Ok(chosen.partition_point(|entry| self.sort.compare(entry, last) != Ordering::Greater))
    }
}

impl Sort {
    fn parse(text: &str) -> Result<Self, Error> {
        let (key, descending) = match text.strip_prefix('-') {
            Some(key) => (key, true),
            None => (text, false),
        };
        let mut known = Query::ORDERS.iter().zip(KEYS);
        let known = known.find(|(name, _)| **name == key);
        let (_, key) = known.ok_or_else(|| invalid("sort", &Query::ORDERS, key))?;
        Ok(Self { key, descending })
    }

    fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let order = self.key.compare(one, other);
        let order = if self.descending { order.reverse() } else { order };
        order.then_with(|| one.cluster.name.cmp(&other.cluster.name))
    }
}

impl Key {
    /// What is unknown comes before what is known.
    fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let by = |value: fn(&Entry) -> u64| value(one).cmp(&value(other));
        match self {
            // Descending order by name must not be undone by the name as the second key.
            Self::Name => one.cluster.name.cmp(&other.cluster.name),
            Self::Description => one.row.description.cmp(&other.row.description),
            Self::State => by(|entry| rank(entry.freshness)),
            Self::Seen => one.row.seen.cmp(&other.row.seen),
            Self::Members => one.row.members.cmp(&other.row.members),
            Self::Instances => one.row.instances.cmp(&other.row.instances),
            Self::Memory => by(|entry| entry.row.memory_percent()),
            Self::Storage => by(|entry| entry.row.storage_percent()),
            Self::Pool => by(|entry| entry.row.pool.as_ref().map_or(0, |pool| pool.1 + 1)),
            Self::Load => load(one).total_cmp(&load(other)),
            Self::Warnings => one.warnings.cmp(&other.warnings),
            Self::Joined => one.row.joined.cmp(&other.row.joined),
        }
    }
}

fn rank(state: Freshness) -> u64 {
    let position = Freshness::ALL.iter().position(|known| *known == state);
    position.and_then(|rank| u64::try_from(rank).ok()).unwrap_or(0)
}

fn load(entry: &Entry) -> f64 {
    entry.row.load.parse().unwrap_or(-1.0)
}

fn parse_state(text: &str) -> Result<Freshness, Error> {
    let known = Freshness::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| invalid("state", &Freshness::ALL.map(Freshness::as_str), text))
}

fn invalid(part: &str, known: &[&str], unknown: &str) -> Error {
    let unknown: String = unknown.chars().take(64).collect();
    let known = known.join(", ");
    Error::Invalid(format!("{part} has the unknown value {unknown:?}: known are {known}"))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::entry::tests::named;
    use super::*;
    use crate::domain::freshness::tests::NOW;

    fn fleet() -> Snapshot {
        let entry = |(n, name): (usize, &str)| {
            let mut cluster = named(name, i64::try_from(n).unwrap());
            cluster.description = format!("Rack {}", n % 2);
            cluster.memory_usage = i64::try_from(n % 3).unwrap() * 300;
            if name == "oslo" {
                cluster.pulse.last_heartbeat_at = Some(NOW - Duration::hours(2));
                cluster.cpu_load[0] = "12.5".into();
            }
            Arc::new(Entry::new(cluster, None, NOW))
        };
        let names = ["Lyon", "berlin", "lima", "oslo", "paris", "rome"];
        Snapshot::new(1, NOW, names.into_iter().enumerate().map(entry).collect())
    }

    fn ask(query: &str) -> Result<String, String> {
        let part = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next()
        };
        let query = Query::parse(part).map_err(|error| error.to_string())?;
        let fleet = fleet();
        let chosen = query.select(&fleet).map_err(|error| error.to_string())?;
        Ok(chosen.iter().map(|entry| entry.cluster.name.as_str()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn lists_are_filtered_sorted_and_cut_into_pages() {
        for (query, names) in [
            ("", "Lyon berlin lima oslo paris rome"),
            ("filter=L", "Lyon berlin lima oslo"),
            ("filter=rack 1", "berlin oslo rome"),
            ("state=offline", "oslo"),
            ("state=offline,online&filter=ro", "rome"),
            ("warning=heartbeat,ceph", "oslo"),
            ("sort=-name", "rome paris oslo lima berlin Lyon"),
            ("sort=memory", "Lyon oslo berlin paris lima rome"),
            ("sort=-memory", "lima rome berlin paris Lyon oslo"),
            ("sort=-load&limit=1", "oslo"),
            ("sort=-state&limit=2", "oslo Lyon"),
            ("limit=2", "Lyon berlin"),
            ("limit=2&after=berlin", "lima oslo"),
            ("limit=9&after=rome", ""),
            ("after=kiel&limit=1", "lima"),
            ("after=kiel&sort=-name", "berlin Lyon"),
            ("sort=-memory&after=rome&limit=3", "berlin paris Lyon"),
            ("sort=-memory&after=Lyon", "oslo"),
        ] {
            assert_eq!(ask(query).unwrap(), names, "{query}");
        }
    }

    #[test]
    fn pages_put_together_are_the_list() {
        for sort in Query::ORDERS {
            for sort in [sort.to_owned(), format!("-{sort}")] {
                let whole = ask(&format!("sort={sort}")).unwrap();
                let mut pages = vec![ask(&format!("sort={sort}&limit=2")).unwrap()];
                while let Some(last) =
                    pages.last().unwrap().split(' ').next_back().filter(|n| !n.is_empty())
                {
                    pages.push(ask(&format!("sort={sort}&limit=2&after={last}")).unwrap());
                }
                assert_eq!(pages.join(" ").trim(), whole, "{sort}");
            }
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (query, text) in [
            (
                "state=up",
                "state has the unknown value \"up\": known are online, waiting, stale, never, offline",
            ),
            ("sort=-size", "sort has the unknown value \"size\""),
            ("warning=heat", "warning has the unknown value \"heat\""),
            ("state=online,", "state has the unknown value \"\""),
            ("sort=", "sort has the unknown value \"\""),
            ("limit=0", "limit must be 1 to 10000"),
            ("limit=-1", "limit must be 1 to 10000"),
            ("sort=load&after=kiel", "after names a cluster that is not there"),
        ] {
            assert!(ask(query).unwrap_err().starts_with(text), "{query}");
        }
    }
}

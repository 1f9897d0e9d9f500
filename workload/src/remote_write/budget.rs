//! How many different series a cluster may bring within an hour.
//!
//! A series costs the receiver memory for hours, however few samples it has: a cluster whose labels change all the time would fill
//! it. Almost no cluster sends as many samples in an hour as it may have series, so series are only told apart, by 32 bits of
//! their hash, from half of that on. Two that share these bits count as one: of 250,000 about seven do.

use std::collections::{HashMap, HashSet};

const HOUR_MS: i64 = 3600 * 1000;
/// Series of all clusters together that are told apart at a time, up to 20 bytes each. Beyond it, clusters that send that many
/// samples bring nothing new until the hour is over; all others go on.
const MOST_WATCHED: usize = 4_000_000;

/// The budgets of the clusters that were heard within the hour.
pub(super) struct Budgets {
    /// Different series that a cluster may bring.
    most: usize,
    watched: usize,
    hour: i64,
    by_cluster: HashMap<Box<str>, Brought>,
}

/// What a cluster has brought in this hour.
#[derive(Default)]
struct Brought {
    /// Before it was watched.
    samples: usize,
    /// Since then.
    series: Option<HashSet<u32>>,
    /// Whether somebody has been told that it brought too many.
    told: bool,
}

/// What one cluster may still bring.
pub(super) struct Budget<'a> {
    half: usize,
    watched: &'a mut usize,
    brought: &'a mut Brought,
}

impl Budgets {
    pub(super) fn new(most: usize) -> Self {
        Self { most, watched: 0, hour: 0, by_cluster: HashMap::new() }
    }

    /// The budget of `cluster` at a time in milliseconds since 1970.
    pub(super) fn of(&mut self, cluster: &str, at: i64) -> Budget<'_> {
        let hour = at.div_euclid(HOUR_MS);
        if hour != self.hour {
            (self.hour, self.watched) = (hour, 0);
            self.by_cluster = HashMap::new();
        }
        let brought = self.by_cluster.entry(cluster.into()).or_default();
        Budget { half: self.most / 2, watched: &mut self.watched, brought }
    }
}

impl Budget<'_> {
    /// Whether this is the first time within the hour that somebody is told of what did not fit.
    pub(super) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.brought.told, true)
    }

    /// Whether a sample of the series with this hash still fits.
    pub(super) fn admits(&mut self, series: u64) -> bool {
        let Some(known) = &mut self.brought.series else {
            self.brought.samples = self.brought.samples.saturating_add(1);
            if self.brought.samples >= self.half {
                self.brought.series = Some(HashSet::new());
            }
            return true;
        };
        let [_, _, _, _, series @ ..] = series.to_be_bytes();
        let series = u32::from_be_bytes(series);
        if known.contains(&series) {
            return true;
        }
        let fits = known.len() < self.half && *self.watched < MOST_WATCHED;
        if fits {
            known.insert(series);
            *self.watched = self.watched.saturating_add(1);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote_write::Limits;

    /// Samples of the series `range` that are admitted.
    fn admitted(
        budgets: &mut Budgets,
        cluster: &str,
        at: i64,
        range: std::ops::Range<u64>,
    ) -> usize {
        let mut budget = budgets.of(cluster, at);
        range.filter(|series| budget.admits(*series)).count()
    }

    #[test]
    fn met_05_ten_million_series_of_one_cluster_are_cut_at_its_budget() {
        let most = Limits::default().series;
        let mut budgets = Budgets::new(most);
        assert_eq!(admitted(&mut budgets, "flood", 0, 0..10_000_000), most);
        assert_eq!(budgets.watched, most / 2);
        assert_eq!(admitted(&mut budgets, "lyon", 1, 0..200_000), 200_000, "others go on");
        let known = admitted(&mut budgets, "flood", 2, 250_000..500_000);
        assert_eq!(known, 250_000, "series that are known go on");
        assert_eq!(admitted(&mut budgets, "flood", HOUR_MS, 0..10), 10, "another hour");
        assert_eq!((budgets.watched, budgets.by_cluster.len()), (0, 1), "nothing stays behind");
    }

    #[test]
    fn met_05_the_same_series_again_and_again_are_within_any_budget() {
        let mut budgets = Budgets::new(1_000);
        for minute in 0..60 {
            assert_eq!(admitted(&mut budgets, "lyon", minute * 60_000, 0..400), 400);
        }
    }
}

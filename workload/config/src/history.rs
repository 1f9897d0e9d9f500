//! How long the history of clusters is kept.

use std::ops::RangeInclusive;

use crate::Reader;

/// How many intervals of each length are kept per cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Intervals of one minute: `HISTORY_MINUTES_HOURS`, 1 to 168 hours, default 24.
    pub minutes: i16,
    /// Intervals of half an hour: `HISTORY_HALF_HOURS_DAYS`, 1 to 366 days, default 30.
    pub half_hours: i16,
    /// Intervals of six hours: `HISTORY_SIX_HOURS_DAYS`, 1 to 3,660 days, default 365.
    pub six_hours: i16,
}

impl History {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            minutes: 60 * bounded(read, "HISTORY_MINUTES_HOURS", 24, 1..=168),
            half_hours: 48 * bounded(read, "HISTORY_HALF_HOURS_DAYS", 30, 1..=366),
            six_hours: 4 * bounded(read, "HISTORY_SIX_HOURS_DAYS", 365, 1..=3660),
        }
    }
}

fn bounded(
    read: &mut Reader<'_>,
    name: &'static str,
    default: i16,
    range: RangeInclusive<i16>,
) -> i16 {
    let expected = "a whole number within its range";
    let value = read.parsed(name, default, expected);
    if range.contains(&value) {
        return value;
    }
    read.refuse(name, expected);
    default
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn lengths_become_numbers_of_intervals_and_are_bounded() {
        let parse = |name: &'static str, value: &'static str| {
            Config::parse(move |asked| (asked == name).then(|| value.to_owned()))
                .map(|config| config.history)
        };
        let default = parse("", "").unwrap();
        assert_eq!((default.minutes, default.half_hours, default.six_hours), (1440, 1440, 1460));
        assert_eq!(parse("HISTORY_MINUTES_HOURS", "168").unwrap().minutes, 10_080);
        for (name, value) in [
            ("HISTORY_MINUTES_HOURS", "0"),
            ("HISTORY_MINUTES_HOURS", "169"),
            ("HISTORY_HALF_HOURS_DAYS", "367"),
            ("HISTORY_SIX_HOURS_DAYS", "-1"),
            ("HISTORY_SIX_HOURS_DAYS", "99999999999"),
        ] {
            let error = parse(name, value).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains(value), "{error}");
        }
    }
}

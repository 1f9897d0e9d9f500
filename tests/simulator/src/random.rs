//! Numbers that look random but depend on a seed only, the same on every machine and with every
//! release of every library: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
//! generators", 2014) used as a hash, so that no state has to be kept per cluster.

/// A seed that depends on `seed` and `salt` and shows no pattern in either.
#[must_use]
pub(crate) fn mix(seed: u64, salt: u64) -> u64 {
    let mut z = seed.wrapping_add(salt.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// As [`mix`] with a text as salt.
#[must_use]
pub(crate) fn mix_text(seed: u64, salt: &str) -> u64 {
    salt.bytes().fold(mix(seed, u64::MAX), |hash, byte| mix(hash, u64::from(byte)))
}

/// The integer as a float; exact up to 2^53, which no simulated figure exceeds.
#[expect(clippy::cast_precision_loss, reason = "all figures are below 2^53")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

/// The float without its fraction; negative ones become 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(crate) fn whole(value: f64) -> u64 {
    value as u64
}

/// A hash as a number from 0 up to but not including 1.
pub(crate) fn unit(hash: u64) -> f64 {
    float(hash >> 11) / float(1 << 53)
}

/// A hash as an integer from `low` to `high`, both included.
pub(crate) fn between(hash: u64, low: u64, high: u64) -> u64 {
    low + hash % (high - low + 1)
}

/// One of `choices`, which must not be empty.
pub(crate) fn pick<T: Copy + Default>(hash: u64, choices: &[T]) -> T {
    let index = usize::try_from(hash >> 33).unwrap_or_default() % choices.len().max(1);
    choices.get(index).copied().unwrap_or_default()
}

/// A smooth curve between 0 and 1 over the time `at_s`: a random value per `period_s`, joined by
/// an S-shaped step.
pub(crate) fn wave(seed: u64, at_s: f64, period_s: f64) -> f64 {
    let place = (at_s / period_s).max(0.0) + unit(seed);
    let (slot, part) = (whole(place), place.fract());
    let (from, to) = (unit(mix(seed, slot)), unit(mix(seed, slot + 1)));
    from + (to - from) * part * part * (3.0 - 2.0 * part)
}

/// A number that changes only every `period_s`, at a moment that depends on the seed.
pub(crate) fn stepwise(seed: u64, at_s: f64, period_s: f64) -> u64 {
    mix(seed, whole((at_s / period_s).max(0.0) + unit(seed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change_between_releases() {
        // First output of SplitMix64 seeded with 0, as published with the reference code.
        assert_eq!(mix(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0, 1), 0x6e78_9e6a_a1b9_65f4);
        assert_ne!(mix_text(1, "lyon"), mix_text(1, "nyol"));
    }

    #[test]
    fn a_wave_stays_in_range_and_moves_slowly() {
        let mut previous = wave(7, 0.0, 600.0);
        let (mut low, mut high) = (previous, previous);
        for second in 1..20_000_u32 {
            let value = wave(7, f64::from(second), 600.0);
            assert!((value - previous).abs() < 0.003, "jump at {second}");
            (low, high, previous) = (low.min(value), high.max(value), value);
        }
        assert!(low >= 0.0 && high < 1.0 && high - low > 0.5, "{low} {high}");
    }

    #[test]
    fn steps_hold_for_a_period() {
        let values: Vec<_> = (0..=100_u32).map(|s| stepwise(3, f64::from(s), 50.0)).collect();
        let changes = values.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 2);
        assert!((0..1000).all(|h| (3..=9).contains(&between(mix(1, h), 3, 9))));
    }
}

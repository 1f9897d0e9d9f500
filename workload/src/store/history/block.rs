//! The format of a block: the points of one cluster in the fewest bytes that simple means allow.
//!
//! A byte for the version, the number of points, then one column after the other: what each point says of the same thing. A column
//! is a series of 32-bit numbers, each written as its difference from the one before: small differences take few bytes, and a run
//! of differences that are zero takes two, however long it is. Most columns are constant most of the time. Floats are written by
//! their bits, so that every value comes back as it was; a highest value as the difference from its average; percentages in
//! tenths. Numbers are little-endian groups of seven bits, as in protocol buffers.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::HistoryPoint;

const VERSION: u8 = 1;

/// More points than any block has: what claims more is not read.
const MAX_POINTS: u32 = 10_000;

/// Packs points of different intervals of `step` that begin at `begin` or later, in order.
pub(super) fn pack(points: &[HistoryPoint], begin: OffsetDateTime, step: Duration) -> Vec<u8> {
    let mut out = vec![VERSION];
    number(&mut out, u32::try_from(points.len()).unwrap_or(u32::MAX));
    // Where no interval is left out, all of these are 0.
    let left_out = points.iter().zip(0_i64..).map(|(point, n)| {
        let passed = (point.at - begin).whole_seconds() / seconds(step);
        u32::try_from(passed - n).unwrap_or(0)
    });
    column(&mut out, left_out);
    column(&mut out, points.iter().map(|point| point.heartbeats));
    floats(&mut out, points.iter().map(|point| point.memory));
    column(&mut out, points.iter().map(|point| point.memory_total.to_bits()));
    column(&mut out, points.iter().map(|point| point.load.is_some().into()));
    floats(&mut out, points.iter().filter_map(|point| point.load));
    floats(&mut out, points.iter().map(|point| point.members));
    floats(&mut out, points.iter().map(|point| point.instances));
    let names: BTreeSet<&String> = points.iter().flat_map(|point| point.pools.keys()).collect();
    number(&mut out, u32::try_from(names.len()).unwrap_or(u32::MAX));
    for name in names {
        number(&mut out, u32::try_from(name.len()).unwrap_or(u32::MAX));
        out.extend_from_slice(name.as_bytes());
        let used = points.iter().map(|point| point.pools.get(name));
        column(&mut out, used.clone().map(|used| used.is_some().into()));
        let tenths = used.flatten().map(|used| used.map(to_tenths));
        pairs(&mut out, tenths);
    }
    out
}

/// The points in a block; `None` if no block was packed to these bytes.
pub(super) fn unpack(
    bytes: &[u8],
    begin: OffsetDateTime,
    step: Duration,
) -> Option<Vec<HistoryPoint>> {
    let mut read = Reader(bytes);
    if read.byte()? != VERSION {
        return None;
    }
    let count = usize::try_from(read.number().filter(|count| *count <= MAX_POINTS)?).ok()?;
    let left_out = read.column(count)?;
    let heartbeats = read.column(count)?;
    let memory = read.floats(count)?;
    let memory_total = read.column(count)?;
    let has_load = read.column(count)?;
    let mut load = read.floats(has_load.iter().filter(|has| **has == 1).count())?.into_iter();
    let members = read.floats(count)?;
    let instances = read.floats(count)?;
    let mut points = Vec::with_capacity(count);
    for n in 0..count {
        let passed = i64::from(*left_out.get(n)?).checked_add(i64::try_from(n).ok()?)?;
        let passed = time::Duration::seconds(passed.checked_mul(seconds(step))?);
        points.push(HistoryPoint {
            at: begin.checked_add(passed)?,
            heartbeats: *heartbeats.get(n)?,
            memory: *memory.get(n)?,
            memory_total: f32::from_bits(*memory_total.get(n)?),
            load: if *has_load.get(n)? == 1 { load.next() } else { None },
            members: *members.get(n)?,
            instances: *instances.get(n)?,
            pools: std::collections::BTreeMap::new(),
        });
    }
    for _ in 0..read.number()? {
        let length = usize::try_from(read.number()?).ok()?;
        let (name, rest) = read.0.split_at_checked(length)?;
        let name = std::str::from_utf8(name).ok()?;
        read.0 = rest;
        let has_pool = read.column(count)?;
        let having = points.iter_mut().zip(&has_pool).filter(|(_, has)| **has == 1);
        let used = read.pairs(has_pool.iter().filter(|has| **has == 1).count())?;
        for ((point, _), used) in having.zip(used) {
            point.pools.insert(name.to_owned(), used.map(from_tenths));
        }
    }
    read.0.is_empty().then_some(points)
}

fn seconds(step: Duration) -> i64 {
    i64::try_from(step.as_secs()).unwrap_or(i64::MAX).max(1)
}

#[expect(clippy::cast_possible_truncation, reason = "a cast saturates, and percentages are small")]
fn to_tenths(percent: f32) -> u32 {
    ((percent * 10.0).round() as i32).cast_unsigned()
}

#[expect(clippy::cast_precision_loss, reason = "percentages are small")]
fn from_tenths(tenths: u32) -> f32 {
    tenths.cast_signed() as f32 / 10.0
}

/// Averages with highest values: two columns.
fn floats(out: &mut Vec<u8>, values: impl Iterator<Item = [f32; 2]> + Clone) {
    pairs(out, values.map(|pair| pair.map(f32::to_bits)));
}

fn pairs(out: &mut Vec<u8>, values: impl Iterator<Item = [u32; 2]> + Clone) {
    column(out, values.clone().map(|[average, _]| average));
    column(out, values.map(|[average, highest]| highest.wrapping_sub(average)));
}

fn column(out: &mut Vec<u8>, values: impl Iterator<Item = u32>) {
    let (mut before, mut run) = (0_u32, 0_u32);
    for value in values {
        let difference = value.wrapping_sub(before).cast_signed();
        before = value;
        if difference == 0 {
            run += 1;
            continue;
        }
        end_run(out, &mut run);
        // The sign goes into the lowest bit, so that both kinds of small differences are small numbers.
        number(out, ((difference << 1) ^ (difference >> 31)).cast_unsigned());
    }
    end_run(out, &mut run);
}

fn end_run(out: &mut Vec<u8>, run: &mut u32) {
    if *run > 0 {
        out.push(0);
        number(out, *run - 1);
        *run = 0;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits are meant")]
fn number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What is left of a block.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).ok();
            }
        }
        None
    }

    fn column(&mut self, count: usize) -> Option<Vec<u32>> {
        let (mut values, mut before) = (Vec::with_capacity(count), 0_u32);
        while values.len() < count {
            let number = self.number()?;
            if number == 0 {
                let run = usize::try_from(self.number()?).ok()?.checked_add(1)?;
                if run > count - values.len() {
                    return None;
                }
                values.resize(values.len() + run, before);
            } else {
                let difference = (number >> 1) ^ (number & 1).wrapping_neg();
                before = before.wrapping_add(difference);
                values.push(before);
            }
        }
        Some(values)
    }

    fn pairs(&mut self, count: usize) -> Option<Vec<[u32; 2]>> {
        let (averages, above) = (self.column(count)?, self.column(count)?);
        let pair = |(average, above): (u32, u32)| [average, average.wrapping_add(above)];
        Some(averages.into_iter().zip(above).map(pair).collect())
    }

    fn floats(&mut self, count: usize) -> Option<Vec<[f32; 2]>> {
        let pairs = self.pairs(count)?;
        Some(pairs.into_iter().map(|pair| pair.map(f32::from_bits)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const STEP: Duration = Duration::from_mins(1);
    const BEGIN: OffsetDateTime = time::macros::datetime!(2026-11-29 09:00 UTC);

    fn at(minute: u32) -> OffsetDateTime {
        BEGIN + STEP * minute
    }

    /// What a cluster of three members reports that does not change.
    fn steady(minute: u32) -> HistoryPoint {
        HistoryPoint {
            at: at(minute),
            heartbeats: 1,
            memory: [6e10, 6e10],
            memory_total: 2e11,
            load: Some([0.5, 0.5]),
            members: [3.0, 3.0],
            instances: [12.0, 12.0],
            pools: BTreeMap::from([
                ("local".into(), [23.4, 56.7]),
                ("remote".into(), [0.0, 100.0]),
            ]),
        }
    }

    fn same(points: &[HistoryPoint]) {
        let bytes = pack(points, BEGIN, STEP);
        assert_eq!(unpack(&bytes, BEGIN, STEP).as_deref(), Some(points));
        for length in 0..bytes.len() {
            assert_eq!(unpack(&bytes[..length], BEGIN, STEP), None, "cut off after {length}");
        }
    }

    #[test]
    fn a_cluster_on_which_nothing_happens_takes_a_hundred_bytes_an_hour() {
        let hour: Vec<_> = (0..60).map(steady).collect();
        let length = pack(&hour, BEGIN, STEP).len();
        assert!(length <= 110, "{length}");
        same(&hour);
    }

    #[test]
    fn intervals_loads_and_pools_that_come_and_go_come_back_as_they_were() {
        let mut points: Vec<_> = [0, 1, 2, 17, 18, 40, 59].map(steady).into();
        points[1].load = None;
        points[2].load = None;
        points[2].heartbeats = 32_767;
        points[3].memory = [1.0, f32::MAX];
        points[3].pools.remove("local");
        points[4].pools = BTreeMap::from([("ceph, with \u{e4} name".into(), [99.9, 100.0])]);
        points[5].pools.clear();
        points[5].instances = [0.0, 0.0];
        same(&points);
        same(&points[..1]);
        same(&points[6..]);
        same(&[]);
    }

    fn any_points() -> impl Strategy<Value = Vec<HistoryPoint>> {
        let pair = || [0.0_f32..1e13, 0.0_f32..1e13];
        let pools = prop::collection::btree_map(
            "[a-z]{1,3}",
            [0_u16..=1000, 0_u16..=1000].prop_map(|tenths| tenths.map(|n| f32::from(n) / 10.0)),
            0..4,
        );
        let load = prop::option::of(pair());
        let point = (1_u32..40_000, pair(), 0.0_f32..1e13, load, pair(), pair(), pools);
        prop::collection::btree_map(0_u32..60, point, 0..60).prop_map(|points| {
            let point =
                |(minute, (heartbeats, memory, memory_total, load, members, instances, pools))| {
                    HistoryPoint {
                        at: at(minute),
                        heartbeats,
                        memory,
                        memory_total,
                        load,
                        members,
                        instances,
                        pools,
                    }
                };
            points.into_iter().map(point).collect()
        })
    }

    proptest! {
        #[test]
        fn any_points_come_back_as_they_were(points in any_points()) {
            let bytes = pack(&points, BEGIN, STEP);
            prop_assert_eq!(unpack(&bytes, BEGIN, STEP), Some(points));
        }

        #[test]
        fn other_bytes_are_no_block_or_a_bounded_one(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let points = unpack(&bytes, BEGIN, STEP);
            prop_assert!(points.is_none_or(|points| points.len() <= MAX_POINTS as usize));
        }

        #[test]
        fn a_changed_block_is_read_or_refused(points in any_points(), place in any::<prop::sample::Index>(), value: u8) {
            let mut bytes = pack(&points, BEGIN, STEP);
            let place = place.index(bytes.len());
            bytes[place] = value;
            let _ = unpack(&bytes, BEGIN, STEP);
        }
    }
}

//! A table of fixed capacity from small keys to numbers, where a larger number means "keep it rather than others".
//!
//! It is cut into sets of sixteen; the hash of a key, with a seed that nobody outside knows, says which set it belongs to. A
//! lookup compares at most sixteen neighbours under a lock of their own. When a set is full, a new key takes the place of the one
//! with the smallest number: of the bucket that is the fullest, so that what is forgotten was worth the least, and a flood of new
//! keys displaces itself and not the clients that have used up their tokens. There is nothing to rebuild, to rehash or to sweep,
//! and no moment when one caller pays for many.
//!
//! Sets fill unevenly: a table of which half is in use forgets nobody to speak of, and one that meets as many keys as it has
//! room for keeps nine in ten.
//!
//! A set takes memory when its first key arrives: sixteen keys of 32 bytes are 688 bytes, those of addresses 432.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SET_SIZE: usize = 16;

type Set<K> = Mutex<Vec<(K, u64)>>;

/// See the module.
pub(super) struct Table<K> {
    sets: Box<[Set<K>]>,
    hasher: RandomState,
}

impl<K: Copy + Eq + Hash> Table<K> {
    /// An empty table for `capacity` keys, rounded up to whole sets.
    pub(super) fn new(capacity: usize) -> Self {
        let sets = capacity.div_ceil(SET_SIZE).max(1);
        Self { sets: (0..sets).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Shows `change` the number of `key`, and keeps the number that it returns; an error changes nothing.
    pub(super) fn update<T, E>(
        &self,
        key: &K,
        change: impl FnOnce(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<T, E> {
        let Some(mut set) = self.set(key) else { return change(None).map(|(value, _)| value) };
        if let Some((_, number)) = set.iter_mut().find(|(known, _)| known == key) {
            let (value, new) = change(Some(*number))?;
            *number = new;
            return Ok(value);
        }
        let (value, new) = change(None)?;
        if set.len() < SET_SIZE {
            set.push((*key, new));
        } else if let Some(least) = set.iter_mut().min_by_key(|(_, number)| *number) {
            *least = (*key, new);
        }
        Ok(value)
    }

    /// The number of `key`.
    pub(super) fn get(&self, key: &K) -> Option<u64> {
        self.set(key)?.iter().find(|(known, _)| known == key).map(|(_, number)| *number)
    }

    /// Forgets `key`.
    pub(super) fn remove(&self, key: &K) {
        if let Some(mut set) = self.set(key) {
            set.retain(|(known, _)| known != key);
        }
    }

    /// Forgets the keys whose number is below `least`, and gives the memory back.
    pub(super) fn retain(&self, least: u64) {
        for set in &self.sets {
            let mut set = lock(set);
            set.retain(|(_, number)| *number >= least);
            set.shrink_to_fit();
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.sets.iter().map(|set| lock(set).len()).sum()
    }

    /// The set of `key`: always there, since the remainder of a division is below the divisor.
    fn set(&self, key: &K) -> Option<MutexGuard<'_, Vec<(K, u64)>>> {
        let sets = u64::try_from(self.sets.len()).ok()?;
        let index = usize::try_from(self.hasher.hash_one(key).checked_rem(sets)?).ok()?;
        self.sets.get(index).map(lock)
    }
}

/// Nothing panics while it holds a lock; if it did, the numbers would still be good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn put(table: &Table<u32>, key: u32, number: u64) {
        table.update(&key, |_| Ok::<_, Infallible>(((), number))).unwrap();
    }

    #[test]
    fn rate_05_a_full_table_takes_newcomers_and_forgets_the_smallest_number() {
        let table = Table::new(16);
        for key in 0..16 {
            put(&table, key, 100 + u64::from(key));
        }
        put(&table, 99, 1000);
        assert_eq!(table.get(&99), Some(1000));
        assert_eq!(table.get(&0), None, "100 was the smallest");
        assert_eq!(table.get(&1), Some(101));
        assert_eq!(table.len(), 16);
    }

    #[test]
    fn rate_05_five_million_keys_need_no_more_room_than_the_capacity() {
        let table = Table::new(1000);
        for key in 0..5_000_000 {
            put(&table, key, u64::from(key));
        }
        assert_eq!(table.len(), 1000_usize.next_multiple_of(16));
        assert!(table.sets.iter().all(|set| lock(set).capacity() <= SET_SIZE));
    }

    #[test]
    fn an_error_changes_nothing_and_small_numbers_are_swept() {
        let table = Table::new(0);
        put(&table, 1, 10);
        put(&table, 2, 20);
        assert_eq!(table.update(&1, Err::<((), u64), _>), Err(Some(10)));
        assert_eq!(table.update(&3, Err::<((), u64), _>), Err(None));
        assert_eq!((table.len(), table.get(&1)), (2, Some(10)));
        table.retain(11);
        assert_eq!((table.get(&1), table.get(&2)), (None, Some(20)));
        table.remove(&2);
        assert_eq!(table.len(), 0);
    }
}

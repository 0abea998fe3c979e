//! A map with a fixed capacity: a new key in a full map takes the place of the oldest key.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use foldhash::fast::RandomState;

/// At most `capacity` entries. A key's age counts from its insertion or, if that was later, from its last
/// [`refresh`](BoundedMap::refresh). Keys are cloned once each: let them be cheap to clone.
#[derive(Debug, Clone)]
pub struct BoundedMap<K, V> {
    entries: HashMap<K, Entry<V>, RandomState>,
    /// Keys by age, the oldest first; as many as `entries`.
    by_age: BTreeMap<u64, K>,
    next_age: u64,
    capacity: usize,
}

#[derive(Debug, Clone)]
struct Entry<V> {
    age: u64,
    value: V,
}

impl<K: Hash + Eq + Clone, V> BoundedMap<K, V> {
    /// An empty map; a capacity of 0 is taken as 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::default(),
            by_age: BTreeMap::new(),
            next_age: 0,
            capacity: if capacity == 0 { 1 } else { capacity },
        }
    }

    /// The value of `key`; its age stays.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value of `key`, to be changed; its age stays.
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Inserts or replaces a value; its key is the newest then. Returns what had to go: the value before, or the oldest
    /// entry's.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let age = self.next_age;
        self.next_age += 1;
        let gone = match self.entries.get(&key) {
            Some(old) => {
                self.by_age.remove(&old.age);
                None
            }
            None => self.make_room(),
        };
        self.by_age.insert(age, key.clone());
        let replaced = self.entries.insert(key, Entry { age, value });
        replaced.map(|entry| entry.value).or(gone)
    }

    /// Makes `key` the newest and returns its value; inserts `V::default()` first where there is none.
    pub fn refresh(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let age = self.next_age;
        self.next_age += 1;
        match self.entries.get(&key) {
            Some(entry) => drop(self.by_age.remove(&entry.age)),
            None => drop(self.make_room()),
        }
        self.by_age.insert(age, key.clone());
        let entry = self.entries.entry(key).or_insert_with(|| Entry { age, value: V::default() });
        entry.age = age;
        &mut entry.value
    }

    /// Takes an entry out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.remove(key)?;
        self.by_age.remove(&entry.age);
        Some(entry.value)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn make_room(&mut self) -> Option<V> {
        if self.entries.len() < self.capacity {
            return None;
        }
        let (_, oldest) = self.by_age.pop_first()?;
        self.entries.remove(&oldest).map(|entry| entry.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_key_takes_the_place_of_the_oldest() {
        let mut map = BoundedMap::new(2);
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("b", 2), None);
        assert_eq!(map.insert("c", 3), Some(1));
        assert_eq!((map.get("a"), map.get("b"), map.get("c"), map.len()), (None, Some(&2), Some(&3), 2));
    }

    #[test]
    fn insert_and_refresh_make_a_key_the_newest_and_get_does_not() {
        let mut map = BoundedMap::new(2);
        map.insert("a", 1);
        map.insert("b", 2);
        assert_eq!(map.insert("a", 10), Some(1), "the value before");
        *map.refresh("b") += 1;
        *map.get_mut("a").unwrap() += 1;
        map.insert("c", 3);
        assert_eq!((map.get("a"), map.get("b")), (None, Some(&3)));
        assert_eq!(*map.refresh("d"), 0);
        assert_eq!(map.get("b"), None);
    }

    #[test]
    fn a_capacity_of_nothing_is_one() {
        let mut map = BoundedMap::new(0);
        assert!(map.is_empty());
        map.insert(1, 'a');
        map.insert(2, 'b');
        assert_eq!((map.len(), map.get(&2)), (1, Some(&'b')));
    }

    proptest! {
        #[test]
        fn holds_the_newest_keys_and_no_more(
            capacity in 1..6_usize,
            steps in prop::collection::vec((0..10_u8, any::<bool>()), 0..200),
        ) {
            let mut map = BoundedMap::new(capacity);
            let mut newest: Vec<u8> = Vec::new();
            for (key, refresh) in steps {
                if refresh {
                    *map.refresh(key) = key;
                } else {
                    map.insert(key, key);
                }
                newest.retain(|known| *known != key);
                newest.push(key);
                newest.drain(..newest.len().saturating_sub(capacity));
                prop_assert_eq!(map.len(), newest.len());
                prop_assert_eq!(map.by_age.len(), newest.len());
                prop_assert!(newest.iter().all(|key| map.get(key) == Some(key)));
            }
        }
    }
}

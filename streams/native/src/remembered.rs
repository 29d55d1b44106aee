//! The actions of which the partition knows more than their row: a record with the key of one may be a copy of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Keys, as 64-bit hashes with counts. Nobody outside can choose two of one hash, and if two should have one, they
/// are both held until both are dropped: more is left to Python, never less.
#[derive(Default)]
pub struct Remembered {
    state: RandomState,
    counts: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
}

impl Remembered {
    pub fn add(&mut self, key: [&[u8]; 4]) {
        *self.counts.entry(self.state.hash_one(key)).or_default() += 1;
    }

    /// Take back one `add` of the same key; without one nothing happens.
    pub fn drop(&mut self, key: [&[u8]; 4]) {
        let hash = self.state.hash_one(key);
        match self.counts.get_mut(&hash) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.counts.remove(&hash)),
        }
    }

    pub fn holds(&self, key: [&[u8]; 4]) -> bool {
        !self.counts.is_empty() && self.counts.contains_key(&self.state.hash_one(key))
    }
}

/// A hash needs no second one.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only 64-bit hashes are looked up");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::Remembered;

    #[test]
    fn a_key_is_held_until_it_was_dropped_as_often_as_added() {
        let mut remembered = Remembered::default();
        let (key, other) = ([b"t".as_slice(), b"s", b"/a", b"1"], [b"t".as_slice(), b"s", b"/a1", b""]);
        remembered.add(key);
        remembered.add(key);
        remembered.drop(other);
        remembered.drop(key);
        assert!(remembered.holds(key) && !remembered.holds(other));
        remembered.drop(key);
        assert!(!remembered.holds(key));
    }
}

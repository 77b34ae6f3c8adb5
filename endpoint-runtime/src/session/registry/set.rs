//! [`Set`]: sessions that are found by their ids. A member takes little more than one word.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::super::{Session, SessionId};

#[derive(Default)]
pub(super) struct Set(HashSet<ById, BuildHasherDefault<Mixer>>);

impl Set {
    /// Puts the session in; says whether it is new.
    pub(super) fn insert(&mut self, session: &Session) -> bool {
        self.0.insert(ById(session.clone()))
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.0.get(&id).map(|ById(session)| session)
    }

    pub(super) fn take(&mut self, id: SessionId) -> Option<Session> {
        self.0.take(&id).map(|ById(session)| session)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.0.iter().map(|ById(session)| session)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A session is equal to another, and hashed, by its id.
#[derive(PartialEq, Eq, Hash)]
struct ById(Session);

impl Borrow<SessionId> for ById {
    fn borrow(&self) -> &SessionId {
        self.0.id()
    }
}

/// Hashes session ids. Their serial numbers are our own and each is used once, so nobody can choose ids that collide: to be fast is enough.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        // A number without a pattern: 2^64 divided by the golden ratio. The upper half of the product is folded into the lower, which is mixed
        // less and from which the table takes its places.
        let product = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet as Places;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn ids_of_one_shard_spread() {
        let hasher = BuildHasherDefault::<Mixer>::default();
        let hashes: Vec<u64> =
            (0..1024).map(|n| hasher.hash_one(SessionId::new(0xdead_beef, n * 16))).collect();
        let places: Places<u64> = hashes.iter().map(|hash| hash % 1024).collect();
        let tags: Places<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        // Chance alone would fill 647 of 1024 places.
        assert!(places.len() > 600 && tags.len() == 128, "{} {}", places.len(), tags.len());
    }
}

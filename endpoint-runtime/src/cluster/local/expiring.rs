//! [`Expiring`]: a map whose entries leave it when their time has come.

use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::time::Duration;

use tokio::time::Instant;

/// When something expires, and which of those that expire then.
type When = (Instant, u64);

/// A sorted map with a time for each entry. Nothing leaves by itself: whoever has it takes away what is due.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    entries: BTreeMap<K, (When, V)>,
    due: BTreeMap<When, K>,
    serial: u64,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Expiring { entries: BTreeMap::new(), due: BTreeMap::new(), serial: 0 }
    }
}

impl<K: Ord + Clone, V> Expiring<K, V> {
    /// What was there under the key before.
    pub(super) fn insert(&mut self, key: K, value: V, at: Instant) -> Option<V> {
        self.serial += 1;
        let when = (at, self.serial);
        self.due.insert(when, key.clone());
        let (before, value) = self.entries.insert(key, (when, value))?;
        self.due.remove(&before);
        Some(value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (when, value) = self.entries.remove(key)?;
        self.due.remove(&when);
        Some(value)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// The value, and when it expires.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<(Instant, &mut V)> {
        self.entries.get_mut(key).map(|((at, _), value)| (*at, value))
    }

    /// Another time for an entry.
    pub(super) fn reschedule(&mut self, key: &K, at: Instant) {
        if let Some((when, _)) = self.entries.get_mut(key)
            && let Some(key) = self.due.remove(when)
        {
            self.serial += 1;
            *when = (at, self.serial);
            self.due.insert(*when, key);
        }
    }

    /// Takes away an entry whose time has come, if there is one.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(K, V)> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let key = first.remove();
        self.entries.remove(&key).map(|(_, value)| (key, value))
    }

    pub(super) fn range(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.entries.range(range).map(|(key, (_, value))| (key, value))
    }

    #[cfg(feature = "test")]
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|(_, value)| value)
    }
}

/// The time after a while, which may be longer than time is.
pub(super) fn after(now: Instant, while_: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
    now + while_.min(YEARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_leaves_once_and_when_its_last_time_has_come() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut map = Expiring::default();
        assert_eq!(map.insert("a", 1, at(1)), None);
        assert_eq!(map.insert("b", 2, at(1)), None);
        assert_eq!(map.insert("a", 3, at(5)), Some(1));
        assert_eq!(map.insert("c", 4, at(1)), None);
        assert_eq!(map.remove(&"c"), Some(4));
        map.reschedule(&"b", at(2));
        assert_eq!(map.pop_due(at(1)), None);
        assert_eq!(map.pop_due(at(4)), Some(("b", 2)));
        assert_eq!(map.pop_due(at(4)), None);
        assert_eq!(map.pop_due(at(5)), Some(("a", 3)));
        assert!(map.entries.is_empty() && map.due.is_empty());
    }

    #[test]
    fn no_while_is_too_long() {
        let now = Instant::now();
        assert!(after(now, Duration::MAX) > now);
    }
}

//! [`Hub`]: where the nodes of one process meet: who subscribes to what, and what is kept.
//!
//! It has no task of its own. What has expired leaves when something else is done: with each operation some of what is near it, and now
//! and then some of what is not.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::{Appended, Arrival, Channel, Epoch, History, MessageId, Position, Put, Retention};
use super::expiring::{Expiring, after};
use super::history::Kept;
use super::presences::Presences;

/// Channels in different shards do not wait for each other.
const SHARDS: usize = 16;

/// How many histories are looked at in one operation, at most.
const SWEPT: usize = 64;

/// What all nodes of a process share; `S` is how one of them is reached.
#[derive(Debug)]
pub(crate) struct Hub<S> {
    shards: [Mutex<Shard<S>>; SHARDS],
    store: Mutex<Expiring<Arc<str>, Bytes>>,
    presences: Mutex<Presences>,
    operations: AtomicUsize,
}

/// Some of the channels. A message is delivered while its shard is locked, so that all nodes see the same order.
#[derive(Debug)]
struct Shard<S> {
    /// The nodes by their numbers.
    subscribers: HashMap<Channel, Vec<(u64, S)>>,
    histories: Expiring<Channel, Kept>,
    epoch: u64,
    /// How many histories were. Those that begin later are of another epoch, so that no channel has the same one twice.
    forgotten: u64,
}

impl<S> Default for Hub<S> {
    fn default() -> Self {
        Hub::new(rand::random())
    }
}

impl<S> Hub<S> {
    /// Whose epochs begin with this number, which no other hub has had.
    pub(crate) fn new(epoch: u64) -> Self {
        let shard =
            || Shard { subscribers: HashMap::new(), histories: Expiring::default(), epoch, forgotten: 0 };
        Hub {
            shards: std::array::from_fn(|_| Mutex::new(shard())),
            store: Mutex::default(),
            presences: Mutex::default(),
            operations: AtomicUsize::new(0),
        }
    }
}

impl<S: Clone> Hub<S> {
    /// When this is done the node gets whatever is published from then on.
    pub(crate) fn subscribe(&self, number: u64, node: &S, channels: &[Channel]) {
        for channel in channels {
            let mut shard = self.shard(channel);
            let subscribers = shard.subscribers.entry(channel.clone()).or_default();
            if subscribers.iter().all(|(other, _)| *other != number) {
                subscribers.push((number, node.clone()));
            }
        }
    }

    pub(crate) fn unsubscribe(&self, number: u64, channels: &[Channel]) {
        for channel in channels {
            self.shard(channel).unsubscribe(number, channel);
        }
    }

    /// When this is done the node gets nothing more.
    pub(crate) fn leave(&self, number: u64) {
        for shard in &self.shards {
            lock(shard).subscribers.retain(|_, subscribers| {
                subscribers.retain(|(other, _)| *other != number);
                !subscribers.is_empty()
            });
        }
    }

    /// How many nodes it was for.
    pub(crate) fn publish(
        &self,
        now: Instant,
        channel: &Channel,
        message: Bytes,
        deliver: impl FnMut(&S, Arrival),
    ) -> u64 {
        self.sweep_another(now);
        let mut shard = self.shard(channel);
        shard.sweep(now);
        shard.deliver(Arrival { channel: channel.clone(), message, position: None }, deliver)
    }

    pub(crate) fn append(
        &self,
        now: Instant,
        channel: &Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
        deliver: impl FnMut(&S, Arrival),
    ) -> Appended {
        self.sweep_another(now);
        let mut shard = self.shard(channel);
        shard.sweep(now);
        let appended = shard.history(now, channel, |kept| kept.append(now, message.clone(), id, keep));
        if !appended.duplicate {
            let position = Some(appended.position.clone());
            shard.deliver(Arrival { channel: channel.clone(), message, position }, deliver);
        }
        appended
    }

    pub(crate) fn history(&self, now: Instant, channel: &Channel, after: u64, limit: usize) -> History {
        let mut shard = self.shard(channel);
        shard.sweep(now);
        // To ask is no reason to keep anything, since anybody may ask for anything. For a subscriber it is: the epoch that it is told is
        // the one of the first message.
        if !shard.histories.contains(channel) && !shard.subscribers.contains_key(channel) {
            let top = Position { epoch: shard.epoch(), offset: 0 };
            return History { top, origins: Vec::new(), messages: Vec::new() };
        }
        shard.history(now, channel, |kept| kept.history(now, after, limit))
    }

    pub(crate) fn put(&self, now: Instant, key: &str, value: Bytes, ttl: Duration, how: Put) -> bool {
        let mut store = self.store(now);
        let key = Arc::from(key);
        let puts = store.contains(&key) == (how == Put::Again);
        if puts {
            store.insert(key, value, after(now, ttl));
        }
        puts
    }

    pub(crate) fn take(&self, now: Instant, key: &str) -> Option<Bytes> {
        self.store(now).remove(&Arc::from(key))
    }

    pub(crate) fn presences(&self) -> MutexGuard<'_, Presences> {
        lock(&self.presences)
    }

    fn shard(&self, channel: &Channel) -> MutexGuard<'_, Shard<S>> {
        let mut hasher = DefaultHasher::new();
        channel.hash(&mut hasher);
        lock(&self.shards[hasher.finish() as usize % SHARDS])
    }

    /// What is kept now.
    fn store(&self, now: Instant) -> MutexGuard<'_, Expiring<Arc<str>, Bytes>> {
        let mut store = lock(&self.store);
        while store.pop_due(now).is_some() {}
        store
    }

    /// Now and then a shard is looked at that nobody else may look at.
    fn sweep_another(&self, now: Instant) {
        const EVERY: usize = 64;
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        if operation.is_multiple_of(EVERY)
            && let Ok(mut shard) = self.shards[operation / EVERY % SHARDS].try_lock()
        {
            shard.sweep(now);
        }
    }

    /// The last so many messages of every channel have never been.
    #[cfg(feature = "test")]
    pub(crate) fn rewind(&self, lost: u64) {
        for shard in &self.shards {
            lock(shard).histories.values_mut().for_each(|kept| kept.rewind(lost));
        }
    }

    /// The last so many messages of every channel are lost, and the others go on in other epochs.
    #[cfg(feature = "test")]
    pub(crate) fn take_over(&self, lost: u64) {
        self.rewind(lost);
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.forgotten += 1;
            let epoch = shard.epoch();
            shard.histories.values_mut().for_each(|kept| kept.go_on_as(epoch.clone()));
        }
    }

    /// All messages and their places are lost.
    #[cfg(feature = "test")]
    pub(crate) fn forget_histories(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.histories = Expiring::default();
            shard.forgotten += 1;
        }
    }
}

impl<S> Shard<S> {
    /// Of histories that begin now.
    fn epoch(&self) -> Epoch {
        Epoch(format!("{:016x}-{:x}", self.epoch, self.forgotten).into())
    }

    fn unsubscribe(&mut self, number: u64, channel: &Channel) {
        if let Some(subscribers) = self.subscribers.get_mut(channel) {
            subscribers.retain(|(other, _)| *other != number);
            if subscribers.is_empty() {
                self.subscribers.remove(channel);
            }
        }
    }

    fn deliver(&self, arrival: Arrival, mut deliver: impl FnMut(&S, Arrival)) -> u64 {
        let Some(subscribers) = self.subscribers.get(&arrival.channel) else { return 0 };
        for (_, node) in subscribers {
            deliver(node, arrival.clone());
        }
        subscribers.len() as u64
    }

    /// Does something with the history of a channel, which begins if there is none.
    fn history<T>(&mut self, now: Instant, channel: &Channel, with: impl FnOnce(&mut Kept) -> T) -> T {
        if let Some((scheduled, kept)) = self.histories.get_mut(channel) {
            let result = with(kept);
            // What is due later is found when the time has come that was meant before.
            let due = kept.due();
            if due < scheduled {
                self.histories.reschedule(channel, due);
            }
            return result;
        }
        let mut kept = Kept::new(now, self.epoch());
        let result = with(&mut kept);
        let due = kept.due();
        self.histories.insert(channel.clone(), kept, due);
        result
    }

    /// Lets go of some of what has expired.
    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEPT {
            let Some((channel, mut kept)) = self.histories.pop_due(now) else { return };
            kept.expire(now);
            if self.subscribers.contains_key(&channel) {
                kept.is_used(now);
            }
            match kept.due() {
                due if due > now => drop(self.histories.insert(channel, kept, due)),
                _ => self.forgotten += 1,
            }
        }
    }
}

/// A receiver that has panicked has left nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Retention = Retention { size: 10, ttl: Duration::from_secs(60) };

    fn append(hub: &Hub<()>, now: Instant, name: &str) -> Position {
        hub.append(now, &Channel::room(name), Bytes::new(), MessageId::random(), KEEP, |(), _| {}).position
    }

    fn place(hub: &Hub<()>, now: Instant, name: &str) -> Position {
        hub.history(now, &Channel::room(name), 0, 10).top
    }

    fn histories(hub: &Hub<()>) -> usize {
        hub.shards.iter().map(|shard| lock(shard).histories.range(..).count()).sum()
    }

    #[test]
    fn histories_that_nobody_uses_are_forgotten_while_others_are_used() {
        let hub = Hub::default();
        let start = Instant::now();
        for name in 0..1000 {
            append(&hub, start, &name.to_string());
        }
        assert_eq!(histories(&hub), 1000);
        let later = start + Duration::from_secs(2 * 3600);
        let nobody = Channel::room("nobody");
        for step in 0..10_000 {
            // Messages expire first, then the ids, then the place.
            hub.publish(later + Duration::from_secs(step), &nobody, Bytes::new(), |(), _| {});
        }
        assert_eq!(histories(&hub), 0);
    }

    #[test]
    fn a_history_that_was_forgotten_has_another_epoch_when_it_begins_again() {
        let hub = Hub::default();
        let mut now = Instant::now();
        let first = append(&hub, now, "blue");
        now += Duration::from_secs(3500);
        assert_eq!(place(&hub, now, "blue"), first, "the place is known for longer than the messages");
        now += Duration::from_secs(3 * 3600);
        let again = place(&hub, now, "blue");
        assert_eq!(again.offset, 0);
        assert_ne!(again.epoch, first.epoch);
        assert_eq!(append(&hub, now, "blue"), Position { offset: 1, ..again });
    }

    #[test]
    fn the_history_of_a_channel_that_has_subscribers_goes_on() {
        let hub = Hub::default();
        let mut now = Instant::now();
        hub.subscribe(1, &(), &[Channel::room("blue"), Channel::room("new")]);
        let first = append(&hub, now, "blue");
        let before = place(&hub, now, "new");
        for _ in 0..1000 {
            // Others come and go meanwhile.
            now += Duration::from_secs(600);
            append(&hub, now, &format!("{now:?}"));
        }
        assert_eq!(append(&hub, now, "blue"), Position { offset: 2, ..first });
        assert_eq!(append(&hub, now, "new"), Position { offset: 1, ..before });
    }

    #[test]
    fn to_ask_for_a_history_keeps_nothing() {
        let hub = Hub::default();
        let now = Instant::now();
        for name in 0..1000 {
            place(&hub, now, &name.to_string());
        }
        assert_eq!(histories(&hub), 0);
    }
}

//! [`Publishing`]: what waits for the engine, a queue for each channel.
//!
//! What is published to one channel goes one after the other, since an engine may change the order of what is under way at the same time. A
//! queue exists while something is in it, and so does the task that empties it: whatever has come while the engine was busy goes together
//! the next time.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::super::counters::{Tally, add};
use super::super::{Channel, ClusterError, Crossing, Engine, EngineError, MessageId, Retention};
use crate::error::Panicked;

const SHARDS: usize = 16;

/// How many messages, and bytes, go to the engine together.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

/// A message on its way to the engine.
#[derive(Debug)]
pub(super) struct Letter {
    message: Bytes,
    /// To be appended to the history of the channel, and not only published.
    append: Option<(MessageId, Retention)>,
    /// When nobody waits for it any more, and it is of no use.
    expires: Instant,
    done: Option<oneshot::Sender<Crossing>>,
}

#[derive(Debug)]
pub(in crate::cluster) struct Publishing {
    engine: Arc<dyn Engine>,
    tally: Arc<Tally>,
    deadline: Duration,
    /// How many bytes may wait, and how many do.
    limit: usize,
    waiting: AtomicUsize,
    queues: [Mutex<HashMap<Channel, VecDeque<Letter>>>; SHARDS],
    hasher: RandomState,
    tasks: TaskTracker,
}

impl Publishing {
    pub(in crate::cluster) fn new(
        engine: Arc<dyn Engine>,
        tally: Arc<Tally>,
        deadline: Duration,
        limit: usize,
    ) -> Self {
        Publishing {
            engine,
            tally,
            deadline,
            limit,
            waiting: AtomicUsize::new(0),
            queues: Default::default(),
            hasher: RandomState::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Puts a message into the queue of its channel.
    ///
    /// # Errors
    /// There is no room for it.
    pub(in crate::cluster) fn put(
        self: &Arc<Self>,
        runtime: &Handle,
        channel: Channel,
        message: Bytes,
        append: Option<(MessageId, Retention)>,
        done: Option<oneshot::Sender<Crossing>>,
    ) -> Result<(), ClusterError> {
        if !self.reserve(message.len()) {
            add(&self.tally.refused, 1);
            return Err(ClusterError::Full);
        }
        let letter = Letter { message, append, expires: Instant::now() + self.deadline, done };
        match self.shard(&channel).entry(channel) {
            Entry::Occupied(queue) => queue.into_mut().push_back(letter),
            Entry::Vacant(place) => {
                let channel = place.key().clone();
                place.insert(VecDeque::from([letter]));
                runtime.spawn(self.tasks.track_future(Emptying { of: Arc::clone(self), channel }.run()));
            }
        }
        Ok(())
    }

    /// Waits until nothing waits for the engine.
    pub(in crate::cluster) async fn emptied(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Takes room for so many bytes. A message that is larger than all the room there is goes when nothing else waits.
    fn reserve(&self, bytes: usize) -> bool {
        let fits = |waiting: usize| {
            let more = waiting.saturating_add(bytes);
            (waiting == 0 || more <= self.limit).then_some(more)
        };
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn shard(&self, channel: &Channel) -> MutexGuard<'_, HashMap<Channel, VecDeque<Letter>>> {
        let shard = &self.queues[self.hasher.hash_one(channel) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes next: some that are all published, or all appended in the same way. If there is nothing, the queue is gone.
    fn next(&self, channel: &Channel) -> Vec<Letter> {
        let mut shard = self.shard(channel);
        let mut batch: Vec<Letter> = Vec::new();
        let Some(queue) = shard.get_mut(channel) else { return batch };
        let mut bytes = 0;
        while let Some(letter) = queue.front() {
            let alike = batch.first().is_none_or(|first| first.retention() == letter.retention());
            bytes += letter.message.len();
            if !alike || batch.len() == BATCH || (bytes > BATCH_BYTES && !batch.is_empty()) {
                break;
            }
            batch.extend(queue.pop_front());
        }
        if batch.is_empty() {
            shard.remove(channel);
        }
        batch
    }

    /// Hands over what goes next, and tells whoever waits for it.
    async fn hand_over(&self, channel: &Channel, mut batch: Vec<Letter>) {
        let now = Instant::now();
        let late = batch.extract_if(.., |letter| letter.expires <= now).collect();
        self.finish(late, &self.tally.expired, |_| Crossing::Failed(ClusterError::Timeout));
        let Some(first) = batch.first() else { return };
        let handing = async {
            match first.retention() {
                None => self.publish(channel, &batch).await,
                Some(keep) => self.append(channel, &batch, keep).await,
            }
        };
        // An engine that hangs, or panics, must not keep the channel for ever.
        let handing = timeout(self.deadline, AssertUnwindSafe(handing).catch_unwind());
        let handed = match handing.await {
            Ok(Ok(handed)) => handed,
            Ok(Err(payload)) => Err(EngineError::Refused(Box::new(Panicked::from_payload(&*payload)))),
            Err(_) => Err(EngineError::Timeout),
        };
        match handed {
            Ok(crossings) => {
                let mut crossings = crossings.into_iter();
                let next = |_: &Letter| crossings.next().unwrap_or_else(|| Crossing::handed(None));
                self.finish(batch, &self.tally.handed, next);
            }
            Err(error) => {
                let error = ClusterError::from(error);
                self.finish(batch, &self.tally.failed, |_| Crossing::Failed(error.clone()));
            }
        }
    }

    async fn publish(&self, channel: &Channel, batch: &[Letter]) -> Result<Vec<Crossing>, EngineError> {
        if let [letter] = batch {
            let published = self.engine.publish(channel, letter.message.clone()).await?;
            return Ok(vec![Crossing::handed(published.receivers)]);
        }
        let messages: Vec<Bytes> = batch.iter().map(|letter| letter.message.clone()).collect();
        let published = self.engine.publish_all(channel, &messages).await?;
        Ok(published.into_iter().map(|one| Crossing::handed(one.receivers)).collect())
    }

    async fn append(
        &self,
        channel: &Channel,
        batch: &[Letter],
        keep: Retention,
    ) -> Result<Vec<Crossing>, EngineError> {
        let messages: Vec<_> = batch
            .iter()
            .filter_map(|letter| letter.append.map(|(id, _)| (id, letter.message.clone())))
            .collect();
        let appended = match &messages[..] {
            [(id, message)] => vec![self.engine.append(channel, message.clone(), *id, keep).await?],
            several => self.engine.append_all(channel, several, keep).await?,
        };
        Ok(appended.into_iter().map(|one| Crossing::appended(one.position, one.duplicate)).collect())
    }

    fn finish(&self, letters: Vec<Letter>, count: &AtomicU64, mut how: impl FnMut(&Letter) -> Crossing) {
        add(count, letters.len());
        for letter in letters {
            self.waiting.fetch_sub(letter.message.len(), Ordering::Relaxed);
            let crossing = how(&letter);
            if let Some(done) = letter.done {
                // Nobody need wait for it.
                let _ = done.send(crossing);
            }
        }
    }
}

impl Letter {
    fn retention(&self) -> Option<Retention> {
        self.append.map(|(_, keep)| keep)
    }
}

/// The task that empties a queue.
struct Emptying {
    of: Arc<Publishing>,
    channel: Channel,
}

impl Emptying {
    async fn run(self) {
        loop {
            let batch = self.of.next(&self.channel);
            if batch.is_empty() {
                return;
            }
            self.of.hand_over(&self.channel, batch).await;
        }
    }
}

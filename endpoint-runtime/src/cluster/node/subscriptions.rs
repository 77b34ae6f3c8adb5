//! [`Subscriptions`]: which channels the engine is to bring, and which it brings.
//!
//! What is wanted changes from one moment to the next, and under locks, so that wanting is noted and nothing more. A task makes what holds
//! of what is wanted, many channels at a time: to subscribe to them one by one takes thirty times as long. It looks at what is wanted only
//! when it is about to act, so however often a channel comes and goes meanwhile, it ends as it was wanted last.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::super::{Channel, Engine, EngineError};

/// How many channels go into one call.
const BATCH: usize = 512;

/// After how long an engine that has failed is tried again.
const AGAIN: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Subscriptions {
    engine: Arc<dyn Engine>,
    state: Mutex<State>,
    /// Something is to be looked at.
    news: Notify,
    /// What holds has changed.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    channels: HashMap<Channel, Interest>,
    /// Those to be looked at.
    queue: VecDeque<Channel>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Interest {
    wanted: bool,
    /// The engine has said that the subscription holds.
    held: bool,
    queued: bool,
}

impl State {
    fn want(&mut self, channel: &Channel, wanted: bool) {
        let interest = self.channels.entry(channel.clone()).or_default();
        interest.wanted = wanted;
        if !interest.queued {
            interest.queued = true;
            self.queue.push_back(channel.clone());
        }
    }

    /// What is to be subscribed to, and what no more.
    fn take(&mut self) -> (Vec<Channel>, Vec<Channel>) {
        let (mut begin, mut end) = (Vec::new(), Vec::new());
        for channel in self.queue.drain(..self.queue.len().min(BATCH)) {
            let Some(interest) = self.channels.get_mut(&channel) else { continue };
            interest.queued = false;
            match (interest.wanted, interest.held) {
                (true, false) => begin.push(channel),
                (false, true) => end.push(channel),
                (true, true) => {}
                (false, false) => drop(self.channels.remove(&channel)),
            }
        }
        // After a crowd has come it is as small again as before.
        if self.queue.is_empty() {
            self.queue.shrink_to(BATCH);
        }
        (begin, end)
    }

    /// These hold now, or do not any more. One that is wanted otherwise by now is in the queue again.
    fn settle(&mut self, channels: &[Channel], held: bool) {
        for channel in channels {
            let Some(interest) = self.channels.get_mut(channel) else { continue };
            interest.held = held;
            if !interest.wanted && !held && !interest.queued {
                self.channels.remove(channel);
            }
        }
    }

    /// The engine has failed: they are to be looked at again.
    fn requeue(&mut self, channels: &[Channel]) {
        for channel in channels {
            let Some(interest) = self.channels.get_mut(channel) else { continue };
            if !interest.queued {
                interest.queued = true;
                self.queue.push_back(channel.clone());
            }
        }
    }
}

impl Subscriptions {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        Subscriptions { engine, state: Mutex::default(), news: Notify::new(), settled: Notify::new() }
    }

    /// Notes that a channel is wanted from now on, or no more.
    pub(super) fn want(&self, channel: &Channel, wanted: bool) {
        self.state().want(channel, wanted);
        self.news.notify_one();
    }

    /// Whether what is published to the channel arrives.
    pub(super) fn holds(&self, channel: &Channel) -> bool {
        self.state().channels.get(channel).is_some_and(|interest| interest.held)
    }

    /// Waits until what is published to the channel arrives, or nobody wants that any more.
    pub(super) async fn held(&self, channel: &Channel) {
        loop {
            let settled = self.settled.notified();
            match self.state().channels.get(channel) {
                Some(interest) if interest.wanted && !interest.held => {}
                _ => return,
            }
            settled.await;
        }
    }

    /// Makes what holds of what is wanted, for ever. `begun` and `ended` are told of channels that hold, and that do not any more.
    pub(super) async fn run(&self, begun: impl Fn(&Channel), ended: impl Fn(&Channel)) {
        let mut last_failure = None;
        loop {
            let (begin, end) = self.state().take();
            if begin.is_empty() && end.is_empty() {
                if self.state().queue.is_empty() {
                    self.news.notified().await;
                }
                continue;
            }
            // One after the other would make those of one server wait for another that does not answer.
            let begun = self.by_shard(begin).map(|channels| self.begin(channels, &begun));
            let ended = self.by_shard(end).map(|channels| self.end(channels, &ended));
            let (begun, ended) = tokio::join!(join_all(begun), join_all(ended));
            self.settled.notify_waiters();
            let Some(error) = begun.into_iter().chain(ended).flatten().next() else {
                last_failure = None;
                continue;
            };
            let text = error.to_string();
            if last_failure.as_ref() != Some(&text) {
                tracing::warn!(engine = self.engine.name(), %error, "cannot change subscriptions, trying again");
            }
            last_failure = Some(text);
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The channels, apart by the servers that have them.
    fn by_shard(&self, channels: Vec<Channel>) -> impl Iterator<Item = Vec<Channel>> + use<> {
        let mut parts = BTreeMap::<usize, Vec<Channel>>::new();
        for channel in channels {
            parts.entry(self.engine.shard(&channel)).or_default().push(channel);
        }
        parts.into_values()
    }

    async fn begin(&self, channels: Vec<Channel>, begun: impl Fn(&Channel)) -> Option<EngineError> {
        self.settle(&channels, true, self.engine.subscribe(&channels).await, begun)
    }

    async fn end(&self, channels: Vec<Channel>, ended: impl Fn(&Channel)) -> Option<EngineError> {
        self.settle(&channels, false, self.engine.unsubscribe(&channels).await, ended)
    }

    fn settle(
        &self,
        channels: &[Channel],
        held: bool,
        result: Result<(), EngineError>,
        tell: impl Fn(&Channel),
    ) -> Option<EngineError> {
        let mut state = self.state();
        match result {
            Ok(()) => state.settle(channels, held),
            Err(error) => {
                state.requeue(channels);
                return Some(error);
            }
        }
        drop(state);
        channels.iter().for_each(tell);
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

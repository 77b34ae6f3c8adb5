//! [`Local`]: the engine of a cluster that is one process.

mod expiring;
mod history;
pub(crate) mod hub;
mod presences;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::hub::Hub;
use super::{
    Appended, Capabilities, Channel, Engine, EngineError, History, MessageId, Pending, Present, Published,
    Put, Receiver, Recorded, Retention,
};

/// The engine of a cluster that is one process: it can do everything, needs nothing, and forgets everything with the process.
///
/// Clones are of the same cluster: several servers of one process that are given clones share their rooms, their users and what is kept.
/// A server for itself alone has recoverable rooms, presence and resumed sessions by it.
///
/// ```
/// use endpoint_runtime::cluster::{Engine, Local};
///
/// let one = Local::new();
/// let other = one.clone();
/// assert_eq!(other.name(), "local");
/// ```
///
/// A message arrives before its publication is done, in the task of who publishes it. What is kept is bounded by what is asked for: the
/// history of a channel is forgotten an hour after its last message has expired, if nobody subscribes to it, and ids of appended messages
/// after five minutes.
pub struct Local {
    hub: Arc<Hub<Arc<dyn Receiver>>>,
    /// Which of the clones.
    number: u64,
    /// From the start on.
    receiver: OnceLock<Arc<dyn Receiver>>,
    stopped: AtomicBool,
}

/// More than a client's message can be by default; a message is not copied.
const MAX_MESSAGE: usize = 64 << 20;

static CLONES: AtomicU64 = AtomicU64::new(0);

impl Local {
    /// A cluster of its own.
    pub fn new() -> Self {
        Local::of(Arc::default())
    }

    fn of(hub: Arc<Hub<Arc<dyn Receiver>>>) -> Self {
        Local {
            hub,
            number: CLONES.fetch_add(1, Ordering::Relaxed),
            receiver: OnceLock::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Who receives, if it has started and not stopped.
    fn running(&self) -> Result<&Arc<dyn Receiver>, EngineError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(EngineError::Unavailable("it has stopped".into()));
        }
        self.receiver.get().ok_or_else(|| EngineError::Unavailable("it has not started".into()))
    }

    fn leave(&self) {
        self.stopped.store(true, Ordering::Release);
        if self.receiver.get().is_some() {
            self.hub.leave(self.number);
        }
    }
}

impl Default for Local {
    fn default() -> Self {
        Local::new()
    }
}

/// Another node of the same cluster.
impl Clone for Local {
    fn clone(&self) -> Self {
        Local::of(self.hub.clone())
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Whether it is small enough.
pub(crate) fn fits(message: &Bytes, limit: usize) -> Result<(), EngineError> {
    match message.len() {
        bytes if bytes > limit => Err(EngineError::TooLarge { bytes, limit }),
        _ => Ok(()),
    }
}

impl Engine for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { history: true, store: true, presence: true, interest: true }
    }

    fn max_message(&self) -> usize {
        MAX_MESSAGE
    }

    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()> {
        Box::pin(async move {
            let started = self.receiver.set(receiver);
            started.map_err(|_| EngineError::Refused("it has been started before".into()))
        })
    }

    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async move {
            let receiver = self.running()?;
            self.hub.subscribe(self.number, receiver, channels);
            Ok(())
        })
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async move {
            self.running()?;
            self.hub.unsubscribe(self.number, channels);
            Ok(())
        })
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        Box::pin(async move {
            self.running()?;
            fits(&message, MAX_MESSAGE)?;
            let deliver = |receiver: &Arc<dyn Receiver>, arrival| receiver.receive(arrival);
            let receivers = self.hub.publish(Instant::now(), channel, message, deliver);
            Ok(Published { receivers: Some(receivers) })
        })
    }

    fn append<'a>(
        &'a self,
        channel: &'a Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Pending<'a, Appended> {
        Box::pin(async move {
            self.running()?;
            fits(&message, MAX_MESSAGE)?;
            let deliver = |receiver: &Arc<dyn Receiver>, arrival| receiver.receive(arrival);
            Ok(self.hub.append(Instant::now(), channel, message, id, keep, deliver))
        })
    }

    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History> {
        Box::pin(async move {
            self.running()?;
            Ok(self.hub.history(Instant::now(), channel, after, limit))
        })
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration, how: Put) -> Pending<'a, bool> {
        Box::pin(async move {
            self.running()?;
            fits(&value, MAX_MESSAGE)?;
            Ok(self.hub.put(Instant::now(), key, value, ttl, how))
        })
    }

    fn take<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Bytes>> {
        Box::pin(async move {
            self.running()?;
            Ok(self.hub.take(Instant::now(), key))
        })
    }

    fn enter<'a>(&'a self, channel: &'a Channel, members: &'a [Recorded], ttl: Duration) -> Pending<'a, ()> {
        Box::pin(async move {
            self.running()?;
            self.hub.presences().enter(Instant::now(), channel, members, ttl);
            Ok(())
        })
    }

    fn exit<'a>(&'a self, channel: &'a Channel, members: &'a [String]) -> Pending<'a, ()> {
        Box::pin(async move {
            self.running()?;
            self.hub.presences().exit(channel, members);
            Ok(())
        })
    }

    fn present<'a>(
        &'a self,
        channel: &'a Channel,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Present> {
        Box::pin(async move {
            self.running()?;
            Ok(self.hub.presences().present(Instant::now(), channel, after, limit))
        })
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        Box::pin(async move {
            self.leave();
            Ok(())
        })
    }
}

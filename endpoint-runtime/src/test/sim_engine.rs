//! [`SimEngine`]: an engine that does harm as it is told.

mod net;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::net::{Net, Way};
use crate::cluster::{
    Appended, Capabilities, Channel, Engine, EngineError, History, Hub, MessageId, Pending, Present,
    Published, Put, Receiver, Recorded, Retention, fits,
};

/// An engine in memory that loses, duplicates and delays messages, cuts nodes off, restarts and forgets, as it is told to: for tests of
/// what must hold all the same.
///
/// It does no harm until it is told to. Clones are nodes of one cluster. All chance comes from the seed: with the same one, in one task
/// and in tokio's paused time, the same happens again. Nothing takes real time then; and without [delay](Faults::delay) and
/// [latency](Faults::latency) nothing takes any time, and no runtime is needed.
///
/// ```
/// use std::time::Duration;
/// use endpoint_runtime::test::{Faults, SimEngine};
///
/// let one = SimEngine::new(42);
/// let other = one.clone();
/// one.set_faults(Faults { loss: 0.1, delay: Duration::from_millis(20), ..Faults::default() });
/// // What has the engine keeps it; what is to happen is told to its control.
/// let control = other.control();
/// control.disconnect();
/// control.reconnect();
/// assert_eq!(control.harm().lost, 0);
/// ```
pub struct SimEngine {
    control: SimNode,
}

/// What an engine does wrong by chance. Probabilities are from 0 to 1; nothing goes wrong by [default](Default).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// That a message does not reach one of its nodes, of which nobody is told.
    pub loss: f64,
    /// That a message reaches one of its nodes twice.
    pub duplication: f64,
    /// How long a message may be on its way to a node. Messages of one channel do not overtake each other; those of different ones do.
    pub delay: Duration,
    /// That a message does overtake those of its channel, if some are on their way.
    pub disorder: f64,
    /// How long a call may take to reach the engine's server, and its answer to come back.
    pub latency: Duration,
    /// That a call ends as [`EngineError::Timeout`], whether or not it was done.
    pub timeout: f64,
    /// That a call ends as [`EngineError::Refused`], and was not done.
    pub refusal: f64,
}

/// Which way nothing gets through any more, without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// From the node to the engine's server.
    ToServer,
    /// From the engine's server to the node: calls are done, and end as [`EngineError::Timeout`].
    ToNode,
    /// Both.
    Both,
}

/// What harm was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// Messages that have not reached one of their nodes.
    pub lost: u64,
    /// Messages that have reached one of their nodes once more.
    pub duplicated: u64,
    /// Messages that may have overtaken others of their channel.
    pub disordered: u64,
    /// Calls that have failed, in any way.
    pub failed: u64,
}

/// What can be done to a [`SimEngine`] that a server has: to its node, and to the server that all nodes of it share.
#[derive(Clone)]
pub struct SimNode {
    net: Arc<Net>,
    number: usize,
}

impl SimEngine {
    /// The first node of a cluster.
    pub fn new(seed: u64) -> Self {
        SimEngine::of(Arc::new(Net::new(seed)))
    }

    fn of(net: Arc<Net>) -> Self {
        let number = net.add_node();
        SimEngine { control: SimNode { net, number } }
    }

    /// With these capabilities only. For all nodes, before any of them is used.
    #[must_use]
    pub fn with_capabilities(self, capabilities: Capabilities) -> Self {
        self.control.net.limit(|limits| limits.capabilities = capabilities);
        self
    }

    /// With messages of at most so many bytes, instead of 1 MiB. For all nodes, before any of them is used.
    #[must_use]
    pub fn with_max_message(self, bytes: usize) -> Self {
        self.control.net.limit(|limits| limits.max_message = bytes);
        self
    }

    /// What harm it does from now on, to all nodes.
    pub fn set_faults(&self, faults: Faults) {
        self.control.set_faults(faults);
    }

    /// By which it is told what to do, when a server has the engine itself.
    pub fn control(&self) -> SimNode {
        self.control.clone()
    }

    /// A call that needs a capability, by name.
    async fn call_if<T>(
        &self,
        able: impl FnOnce(Capabilities) -> bool,
        what: &'static str,
        effect: impl FnOnce(&mut Way<'_>) -> T,
    ) -> Result<T, EngineError> {
        if !able(self.capabilities()) {
            return Err(EngineError::Unsupported(what));
        }
        self.call(effect).await
    }

    async fn call<T>(&self, effect: impl FnOnce(&mut Way<'_>) -> T) -> Result<T, EngineError> {
        self.control.net.call(self.control.number, effect).await
    }

    fn fits(&self, message: &Bytes) -> Result<(), EngineError> {
        fits(message, self.max_message())
    }
}

impl SimNode {
    /// What harm is done from now on, to all nodes.
    pub fn set_faults(&self, faults: Faults) {
        self.net.set_faults(faults);
    }

    /// What harm has been done so far, to all nodes.
    pub fn harm(&self) -> Harm {
        self.net.harm()
    }

    /// The node loses its way to the server, and is told so. What is on its way to it is lost, and calls end as
    /// [`EngineError::Unavailable`].
    pub fn disconnect(&self) {
        self.net.disconnect(self.number);
    }

    /// The node finds its way back, subscribed to what it was subscribed to, and is told so.
    pub fn reconnect(&self) {
        self.net.reconnect(self.number);
    }

    /// Nothing gets through any more, and nobody is told: calls end as [`EngineError::Timeout`].
    pub fn cut(&self, cut: Cut) {
        self.net.cut(self.number, Some(cut));
    }

    /// Everything gets through again, and nobody is told.
    pub fn heal(&self) {
        self.net.cut(self.number, None);
    }

    /// What is on its way to the node is dropped because the node is slow, and it is told that it has missed something of any channel.
    pub fn overflow(&self) {
        self.net.overflow(self.number);
    }

    /// The server restarts without its data: histories begin again in another epoch, values and presence are gone. All nodes that are
    /// connected lose their way and find it again.
    pub fn restart(&self) {
        self.net.renew(|server, identity| *server = Hub::new(identity));
    }

    /// The server restarts with its data, or another takes over, without the last so many messages of each channel, if any: the others go on in
    /// another epoch. Values and presence are there. All nodes that are connected lose their way and find it again.
    pub fn take_over(&self, lost: u64) {
        self.net.renew(|server, _| server.take_over(lost));
    }

    /// Another server takes over that has no histories, and so begins others, in another epoch; values and presence it knows. All nodes
    /// that are connected lose their way and find it again.
    pub fn fail_over(&self) {
        self.net.renew(|server, _| server.forget_histories());
    }

    /// Another server takes over that lacks the last so many messages of each channel and goes on from there in the same epoch, which
    /// an engine must never do. All nodes that are connected lose their way and find it again.
    pub fn rewind(&self, lost: u64) {
        self.net.renew(|server, _| server.rewind(lost));
    }

    /// Waits until nothing is on its way to any node.
    pub async fn settle(&self) {
        self.net.settle().await;
    }
}

/// Another node of the same cluster.
impl Clone for SimEngine {
    fn clone(&self) -> Self {
        SimEngine::of(self.control.net.clone())
    }
}

impl Drop for SimEngine {
    fn drop(&mut self) {
        self.control.net.stop(self.control.number);
    }
}

impl fmt::Debug for SimEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimEngine").field("number", &self.control.number).finish_non_exhaustive()
    }
}

impl fmt::Debug for SimNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNode").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Engine for SimEngine {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn capabilities(&self) -> Capabilities {
        self.control.net.limits().capabilities
    }

    fn max_message(&self) -> usize {
        self.control.net.limits().max_message
    }

    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()> {
        Box::pin(async move { self.control.net.start(self.control.number, receiver) })
    }

    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(self.call(|way| way.subscribe(channels)))
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(self.call(|way| way.unsubscribe(channels)))
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        Box::pin(async move {
            self.fits(&message)?;
            self.call(|way| Published { receivers: Some(way.publish(channel, message)) }).await
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
            self.fits(&message)?;
            self.call_if(|can| can.history, "history", |way| way.append(channel, message, id, keep)).await
        })
    }

    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History> {
        Box::pin(self.call_if(
            |can| can.history,
            "history",
            move |way| way.hub.history(way.now, channel, after, limit),
        ))
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration, how: Put) -> Pending<'a, bool> {
        Box::pin(async move {
            self.fits(&value)?;
            self.call_if(|can| can.store, "store", |way| way.hub.put(way.now, key, value, ttl, how)).await
        })
    }

    fn take<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Bytes>> {
        Box::pin(self.call_if(|can| can.store, "store", |way| way.hub.take(way.now, key)))
    }

    fn enter<'a>(&'a self, channel: &'a Channel, members: &'a [Recorded], ttl: Duration) -> Pending<'a, ()> {
        Box::pin(self.call_if(
            |can| can.presence,
            "presence",
            move |way| way.hub.presences().enter(way.now, channel, members, ttl),
        ))
    }

    fn exit<'a>(&'a self, channel: &'a Channel, members: &'a [String]) -> Pending<'a, ()> {
        Box::pin(self.call_if(
            |can| can.presence,
            "presence",
            |way| way.hub.presences().exit(channel, members),
        ))
    }

    fn present<'a>(
        &'a self,
        channel: &'a Channel,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Present> {
        Box::pin(self.call_if(
            |can| can.presence,
            "presence",
            move |way| way.hub.presences().present(way.now, channel, after, limit),
        ))
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        Box::pin(async move {
            self.control.net.stop(self.control.number);
            Ok(())
        })
    }
}

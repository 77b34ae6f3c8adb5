//! [`Inbox`]: what has arrived and waits to be delivered here.
//!
//! The engine hands over and goes on at once; tasks deliver. All of one channel goes through one of them, in its order. What nodes say of
//! themselves and to each other has one of its own, so that a crowd in a room does not make a node deaf.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::super::counters::add;
use super::super::{Arrival, Channel, EngineError, Receiver};
use super::Node;
use crate::session::fan_out;

/// Tasks that deliver; a machine with fewer processors has fewer.
const MOST_LANES: usize = 4;

/// How many arrivals are delivered before whoever has got some is written to.
const TURN: usize = 64;

#[derive(Debug)]
pub(super) struct Inbox {
    /// The first is for nodes, the others are for sessions.
    lanes: Vec<UnboundedSender<Arrival>>,
    hasher: RandomState,
    /// How many bytes may wait in the first, and in all others together; and how many do.
    limit: usize,
    waiting: [AtomicUsize; 2],
}

/// What is to be done by a task.
pub(super) type Lane = UnboundedReceiver<Arrival>;

impl Inbox {
    /// With its lanes, to be worked on by [`work`].
    pub(super) fn new(limit: usize) -> (Self, Vec<Lane>) {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (lanes, work) = (0..=processors.min(MOST_LANES)).map(|_| unbounded_channel()).unzip();
        (Inbox { lanes, hasher: RandomState::new(), limit, waiting: Default::default() }, work)
    }

    /// Puts an arrival behind those of the same channel.
    ///
    /// # Errors
    /// There is no room for it.
    fn put(&self, arrival: Arrival) -> Result<(), Channel> {
        let bytes = arrival.message.len();
        let lane = self.lane(&arrival.channel);
        let all = self.waiting(lane);
        let waiting = all.fetch_add(bytes, Ordering::Relaxed);
        // What nodes say of themselves is little, and whoever does not hear it thinks them dead.
        let may_be_dropped = arrival.channel != Channel::Control;
        if may_be_dropped && waiting > 0 && waiting.saturating_add(bytes) > self.limit {
            all.fetch_sub(bytes, Ordering::Relaxed);
            return Err(arrival.channel);
        }
        // There is nobody at the other end only when the node has stopped.
        let _ = self.lanes[lane].send(arrival);
        Ok(())
    }

    fn waiting(&self, lane: usize) -> &AtomicUsize {
        &self.waiting[lane.min(1)]
    }

    fn lane(&self, channel: &Channel) -> usize {
        match channel {
            Channel::Control | Channel::Node(_) => 0,
            channel => 1 + self.hasher.hash_one(channel) as usize % (self.lanes.len() - 1),
        }
    }
}

/// Delivers what comes by one lane, until the node is gone.
pub(super) async fn work(node: Weak<Node>, number: usize, mut lane: Lane) {
    let mut arrivals = Vec::with_capacity(TURN);
    while lane.recv_many(&mut arrivals, TURN).await > 0 {
        let Some(node) = node.upgrade() else { return };
        node.be_here().await;
        // As in the turn of a handler: who gets several messages is written to once.
        fan_out::collect(|| {
            for arrival in arrivals.drain(..) {
                let bytes = arrival.message.len();
                node.arrived(arrival);
                node.inbox.waiting(number).fetch_sub(bytes, Ordering::Relaxed);
            }
        });
        fan_out::send();
    }
}

/// What the engine knows of the node. It does not keep the node alive.
pub(super) struct Gate(pub(super) Weak<Node>);

impl Receiver for Gate {
    fn receive(&self, arrival: Arrival) {
        let Some(node) = self.0.upgrade() else { return };
        add(&node.tally.received, 1);
        if let Err(channel) = node.inbox.put(arrival) {
            add(&node.tally.dropped, 1);
            node.missed(&[channel]);
        }
    }

    fn lost(&self, why: &EngineError) {
        let Some(node) = self.0.upgrade() else { return };
        add(&node.tally.lost, 1);
        node.lost(why);
    }

    fn back(&self) {
        if let Some(node) = self.0.upgrade() {
            node.back();
        }
    }

    fn missed(&self, channels: &[Channel]) {
        if let Some(node) = self.0.upgrade() {
            add(&node.tally.missed, 1);
            node.missed(channels);
        }
    }
}

/// Lets an engine call it.
pub(super) fn gate(node: &Arc<Node>) -> Arc<dyn Receiver> {
    Arc::new(Gate(Arc::downgrade(node)))
}

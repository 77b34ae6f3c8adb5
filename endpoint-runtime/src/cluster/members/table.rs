//! [`Table`]: which nodes live. Pure: it reads no clock and sends nothing; who owns it says what time it is.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::heartbeat::Heartbeat;
use super::{DEAD_AFTER, INTERVAL};
use crate::cluster::NodeId;

/// Nodes in the table at most; the words of more are not noted. A cluster has some hundreds.
const MOST_NODES: usize = 4096;

/// How long it is remembered that a node is gone: until nothing of it can be found in any store, and nothing of it be on its way.
const MEMORY: Duration = Duration::from_secs(180);

/// The nodes as one of them knows them. The node itself is not among them.
#[derive(Debug)]
pub(super) struct Table {
    own: NodeId,
    alive: HashMap<NodeId, Entry>,
    gone: HashMap<NodeId, Gone>,
    /// Since when whoever lives must have been heard: nobody is dead whom this node could not hear.
    listening: Instant,
    /// No way to the others: silence means nothing.
    deaf: bool,
    /// When it was last asked for the dead.
    looked: Instant,
}

/// A node that lives.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) said: Heartbeat,
    pub(super) heard: Instant,
    pub(super) lag: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    since: Instant,
    how: Departure,
    /// Its last beat that was heard: an older one that arrives now does not bring it back.
    beat: u64,
}

/// How a node has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It has said so.
    Goodbye,
    /// It was not heard any more.
    Silence,
}

/// What is known of whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Alive,
    Gone(Departure),
    /// It has not been heard, nor could it have been for long enough.
    Unknown,
}

/// What has become otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Joined { node: NodeId, name: String },
    Left { node: NodeId, name: String, how: Departure },
}

impl Table {
    pub(super) fn new(own: NodeId, now: Instant) -> Self {
        let (alive, gone) = Default::default();
        Table { own, alive, gone, listening: now, deaf: false, looked: now }
    }

    /// A node has said that it lives. One that was thought dead is back; one that has said goodbye is not, this was on its way for long.
    pub(super) fn beat(
        &mut self,
        now: Instant,
        node: NodeId,
        said: Heartbeat,
        lag: Duration,
    ) -> Option<Change> {
        if node == self.own {
            return None;
        }
        if let Some(entry) = self.alive.get_mut(&node) {
            // What was sent twice, or was overtaken, is proof of nothing.
            if said.beat > entry.said.beat {
                *entry = Entry { said, heard: now, lag };
            }
            return None;
        }
        let stale = |gone: &Gone| gone.how == Departure::Goodbye || said.beat <= gone.beat;
        if self.gone.get(&node).is_some_and(stale) || self.alive.len() >= MOST_NODES {
            return None;
        }
        self.gone.remove(&node);
        let name = said.name.clone();
        self.alive.insert(node, Entry { said, heard: now, lag });
        Some(Change::Joined { node, name })
    }

    /// A node has said that it goes.
    pub(super) fn goodbye(&mut self, now: Instant, node: NodeId) -> Option<Change> {
        if node == self.own {
            return None;
        }
        self.bury(now, node, Departure::Goodbye)
    }

    /// Those that have not been heard for too long. If it was this node that was away, stopped or without a processor, they get their time
    /// again: what they said meanwhile is yet to be read.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Change> {
        if now.saturating_duration_since(self.looked) > INTERVAL {
            self.listening = now;
        }
        self.looked = now;
        self.gone.retain(|_, gone| now.saturating_duration_since(gone.since) < MEMORY);
        if self.deaf {
            return Vec::new();
        }
        let silent = |entry: &Entry| now >= self.deadline(entry);
        let dead: Vec<NodeId> =
            self.alive.iter().filter(|(_, entry)| silent(entry)).map(|(node, _)| *node).collect();
        dead.into_iter().filter_map(|node| self.bury(now, node, Departure::Silence)).collect()
    }

    /// There is no way to the others any more.
    pub(super) fn deafen(&mut self) {
        self.deaf = true;
    }

    /// There is a way again. Whoever lives says so within the usual time.
    pub(super) fn listen(&mut self, now: Instant) {
        self.deaf = false;
        self.listening = now;
    }

    /// When the next node will be dead, unless it is heard.
    pub(super) fn next_death(&self) -> Option<Instant> {
        if self.deaf {
            return None;
        }
        self.alive.values().map(|entry| self.deadline(entry)).min()
    }

    pub(super) fn standing(&self, now: Instant, node: NodeId) -> Standing {
        if node == self.own || self.alive.contains_key(&node) {
            return Standing::Alive;
        }
        match self.gone.get(&node) {
            Some(gone) => Standing::Gone(gone.how),
            None if !self.deaf && now.saturating_duration_since(self.listening) >= DEAD_AFTER => {
                Standing::Gone(Departure::Silence)
            }
            None => Standing::Unknown,
        }
    }

    /// Those that live, in no order.
    pub(super) fn alive(&self) -> impl Iterator<Item = (NodeId, &Entry)> {
        self.alive.iter().map(|(node, entry)| (*node, entry))
    }

    fn deadline(&self, entry: &Entry) -> Instant {
        entry.heard.max(self.listening) + DEAD_AFTER
    }

    fn bury(&mut self, now: Instant, node: NodeId, how: Departure) -> Option<Change> {
        let entry = self.alive.remove(&node);
        // A goodbye of one that was never heard counts too: its heartbeats may be behind.
        if self.gone.len() < MOST_NODES {
            let beat = entry.as_ref().map_or(0, |entry| entry.said.beat);
            self.gone.insert(node, Gone { since: now, how, beat });
        }
        entry.map(|entry| Change::Left { node, name: entry.said.name, how })
    }
}

#[cfg(test)]
mod tests;

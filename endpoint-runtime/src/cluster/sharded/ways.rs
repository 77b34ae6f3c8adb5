//! [`Ways`]: which of several engines has its way to the other nodes, and what a node is told of it.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::{Arrival, Channel, EngineError, Receiver};

/// How many messages of nodes about themselves are known again. They come through every engine, within a moment.
const REMEMBERED: usize = 4096;

#[derive(Debug)]
pub(super) struct Ways {
    lost: Mutex<Vec<bool>>,
    seen: Mutex<Seen>,
    hasher: RandomState,
}

/// The last messages, by their hashes.
#[derive(Debug, Default)]
struct Seen {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// Whether it is the first of its kind.
    fn is_new(&mut self, hash: u64) -> bool {
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED {
            self.order.pop_front().map(|oldest| self.known.remove(&oldest));
        }
        true
    }
}

impl Ways {
    pub(super) fn of(engines: usize) -> Self {
        Ways { lost: Mutex::new(vec![false; engines]), seen: Mutex::default(), hasher: RandomState::new() }
    }

    /// Of each engine, whether it has its way.
    pub(super) fn open(&self) -> Vec<bool> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|lost| !lost).collect()
    }

    /// What the engine of this number is to call.
    pub(super) fn gate(self: &Arc<Self>, number: usize, to: &Arc<dyn Receiver>) -> Arc<dyn Receiver> {
        Arc::new(Gate { ways: Arc::clone(self), number, to: Arc::clone(to) })
    }

    /// Notes that an engine has its way, or not, and says whether all have theirs.
    fn note(&self, number: usize, is_lost: bool) -> bool {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost[number] = is_lost;
        !lost.contains(&true)
    }

    fn is_new(&self, arrival: &Arrival) -> bool {
        let hash = self.hasher.hash_one(&arrival.message);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_new(hash)
    }
}

struct Gate {
    ways: Arc<Ways>,
    number: usize,
    to: Arc<dyn Receiver>,
}

impl Receiver for Gate {
    fn receive(&self, arrival: Arrival) {
        if arrival.channel != Channel::Control || self.ways.is_new(&arrival) {
            self.to.receive(arrival);
        }
    }

    fn lost(&self, why: &EngineError) {
        self.ways.note(self.number, true);
        self.to.lost(why);
    }

    fn back(&self) {
        if self.ways.note(self.number, false) {
            self.to.back();
        } else {
            // The node is not whole again, but what this engine has goes on.
            self.to.missed(&[]);
        }
    }

    fn missed(&self, channels: &[Channel]) {
        self.to.missed(channels);
    }
}

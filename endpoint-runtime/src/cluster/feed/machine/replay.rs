//! [`Replay`]: the sessions that want what they have missed, and the last messages, as long as somebody may want them.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::super::{Appended, FeedCounters, Notice, Told, Waiting};
use super::Limits;
use crate::cluster::{History, Position};

/// How long what was told again is kept for others who want it too, after the last who did.
const STORM: Duration = Duration::from_secs(2);

/// Who wants what it has missed.
#[derive(Debug)]
pub(super) struct Replay<K> {
    limits: Limits,
    pub(super) waiting: Waiting<K>,
    /// Some of those who wait are being told already, and need no reading.
    is_serving: bool,
    /// The last messages that were passed on, without a hole: kept only while somebody may want them.
    tail: VecDeque<Appended>,
    tail_bytes: usize,
    tail_until: Option<Instant>,
    /// The last reading after which nothing was missing, and behind which offset of the present epoch it has read.
    read: (u64, Option<u64>),
}

impl<K: Copy + Eq + Hash> Replay<K> {
    pub(super) fn new(limits: Limits) -> Self {
        Replay {
            limits,
            waiting: Waiting::default(),
            is_serving: false,
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_until: None,
            read: (0, None),
        }
    }

    /// The same who wait, where the room begins anew.
    pub(super) fn anew(&mut self, now: Instant) -> Self {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.0.values_mut().for_each(|(_, asked)| *asked = 0);
        Replay { waiting, tail_until: Some(now + STORM), ..Replay::new(self.limits) }
    }

    pub(super) fn waiting(&self) -> &Waiting<K> {
        &self.waiting
    }

    /// A session wants what is behind a place; so many questions have been asked of the engine.
    pub(super) fn expect(&mut self, who: K, from: Position, asked: u64, now: Instant) {
        if self.waiting.is_empty() && self.tail_until.is_none() {
            // From here on the tail has no hole.
            self.clear_tail();
        }
        self.tail_until = Some(now + STORM);
        self.waiting.0.insert(who, (from, asked));
    }

    /// Forgets what nobody may want any more.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.tail_until.is_some_and(|until| until <= now) && self.waiting.is_empty() {
            self.tail_until = None;
            self.clear_tail();
        }
    }

    /// When that may be.
    pub(super) fn until(&self) -> Option<Instant> {
        self.tail_until.filter(|_| self.waiting.is_empty())
    }

    fn clear_tail(&mut self) {
        self.tail = VecDeque::new();
        self.tail_bytes = 0;
    }

    /// What comes next is not what follows on what came last.
    pub(super) fn begin_anew(&mut self) {
        self.read.1 = None;
        self.clear_tail();
    }

    /// Whether the history is to be read for somebody.
    pub(super) fn wants_reading(&self) -> bool {
        !self.waiting.is_empty() && !self.is_serving
    }

    /// Behind which offset, if all that is kept here is not enough.
    pub(super) fn wants_behind(&self, at: &Position) -> Option<u64> {
        let oldest = at.offset.saturating_sub(self.limits.messages as u64);
        let behind = self.waiting.0.values().filter(|(from, _)| from.epoch == at.epoch);
        let after =
            behind.map(|(from, _)| from.offset.max(oldest)).min().filter(|after| *after < at.offset)?;
        // A second reading in a storm serves whoever else may come.
        Some(if self.tail.is_empty() { after } else { oldest })
    }

    /// A reading of this number has left nothing missing, and has read behind that offset.
    pub(super) fn is_read(&mut self, number: u64, after: Option<u64>) {
        self.read = (number, after);
    }

    /// Puts what was read before the tail, for those who wait.
    pub(super) fn remember(&mut self, history: &History, at: &Position) {
        if self.tail_until.is_none() {
            return;
        }
        let mut next = at.offset - self.tail.len() as u64;
        if history.top.offset < next {
            // The tail was begun behind it: it does not reach.
            return;
        }
        let last = next;
        for (offset, message) in history.messages.iter().rev().skip_while(|(offset, _)| *offset > last) {
            if *offset != next || next == 0 {
                break;
            }
            self.tail_bytes += message.len();
            self.tail.push_front(Appended::new(message.clone()));
            next -= 1;
        }
        self.trim();
    }

    /// A message was passed on to everybody else.
    pub(super) fn passed(&mut self, message: Appended) {
        if self.tail_until.is_some() {
            self.tail_bytes += message.len();
            self.tail.push_back(message);
            self.trim();
        }
    }

    /// Nobody gets more than this.
    fn trim(&mut self) {
        while self.tail.len() > self.limits.messages || self.tail_bytes > self.limits.bytes {
            let Some(oldest) = self.tail.pop_front() else { return };
            self.tail_bytes -= oldest.len();
        }
    }

    /// See [`Feed::serve`](super::Feed::serve).
    pub(super) fn serve(
        &mut self,
        most: usize,
        at: &Position,
        told: &mut impl Told<K>,
        tally: &mut FeedCounters,
    ) -> bool {
        let known = self.waiting.iter().copied().filter(|who| self.verdict(who, at).is_some());
        let known: Vec<_> = known.take(most).collect();
        known.iter().for_each(|who| self.tell(who, at, told, tally));
        self.is_serving = known.len() == most;
        self.is_serving
    }

    /// See [`Feed::tell`](super::Feed::tell).
    pub(super) fn tell(&mut self, who: &K, at: &Position, told: &mut impl Told<K>, tally: &mut FeedCounters) {
        let Some(verdict) = self.verdict(who, at) else { return };
        self.waiting.remove(who);
        match verdict {
            Some(missed) => {
                tally.recovered += 1;
                tally.replayed += missed as u64;
                let first = at.offset - missed as u64 + 1;
                for (message, offset) in self.tail.iter().skip(self.tail.len() - missed).zip(first..) {
                    let position = Position { epoch: at.epoch.clone(), offset };
                    told.one(who, Notice::Message { position: &position, message });
                }
            }
            None => tally.unrecovered += 1,
        }
        told.one(who, Notice::Recovered { whole: verdict.is_some(), position: at });
    }

    /// What is to be said to one who waits: that it has missed so many messages, all of which are at hand, or that they cannot be had. `None` if that
    /// is not known yet.
    fn verdict(&self, who: &K, at: &Position) -> Option<Option<usize>> {
        let ((from, asked), (read, after)) = (self.waiting.0.get(who)?, self.read);
        // A reading that has begun since then answers for it.
        let is_looked_up = read > *asked;
        let behind = at.offset.checked_sub(from.offset).filter(|_| at.epoch == from.epoch);
        match behind.map(|behind| usize::try_from(behind).unwrap_or(usize::MAX)) {
            Some(missed) if missed > self.limits.messages => Some(None),
            Some(missed) if missed <= self.tail.len() => Some(Some(missed)),
            Some(_) if is_looked_up && after.is_some_and(|after| after <= from.offset) => Some(None),
            Some(_) => None,
            None => is_looked_up.then_some(None),
        }
    }
}

//! [`Credit`]: what a queue has of the memory that all queues of a server share.
//!
//! A little is everybody's, and most queues never need more: they touch nothing that others touch. One that grows takes more in large
//! steps, and gives all back when it has been emptied.

use std::sync::Arc;

use crate::ledger::Ledger;

/// What each queue may hold without asking, bytes.
const FREE: usize = 16 * 1024;
/// What is taken at once.
const STEP: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(in crate::session) struct Credit {
    /// `None`: nothing is shared with anybody, and everything is free.
    ledger: Option<Arc<Ledger>>,
    taken: usize,
}

impl Credit {
    pub(in crate::session) fn of(ledger: &Arc<Ledger>) -> Self {
        Credit { ledger: Some(Arc::clone(ledger)), taken: 0 }
    }

    /// How much the queue may hold as it is.
    pub(super) fn covered(&self) -> usize {
        FREE + self.taken
    }

    /// Whether the queue may hold so much; more is taken for it if it can be had.
    #[inline]
    pub(in crate::session) fn covers(&mut self, bytes: usize) -> bool {
        bytes <= self.covered() || self.grow(bytes, false)
    }

    /// The queue holds so much.
    #[inline]
    pub(super) fn cover(&mut self, bytes: usize) {
        if bytes > self.covered() {
            self.grow(bytes, true);
        }
    }

    #[cold]
    fn grow(&mut self, bytes: usize, whatever: bool) -> bool {
        let Some(ledger) = &self.ledger else { return true };
        let more = (bytes - self.covered()).next_multiple_of(STEP);
        if whatever {
            ledger.queues.take(more);
        } else if !ledger.queues.try_take(more) {
            return false;
        }
        self.taken += more;
        true
    }

    /// The queue holds no more than this any more: what is far too much is given back.
    #[inline]
    pub(in crate::session) fn settle(&mut self, bytes: usize) {
        if self.taken > 0 && (bytes <= FREE || bytes < self.taken / 2) {
            self.shrink(bytes);
        }
    }

    #[cold]
    fn shrink(&mut self, bytes: usize) {
        let needed = bytes.saturating_sub(FREE).next_multiple_of(STEP);
        let back = self.taken.saturating_sub(needed);
        self.taken -= back;
        if let Some(ledger) = &self.ledger {
            ledger.queues.give_back(back);
        }
    }

    /// Messages were dropped.
    pub(super) fn note_dropped(&self, messages: u64) {
        if messages > 0
            && let Some(ledger) = &self.ledger
        {
            ledger.tally.dropped_messages.add(messages);
        }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.settle(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_takes_in_steps_and_gives_back() {
        let ledger = Arc::new(Ledger::default());
        ledger.queues.bound(Some(2 * STEP));
        let (mut one, mut two) = (Credit::of(&ledger), Credit::of(&ledger));
        assert!(one.covers(FREE) && one.taken == 0, "what is free is taken from nobody");
        assert!(one.covers(FREE + 1) && one.taken == STEP);
        assert!(one.covers(FREE + STEP) && two.covers(FREE + STEP));
        assert!(!one.covers(FREE + STEP + 1), "there is no more");
        one.cover(FREE + STEP + 1);
        assert_eq!(one.taken, 2 * STEP, "what is there is there");
        assert!(ledger.queues.are_tight());
        one.settle(2 * STEP);
        assert_eq!(one.taken, 2 * STEP, "a little less is no reason");
        one.settle(FREE + 10);
        assert_eq!(one.taken, STEP);
        drop(one);
        assert!(two.covers(FREE + 2 * STEP));
        two.settle(0);
        assert_eq!(two.taken, 0);
        assert!(Credit::default().covers(usize::MAX));
    }
}

//! [`FeedCounters`]: what has happened in the recoverable rooms of a node, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened in the recoverable rooms of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedCounters {
    /// How often a history was read.
    pub reads: u64,
    /// How often the place of a room was compared with the engine's, because nothing had come for a while or something may have been missed.
    pub compared: u64,
    /// Sessions that got all that they had missed.
    pub recovered: u64,
    /// Sessions that had missed what could not be had any more, and were told so.
    pub unrecovered: u64,
    /// Times that all members of a room here were told that messages are missing.
    pub broken: u64,
    /// Messages that came out of a history, not as they were published.
    pub replayed: u64,
    /// Messages that had been there before, and were dropped.
    pub repeated: u64,
}

#[derive(Default)]
pub(super) struct Counted {
    reads: AtomicU64,
    compared: AtomicU64,
    recovered: AtomicU64,
    unrecovered: AtomicU64,
    broken: AtomicU64,
    replayed: AtomicU64,
    repeated: AtomicU64,
}

impl Counted {
    pub(super) fn add(&self, more: FeedCounters) {
        if more == FeedCounters::default() {
            return;
        }
        let FeedCounters { reads, compared, recovered, unrecovered, broken, replayed, repeated } = more;
        self.reads.fetch_add(reads, Ordering::Relaxed);
        self.compared.fetch_add(compared, Ordering::Relaxed);
        self.recovered.fetch_add(recovered, Ordering::Relaxed);
        self.unrecovered.fetch_add(unrecovered, Ordering::Relaxed);
        self.broken.fetch_add(broken, Ordering::Relaxed);
        self.replayed.fetch_add(replayed, Ordering::Relaxed);
        self.repeated.fetch_add(repeated, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> FeedCounters {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        FeedCounters {
            reads: of(&self.reads),
            compared: of(&self.compared),
            recovered: of(&self.recovered),
            unrecovered: of(&self.unrecovered),
            broken: of(&self.broken),
            replayed: of(&self.replayed),
            repeated: of(&self.repeated),
        }
    }
}

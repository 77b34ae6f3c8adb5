//! What a node counts of what goes to others and comes from them: [`ClusterCounters`].

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes a counter, and what is read of it, for each name.
macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// What a node has counted since it was started: [`Cluster::counters`](super::Cluster::counters). They only grow, and are made for
        /// whoever exports metrics.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ClusterCounters {
            $($(#[$doc])+ pub $name: u64,)+
        }

        /// The counters of a node, while it counts.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: AtomicU64,)+
        }

        impl Tally {
            /// What was counted so far.
            pub(super) fn read(&self) -> ClusterCounters {
                ClusterCounters { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Messages that the engine has taken.
    handed,
    /// Messages for which there was no room: `cluster_queue`.
    refused,
    /// Messages that were too large for the engine, or excepted too many sessions.
    refused_too_large,
    /// Messages that the engine has not taken, or not in time: perhaps they have crossed all the same.
    failed,
    /// Messages that have waited for the engine longer than `cluster_deadline`, and were dropped.
    expired,
    /// Messages that have come from the engine, of this node's own too.
    received,
    /// Messages of other nodes that were no message, or of a version or kind that is not known here: they are dropped.
    unreadable,
    /// Messages of other nodes that came when they were of no use any more, and were dropped.
    stale,
    /// Messages of other nodes that were dropped because too many waited to be delivered here: `cluster_queue`.
    dropped,
    /// Times that the way to the other nodes was lost.
    lost,
    /// Times that the engine, or its client library, has dropped messages that had come.
    missed,
}

/// Counts one more, or several.
pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

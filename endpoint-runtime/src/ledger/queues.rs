//! [`Queues`]: how much memory the queues of all sessions hold.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What the queues of all sessions of a server hold together, and may hold.
///
/// A session takes from it only when its queue has grown, and in large steps: so it is touched rarely, and nobody's way leads through it.
#[derive(Debug)]
pub(crate) struct Queues {
    held: AtomicUsize,
    limit: AtomicUsize,
}

impl Default for Queues {
    /// Without a limit.
    fn default() -> Self {
        Queues { held: AtomicUsize::new(0), limit: AtomicUsize::new(usize::MAX) }
    }
}

impl Queues {
    /// From now on they may hold so many bytes.
    pub(crate) fn bound(&self, bytes: Option<usize>) {
        self.limit.store(bytes.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Whether there is so little left that nobody else should come.
    pub(crate) fn are_tight(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed) / 5 * 4
    }

    /// Takes so many bytes if there are as many.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let more = |held: usize| held.checked_add(bytes).filter(|&held| held <= limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes so many bytes, whether there are as many or not.
    pub(crate) fn take(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_a_limit() {
        let queues = Queues::default();
        assert!(queues.try_take(usize::MAX / 2) && !queues.are_tight());
        queues.give_back(usize::MAX / 2);
        queues.bound(Some(1000));
        assert!(queues.try_take(800) && !queues.are_tight());
        assert!(!queues.try_take(201) && queues.try_take(1) && queues.are_tight());
        queues.take(1000);
        assert!(!queues.try_take(1));
        queues.give_back(1001);
        assert!(!queues.are_tight() && queues.try_take(200));
    }
}

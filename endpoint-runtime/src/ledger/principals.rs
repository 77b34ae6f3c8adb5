//! [`Principals`]: how many sessions each principal has, by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Tally;

/// All principals that have a session. Until it is told a limit, nobody is counted.
#[derive(Debug, Default)]
pub(crate) struct Principals {
    limit: AtomicUsize,
    /// One lock is enough: it is taken once or twice in the life of a session, and held for a look.
    sessions: Mutex<HashMap<Arc<str>, usize>>,
}

impl Principals {
    /// From now on each may have so many sessions; 0 is no limit.
    pub(crate) fn bound(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Takes a seat for a session of this principal; `None` if nobody counts them.
    ///
    /// # Errors
    /// The limit, which is reached.
    pub(crate) fn admit(self: &Arc<Self>, name: &str) -> Result<Option<Seat>, usize> {
        let limit = self.limit.load(Ordering::Relaxed);
        match self.take_up_to(limit, name) {
            None if limit > 0 => Err(limit),
            seat => Ok(seat),
        }
    }

    /// Takes a seat for a session that is this principal's now, whether there is one or not.
    pub(crate) fn take(self: &Arc<Self>, name: &str) -> Option<Seat> {
        let is_counted = self.limit.load(Ordering::Relaxed) > 0;
        is_counted.then(|| self.take_up_to(usize::MAX, name)).flatten()
    }

    fn take_up_to(self: &Arc<Self>, limit: usize, name: &str) -> Option<Seat> {
        let mut sessions = self.sessions();
        let name: Arc<str> = match sessions.get_key_value(name) {
            Some((_, count)) if *count >= limit => return None,
            Some((name, _)) => Arc::clone(name),
            None if limit == 0 => return None,
            None => name.into(),
        };
        *sessions.entry(Arc::clone(&name)).or_default() += 1;
        drop(sessions);
        Some(Seat { principals: Arc::clone(self), name })
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one session among those of its principal, for as long as it lives.
pub(crate) struct Seat {
    principals: Arc<Principals>,
    name: Arc<str>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut sessions = self.principals.sessions();
        match sessions.get_mut(&self.name) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(sessions.remove(&self.name)),
        }
    }
}

/// Who it is is nobody's business.
impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seat")
    }
}

/// A principal has as many sessions as it may, and wants one more.
pub(crate) fn note_crowded_principal(limit: usize, tally: &Tally) {
    if let Some(unsaid) = tally.refused_principal.note() {
        tracing::warn!(
            limit,
            unsaid,
            "handshakes are refused: a principal has too many sessions (`max_connections_per_principal`)"
        );
    }
}

/// What it is told.
pub(crate) const TOO_MANY_SESSIONS: &str = "you have too many connections, close one of them";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_given_back() {
        let principals = Arc::new(Principals::default());
        assert!(principals.admit("ann").unwrap().is_none() && principals.take("ann").is_none());
        principals.bound(2);
        let first = principals.admit("ann").unwrap();
        let second = principals.admit("ann").unwrap();
        assert_eq!(principals.admit("ann").unwrap_err(), 2);
        assert!(principals.admit("bo").is_ok());
        drop(first);
        let third = principals.admit("ann").unwrap();
        let one_too_many = principals.take("ann");
        drop(third);
        assert_eq!(principals.admit("ann").unwrap_err(), 2);
        drop((second, one_too_many));
        assert!(principals.sessions().is_empty());
    }
}

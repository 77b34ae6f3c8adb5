//! [`Principals`]: how many sessions each principal has, by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All principals that have a session.
pub(super) struct Principals {
    limit: usize,
    /// One lock is enough: it is taken once or twice in the life of a session, and held for a look.
    sessions: Mutex<HashMap<Arc<str>, usize>>,
}

impl Principals {
    /// `limit`: how many sessions one may have; 0 is no limit.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Principals { limit, sessions: Mutex::default() })
    }

    /// Takes a seat for a session of this principal; `None` if nobody counts them.
    ///
    /// # Errors
    /// The limit, which is reached.
    pub(super) fn admit(self: &Arc<Self>, name: &str) -> Result<Option<Seat>, usize> {
        if self.limit == 0 {
            return Ok(None);
        }
        let mut sessions = self.sessions();
        let name: Arc<str> = match sessions.get_key_value(name) {
            Some((_, count)) if *count >= self.limit => return Err(self.limit),
            Some((name, _)) => Arc::clone(name),
            None => name.into(),
        };
        *sessions.entry(Arc::clone(&name)).or_default() += 1;
        drop(sessions);
        Ok(Some(Seat { principals: Arc::clone(self), name }))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one session among those of its principal, for as long as it lives.
pub(super) struct Seat {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_given_back() {
        let principals = Principals::new(2);
        let first = principals.admit("ann").unwrap();
        let second = principals.admit("ann").unwrap();
        assert_eq!(principals.admit("ann").unwrap_err(), 2);
        assert!(principals.admit("bo").is_ok());
        drop(first);
        let third = principals.admit("ann").unwrap();
        drop((second, third));
        assert!(principals.sessions().is_empty());
        assert!(Principals::new(0).admit("ann").unwrap().is_none());
    }
}

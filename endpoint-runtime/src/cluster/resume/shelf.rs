//! [`Shelf`]: the sessions of this server that can go on elsewhere, and when the next look at each is due.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::token::Key;
use crate::session::Session;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    state: Mutex<State>,
    /// Something is due earlier than was known.
    pub(super) earlier: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<u64, Kept>,
    serials: HashMap<Key, u64>,
    due: BTreeSet<(Instant, u64)>,
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) key: Key,
    pub(super) ttl: Duration,
    pub(super) what: What,
    /// The engine has its record; or has had it, and since when it has not.
    pub(super) stored: bool,
    pub(super) missing: Option<Instant>,
    /// Its record may have been taken by somebody who has asked for it in vain.
    pub(super) doubted: bool,
    due: Instant,
}

/// What is kept of it.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// All, as it is open.
    Open(Session),
    /// Its last record, until nobody needs that any more.
    Ended(Bytes, Instant),
    /// Nothing, as it is not to be resumed; until nobody could any more.
    Over(Instant),
}

impl Shelf {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that has just begun.
    pub(super) fn put(&self, serial: u64, key: Key, ttl: Duration, session: Session, due: Instant) {
        let mut state = self.state();
        state.serials.insert(key.clone(), serial);
        state.due.insert((due, serial));
        let what = What::Open(session);
        state.kept.insert(serial, Kept { key, ttl, what, stored: false, missing: None, doubted: false, due });
        drop(state);
        self.earlier.notify_one();
    }

    pub(super) fn get(&self, serial: u64) -> Option<Kept> {
        self.state().kept.get(&serial).cloned()
    }

    /// Changes what is kept, if it still is; the next look is due then.
    pub(super) fn change(&self, serial: u64, due: Instant, change: impl FnOnce(&mut Kept)) -> bool {
        let mut state = self.state();
        let State { kept, due: all, .. } = &mut *state;
        let Some(found) = kept.get_mut(&serial) else { return false };
        let before = found.what.clone();
        change(found);
        all.remove(&(found.due, serial));
        found.due = due;
        all.insert((due, serial));
        drop(state);
        // It may be the last to hold the session.
        drop(before);
        self.earlier.notify_one();
        true
    }

    /// The next look is due then, unless it is earlier.
    pub(super) fn hurry(&self, serial: u64, due: Instant) {
        let is_later = self.state().kept.get(&serial).is_some_and(|kept| kept.due > due);
        if is_later {
            self.change(serial, due, |_| {});
        }
    }

    /// Of all that are open the record may have been taken, and whoever has it cannot have asked for them: it is not waited for that.
    pub(super) fn doubt_all(&self) -> Vec<u64> {
        let mut state = self.state();
        let open = state.kept.iter_mut().filter(|(_, kept)| matches!(kept.what, What::Open(_)));
        let doubted = open.map(|(&serial, kept)| {
            kept.doubted = true;
            serial
        });
        doubted.collect()
    }

    pub(super) fn remove(&self, serial: u64) -> Option<Kept> {
        let mut state = self.state();
        let kept = state.kept.remove(&serial)?;
        state.serials.remove(&kept.key);
        state.due.remove(&(kept.due, serial));
        Some(kept)
    }

    pub(super) fn remove_by_key(&self, key: &Key) -> Option<Kept> {
        let serial = *self.state().serials.get(key)?;
        self.remove(serial)
    }

    /// What is due, which is looked at once; and when the next is.
    pub(super) fn take_due(&self, now: Instant) -> (Vec<u64>, Option<Instant>) {
        let mut state = self.state();
        let mut due = Vec::new();
        while let Some(&(time, serial)) = state.due.first() {
            if time > now {
                return (due, Some(time));
            }
            state.due.pop_first();
            due.push(serial);
        }
        (due, None)
    }

    /// The sessions that are over, and of which something is still to be done.
    pub(super) fn ended(&self) -> Vec<u64> {
        let state = self.state();
        let ended = state.kept.iter().filter(|(_, kept)| !matches!(kept.what, What::Open(_)));
        ended.map(|(&serial, _)| serial).collect()
    }
}

//! [`Sessions::current`]: the registry for code that nobody hands one to.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use super::Sessions;

/// The registries of the servers that run in this process.
static RUNNING: Mutex<Vec<(u64, Sessions)>> = Mutex::new(Vec::new());

thread_local! {
    /// Which server's handler this thread runs just now; zero for none.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// A running server's place in the list; leaving scope takes it off.
#[derive(Debug)]
pub(crate) struct Current(u64);

impl Current {
    pub(crate) fn announce(sessions: &Sessions) -> Self {
        let id = sessions.node();
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push((id, sessions.clone()));
        Current(id)
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != self.0);
    }
}

impl Sessions {
    /// The sessions of the server whose handler is running; outside of handlers, those of the only server in this process.
    ///
    /// # Panics
    /// No server runs here, or several do and this is not one of their handlers: see [`try_current`](Self::try_current).
    pub fn current() -> Sessions {
        match Self::try_current() {
            Some(sessions) => sessions,
            None => panic!(
                "`Sessions::current()` is for handlers, or for a process with exactly one running server"
            ),
        }
    }

    /// [`current`](Self::current), or `None` where it would panic.
    pub fn try_current() -> Option<Sessions> {
        let here = HERE.get();
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        match running.as_slice() {
            [(_, only)] if here == 0 => Some(only.clone()),
            list => list.iter().find(|(id, _)| *id == here).map(|(_, sessions)| sessions.clone()),
        }
    }

    /// Runs `act` as a handler of this server.
    pub(crate) fn enter<R>(&self, act: impl FnOnce() -> R) -> R {
        struct Leave(u64);
        impl Drop for Leave {
            fn drop(&mut self) {
                HERE.set(self.0);
            }
        }
        let _leave = Leave(HERE.replace(self.node()));
        act()
    }
}

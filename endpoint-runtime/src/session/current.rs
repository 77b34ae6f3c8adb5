//! [`Sessions::current`]: the registry for code that nobody hands one to.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use super::{Session, Sessions};

/// The registries of the servers and clients that run in this process.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

struct Running {
    sessions: Sessions,
    /// A client's registry is current in its own handlers only: a server that has a client beside it is still the only server.
    is_server: bool,
}

thread_local! {
    /// Which server's or client's handler this thread runs just now; zero for none.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// A running server's or client's place in the list; leaving scope takes it off.
#[derive(Debug)]
pub(crate) struct Current(u64);

impl Current {
    pub(crate) fn announce(sessions: &Sessions) -> Self {
        Self::add(Running { sessions: sessions.clone(), is_server: true })
    }

    #[cfg(feature = "client")]
    pub(crate) fn announce_client(sessions: &Sessions) -> Self {
        Self::add(Running { sessions: sessions.clone(), is_server: false })
    }

    fn add(running: Running) -> Self {
        let id = running.sessions.node();
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(running);
        Current(id)
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        RUNNING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|running| running.sessions.node() != self.0);
    }
}

impl Sessions {
    /// The sessions of the server or client whose handler is running; outside of handlers, those of the only server in this process.
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
        if here != 0 {
            let own = running.iter().find(|running| running.sessions.node() == here);
            return own.map(|running| running.sessions.clone());
        }
        let mut servers = running.iter().filter(|running| running.is_server);
        let only = servers.next().filter(|_| servers.next().is_none());
        only.map(|running| running.sessions.clone())
    }

    /// Runs `act` as a handler of this server.
    pub(crate) fn enter<R>(&self, act: impl FnOnce() -> R) -> R {
        enter(self.node(), act)
    }
}

impl Session {
    /// Runs `act` as a handler of this session's server. Nothing is looked at for it that other sessions write to.
    pub(crate) fn enter<R>(&self, act: impl FnOnce() -> R) -> R {
        enter(self.id().node(), act)
    }
}

fn enter<R>(node: u64, act: impl FnOnce() -> R) -> R {
    struct Leave(u64);
    impl Drop for Leave {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _leave = Leave(HERE.replace(node));
    act()
}

//! [`Sessions::current`] and [`ApplicationContext::current`]: the registry and the components, for code that nobody hands them to.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Session, SessionId, Sessions};
use crate::context::ApplicationContext;

/// The servers and clients that run in this process.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

struct Running {
    sessions: Sessions,
    /// A server's components; each session of a client has its own.
    context: Option<ApplicationContext>,
    /// Whether it is there for everybody: not a server whose components are still being built, and not a client. A server that has a client
    /// beside it is still the only server.
    is_server: bool,
}

impl Running {
    fn context(&self, here: SessionId) -> Option<ApplicationContext> {
        let of_session = || Some(self.sessions.unforgotten(here)?.application().clone());
        self.context.clone().or_else(of_session)
    }
}

thread_local! {
    /// Which session's handler this thread runs just now, or with the serial number zero other code of its server; all zero for none.
    static HERE: Cell<SessionId> = const { Cell::new(SessionId::new(0, 0)) };
}

/// A running server's or client's place in the list; leaving scope takes it off.
#[derive(Debug)]
pub(crate) struct Current(u64);

impl Current {
    /// A server that is about to start.
    pub(crate) fn announce(sessions: &Sessions, context: &ApplicationContext) -> Self {
        Self::add(Running { sessions: sessions.clone(), context: Some(context.clone()), is_server: false })
    }

    #[cfg(feature = "client")]
    pub(crate) fn announce_client(sessions: &Sessions) -> Self {
        Self::add(Running { sessions: sessions.clone(), context: None, is_server: false })
    }

    fn add(running: Running) -> Self {
        let id = running.sessions.node();
        list().push(running);
        Current(id)
    }

    /// The server has started: it is there for everybody.
    pub(crate) fn started(&self) {
        let mut running = list();
        let own = running.iter_mut().find(|running| running.sessions.node() == self.0);
        if let Some(own) = own {
            own.is_server = true;
        }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let mut running = list();
        let at = running.iter().position(|running| running.sessions.node() == self.0);
        let gone = at.map(|at| running.remove(at));
        drop(running);
        // And all that it may be the last to hold of the application, which may ask what is current when it is dropped.
        drop(gone);
    }
}

fn list() -> MutexGuard<'static, Vec<Running>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is asked for, of the server or client whose code runs here; outside of such code, of the only server in this process.
fn of_current<T>(ask: impl Fn(&Running, SessionId) -> Option<T>) -> Option<T> {
    let here = HERE.get();
    let running = list();
    if here.node() != 0 {
        let own = running.iter().find(|running| running.sessions.node() == here.node());
        return own.and_then(|running| ask(running, here));
    }
    let mut servers = running.iter().filter(|running| running.is_server);
    let only = servers.next().filter(|_| servers.next().is_none());
    only.and_then(|running| ask(running, here))
}

impl Sessions {
    /// The sessions of the server or client whose handler is running, or whose component is being built; outside of these, those of the
    /// only server in this process.
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
        of_current(|running, _| Some(running.sessions.clone()))
    }

    /// Runs `act` as a handler of this server.
    pub(crate) fn enter<R>(&self, act: impl FnOnce() -> R) -> R {
        enter(self.node(), act)
    }
}

impl ApplicationContext {
    /// The components of the server or client whose handler is running, or whose component is being built; outside of these, those of the
    /// only server in this process: for code that nobody hands a context to.
    ///
    /// It takes a lock, which is shared by the whole process: what is needed for each message is better injected.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    ///
    /// # struct Audit;
    /// /// Called from anywhere.
    /// fn audit() -> Result<std::sync::Arc<Audit>> {
    ///     ApplicationContext::current().get::<Audit>()
    /// }
    /// # assert!(ApplicationContext::try_current().is_none());
    /// ```
    ///
    /// # Panics
    /// No server runs here, or several do and this is not code of one of them: see [`try_current`](Self::try_current).
    pub fn current() -> ApplicationContext {
        match Self::try_current() {
            Some(context) => context,
            None => panic!(
                "`ApplicationContext::current()` is for handlers and components, or for a process with exactly one running server"
            ),
        }
    }

    /// [`current`](Self::current), or `None` where it would panic.
    pub fn try_current() -> Option<ApplicationContext> {
        of_current(Running::context).map(|context| context.within())
    }
}

impl Session {
    /// Whether this thread runs a handler of this session just now.
    #[cfg(feature = "json")]
    pub(super) fn is_here(&self) -> bool {
        HERE.get() == *self.id()
    }

    /// Runs `act` as a handler of this session. Nothing is looked at for it that other sessions write to.
    pub(crate) fn enter<R>(&self, act: impl FnOnce() -> R) -> R {
        enter_session(*self.id(), act)
    }
}

/// Runs `act` as code of this server.
pub(crate) fn enter<R>(node: u64, act: impl FnOnce() -> R) -> R {
    enter_session(SessionId::new(node, 0), act)
}

fn enter_session<R>(here: SessionId, act: impl FnOnce() -> R) -> R {
    struct Leave(SessionId);
    impl Drop for Leave {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _leave = Leave(HERE.replace(here));
    act()
}

//! Broadcasts of one turn: who has got some is written to once, when the turn of the connection whose handler sent them ends.
//!
//! To wake the task of each member, so that it writes, costs more than the writing. So the members whose sockets can be had are
//! noted, and written to together: a few at once, and the others in tasks of their own, which take turns with whatever else the
//! runtime has to do, and which its other threads may take over.

use std::cell::{Cell, RefCell};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Session;

/// How many are written to in one go. It takes some microseconds each.
const GO: usize = 128;

/// The longest list that a thread keeps the memory of.
const KEPT: usize = 1024;

thread_local! {
    /// Whether a handler runs on this thread, so that a turn will end.
    static COLLECTING: Cell<bool> = const { Cell::new(false) };
    /// Whether anybody was noted. Most turns need not look further.
    static ANYBODY: Cell<bool> = const { Cell::new(false) };
    static NOTED: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
}

/// Runs a handler; [`send`] is to be called at the end of its turn.
pub(crate) fn collect<T>(act: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            COLLECTING.set(self.0);
        }
    }
    let _restore = Restore(COLLECTING.replace(true));
    act()
}

/// Notes a session that has got the first broadcast of this turn; `false`: no turn will end here.
pub(super) fn note(session: &Session) -> bool {
    let collecting = COLLECTING.get();
    if collecting {
        NOTED.with_borrow_mut(|noted| noted.push(session.clone()));
        ANYBODY.set(true);
    }
    collecting
}

/// Writes to all who were noted on this thread.
#[inline]
pub(crate) fn send() {
    if ANYBODY.replace(false) {
        send_to_all();
    }
}

#[cold]
fn send_to_all() {
    // The thread may be at its end, with its locals gone: then nothing was noted either.
    let Ok(mut noted) = NOTED.try_with(RefCell::take) else { return };
    while noted.len() > GO {
        let others = noted.split_off(noted.len() - GO);
        let others = Others(others);
        // Without a runtime they are written to here.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { drop(others) });
        }
    }
    write(&noted);
    noted.clear();
    // Whoever was noted meanwhile stays so.
    if noted.capacity() <= KEPT && NOTED.with_borrow(Vec::is_empty) {
        NOTED.set(noted);
    }
}

/// Who is written to by a task, and in any case: a runtime that stops, as one that a handler has made for itself, drops its tasks.
struct Others(Vec<Session>);

impl Drop for Others {
    fn drop(&mut self) {
        write(&self.0);
    }
}

fn write(sessions: &[Session]) {
    let now = Instant::now();
    for session in sessions {
        session.outbox().write_directly(now);
    }
}

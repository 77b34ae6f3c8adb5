//! [`Direct`]: the way from a broadcast into the socket, past the connection's task.
//!
//! The task lends its socket to the outbox. Whoever has queued broadcasts may then write them out, if nothing else is queued and the task has
//! nothing to write. Flags see to that: [`TASK`] says that the task writes, now or when the socket takes more; [`DIRECT`] that somebody
//! else does. The task sets [`TASK`] before it puts anything where it goes out, and clears it when all is written. [`DIRECT`] is set only where
//! [`TASK`] is not, and under the lock, which is held until the socket has answered; a task that finds it set waits for the lock. So
//! there is one writer at a time. If the socket takes a part only, [`TASK`] is set in the task's name, and the rest
//! is the first thing that goes out.

use std::sync::atomic::Ordering;
use std::task::Waker;

use bytes::Bytes;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use super::{ANNOUNCED, Outbox, PENDING, State};

/// The connection's task writes.
const TASK: u8 = 8;
/// Somebody else writes.
const DIRECT: u8 = 16;
/// Somebody else wrote a part, and the task is to write the rest.
const CUT: u8 = 64;
/// Whatever says who writes.
pub(super) const WRITER: u8 = TASK | DIRECT | CUT;

#[derive(Debug)]
pub(super) struct Direct {
    socket: OwnedWriteHalf,
    /// What the socket did not take, for the task.
    rest: Bytes,
    /// When something last went this way.
    wrote: Option<Instant>,
}

/// What came of a direct write.
enum Written {
    All,
    Part,
    Nothing,
}

impl State {
    /// Whether all that waits is broadcasts, which may go directly.
    fn is_direct(&self) -> bool {
        self.direct.is_some() && self.queue.is_empty() && self.run.is_some() && self.closed.is_none()
    }

    /// Writes the broadcasts that wait.
    fn write_run(&mut self, now: Instant) -> Written {
        let (Some(direct), Some(run)) = (&mut self.direct, &self.run) else { return Written::Nothing };
        let frames = run.encoded();
        let written = match direct.socket.try_write(frames) {
            Ok(bytes) if bytes < frames.len() => {
                direct.rest = frames.slice(bytes..);
                Written::Part
            }
            Ok(_) => Written::All,
            // Whatever is wrong, the task will see it, and do what is to be done.
            Err(_) => return Written::Nothing,
        };
        direct.wrote = Some(now);
        self.run = None;
        self.bytes = 0;
        written
    }
}

impl Outbox {
    /// Writes out the broadcasts that wait, if the socket can be had and takes them; else the connection's task is told.
    pub(crate) fn write_directly(&self, now: Instant) {
        let mut state = self.state();
        if state.is_empty() {
            return;
        }
        if !state.is_direct() || !self.occupy() {
            drop(state);
            return self.announce();
        }
        let written = state.write_run(now);
        let waiting = match written {
            Written::Nothing => Vec::new(),
            Written::All | Written::Part => {
                self.flags.fetch_and(!(PENDING | ANNOUNCED), Ordering::AcqRel);
                std::mem::take(&mut state.waiting)
            }
        };
        if let Written::Part = written {
            self.flags.fetch_or(TASK | CUT, Ordering::AcqRel);
        }
        self.flags.fetch_and(!DIRECT, Ordering::AcqRel);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        match written {
            Written::All => {}
            Written::Part => self.wake(),
            Written::Nothing => self.announce(),
        }
    }

    /// Takes the socket, unless the task has it.
    fn occupy(&self) -> bool {
        let free = |flags| (flags & TASK == 0).then_some(flags | DIRECT);
        self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).is_ok()
    }

    // What follows is for the connection's task alone.

    /// Lends the socket out: from now on the task says when it writes itself.
    pub(crate) fn lend(&self, socket: OwnedWriteHalf) {
        self.state().direct = Some(Box::new(Direct { socket, rest: Bytes::new(), wrote: None }));
    }

    /// Takes the socket back for good. The task has it, or is at its end.
    pub(crate) fn take_back(&self) -> Option<OwnedWriteHalf> {
        self.state().direct.take().map(|direct| direct.socket)
    }

    /// The task is going to write: nobody else does, until [`release`](Self::release). What comes back goes first.
    pub(crate) fn hold(&self) -> Option<Bytes> {
        if self.flags.fetch_or(TASK, Ordering::AcqRel) & (DIRECT | CUT) == 0 {
            return None;
        }
        // Whoever is writing has the lock until that is done.
        let mut state = self.state();
        self.flags.fetch_and(!CUT, Ordering::AcqRel);
        let rest = state.direct.as_mut().map(|direct| std::mem::take(&mut direct.rest));
        rest.filter(|rest| !rest.is_empty())
    }

    /// The task has written all it had.
    pub(crate) fn release(&self) {
        self.flags.fetch_and(!TASK, Ordering::AcqRel);
    }

    /// When something last went past the task.
    pub(crate) fn wrote_directly(&self) -> Option<Instant> {
        self.state().direct.as_ref().and_then(|direct| direct.wrote)
    }
}

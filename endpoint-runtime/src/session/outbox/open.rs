//! The message that goes out in fragments: whose it is, and what waits for its end.
//!
//! There is one at a time. Its owner alone adds to it, and is never kept from it by others: room for a fragment counts only what goes before
//! it. Whole messages of everybody stand behind, in the same budget of bytes, and move up when the last fragment is queued; pings and
//! pongs may go between (RFC 6455 5.4). Other owners stand in line for a semaphore's only permit, which is fair and forgets who
//! gives up.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread::ThreadId;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::frame::OVERHEAD;
use super::{CONGESTED, DataKind, Frame, OPEN, Outbox, Outgoing, PENDING, Queued, State};
use crate::message::CloseReason;

/// Who is at work here: a task, or a thread that runs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Task(tokio::task::Id),
    Thread(ThreadId),
}

impl Caller {
    pub(crate) fn here() -> Self {
        match tokio::task::try_id() {
            Some(task) => Caller::Task(task),
            None => Caller::Thread(std::thread::current().id()),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Task(id) => write!(f, "task {id}"),
            Caller::Thread(id) => write!(f, "{id:?}"),
        }
    }
}

/// Whose message it is. A task's fragments are one message after the other; each writer has a message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Caller(Caller),
    Writer(u64),
}

impl Owner {
    /// The task that runs here, or the thread.
    pub(crate) fn here() -> Self {
        Owner::Caller(Caller::here())
    }

    /// A new writer.
    pub(crate) fn writer() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Owner::Writer(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A part of a message, and whose.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) owner: Owner,
    pub(crate) kind: DataKind,
    pub(crate) payload: Bytes,
    pub(crate) last: bool,
    /// Whether the message is to be compressed, if that was agreed on.
    pub(crate) compressed: bool,
}

/// Why a part was not queued.
#[derive(Debug)]
pub(crate) enum NotNow {
    /// There is no room for it.
    Full,
    /// Another owner's message is open, or about to be.
    Busy,
    /// The owner's message is open, and of the other kind.
    OtherKind(DataKind),
    Closed(CloseReason),
}

#[derive(Debug)]
pub(super) struct Open {
    owner: Owner,
    kind: DataKind,
    /// Who queued the last fragment so far: if that one waits for the message's end, it waits for itself.
    writer: Caller,
    since: Instant,
    /// Whole messages, and marks between them, and how many bytes they are.
    pub(super) behind: VecDeque<Outgoing>,
    pub(super) bytes: usize,
}

impl Open {
    fn new(owner: Owner, kind: DataKind, caller: Caller) -> Self {
        Open { owner, kind, writer: caller, since: Instant::now(), behind: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn put_behind(&mut self, outgoing: Outgoing) {
        self.bytes += outgoing.frame.cost();
        self.behind.push_back(outgoing);
    }

    pub(super) fn is_written_by(&self, caller: Caller) -> bool {
        self.writer == caller
    }
}

/// What blocks: for people.
impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, age) = (self.kind.as_str(), self.since.elapsed().as_secs());
        let how = match self.owner {
            Owner::Caller(_) => "in fragments",
            Owner::Writer(_) => "of a writer",
        };
        write!(f, "a {kind} message {how}, by {}, open for {age} s", self.writer)
    }
}

/// Where a part goes.
enum Place {
    /// It is a whole message, and like any other.
    Whole,
    /// It begins a message in fragments.
    First,
    /// It goes on with its owner's.
    Next,
}

/// What is to be done when the lock has been released.
struct Effects {
    wake: bool,
    ended: bool,
}

impl State {
    /// Where a part would go now.
    fn place_of(&mut self, part: &Part, limit: usize) -> Result<Place, NotNow> {
        if let Some(reason) = &self.closed {
            return Err(NotNow::Closed(CloseReason::clone(reason)));
        }
        let cost = part.payload.len() + OVERHEAD;
        let room_in_front = self.has_room_in_front(cost, limit);
        let room = self.has_room(cost, limit);
        match &self.open {
            Some(open) if open.owner == part.owner => match open.kind == part.kind {
                true if room_in_front => Ok(Place::Next),
                true => Err(NotNow::Full),
                false => Err(NotNow::OtherKind(open.kind)),
            },
            // Its first part is its last.
            _ if part.last && room => Ok(Place::Whole),
            _ if part.last => Err(NotNow::Full),
            Some(_) => Err(NotNow::Busy),
            None if room_in_front => Ok(Place::First),
            None => Err(NotNow::Full),
        }
    }

    fn put_fragment(&mut self, part: Part) {
        let Part { owner, kind, payload, last, compressed } = part;
        let first = self.open.is_none();
        let frame = Frame::Fragment { kind, first, last, compressed, payload };
        self.put_in_front(Outgoing { frame, done: None });
        let caller = Caller::here();
        let open = self.open.get_or_insert_with(|| Box::new(Open::new(owner, kind, caller)));
        open.writer = caller;
    }

    /// The open message has ended: what waited for it goes next.
    fn move_up(&mut self) {
        if let Some(open) = self.open.take() {
            self.bytes += open.bytes;
            self.queue.extend(open.behind.into_iter().map(Queued::One));
        }
    }
}

impl Outbox {
    /// Stands in line for the turn to begin a message in fragments.
    ///
    /// # Errors
    /// Nothing is queued any more.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, CloseReason> {
        let permit = self.line().acquire().await;
        permit.map_err(|_| self.closed().unwrap_or_else(|| CloseReason::lost("the connection was lost")))
    }

    fn line(&self) -> &Semaphore {
        self.line.get_or_init(|| Box::new(Semaphore::new(1)))
    }

    /// Whether a message of this owner's is open.
    pub(crate) fn is_open_by(&self, owner: Owner) -> bool {
        self.state().open.as_ref().is_some_and(|open| open.owner == owner)
    }

    /// Whether the open message has to be ended by whoever works here.
    pub(crate) fn is_written_by(&self, caller: Caller) -> bool {
        // Most sessions never have one.
        self.flags.load(Ordering::Acquire) & OPEN != 0
            && self.state().open.as_ref().is_some_and(|open| open.is_written_by(caller))
    }

    /// What blocks those who would begin a message, for people.
    pub(crate) fn holder(&self) -> String {
        match &self.state().open {
            Some(open) => open.to_string(),
            None => "another message, which is about to begin".to_owned(),
        }
    }

    /// Queues a part of a message if that is possible now. `turn`: to begin one, if it has been waited for.
    pub(crate) fn try_push_part(
        &self,
        part: Part,
        limit: usize,
        turn: &mut Option<SemaphorePermit<'_>>,
    ) -> Result<(), (Part, NotNow)> {
        let mut state = self.state();
        let effects = self.put_part(&mut state, part, limit, turn)?;
        drop(state);
        self.take_effect(&effects);
        Ok(())
    }

    /// Like [`try_push_part`](Self::try_push_part), but waits for room.
    pub(crate) fn poll_push_part(
        &self,
        cx: &mut Context<'_>,
        part: &mut Option<Part>,
        limit: usize,
        turn: &mut Option<SemaphorePermit<'_>>,
    ) -> Poll<Result<(), NotNow>> {
        // Polled again after it was done: then it is still done.
        let Some(next) = part.take() else { return Poll::Ready(Ok(())) };
        let mut state = self.state();
        match self.put_part(&mut state, next, limit, turn) {
            Ok(effects) => {
                drop(state);
                self.take_effect(&effects);
                Poll::Ready(Ok(()))
            }
            Err((back, NotNow::Full)) => {
                *part = Some(back);
                state.wait(cx);
                Poll::Pending
            }
            Err((_, other)) => Poll::Ready(Err(other)),
        }
    }

    fn put_part(
        &self,
        state: &mut State,
        part: Part,
        limit: usize,
        turn: &mut Option<SemaphorePermit<'_>>,
    ) -> Result<Effects, (Part, NotNow)> {
        match state.place_of(&part, limit) {
            Err(not_now) => Err((part, not_now)),
            Ok(Place::Whole) => {
                let frame = part.kind.whole(part.payload);
                let news = state.put(Outgoing { frame, done: None });
                Ok(Effects { wake: news && self.has_become(PENDING), ended: false })
            }
            Ok(Place::First) => {
                // Who stands in line comes first.
                let Some(turn) = turn.take().or_else(|| self.line().try_acquire().ok()) else {
                    return Err((part, NotNow::Busy));
                };
                turn.forget();
                state.put_fragment(part);
                Ok(Effects { wake: self.has_become(PENDING | OPEN), ended: false })
            }
            Ok(Place::Next) => {
                let ended = part.last;
                state.put_fragment(part);
                let wake = self.has_become(PENDING);
                if ended {
                    state.move_up();
                    // Only now: at no time must a reply overtake what is queued.
                    self.flags.fetch_and(!(OPEN | CONGESTED), Ordering::AcqRel);
                }
                Ok(Effects { wake, ended })
            }
        }
    }

    fn take_effect(&self, effects: &Effects) {
        if effects.ended {
            self.line().add_permits(1);
        }
        if effects.wake {
            self.task.wake();
        }
    }
}

//! [`Outbox`]: what waits to be written to one peer. Many tasks put in, the connection's own task takes out.
//!
//! In which order, and how much of it there may be, see [`state`]. While a message goes out in fragments, whole messages stand behind it (see
//! [`open`]), so that nothing is ever interleaved.
//!
//! Broadcasts may go past that task, straight into the socket (see [`direct`]), and those that follow each other go as one (see [`run`]).
//!
//! The lock is held for a push or a drain, and for one write that does not block; never across user code. A few flags beside it tell the connection whether
//! there is anything at all, so that a turn without sends from elsewhere takes no lock.

mod credit;
mod direct;
mod frame;
#[cfg(all(test, shuttle))]
mod model;
mod open;
mod run;
mod shared;
mod state;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::task::AtomicWaker;
use once_cell::race::OnceBox;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

pub(super) use self::credit::Credit;
use self::direct::WRITER;
pub(crate) use self::frame::{DataKind, Frame, Outgoing, Queued};
pub(crate) use self::open::{Caller, NotNow, Owner, Part};
pub(crate) use self::run::{Broadcast, Run};
pub(crate) use self::shared::Shared;
use self::state::{State, finish};
use self::sync::{AtomicU8, AtomicU64, Mutex, MutexGuard};
use super::send::SendError;
use crate::ledger::Ledger;
use crate::message::{CloseCode, CloseReason, ClosedBy};
use crate::settings::Overflow;

/// Slots that an empty queue keeps.
const KEPT_SLOTS: usize = 4;

/// Why something was not queued.
#[derive(Debug)]
pub(crate) enum Refused {
    Full,
    Closed(CloseReason),
}

/// The queue has something for the connection's task.
const PENDING: u8 = 1;
/// A message goes out in fragments, and its last one is not queued yet.
const OPEN: u8 = 2;
/// So much stands behind that message that no more replies may.
const CONGESTED: u8 = 4;
/// The connection's task has been told so, or is about to be.
const ANNOUNCED: u8 = 32;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// [`PENDING`], [`ANNOUNCED`], [`OPEN`] and [`CONGESTED`]; and [`WRITER`].
    flags: AtomicU8,
    task: AtomicWaker,
    dropped: AtomicU64,
    /// Where those stand in line who would begin a message in fragments. Made for the first.
    line: OnceBox<Semaphore>,
}

impl Outbox {
    /// One whose memory is shared with others'.
    pub(crate) fn among(ledger: &Arc<Ledger>) -> Self {
        let state = State { credit: Credit::of(ledger), ..State::default() };
        Outbox { state: Mutex::new(state), ..Outbox::default() }
    }

    /// Messages were dropped because the peer was too slow.
    fn note_dropped(&self, state: &State, messages: u64) {
        self.dropped.fetch_add(messages, Ordering::Relaxed);
        state.credit.note_dropped(messages);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the connection's task that there is something to do.
    pub(crate) fn wake(&self) {
        self.task.wake();
    }

    fn announce(&self) {
        // It is cleared when nothing is left to be taken.
        if self.flags.load(Ordering::Acquire) & ANNOUNCED == 0 && self.has_become(PENDING) {
            self.task.wake();
        }
    }

    /// Sets flags, and says whether the connection's task has to be told.
    fn has_become(&self, flags: u8) -> bool {
        self.flags.fetch_or(flags | ANNOUNCED, Ordering::AcqRel) & ANNOUNCED == 0
    }

    /// Queues it if there is room.
    pub(crate) fn try_push(&self, outgoing: Outgoing, limit: usize) -> Result<(), (Outgoing, Refused)> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            let reason = CloseReason::clone(reason);
            return Err((outgoing, Refused::Closed(reason)));
        }
        if !state.has_room_for(&outgoing.frame, limit) {
            return Err((outgoing, Refused::Full));
        }
        let news = state.put(outgoing);
        drop(state);
        if news {
            self.announce();
        }
        Ok(())
    }

    /// Queues several together, if there is room for them all.
    pub(crate) fn try_push_all(&self, batch: &mut Vec<Outgoing>, limit: usize) -> Result<(), Refused> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(Refused::Closed(CloseReason::clone(reason)));
        }
        let has_room = match &batch[..] {
            [one] => state.has_room_for(&one.frame, limit),
            all => state.has_room(all.iter().map(|outgoing| outgoing.frame.cost()).sum(), limit),
        };
        if !has_room {
            return Err(Refused::Full);
        }
        let news = state.put_all(batch.drain(..));
        drop(state);
        if news {
            self.announce();
        }
        Ok(())
    }

    /// Like [`try_push_all`](Self::try_push_all), but waits for room.
    pub(crate) fn poll_push_all(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Outgoing>,
        limit: usize,
    ) -> Poll<Result<(), CloseReason>> {
        match self.try_push_all(batch, limit) {
            Ok(()) => return Poll::Ready(Ok(())),
            Err(Refused::Closed(reason)) => return Poll::Ready(Err(reason)),
            Err(Refused::Full) => {}
        }
        self.state().wait(cx);
        // Room may have come between the two looks: then nobody would wake us.
        match self.try_push_all(batch, limit) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Refused::Closed(reason)) => Poll::Ready(Err(reason)),
            Err(Refused::Full) => Poll::Pending,
        }
    }

    /// Queues it, or does what the endpoint's `overflow` says; never waits. `Err` says that this message will not go out.
    pub(crate) fn push(
        &self,
        mut outgoing: Outgoing,
        limit: usize,
        overflow: Overflow,
    ) -> Result<(), SendError> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            let reason = CloseReason::clone(reason);
            drop(state);
            finish(&mut outgoing, Err(SendError::Closed(reason.clone())));
            return Err(SendError::Closed(reason));
        }
        if !state.has_room_for(&outgoing.frame, limit) {
            match overflow {
                Overflow::DropOldest => {
                    let dropped = state.make_room(outgoing.frame.cost(), limit);
                    self.note_dropped(&state, dropped);
                }
                Overflow::Disconnect => {
                    drop(state);
                    self.overflowed();
                    finish(&mut outgoing, Err(SendError::Full));
                    return Err(SendError::Full);
                }
                // To wait is not for those who have many others to serve: this one message goes without.
                _ => {
                    self.note_dropped(&state, 1);
                    drop(state);
                    finish(&mut outgoing, Err(SendError::Full));
                    return Err(SendError::Full);
                }
            }
        }
        let news = state.put(outgoing);
        drop(state);
        if news {
            self.announce();
        }
        Ok(())
    }

    /// Queues a message that goes to others too, or does what the endpoint's `overflow` says; never waits. `note` is asked whether
    /// [`write_directly`](Self::write_directly) will be called soon, if it may be; else the connection's task is told.
    pub(crate) fn push_broadcast(
        &self,
        broadcast: &mut Broadcast,
        limit: usize,
        overflow: Overflow,
        note: impl FnOnce() -> bool,
    ) -> Result<(), SendError> {
        let mut state = self.state();
        if !state.has_room_in_front(broadcast.cost(), limit) && state.is_direct() {
            // It may only be that nobody has written yet: whoever noted it does so when a turn ends.
            drop(state);
            self.write_directly(Instant::now());
            state = self.state();
        }
        if state.closed.is_some() || state.open.is_some() || !state.has_room_in_front(broadcast.cost(), limit)
        {
            drop(state);
            let frame = Frame::Shared(Arc::clone(broadcast.message()));
            return self.push(Outgoing { frame, done: None }, limit, overflow);
        }
        state.put_broadcast(broadcast);
        // Somebody sees to what is there already, and so to this, unless it can be no more than the task.
        let (news, direct) = (!self.has_news(), state.is_direct());
        let noted = news && direct && note();
        if noted {
            self.flags.fetch_or(PENDING, Ordering::AcqRel);
        }
        drop(state);
        if !noted && (news || !direct) {
            self.announce();
        }
        Ok(())
    }

    /// Queues several together, for the policies under which nobody waits: if there is no room for them all, the oldest are dropped
    /// to make it, or these are.
    pub(crate) fn push_all_or_drop(
        &self,
        batch: Vec<Outgoing>,
        limit: usize,
        overflow: Overflow,
    ) -> Result<(), SendError> {
        let cost = batch.iter().map(|outgoing| outgoing.frame.cost()).sum();
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(SendError::Closed(CloseReason::clone(reason)));
        }
        if !state.has_room(cost, limit) {
            if overflow != Overflow::DropOldest {
                self.note_dropped(&state, batch.len() as u64);
                return Ok(());
            }
            let dropped = state.make_room(cost, limit);
            self.note_dropped(&state, dropped);
        }
        let news = state.put_all(batch.into_iter());
        drop(state);
        if news {
            self.announce();
        }
        Ok(())
    }

    /// Queues it whatever the limit: for the connection's own task, which stops reading instead. Over the `limit` behind an open
    /// message it is told to, by [`is_congested`](Self::is_congested).
    pub(crate) fn push_always(&self, outgoing: Outgoing, limit: usize) {
        let mut state = self.state();
        if state.closed.is_some() {
            return;
        }
        if state.put(outgoing) {
            self.flags.fetch_or(PENDING, Ordering::AcqRel);
        } else if state.total() > limit {
            self.flags.fetch_or(CONGESTED, Ordering::AcqRel);
        }
    }

    /// Puts a mark behind all that waits, and tells `done` when the kernel has what is before it.
    ///
    /// # Errors
    /// Nothing is queued any more.
    pub(crate) fn push_mark(
        &self,
        done: oneshot::Sender<Result<(), SendError>>,
        caller: Caller,
    ) -> Result<(), CloseReason> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(CloseReason::clone(reason));
        }
        let mark = Outgoing { frame: Frame::Mark, done: Some(done) };
        match &mut state.open {
            // Who has to end the message cannot wait for what stands behind it.
            Some(open) if !open.is_written_by(caller) => {
                open.put_behind(mark);
                return Ok(());
            }
            _ => state.put_in_front(mark),
        }
        drop(state);
        self.announce();
        Ok(())
    }

    /// The peer is too slow: what waits is thrown away, and the session closes with 1013.
    pub(crate) fn overflowed(&self) {
        let reason = CloseReason::new(CloseCode::Again, "too slow").by(ClosedBy::Container);
        self.close(&reason, true);
    }

    /// Nothing is queued any more; returns whether this was the first to say so. What waits still goes out, unless `discard`.
    pub(crate) fn close(&self, reason: &CloseReason, discard: bool) -> bool {
        let mut state = self.state();
        let first = state.closed.is_none();
        if first {
            state.closed = Some(Box::new(reason.clone()));
        }
        // What stands behind a message that will never end goes nowhere.
        let open = state.open.take();
        let mut discarded = open.map_or_else(VecDeque::new, |open| open.behind);
        if discard {
            discarded.extend(state.unroll());
            state.bytes = 0;
        }
        let left = state.bytes;
        state.credit.settle(left);
        let messages = discarded.iter().filter(|outgoing| outgoing.frame.ends_message()).count();
        self.note_dropped(&state, messages as u64);
        let waiting = std::mem::take(&mut state.waiting);
        self.flags.fetch_and(WRITER, Ordering::AcqRel);
        self.flags.fetch_or(PENDING | ANNOUNCED, Ordering::AcqRel);
        drop(state);
        for outgoing in &mut discarded {
            finish(outgoing, Err(SendError::Closed(reason.clone())));
        }
        if let Some(line) = self.line.get() {
            line.close();
        }
        waiting.into_iter().for_each(Waker::wake);
        self.task.wake();
        first
    }

    /// Why nothing is queued any more.
    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.state().closed.as_deref().cloned()
    }

    /// Messages that were dropped because the peer was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes that wait.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.state().total()
    }

    // What follows is for the connection's task alone.

    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    pub(crate) fn has_news(&self) -> bool {
        self.flags.load(Ordering::Acquire) & PENDING != 0
    }

    /// Whether a message of the connection's own may overtake the queue: nothing waits, and no message is open.
    pub(crate) fn is_clear(&self) -> bool {
        self.flags.load(Ordering::Acquire) & (PENDING | OPEN | CONGESTED) == 0
    }

    /// Whether replies must wait until the open message has ended.
    pub(crate) fn is_congested(&self) -> bool {
        self.flags.load(Ordering::Acquire) & CONGESTED != 0
    }

    /// Takes out up to `budget` bytes, at least one message if there is one. When nothing is left and the session is closing,
    /// the reason comes back. `each` runs under the lock, so it does no more than put the message somewhere else.
    pub(crate) fn take(&self, budget: usize, mut each: impl FnMut(Queued)) -> Option<CloseReason> {
        let mut state = self.state();
        let mut bytes = 0;
        while bytes < budget {
            let Some(queued) = state.pop() else { break };
            bytes += queued.cost();
            each(queued);
        }
        let mut closed = None;
        if state.is_empty() {
            self.flags.fetch_and(!(PENDING | ANNOUNCED), Ordering::AcqRel);
            closed = state.closed.as_deref().cloned();
            if state.queue.capacity() > KEPT_SLOTS {
                state.queue = VecDeque::new();
            }
        }
        let left = state.total();
        state.credit.settle(left);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        closed
    }
}

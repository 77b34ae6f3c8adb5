//! [`Outbox`]: what waits to be written to one peer. Many tasks put in, the connection's own task takes out.
//!
//! The lock is held for a push or a drain, never across user code or a system call. A flag beside it tells the connection whether there
//! is anything at all, so that a turn without sends from elsewhere takes no lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use super::send::SendError;
use crate::message::{CloseCode, CloseReason, ClosedBy, Message};
use crate::settings::Overflow;

/// What a queued frame costs beside its payload, so that empty messages are not free.
const OVERHEAD: usize = 16;

/// Slots that an empty queue keeps.
const KEPT_SLOTS: usize = 4;

/// One message or control frame on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    /// Who waits until the kernel has it.
    pub(crate) done: Option<oneshot::Sender<Result<(), SendError>>>,
}

/// The payload is shared, never copied: a broadcast puts the same bytes into every outbox.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Text(Bytes),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
}

impl Frame {
    pub(crate) fn payload(&self) -> &Bytes {
        match self {
            Frame::Text(bytes) | Frame::Binary(bytes) | Frame::Ping(bytes) | Frame::Pong(bytes) => bytes,
        }
    }

    fn cost(&self) -> usize {
        self.payload().len() + OVERHEAD
    }

    fn is_message(&self) -> bool {
        matches!(self, Frame::Text(_) | Frame::Binary(_))
    }

    /// The message again, for a sender that gets it back.
    pub(crate) fn into_message(self) -> Message {
        match self {
            // What was text is text; the check is paid on a path that gives up anyway.
            Frame::Text(bytes) => match String::from_utf8(bytes.into()) {
                Ok(text) => Message::Text(text.into()),
                Err(error) => Message::Binary(error.into_bytes().into()),
            },
            Frame::Binary(bytes) | Frame::Ping(bytes) | Frame::Pong(bytes) => Message::Binary(bytes),
        }
    }
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Frame::Text(text.into_bytes()),
            Message::Binary(bytes) => Frame::Binary(bytes),
        }
    }
}

/// Why something was not queued.
#[derive(Debug)]
pub(crate) enum Refused {
    Full,
    Closed(CloseReason),
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Whether the connection's task has anything to find here.
    pending: AtomicBool,
    task: AtomicWaker,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    bytes: usize,
    /// Set once: nothing is queued any more.
    closed: Option<CloseReason>,
    /// Senders that wait for room.
    waiting: Vec<Waker>,
}

impl State {
    /// A message that is larger than the limit still goes when nothing else waits.
    fn has_room(&self, cost: usize, limit: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(cost) <= limit
    }

    fn put(&mut self, outgoing: Outgoing) {
        self.bytes += outgoing.frame.cost();
        self.queue.push_back(outgoing);
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let outgoing = self.queue.pop_front()?;
        self.bytes -= outgoing.frame.cost();
        Some(outgoing)
    }

    /// Drops the oldest messages until there is room; control frames stay. Returns how many went.
    fn make_room(&mut self, cost: usize, limit: usize) -> u64 {
        let mut dropped = 0;
        let mut index = 0;
        while !self.has_room(cost, limit) && index < self.queue.len() {
            if self.queue[index].frame.is_message() {
                if let Some(mut old) = self.queue.remove(index) {
                    self.bytes -= old.frame.cost();
                    finish(&mut old, Err(SendError::Full));
                    dropped += 1;
                }
            } else {
                index += 1;
            }
        }
        dropped
    }
}

fn finish(outgoing: &mut Outgoing, result: Result<(), SendError>) {
    if let Some(done) = outgoing.done.take() {
        // Nobody need wait for it.
        let _ = done.send(result);
    }
}

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the connection's task that there is something to do.
    pub(crate) fn wake(&self) {
        self.task.wake();
    }

    fn announce(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    /// Queues it if there is room.
    pub(crate) fn try_push(&self, outgoing: Outgoing, limit: usize) -> Result<(), (Outgoing, Refused)> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            let reason = reason.clone();
            return Err((outgoing, Refused::Closed(reason)));
        }
        if !state.has_room(outgoing.frame.cost(), limit) {
            return Err((outgoing, Refused::Full));
        }
        state.put(outgoing);
        drop(state);
        self.announce();
        Ok(())
    }

    /// Queues several together, if there is room for them all.
    pub(crate) fn try_push_all(&self, batch: &mut Vec<Outgoing>, limit: usize) -> Result<(), Refused> {
        let cost = batch.iter().map(|outgoing| outgoing.frame.cost()).sum();
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(Refused::Closed(reason.clone()));
        }
        if !state.has_room(cost, limit) {
            return Err(Refused::Full);
        }
        batch.drain(..).for_each(|outgoing| state.put(outgoing));
        drop(state);
        self.announce();
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
        let mut state = self.state();
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        drop(state);
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
        let cost = outgoing.frame.cost();
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            let reason = reason.clone();
            drop(state);
            finish(&mut outgoing, Err(SendError::Closed(reason.clone())));
            return Err(SendError::Closed(reason));
        }
        if !state.has_room(cost, limit) {
            match overflow {
                Overflow::DropOldest => {
                    let dropped = state.make_room(cost, limit);
                    self.dropped.fetch_add(dropped, Ordering::Relaxed);
                }
                Overflow::Disconnect => {
                    drop(state);
                    self.overflowed();
                    finish(&mut outgoing, Err(SendError::Full));
                    return Err(SendError::Full);
                }
                // To wait is not for those who have many others to serve: this one message goes without.
                _ => {
                    drop(state);
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    finish(&mut outgoing, Err(SendError::Full));
                    return Err(SendError::Full);
                }
            }
        }
        state.put(outgoing);
        drop(state);
        self.announce();
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
            return Err(SendError::Closed(reason.clone()));
        }
        let mut dropped = 0;
        if !state.has_room(cost, limit) {
            if overflow != Overflow::DropOldest {
                drop(state);
                self.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
                return Ok(());
            }
            dropped = state.make_room(cost, limit);
        }
        batch.into_iter().for_each(|outgoing| state.put(outgoing));
        drop(state);
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.announce();
        Ok(())
    }

    /// Queues it whatever the limit: for the connection's own task, which stops reading instead.
    pub(crate) fn push_always(&self, outgoing: Outgoing) {
        let mut state = self.state();
        if state.closed.is_none() {
            state.put(outgoing);
            drop(state);
            self.pending.store(true, Ordering::Release);
        }
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
            state.closed = Some(reason.clone());
        }
        let mut discarded = if discard { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        if discard {
            state.bytes = 0;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        let messages = discarded.iter().filter(|outgoing| outgoing.frame.is_message()).count();
        self.dropped.fetch_add(messages as u64, Ordering::Relaxed);
        for outgoing in &mut discarded {
            finish(outgoing, Err(SendError::Closed(reason.clone())));
        }
        waiting.into_iter().for_each(Waker::wake);
        self.pending.store(true, Ordering::Release);
        self.task.wake();
        first
    }

    /// Why nothing is queued any more.
    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.state().closed.clone()
    }

    /// Messages that were dropped because the peer was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes that wait.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.state().bytes
    }

    // What follows is for the connection's task alone.

    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    pub(crate) fn has_news(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes out up to `budget` bytes, at least one message if there is one. When nothing is left and the session is closing,
    /// the reason comes back. `each` runs under the lock, so it does no more than put the message somewhere else.
    pub(crate) fn take(&self, budget: usize, mut each: impl FnMut(Outgoing)) -> Option<CloseReason> {
        let mut state = self.state();
        let mut bytes = 0;
        while bytes < budget {
            let Some(outgoing) = state.pop() else { break };
            bytes += outgoing.frame.cost();
            each(outgoing);
        }
        let mut closed = None;
        if state.queue.is_empty() {
            self.pending.store(false, Ordering::Release);
            closed.clone_from(&state.closed);
            if state.queue.capacity() > KEPT_SLOTS {
                state.queue = VecDeque::new();
            }
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Outgoing {
        Outgoing { frame: Frame::Text(Bytes::from_static(text.as_bytes())), done: None }
    }

    fn drain(outbox: &Outbox) -> Vec<String> {
        let mut all = Vec::new();
        outbox.take(usize::MAX, |outgoing| {
            all.push(String::from_utf8(outgoing.frame.payload().to_vec()).unwrap());
        });
        all
    }

    /// Room for two messages of up to four bytes.
    const LIMIT: usize = 2 * (4 + OVERHEAD);

    #[test]
    fn over_the_limit_the_policy_decides() {
        let cases: [(Overflow, bool, &[&str], u64, bool); 4] = [
            (Overflow::Disconnect, false, &[], 2, true),
            (Overflow::Wait, false, &["a", "b"], 1, false),
            (Overflow::DropNewest, false, &["a", "b"], 1, false),
            (Overflow::DropOldest, true, &["b", "ccc"], 1, false),
        ];
        for (overflow, accepted, left, dropped, closed) in cases {
            let outbox = Outbox::default();
            outbox.push(text("a"), LIMIT, overflow).unwrap();
            outbox.push(text("b"), LIMIT, overflow).unwrap();
            assert_eq!(outbox.push(text("ccc"), LIMIT, overflow).is_ok(), accepted, "{overflow:?}");
            assert_eq!(outbox.closed().is_some(), closed, "{overflow:?}");
            assert_eq!(drain(&outbox), left, "{overflow:?}");
            assert_eq!(outbox.dropped(), dropped, "{overflow:?}");
        }
    }

    #[test]
    fn a_message_larger_than_the_limit_goes_alone() {
        let outbox = Outbox::default();
        outbox.try_push(text("a very long message"), 10).unwrap();
        let (back, refused) = outbox.try_push(text("x"), 10).unwrap_err();
        assert!(matches!(refused, Refused::Full));
        assert_eq!(back.frame.into_message(), Message::Text("x".into()));
        assert_eq!(drain(&outbox), ["a very long message"]);
    }

    #[test]
    fn what_was_queued_before_the_close_still_goes() {
        let outbox = Outbox::default();
        outbox.try_push(text("a"), LIMIT).unwrap();
        assert!(outbox.close(&CloseReason::normal(), false));
        assert!(!outbox.close(&CloseReason::away("again"), false));
        assert!(outbox.try_push(text("b"), LIMIT).is_err());
        let mut seen = 0;
        assert_eq!(outbox.take(usize::MAX, |_| seen += 1), Some(CloseReason::normal()));
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_receipt_learns_of_a_dropped_message() {
        let outbox = Outbox::default();
        let (sender, mut receiver) = oneshot::channel();
        let first = Outgoing { done: Some(sender), ..text("a") };
        outbox.push(first, LIMIT, Overflow::DropOldest).unwrap();
        outbox.push(text("b"), LIMIT, Overflow::DropOldest).unwrap();
        outbox.push(text("c"), LIMIT, Overflow::DropOldest).unwrap();
        assert!(matches!(receiver.try_recv(), Ok(Err(SendError::Full))));
    }
}

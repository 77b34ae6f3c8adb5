//! [`State`]: what waits for one peer, in which order, whether there is room for more, and what goes to make some.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::credit::Credit;
use super::direct::Direct;
use super::open::Open;
use super::{Broadcast, Frame, Outgoing, Queued, Run};
use crate::message::CloseReason;
use crate::session::send::SendError;

/// What waits, and for what.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What goes next; behind it broadcasts, if they come last; and how many bytes all that is.
    pub(super) queue: VecDeque<Queued>,
    pub(super) run: Option<Arc<Run>>,
    pub(super) bytes: usize,
    /// The message that goes out in fragments, and what waits for its end.
    pub(super) open: Option<Box<Open>>,
    /// The socket, if the connection's task has lent it out.
    pub(super) direct: Option<Box<Direct>>,
    /// Set once: nothing is queued any more.
    pub(super) closed: Option<Box<CloseReason>>,
    /// Senders that wait for room.
    pub(super) waiting: Vec<Waker>,
    /// What it has of the memory that is for all queues.
    pub(super) credit: Credit,
}

impl State {
    /// All that waits.
    pub(super) fn total(&self) -> usize {
        self.bytes + self.open.as_ref().map_or(0, |open| open.bytes)
    }

    /// Whether there is room for whole messages.
    pub(super) fn has_room(&mut self, cost: usize, limit: usize) -> bool {
        let total = self.total();
        fits(total, cost, limit) && (total == 0 || self.credit.covers(total + cost))
    }

    /// Whether there is room for what goes before whatever waits behind an open message.
    pub(super) fn has_room_in_front(&mut self, cost: usize, limit: usize) -> bool {
        let total = self.total();
        fits(self.bytes, cost, limit) && (self.bytes == 0 || self.credit.covers(total + cost))
    }

    pub(super) fn has_room_for(&mut self, frame: &Frame, limit: usize) -> bool {
        if frame.is_message() {
            self.has_room(frame.cost(), limit)
        } else {
            self.has_room_in_front(frame.cost(), limit)
        }
    }

    /// Puts it last; says whether it can be taken out now.
    pub(super) fn put(&mut self, outgoing: Outgoing) -> bool {
        match &mut self.open {
            Some(open) if outgoing.frame.is_message() => {
                open.put_behind(outgoing);
                self.credit.cover(self.bytes + open.bytes);
                false
            }
            _ => {
                self.put_in_front(outgoing);
                true
            }
        }
    }

    pub(super) fn put_all(&mut self, batch: impl Iterator<Item = Outgoing>) -> bool {
        let mut news = false;
        for outgoing in batch {
            news |= self.put(outgoing);
        }
        news
    }

    pub(super) fn put_in_front(&mut self, outgoing: Outgoing) {
        self.bytes += outgoing.frame.cost();
        self.credit.cover(self.total());
        self.queue.extend(self.run.take().map(Queued::Run));
        self.queue.push_back(Queued::One(outgoing));
    }

    /// Puts a broadcast last, where no message is open.
    pub(super) fn put_broadcast(&mut self, broadcast: &mut Broadcast) {
        self.bytes += broadcast.cost();
        self.credit.cover(self.bytes);
        if let Some(run) = &mut self.run {
            if let Some(joined) = broadcast.behind(run) {
                *run = Arc::clone(joined);
                return;
            }
            self.queue.extend(self.run.take().map(Queued::Run));
        }
        self.run = Some(Arc::clone(broadcast.alone()));
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        let next = self.queue.pop_front().or_else(|| self.run.take().map(Queued::Run))?;
        self.bytes -= next.cost();
        Some(next)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.run.is_none()
    }

    /// Takes everything apart that goes next, message by message.
    pub(super) fn unroll(&mut self) -> VecDeque<Outgoing> {
        let mut all = VecDeque::new();
        for queued in self.queue.drain(..).chain(self.run.take().map(Queued::Run)) {
            match queued {
                Queued::One(outgoing) => all.push_back(outgoing),
                Queued::Run(run) => all.extend(run.messages().iter().map(|message| {
                    let frame = Frame::Shared(Arc::clone(message));
                    Outgoing { frame, done: None }
                })),
            }
        }
        all
    }

    /// Wakes this task when there may be room.
    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }

    /// Drops the oldest whole messages until there is room; fragments and control frames stay. Returns how many went.
    pub(super) fn make_room(&mut self, cost: usize, limit: usize) -> u64 {
        // It may be that the limit is not reached, and there is no memory for more.
        let limit = if fits(self.total(), cost, limit) { self.credit.covered() } else { limit };
        let behind = self.open.as_ref().map_or(0, |open| open.bytes);
        let enough = |front| fits(front + behind, cost, limit);
        let mut queue = self.unroll();
        let mut dropped = drop_oldest(&mut queue, &mut self.bytes, enough);
        self.queue = queue.into_iter().map(Queued::One).collect();
        let front = self.bytes;
        if let Some(open) = &mut self.open {
            let enough = |behind| fits(front + behind, cost, limit);
            dropped += drop_oldest(&mut open.behind, &mut open.bytes, enough);
        }
        self.credit.settle(self.total());
        dropped
    }
}

/// Whether so much more may wait. What is larger than the limit still goes when nothing else waits.
fn fits(bytes: usize, cost: usize, limit: usize) -> bool {
    bytes == 0 || bytes.saturating_add(cost) <= limit
}

/// Drops whole messages from the front of a queue until its bytes are few enough; says how many.
fn drop_oldest(queue: &mut VecDeque<Outgoing>, bytes: &mut usize, enough: impl Fn(usize) -> bool) -> u64 {
    let mut dropped = 0;
    let mut index = 0;
    while !enough(*bytes) && index < queue.len() {
        if !queue[index].frame.may_be_dropped() {
            index += 1;
        } else if let Some(mut old) = queue.remove(index) {
            *bytes -= old.frame.cost();
            finish(&mut old, Err(SendError::Full));
            dropped += 1;
        }
    }
    dropped
}

/// Tells whoever waits for it what became of it.
pub(super) fn finish(outgoing: &mut Outgoing, result: Result<(), SendError>) {
    if let Some(done) = outgoing.done.take() {
        // Nobody need wait for it.
        let _ = done.send(result);
    }
}

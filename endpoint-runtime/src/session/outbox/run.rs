//! [`Run`]: broadcasts that go out in one piece, and [`Broadcast`], which puts one message into many outboxes.
//!
//! Who sends several messages to the same sessions, one after the other, finds the last one still at the end of most of their queues. Then it is
//! replaced by a run that holds both: joined once, for all of them. So a queue of broadcasts is one reference long, needs no memory of
//! its own, and is copied to the socket at once.

use std::sync::Arc;

use bytes::Bytes;

use super::Shared;

/// The most bytes that a run is joined up to: beyond, a copy costs more than it saves.
const MOST: usize = 4 * 1024;

/// Messages that follow each other, and their frames in one piece as a server sends them, not compressed.
#[derive(Debug)]
pub(crate) struct Run {
    messages: Box<[Arc<Shared>]>,
    encoded: Bytes,
    cost: usize,
}

impl Run {
    fn of(message: Arc<Shared>) -> Self {
        let (encoded, cost) = (message.encoded().clone(), message.cost());
        Run { messages: Box::new([message]), encoded, cost }
    }

    /// This, and one more behind it.
    fn and(&self, message: &Arc<Shared>) -> Self {
        let messages = self.messages.iter().chain([message]).cloned().collect();
        let encoded = [&self.encoded[..], &message.encoded()[..]].concat().into();
        Run { messages, encoded, cost: self.cost + message.cost() }
    }

    /// The messages one by one.
    pub(crate) fn messages(&self) -> &[Arc<Shared>] {
        &self.messages
    }

    /// All frames as a server sends them, not compressed.
    pub(crate) fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    pub(super) fn cost(&self) -> usize {
        self.cost
    }
}

/// A message on its way into many outboxes.
#[derive(Debug)]
pub(crate) struct Broadcast {
    message: Arc<Shared>,
    alone: Arc<Run>,
    /// What was sent to the same sessions before, if some of them still have it, and may be joined with this.
    before: Option<Arc<Run>>,
    /// Both; made for the first whose queue ends with it.
    joined: Option<Arc<Run>>,
}

impl Broadcast {
    /// `before`: what [`last`](Self::last) gave for the broadcast before this to the same sessions.
    pub(crate) fn new(message: Arc<Shared>, before: Option<Arc<Run>>) -> Self {
        let alone = Arc::new(Run::of(Arc::clone(&message)));
        let before = before.filter(|run| run.encoded.len() + message.encoded().len() <= MOST);
        Broadcast { message, alone, before, joined: None }
    }

    /// What most of the queues end with now.
    pub(crate) fn last(self) -> Arc<Run> {
        self.joined.unwrap_or(self.alone)
    }

    pub(super) fn cost(&self) -> usize {
        self.alone.cost
    }

    pub(super) fn message(&self) -> &Arc<Shared> {
        &self.message
    }

    pub(super) fn alone(&self) -> &Arc<Run> {
        &self.alone
    }

    /// What a queue ends with if it gets this behind that run; `None`: they stay apart.
    pub(super) fn behind(&mut self, run: &Arc<Run>) -> Option<&Arc<Run>> {
        let before = self.before.as_ref().filter(|before| Arc::ptr_eq(before, run))?;
        Some(self.joined.get_or_insert_with(|| Arc::new(before.and(&self.message))))
    }
}

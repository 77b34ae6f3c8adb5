//! [`Ahead`]: messages that cannot be passed on yet, because something before them is missing, or they are of another epoch.

use std::collections::HashMap;

use bytes::Bytes;

use super::Limits;
use crate::cluster::{Epoch, Position};

/// Messages that came early. Not many, for the history has them, too.
#[derive(Debug)]
pub(super) struct Ahead {
    limits: Limits,
    messages: HashMap<Position, Early>,
    bytes: usize,
}

#[derive(Debug)]
struct Early {
    message: Bytes,
    /// How many questions had been asked of the engine when it came.
    asked: u64,
}

impl Ahead {
    pub(super) fn new(limits: Limits) -> Self {
        Ahead { limits, messages: HashMap::new(), bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Keeps a message until it is known what to make of it; `false` if there are too many.
    pub(super) fn put(&mut self, position: Position, message: Bytes, asked: u64) -> bool {
        if self.messages.len() >= self.limits.messages || self.bytes + message.len() > self.limits.bytes {
            return false;
        }
        self.bytes += message.len();
        if let Some(before) = self.messages.insert(position, Early { message, asked }) {
            self.bytes -= before.message.len();
        }
        true
    }

    pub(super) fn has(&self, epoch: &Epoch, offset: u64) -> bool {
        !self.is_empty() && self.messages.contains_key(&Position { epoch: epoch.clone(), offset })
    }

    /// Takes the message of this offset, in the epoch of that place.
    pub(super) fn take(&mut self, at: &Position, offset: u64) -> Option<Bytes> {
        if self.is_empty() {
            return None;
        }
        let early = self.messages.remove(&Position { epoch: at.epoch.clone(), offset })?;
        self.bytes -= early.message.len();
        Some(early.message)
    }

    /// Forgets what was passed on.
    pub(super) fn forget_until(&mut self, at: &Position) {
        self.retain(|place, _| place.epoch != at.epoch || place.offset > at.offset);
    }

    /// Forgets what was proved to be nothing by a question of this number: of another epoch than the newest message, or behind it, though it
    /// came before that was asked.
    pub(super) fn refute(&mut self, top: &Position, number: u64) {
        self.retain(|place, early| {
            let is_known = place.epoch == top.epoch && place.offset <= top.offset;
            is_known || early.asked >= number
        });
    }

    fn retain(&mut self, keep: impl Fn(&Position, &Early) -> bool) {
        if self.is_empty() {
            return;
        }
        self.messages.retain(|place, early| keep(place, early));
        self.bytes = self.messages.values().map(|early| early.message.len()).sum();
        if self.is_empty() {
            self.messages = HashMap::new();
        }
    }

    /// The offset before which there is a hole, and behind which there is none among the messages of the present epoch, up to the last of them.
    pub(super) fn before_last_run(&self, top: &Position) -> Option<u64> {
        let of_epoch = self.messages.keys().filter(|place| place.epoch == top.epoch && place.offset > 0);
        // What a history that has been rewound no longer knows is no place to begin at.
        let mut first = of_epoch.map(|place| place.offset).max()?;
        while first > 1 && self.has(&top.epoch, first - 1) {
            first -= 1;
        }
        (first <= top.offset).then_some(first - 1)
    }
}

//! [`Late`]: pings and pongs to be looked at that came while a handler was busy.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::message::Incoming;

/// How many are kept; of more, the oldest go.
const KEPT: usize = 16;

#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "few connections ever have any, and all have room for it")]
pub(super) struct Late(Option<Box<VecDeque<Frame>>>);

#[derive(Debug)]
enum Frame {
    Ping(Box<[u8]>),
    Pong(Box<[u8]>),
}

impl Late {
    pub(super) fn keep_ping(&mut self, payload: &[u8]) {
        self.keep(Frame::Ping(payload.into()));
    }

    pub(super) fn keep_pong(&mut self, payload: &[u8]) {
        self.keep(Frame::Pong(payload.into()));
    }

    fn keep(&mut self, frame: Frame) {
        let frames = self.0.get_or_insert_default();
        if frames.len() == KEPT {
            frames.pop_front();
        }
        frames.push_back(frame);
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The oldest.
    pub(super) fn next(&mut self) -> Option<Incoming<'static>> {
        let frames = self.0.as_mut()?;
        let frame = frames.pop_front()?;
        if frames.is_empty() {
            self.0 = None;
        }
        Some(match frame {
            Frame::Ping(payload) => Incoming::Ping(Cow::Owned(payload.into())),
            Frame::Pong(payload) => Incoming::Pong(Cow::Owned(payload.into())),
        })
    }
}

//! [`Late`]: pings and pongs to be looked at that came while a handler was busy.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::message::Incoming;

/// How many are kept; of more, the oldest go.
const KEPT: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Late(VecDeque<Frame>);

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
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(frame);
    }

    /// The oldest.
    pub(super) fn next(&mut self) -> Option<Incoming<'static>> {
        let frame = self.0.pop_front()?;
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        Some(match frame {
            Frame::Ping(payload) => Incoming::Ping(Cow::Owned(payload.into())),
            Frame::Pong(payload) => Incoming::Pong(Cow::Owned(payload.into())),
        })
    }
}

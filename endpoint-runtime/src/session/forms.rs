//! [`Forms`]: in which form messages are received on a session now, and how large they may be.

use super::Session;
use crate::endpoint::{Form, Native};

/// How the messages of one session are received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forms {
    pub(crate) text: Form,
    pub(crate) binary: Form,
    /// The largest message that is received whole, bytes.
    pub(crate) max_text: usize,
    pub(crate) max_binary: usize,
    /// Whether somebody looks at pings.
    pub(crate) pings: bool,
}

impl Session {
    /// How its messages are received now: as its message handlers want it, else as the endpoint does.
    pub(crate) fn forms(&self) -> Forms {
        let (reception, limit) = (&self.home().reception, self.limits().max_message_size);
        let (text, binary) = match self.0.handlers.get() {
            Some(handlers) => (handlers.line(Native::Text, reception), handlers.line(Native::Binary, reception)),
            None => (reception.line(Native::Text), reception.line(Native::Binary)),
        };
        Forms {
            text: text.form,
            binary: binary.form,
            max_text: text.max_size.bytes(limit),
            max_binary: binary.max_size.bytes(limit),
            pings: reception.intake().pings
                || self.0.handlers.get().is_some_and(|handlers| handlers.take_pings()),
        }
    }

    /// Whether [`forms`](Self::forms) may have changed since the last look.
    pub(crate) fn take_reception_change(&self) -> bool {
        self.0.handlers.get().is_some_and(|handlers| handlers.take_change())
    }
}

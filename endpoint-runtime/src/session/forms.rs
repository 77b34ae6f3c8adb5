//! [`Forms`]: in which form messages are received on a session now, and how large they may be.

use super::Session;
use crate::endpoint::{Form, Native};
use crate::wire::Delivery;

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

impl Forms {
    /// How the wire delivers text messages.
    pub(crate) fn text_delivery(&self) -> Delivery {
        delivery(self.text, self.max_text)
    }

    /// How the wire delivers binary messages.
    pub(crate) fn binary_delivery(&self) -> Delivery {
        delivery(self.binary, self.max_binary)
    }
}

/// A message that is read as a stream comes in parts too: they go to its reader.
fn delivery(form: Form, max: usize) -> Delivery {
    match form {
        Form::Whole => Delivery::Whole(max),
        Form::Parts | Form::Stream => Delivery::Parts,
    }
}

impl Session {
    /// How its messages are received now: as its message handlers want it, else as the endpoint does.
    pub(crate) fn forms(&self) -> Forms {
        let (reception, tuned, limit) =
            (&self.home().reception, self.tuned(), self.limits().max_message_size);
        let (text, binary, pings) = match self.0.handlers.get() {
            Some(handlers) => (
                handlers.line(Native::Text, reception),
                handlers.line(Native::Binary, reception),
                handlers.take_pings(),
            ),
            None => (reception.line(Native::Text), reception.line(Native::Binary), false),
        };
        Forms {
            text: text.form,
            binary: binary.form,
            max_text: tuned.max_text_size.unwrap_or_else(|| text.max_size.bytes(limit)),
            max_binary: tuned.max_binary_size.unwrap_or_else(|| binary.max_size.bytes(limit)),
            pings: pings || reception.intake().pings,
        }
    }
}

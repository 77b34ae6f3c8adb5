//! [`Frame`]: a message, a part of one, or a control frame on its way out.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;

use super::{Run, Shared};
use crate::message::{EncodeError, IntoMessage, Message, Text};
use crate::session::SendError;

/// What a queued frame costs beside its payload, so that empty messages are not free.
pub(super) const OVERHEAD: usize = 16;

/// One frame in the queue.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    /// Who waits until the kernel has it.
    pub(crate) done: Option<oneshot::Sender<Result<(), SendError>>>,
}

/// What a queue consists of.
#[derive(Debug)]
pub(crate) enum Queued {
    One(Outgoing),
    /// Broadcasts, with nothing between them.
    Run(Arc<Run>),
}

impl Queued {
    pub(super) fn cost(&self) -> usize {
        match self {
            Queued::One(outgoing) => outgoing.frame.cost(),
            Queued::Run(run) => run.cost(),
        }
    }
}

/// The payload is shared, never copied.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Text(Bytes),
    Binary(Bytes),
    /// A whole message that is not to be compressed.
    Plain(DataKind, Bytes),
    /// A message that goes to others too.
    Shared(Arc<Shared>),
    /// A part of a message (RFC 6455 5.4). Only the first has the opcode, only the last ends the message.
    Fragment {
        kind: DataKind,
        first: bool,
        last: bool,
        /// Whether the message is to be compressed, if that was agreed on. All its fragments say the same.
        compressed: bool,
        payload: Bytes,
    },
    /// Something about the session itself, as a text message: for a client that [understands](Session::speaks) such.
    Control(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// Nothing goes out: this marks a place in the queue, for one who waits until it is reached.
    Mark,
}

/// What a message consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataKind {
    Text,
    Binary,
}

impl DataKind {
    /// A whole message.
    pub(crate) fn whole(self, payload: Bytes) -> Frame {
        match self {
            DataKind::Text => Frame::Text(payload),
            DataKind::Binary => Frame::Binary(payload),
        }
    }

    /// The opcode of its first frame.
    pub(crate) fn opcode(self) -> Data {
        match self {
            DataKind::Text => Data::Text,
            DataKind::Binary => Data::Binary,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            DataKind::Text => "text",
            DataKind::Binary => "binary",
        }
    }
}

impl Frame {
    /// The message of a value: to be compressed, unless the value says that it is not.
    pub(crate) fn of<M: IntoMessage>(message: M) -> Result<Self, EncodeError> {
        let message = message.into_message()?;
        Ok(if M::MAY_BE_COMPRESSED { Frame::from(message) } else { Frame::plain(message) })
    }

    /// A message that is not to be compressed.
    pub(crate) fn plain(message: Message) -> Self {
        match message {
            Message::Text(text) => Frame::Plain(DataKind::Text, text.into_bytes()),
            Message::Binary(bytes) => Frame::Plain(DataKind::Binary, bytes),
        }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Frame::Text(bytes)
            | Frame::Binary(bytes)
            | Frame::Plain(_, bytes)
            | Frame::Control(bytes)
            | Frame::Ping(bytes)
            | Frame::Pong(bytes) => bytes,
            Frame::Shared(shared) => shared.payload(),
            Frame::Fragment { payload, .. } => payload,
            Frame::Mark => &[],
        }
    }

    pub(super) fn cost(&self) -> usize {
        match self {
            Frame::Mark => 0,
            frame => frame.payload().len() + OVERHEAD,
        }
    }

    /// Whether it is a whole message, which may wait behind another.
    pub(super) fn is_message(&self) -> bool {
        matches!(
            self,
            Frame::Text(_) | Frame::Binary(_) | Frame::Plain(..) | Frame::Shared(_) | Frame::Control(_)
        )
    }

    /// Whether it may be dropped because the peer is too slow.
    pub(super) fn may_be_dropped(&self) -> bool {
        self.is_message() && !matches!(self, Frame::Control(_))
    }

    /// Whether a message ends with it.
    pub(super) fn ends_message(&self) -> bool {
        self.is_message() || matches!(self, Frame::Fragment { last: true, .. })
    }

    /// The message again, for a sender that gets it back.
    pub(crate) fn into_message(self) -> Message {
        match self {
            // What was text is text; the check is paid on a path that gives up anyway.
            Frame::Text(bytes) | Frame::Plain(DataKind::Text, bytes) => {
                match Text::from_utf8(bytes.clone()) {
                    Some(text) => Message::Text(text),
                    None => Message::Binary(bytes),
                }
            }
            Frame::Binary(bytes)
            | Frame::Plain(DataKind::Binary, bytes)
            | Frame::Control(bytes)
            | Frame::Ping(bytes)
            | Frame::Pong(bytes) => Message::Binary(bytes),
            Frame::Shared(shared) => shared.whole().into_message(),
            Frame::Fragment { payload, .. } => Message::Binary(payload),
            Frame::Mark => Message::Binary(Bytes::new()),
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

//! Messages: the kinds there are, what a handler may take ([`FromMessage`]) and what may be sent ([`IntoMessage`]).

mod close;
mod forms;
mod from_message;
mod into_message;
#[cfg(feature = "json")]
mod json;
mod text;

pub use bytes::Bytes;

pub use self::close::{CloseCode, CloseReason, ClosedBy};
pub use self::forms::{Parsed, Pong};
pub use self::from_message::{DecodeError, FromMessage, Incoming};
pub use self::into_message::{EncodeError, IntoMessage};
#[cfg(feature = "json")]
pub use self::json::Json;
pub use self::text::Text;

/// A whole message of the application (RFC 6455 5.6).
///
/// As the parameter of an `#[on_message]` method it takes text and binary alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text: valid UTF-8.
    Text(Text),
    /// Bytes of any kind.
    Binary(Bytes),
}

impl Message {
    /// The payload, as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }
}

/// Which messages a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Text messages.
    Text,
    /// Binary messages.
    Binary,
    /// Text and binary messages.
    Any,
    /// Pongs: answers to one's own pings, and unsolicited ones (RFC 6455 5.5.3).
    Pong,
}

impl Kind {
    /// Whether a message of the kind `other` could go to a method of this kind too.
    pub const fn overlaps(self, other: Kind) -> bool {
        match (self, other) {
            (Kind::Pong, Kind::Pong) => true,
            (Kind::Pong, _) | (_, Kind::Pong) => false,
            (Kind::Any, _) | (_, Kind::Any) => true,
            (Kind::Text, Kind::Text) | (Kind::Binary, Kind::Binary) => true,
            _ => false,
        }
    }
}

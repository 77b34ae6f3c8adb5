//! Messages: the kinds there are, what a handler may take ([`FromMessage`]) and what may be sent ([`IntoMessage`]).

mod close;
#[cfg(feature = "json")]
pub(crate) mod control;
mod decoded;
mod forms;
mod fragment;
mod from_message;
mod into_message;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
mod object;
#[cfg(feature = "protobuf")]
mod protobuf;
mod reader;
mod text;
mod uncompressed;

use std::any::{TypeId, type_name};
use std::fmt;
use std::hash::{Hash, Hasher};

pub use bytes::Bytes;

pub(crate) use self::close::floor_char_boundary;
pub use self::close::{CloseCode, CloseReason, ClosedBy};
pub use self::decoded::{Decoded, Encoded};
pub use self::forms::{Parsed, Ping, Pong};
pub use self::fragment::{Fragment, FragmentData};
pub use self::from_message::{DecodeError, FromMessage, Incoming, Value};
pub use self::into_message::{EncodeError, IntoMessage};
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "msgpack")]
pub use self::msgpack::MsgPack;
pub use self::object::Object;
#[cfg(feature = "protobuf")]
pub use self::protobuf::Protobuf;
pub use self::reader::{BinaryReader, TextReader};
pub(crate) use self::reader::{Fed, Feed};
pub use self::text::Text;
pub use self::uncompressed::Uncompressed;

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

/// Which messages a method takes, and in which form it gets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Text messages, whole.
    Text,
    /// Binary messages, whole.
    Binary,
    /// Text and binary messages, whole.
    Any,
    /// Text messages, in parts as they arrive.
    TextFragment,
    /// Binary messages, in parts as they arrive.
    BinaryFragment,
    /// Text messages, each as a stream.
    TextStream,
    /// Binary messages, each as a stream.
    BinaryStream,
    /// Pings, which are answered all the same (RFC 6455 5.5.2).
    Ping,
    /// Pongs: answers to one's own pings, and unsolicited ones (RFC 6455 5.5.3).
    Pong,
    /// What one of the endpoint's decoders makes of messages. Which those are is known when the endpoint is deployed.
    Decoded(Made),
}

impl Kind {
    /// Whether a message of the kind `other` could go to a method of this kind too. For decoded ones that is not known here.
    pub const fn overlaps(self, other: Kind) -> bool {
        (self.takes_text() && other.takes_text())
            || (self.takes_binary() && other.takes_binary())
            || matches!((self, other), (Kind::Ping, Kind::Ping) | (Kind::Pong, Kind::Pong))
    }

    /// Whether text messages go to a method of this kind, in whatever form.
    pub const fn takes_text(self) -> bool {
        matches!(self, Kind::Text | Kind::Any | Kind::TextFragment | Kind::TextStream)
    }

    /// Whether binary messages go to a method of this kind, in whatever form.
    pub const fn takes_binary(self) -> bool {
        matches!(self, Kind::Binary | Kind::Any | Kind::BinaryFragment | Kind::BinaryStream)
    }
}

/// The type of what a decoder makes.
#[derive(Clone, Copy)]
pub struct Made {
    id: fn() -> TypeId,
    name: fn() -> &'static str,
}

impl Made {
    /// Values of the type `T`.
    pub const fn of<T: 'static>() -> Self {
        Made { id: TypeId::of::<T>, name: type_name::<T> }
    }

    /// Which type it is.
    pub fn id(self) -> TypeId {
        (self.id)()
    }

    /// The name of the type, for people.
    pub fn name(self) -> &'static str {
        (self.name)()
    }
}

impl PartialEq for Made {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Made {}

impl Hash for Made {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

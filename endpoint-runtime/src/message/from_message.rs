//! What an `#[on_message]` method may take: [`FromMessage`] and the forms that come with the runtime.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;

use super::{BinaryReader, Kind, Message, Text, TextReader};
use crate::error::BoxError;

/// A message as it comes off the wire, on its way into a handler's parameter.
///
/// A message that lay whole in the reader's buffer is borrowed from it: what is kept must be copied, and what is only
/// looked at costs nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incoming<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A part of a text message, for a method that takes parts; a code point is never cut.
    TextPart(Cow<'a, str>, Last),
    /// A part of a binary message, for a method that takes parts.
    BinaryPart(Cow<'a, [u8]>, Last),
    /// The beginning of a text message, for a method that reads it as a stream.
    TextStream(TextReader),
    /// The beginning of a binary message, for a method that reads it as a stream.
    BinaryStream(BinaryReader),
    /// A ping, answered already.
    Ping(Cow<'a, [u8]>),
    /// A pong.
    Pong(Cow<'a, [u8]>),
    /// What a decoder made of a message.
    Decoded(Value),
}

/// Whether a part is the last of its message.
pub(crate) type Last = bool;

/// What a decoder made, whatever its type.
pub struct Value(Box<dyn Any + Send>);

impl Value {
    /// Holds `value`.
    pub(crate) fn new<T: Send + 'static>(value: T) -> Self {
        Value(Box::new(value))
    }

    /// Which type it is of.
    pub(crate) fn of_type(&self) -> TypeId {
        (*self.0).type_id()
    }

    /// The value, if it is a `T`.
    pub(crate) fn downcast<T: 'static>(self) -> Result<T, Self> {
        self.0.downcast().map(|value| *value).map_err(Value)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}

impl<'a> Incoming<'a> {
    /// The payload as bytes, of what is there; empty for what is still to be read, or decoded already.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Incoming::Text(text) | Incoming::TextPart(text, _) => text.as_bytes(),
            Incoming::Binary(bytes)
            | Incoming::BinaryPart(bytes, _)
            | Incoming::Ping(bytes)
            | Incoming::Pong(bytes) => bytes,
            Incoming::TextStream(_) | Incoming::BinaryStream(_) | Incoming::Decoded(_) => &[],
        }
    }

    /// The text of a text message.
    ///
    /// # Errors
    /// A message of another kind.
    pub fn into_text(self) -> Result<Cow<'a, str>, DecodeError> {
        match self {
            Incoming::Text(text) => Ok(text),
            other => Err(DecodeError::unexpected(&other, "a text message")),
        }
    }

    /// The bytes of a binary message.
    ///
    /// # Errors
    /// A message of another kind.
    pub fn into_binary(self) -> Result<Cow<'a, [u8]>, DecodeError> {
        match self {
            Incoming::Binary(bytes) => Ok(bytes),
            other => Err(DecodeError::unexpected(&other, "a binary message")),
        }
    }

    /// Whether a method that takes `kind` takes this.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        match self {
            Incoming::Text(_) => matches!(kind, Kind::Text | Kind::Any),
            Incoming::Binary(_) => matches!(kind, Kind::Binary | Kind::Any),
            Incoming::TextPart(..) => matches!(kind, Kind::TextFragment),
            Incoming::BinaryPart(..) => matches!(kind, Kind::BinaryFragment),
            Incoming::TextStream(_) => matches!(kind, Kind::TextStream),
            Incoming::BinaryStream(_) => matches!(kind, Kind::BinaryStream),
            Incoming::Ping(_) => matches!(kind, Kind::Ping),
            Incoming::Pong(_) => matches!(kind, Kind::Pong),
            Incoming::Decoded(value) => {
                matches!(kind, Kind::Decoded(made) if made.id() == value.of_type())
            }
        }
    }
}

/// A type that an `#[on_message]` method may take as its message.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{DecodeError, Incoming, Kind};
///
/// /// `forward 3`
/// enum Move { Forward(u8), Turn }
///
/// impl FromMessage for Move {
///     const KIND: Kind = Kind::Text;
///
///     fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
///         let text = message.into_text()?;
///         match text.split_once(' ') {
///             Some(("forward", steps)) => match steps.parse() {
///                 Ok(steps) => Ok(Move::Forward(steps)),
///                 Err(error) => Err(DecodeError::text(text.as_ref(), error)),
///             },
///             None if text == "turn" => Ok(Move::Turn),
///             _ => Err(DecodeError::text(text.as_ref(), "`forward N` or `turn` was expected")),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from a message",
    label = "not a message",
    note = "messages are: `String`, `&str`, `Text`, `char`, `bool`, numbers, `Parsed<T>`, `Json<T>`, `Bytes`, `Vec<u8>`, `&[u8]`, `Message`, `Decoded<T>`, `Ping`, `Pong`, or your own `T: FromMessage`; in parts `Fragment<Text>`, `Fragment<Bytes>`; as a stream `TextReader`, `BinaryReader`"
)]
pub trait FromMessage: Sized {
    /// Which messages it is made from: a method that takes it gets those, and no other method may take them too.
    const KIND: Kind;

    /// Makes it.
    ///
    /// # Errors
    /// Go to `#[on_error]`; the connection stays open.
    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError>;
}

/// A message could not be turned into what the handler takes. Keeps the message.
pub struct DecodeError {
    message: Message,
    source: BoxError,
}

impl DecodeError {
    /// `message` could not be decoded because of `source`.
    pub fn new(message: &Incoming<'_>, source: impl Into<BoxError>) -> Self {
        match message {
            Incoming::Text(text) | Incoming::TextPart(text, _) => Self::text(text.as_ref(), source),
            other => Self::binary(other.as_bytes(), source),
        }
    }

    /// The message is not what was expected.
    pub(super) fn unexpected(message: &Incoming<'_>, expected: &str) -> Self {
        Self::new(message, format!("{expected} was expected"))
    }

    /// The text message `text` could not be decoded because of `source`.
    pub fn text(text: &str, source: impl Into<BoxError>) -> Self {
        DecodeError { message: Message::Text(text.into()), source: source.into() }
    }

    /// The binary message `bytes` could not be decoded because of `source`.
    pub fn binary(bytes: &[u8], source: impl Into<BoxError>) -> Self {
        DecodeError { message: Message::Binary(Bytes::copy_from_slice(bytes)), source: source.into() }
    }

    /// `message`, which is kept as it is, could not be decoded because of `source`.
    pub(crate) fn of(message: Message, source: impl Into<BoxError>) -> Self {
        DecodeError { message, source: source.into() }
    }

    /// The message that could not be decoded.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode the message: {}", self.source)
    }
}

/// Shows why, and how long the message is; not its content, which may be private.
impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("bytes", &self.message.as_bytes().len())
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for DecodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

impl FromMessage for String {
    const KIND: Kind = Kind::Text;

    #[inline]
    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        message.into_text().map(Cow::into_owned)
    }
}

impl FromMessage for Text {
    const KIND: Kind = Kind::Text;

    #[inline]
    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        message.into_text().map(Text::from)
    }
}

impl FromMessage for Vec<u8> {
    const KIND: Kind = Kind::Binary;

    #[inline]
    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        message.into_binary().map(Cow::into_owned)
    }
}

impl FromMessage for Bytes {
    const KIND: Kind = Kind::Binary;

    #[inline]
    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        message.into_binary().map(|bytes| match bytes {
            Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        })
    }
}

impl FromMessage for Message {
    const KIND: Kind = Kind::Any;

    #[inline]
    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        match message {
            Incoming::Text(text) => Ok(Message::Text(text.into())),
            Incoming::Binary(bytes) => Ok(Message::Binary(Bytes::from(bytes.into_owned()))),
            other => Err(DecodeError::unexpected(&other, "a whole message")),
        }
    }
}

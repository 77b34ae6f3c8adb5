//! [`Fragment`]: one part of a message, received as it arrives or sent before the rest is there.

use bytes::Bytes;

use super::{DecodeError, FromMessage, Incoming, Kind, Text};

/// A part of a message (Jakarta's `MessageHandler.Partial`, MH-08 and MH-09).
///
/// A method that takes parts gets what has arrived, without waiting for the rest of the frame: parts need not be the frames that the
/// peer sent, an empty one comes only last, and the whole message has no limit. A text is never cut inside a code point.
///
/// ```
/// use endpoint_runtime::prelude::*;
///
/// #[server_endpoint("/count")]
/// #[derive(Default)]
/// struct Count { bytes: u64 }
///
/// #[handlers]
/// impl Count {
///     #[on_message]
///     fn part(&mut self, part: Fragment<Bytes>) -> Option<u64> {
///         self.bytes += part.data.len() as u64;
///         part.last.then(|| std::mem::take(&mut self.bytes))
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment<T> {
    /// The part itself.
    pub data: T,
    /// Whether the message ends with it.
    pub last: bool,
}

impl<T> Fragment<T> {
    /// A part of a message.
    pub fn new(data: impl Into<T>, last: bool) -> Self {
        Fragment { data: data.into(), last }
    }
}

impl FromMessage for Fragment<Text> {
    const KIND: Kind = Kind::TextFragment;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        match message {
            Incoming::TextPart(text, last) => Ok(Fragment { data: Text::from(text), last }),
            other => Err(DecodeError::unexpected(&other, "a part of a text message")),
        }
    }
}

impl FromMessage for Fragment<Bytes> {
    const KIND: Kind = Kind::BinaryFragment;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        match message {
            Incoming::BinaryPart(bytes, last) => Ok(Fragment { data: Bytes::from(bytes.into_owned()), last }),
            other => Err(DecodeError::unexpected(&other, "a part of a binary message")),
        }
    }
}

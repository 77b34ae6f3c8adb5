//! [`Fragment`]: one part of a message, received as it arrives or sent before the rest is there.

use std::borrow::Cow;

use bytes::Bytes;

use super::{DecodeError, FromMessage, Incoming, IntoMessage, Kind, Message, Text};

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
    /// A part of a message: of text, or of bytes, as `data` has it.
    ///
    /// ```
    /// use endpoint_runtime::{Bytes, Fragment, Text};
    ///
    /// let beginning: Fragment<Text> = Fragment::new("to be ", false);
    /// let end: Fragment<Bytes> = Fragment::new(vec![1, 2, 3], true);
    /// ```
    pub fn new(data: impl FragmentData<Data = T>, last: bool) -> Self {
        Fragment { data: data.into_data(), last }
    }
}

/// What parts of messages are made of: [`Text`], [`Bytes`], and all that becomes one of these by itself. `Message` stands for either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not part of a message",
    label = "cannot be sent as a fragment",
    note = "a fragment is of `Text`, `&str`, `String`, `Bytes`, `Vec<u8>` or `&[u8]`; other values are sent whole"
)]
pub trait FragmentData: IntoMessage + sealed::Sealed {
    /// `Text` or `Bytes`.
    type Data;

    /// The part.
    fn into_data(self) -> Self::Data;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! fragment_data {
    ($($ty:ty => $data:ty: |$value:ident| $part:expr),* $(,)?) => {$(
        impl sealed::Sealed for $ty {}

        impl FragmentData for $ty {
            type Data = $data;

            fn into_data(self) -> $data {
                let $value = self;
                $part
            }
        }
    )*};
}

fragment_data!(
    Text => Text: |text| text,
    &str => Text: |text| text.into(),
    String => Text: |text| text.into(),
    Cow<'_, str> => Text: |text| text.into(),
    Bytes => Bytes: |bytes| bytes,
    Vec<u8> => Bytes: |bytes| bytes.into(),
    &[u8] => Bytes: |bytes| Bytes::copy_from_slice(bytes),
    Message => Message: |message| message,
);

impl<const N: usize> sealed::Sealed for &[u8; N] {}

impl<const N: usize> FragmentData for &[u8; N] {
    type Data = Bytes;

    fn into_data(self) -> Bytes {
        Bytes::copy_from_slice(self)
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

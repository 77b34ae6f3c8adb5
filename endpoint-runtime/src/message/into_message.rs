//! What may be sent: [`IntoMessage`] and the forms that come with the runtime.

use std::any::TypeId;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;

use super::{Message, Object, Text};
use crate::error::BoxError;

/// A value that can be sent, or returned from a handler: it becomes one message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "cannot be sent",
    note = "what can be sent: `String`, `&str`, `Text`, `char`, `bool`, numbers, `Parsed<T>`, `Json<T>`, `Bytes`, `Vec<u8>`, `&[u8]`, `Message`, or your own `T: IntoMessage`",
    note = "what an encoder of the endpoint encodes is sent by `session.send_object(..)`, or returned as `Encoded<T>`; a part of a message by `session.send_fragment(..)`"
)]
pub trait IntoMessage {
    /// Whether the message may be compressed: a constant, so that nothing is asked for each message.
    #[doc(hidden)]
    const MAY_BE_COMPRESSED: bool = true;

    /// Makes the message.
    ///
    /// # Errors
    /// The value has no form as a message, as serde may find.
    fn into_message(self) -> Result<Message, EncodeError>;

    /// The value as it is, if it is of a type that is wanted: so an encoder of the endpoint's replaces the form that the runtime has for
    /// such a type.
    #[doc(hidden)]
    fn into_object(self, wanted: &dyn Fn(TypeId) -> bool) -> Result<Object, Self>
    where
        Self: Sized,
    {
        let _ = wanted;
        Err(self)
    }
}

/// `into_object` of a type for which an endpoint may have an encoder.
macro_rules! into_object {
    () => {
        fn into_object(
            self,
            wanted: &dyn Fn(::std::any::TypeId) -> bool,
        ) -> Result<$crate::message::Object, Self> {
            if wanted(::std::any::TypeId::of::<Self>()) {
                Ok($crate::message::Object::new(self))
            } else {
                Err(self)
            }
        }
    };
}
pub(super) use into_object;

/// A value could not be turned into a message.
#[derive(Debug)]
pub struct EncodeError {
    source: BoxError,
}

impl EncodeError {
    /// The value could not be encoded because of `source`.
    pub fn new(source: impl Into<BoxError>) -> Self {
        EncodeError { source: source.into() }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot encode the message: {}", self.source)
    }
}

impl StdError for EncodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

impl IntoMessage for Message {
    fn into_message(self) -> Result<Message, EncodeError> {
        Ok(self)
    }
}

impl IntoMessage for &Message {
    fn into_message(self) -> Result<Message, EncodeError> {
        Ok(self.clone())
    }
}

macro_rules! into_message {
    ($variant:ident: $($ty:ty => |$value:ident| $payload:expr $(, $object:ident)?);* $(;)?) => {
        $(impl IntoMessage for $ty {
            fn into_message(self) -> Result<Message, EncodeError> {
                let $value = self;
                Ok(Message::$variant($payload))
            }

            $($object!();)?
        })*
    };
}

into_message!(Text:
    Text => |text| text, into_object;
    &Text => |text| text.clone();
    String => |text| Text::from(text), into_object;
    &String => |text| Text::from(text.as_str());
    &str => |text| Text::from(text);
    Cow<'_, str> => |text| Text::from(text);
);

into_message!(Binary:
    Bytes => |bytes| bytes, into_object;
    &Bytes => |bytes| bytes.clone();
    Vec<u8> => |bytes| Bytes::from(bytes), into_object;
    &Vec<u8> => |bytes| Bytes::copy_from_slice(bytes);
    &[u8] => |bytes| Bytes::copy_from_slice(bytes);
    Cow<'_, [u8]> => |bytes| Bytes::from(bytes.into_owned());
);

impl<const N: usize> IntoMessage for [u8; N] {
    fn into_message(self) -> Result<Message, EncodeError> {
        self.as_slice().into_message()
    }
}

impl<const N: usize> IntoMessage for &[u8; N] {
    fn into_message(self) -> Result<Message, EncodeError> {
        self.as_slice().into_message()
    }
}

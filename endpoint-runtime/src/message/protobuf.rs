//! [`Protobuf`]: binary messages in Protocol Buffers.

use std::ops::{Deref, DerefMut};

use super::{Bytes, DecodeError, EncodeError, FromMessage, Incoming, IntoMessage, Kind, Message};

/// A binary message that is Protocol Buffers, of a type that prost has generated or derived. Needs the feature `protobuf`.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::Protobuf;
///
/// #[derive(prost::Message)]
/// struct Question {
///     #[prost(sint64, tag = "1")]
///     a: i64,
///     #[prost(sint64, tag = "2")]
///     b: i64,
/// }
///
/// #[derive(prost::Message)]
/// struct Answer {
///     #[prost(sint64, tag = "1")]
///     sum: i64,
/// }
///
/// #[server_endpoint("/sum")]
/// struct Sum;
///
/// #[handlers]
/// impl Sum {
///     #[on_message]
///     fn sum(&self, Protobuf(question): Protobuf<Question>) -> Protobuf<Answer> {
///         Protobuf(Answer { sum: question.a + question.b })
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protobuf<T>(pub T);

impl<T> Deref for Protobuf<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Protobuf<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: prost::Message + Default> FromMessage for Protobuf<T> {
    const KIND: Kind = Kind::Binary;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        let bytes = message.into_binary()?;
        T::decode(&*bytes).map(Protobuf).map_err(|error| DecodeError::binary(&bytes, error))
    }
}

impl<T: prost::Message> IntoMessage for Protobuf<T> {
    fn into_message(self) -> Result<Message, EncodeError> {
        Ok(Message::Binary(Bytes::from(self.0.encode_to_vec())))
    }
}

//! [`MsgPack`]: binary messages through serde, in MessagePack.

use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Bytes, DecodeError, EncodeError, FromMessage, Incoming, IntoMessage, Kind, Message};

/// A binary message that is MessagePack, with the names of the fields in it. `MsgPack(&value)` sends without taking the value. Needs the
/// feature `msgpack`.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::MsgPack;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct Question { a: i64, b: i64 }
///
/// #[derive(Serialize)]
/// struct Answer { sum: i64 }
///
/// #[server_endpoint("/sum")]
/// struct Sum;
///
/// #[handlers]
/// impl Sum {
///     #[on_message]
///     fn sum(&self, MsgPack(question): MsgPack<Question>) -> MsgPack<Answer> {
///         MsgPack(Answer { sum: question.a + question.b })
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsgPack<T>(pub T);

impl<T> Deref for MsgPack<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MsgPack<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: DeserializeOwned> FromMessage for MsgPack<T> {
    const KIND: Kind = Kind::Binary;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        let bytes = message.into_binary()?;
        rmp_serde::from_slice(&bytes).map(MsgPack).map_err(|error| DecodeError::binary(&bytes, error))
    }
}

impl<T: Serialize> IntoMessage for MsgPack<T> {
    fn into_message(self) -> Result<Message, EncodeError> {
        let bytes = rmp_serde::to_vec_named(&self.0).map_err(EncodeError::new)?;
        Ok(Message::Binary(Bytes::from(bytes)))
    }
}

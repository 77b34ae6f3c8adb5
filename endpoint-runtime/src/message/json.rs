//! [`Json`]: text messages through serde.

use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DecodeError, EncodeError, FromMessage, Incoming, IntoMessage, Kind, Message, Text};

/// A text message that is JSON. `Json(&value)` sends without taking the value.
///
/// ```
/// use endpoint_runtime::prelude::*;
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
///     fn sum(&self, Json(question): Json<Question>) -> Json<Answer> {
///         Json(Answer { sum: question.a + question.b })
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: DeserializeOwned> FromMessage for Json<T> {
    const KIND: Kind = Kind::Text;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        let text = message.into_text()?;
        serde_json::from_str(&text).map(Json).map_err(|error| DecodeError::text(&text, error))
    }
}

impl<T: Serialize> IntoMessage for Json<T> {
    fn into_message(self) -> Result<Message, EncodeError> {
        let text = serde_json::to_string(&self.0).map_err(EncodeError::new)?;
        Ok(Message::Text(Text::from(text)))
    }
}

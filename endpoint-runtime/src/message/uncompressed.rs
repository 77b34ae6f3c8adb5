//! [`Uncompressed`]: a message that goes as it is.

use super::{EncodeError, IntoMessage, Message};

/// A message that is not compressed, whatever was agreed on: because it is compressed already, as pictures are, or because it is a
/// secret beside what strangers choose, which its compressed length would tell of (RFC 7692 9).
///
/// It is what any message may be: the argument of [`Session::send`](crate::Session::send) and its relatives, of a
/// [broadcast](crate::Audience::send), or what a handler returns. For one of another type that stands for several, such as an `enum` with
/// an [`IntoMessage`] of its own, say it around the whole. The endpoint's encoders are not asked.
///
/// ```
/// use endpoint_runtime::prelude::*;
///
/// #[server_endpoint("/pictures")]
/// struct Pictures;
///
/// #[handlers]
/// impl Pictures {
///     #[on_open]
///     async fn open(&self, session: &Session) -> Result<()> {
///         Ok(session.send(Uncompressed(Bytes::from_static(b"\x89PNG"))).await?)
///     }
///
///     #[on_message]
///     fn same(&self, picture: Bytes) -> Option<Uncompressed<Bytes>> {
///         (!picture.is_empty()).then_some(Uncompressed(picture))
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uncompressed<T>(pub T);

impl<T: IntoMessage> IntoMessage for Uncompressed<T> {
    const MAY_BE_COMPRESSED: bool = false;

    fn into_message(self) -> Result<Message, EncodeError> {
        self.0.into_message()
    }
}

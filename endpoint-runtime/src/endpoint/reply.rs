//! What a handler returns, and what becomes of it.

use std::fmt;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};

use super::{Coders, Context};
use crate::error::Error;
use crate::message::{Encoded, Fragment, FragmentData, IntoMessage, Message, Object};

/// What a handler's return value comes to.
pub enum Reply {
    /// Nothing is sent.
    Nothing,
    /// One message to the peer.
    One(Message),
    /// One message to the peer, that is not to be compressed.
    Uncompressed(Message),
    /// A part of a message.
    Fragment(Fragment<Message>),
    /// A value for one of the endpoint's encoders.
    Object(Object),
    /// What each item of a stream comes to.
    Many(Pin<Box<dyn Stream<Item = Reply> + Send>>),
    /// The handler failed.
    Failed(Error),
    /// No method takes this event.
    Unhandled,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reply::Nothing => "Nothing",
            Reply::One(_) => "One",
            Reply::Uncompressed(_) => "Uncompressed",
            Reply::Object(_) => "Object",
            Reply::Fragment(_) => "Fragment",
            Reply::Many(_) => "Many",
            Reply::Failed(_) => "Failed",
            Reply::Unhandled => "Unhandled",
        })
    }
}

/// What a handler may return: `()`, anything [`IntoMessage`], [`Encoded`], a [`Fragment`] of a message, [`Replies`], or an `Option` or `Result` of these.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "cannot be sent to the peer",
    note = "a handler returns `()`, a message (`String`, `Text`, numbers, `Parsed<T>`, `Json<T>`, `Bytes`, `Vec<u8>`, `Message`, `Encoded<T>` by an encoder of the endpoint, your own `T: IntoMessage`), a part of one (`Fragment<Text>`, `Fragment<Bytes>`), `Replies<impl Stream>`, or an `Option` or `Result` of these",
    note = "a handler that waits for a future is an `async fn`"
)]
pub trait IntoReply {
    /// What is to be done.
    fn into_reply(self) -> Reply;

    /// The same, where encoders of the endpoint stand before the forms that the runtime has.
    #[doc(hidden)]
    fn into_reply_by(self, coders: &Coders) -> Reply
    where
        Self: Sized,
    {
        let _ = coders;
        self.into_reply()
    }

    /// What is to be done on the session of `context`: what generated code asks.
    #[doc(hidden)]
    fn reply(self, context: Context<'_>) -> Reply
    where
        Self: Sized,
    {
        let coders = context.session().home().reception.coders();
        if coders.encoders().is_empty() { self.into_reply() } else { self.into_reply_by(coders) }
    }
}

#[diagnostic::do_not_recommend]
impl IntoReply for () {
    fn into_reply(self) -> Reply {
        Reply::Nothing
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoMessage> IntoReply for T {
    fn into_reply(self) -> Reply {
        match self.into_message() {
            Ok(message) if T::MAY_BE_COMPRESSED => Reply::One(message),
            Ok(message) => Reply::Uncompressed(message),
            Err(error) => Reply::Failed(Error::Encode(error)),
        }
    }

    fn into_reply_by(self, coders: &Coders) -> Reply {
        let wanted = |of_type| coders.encoders().iter().any(|encoder| encoder.takes.id() == of_type);
        match self.into_object(&wanted) {
            Ok(object) => Reply::Object(object),
            Err(this) => this.into_reply(),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> IntoReply for Encoded<T> {
    fn into_reply(self) -> Reply {
        Reply::Object(Object::new(self.0))
    }
}

/// Sent as [`Session::send_fragment`](crate::Session::send_fragment) sends it, by the connection's own task: what its handlers return, one
/// after the other, is one message (Jakarta OR-08).
#[diagnostic::do_not_recommend]
impl<T: FragmentData> IntoReply for Fragment<T> {
    fn into_reply(self) -> Reply {
        match self.data.into_message() {
            Ok(data) => Reply::Fragment(Fragment { data, last: self.last }),
            Err(error) => Reply::Failed(Error::Encode(error)),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoReply> IntoReply for Option<T> {
    fn into_reply(self) -> Reply {
        self.map_or(Reply::Nothing, T::into_reply)
    }

    fn into_reply_by(self, coders: &Coders) -> Reply {
        self.map_or(Reply::Nothing, |value| value.into_reply_by(coders))
    }
}

#[diagnostic::do_not_recommend]
impl<T: IntoReply, E: Into<Error>> IntoReply for Result<T, E> {
    fn into_reply(self) -> Reply {
        match self {
            Ok(value) => value.into_reply(),
            Err(error) => Reply::Failed(error.into()),
        }
    }

    fn into_reply_by(self, coders: &Coders) -> Reply {
        match self {
            Ok(value) => value.into_reply_by(coders),
            Err(error) => Reply::Failed(error.into()),
        }
    }
}

/// Several replies: each item of the stream is a message, a [`Fragment`] of one, or a `Result` of these. An error ends the stream and goes to `#[on_error]`.
///
/// The next item is asked for when the one before it has found room in the session's queue, so an endless stream meets the
/// peer's own pace.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use futures_util::stream::{self, Stream};
///
/// #[server_endpoint("/count")]
/// struct Count;
///
/// #[handlers]
/// impl Count {
///     #[on_message]
///     fn count(&self, to: u32) -> Replies<impl Stream<Item = u32> + Send + use<>> {
///         Replies(stream::iter(1..=to))
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Replies<S>(pub S);

#[diagnostic::do_not_recommend]
impl<S, T> IntoReply for Replies<S>
where
    S: Stream<Item = T> + Send + 'static,
    T: IntoReply + 'static,
{
    fn into_reply(self) -> Reply {
        Reply::Many(Box::pin(self.0.map(IntoReply::into_reply)))
    }

    fn into_reply_by(self, coders: &Coders) -> Reply {
        let coders = coders.clone();
        Reply::Many(Box::pin(self.0.map(move |item| item.into_reply_by(&coders))))
    }
}

/// What an `#[on_close]` method may return: nothing can be sent any more.
#[diagnostic::on_unimplemented(
    message = "an `#[on_close]` method cannot return `{Self}`",
    label = "nothing can be sent any more",
    note = "an `#[on_close]` method returns `()` or `Result<()>`"
)]
pub trait Completion {
    /// Whether it went well.
    fn into_reply(self) -> Reply;
}

#[diagnostic::do_not_recommend]
impl Completion for () {
    fn into_reply(self) -> Reply {
        Reply::Nothing
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<Error>> Completion for Result<(), E> {
    fn into_reply(self) -> Reply {
        match self {
            Ok(()) => Reply::Nothing,
            Err(error) => Reply::Failed(error.into()),
        }
    }
}

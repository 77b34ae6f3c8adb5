//! [`Endpoint`]: an endpoint written by hand, without the macros.

use std::future::{Future, ready};

use super::{Context, Dispatch, Reply, Slot};
use crate::error::{Error, Result};
use crate::message::{CloseReason, Kind, Message, Pong};
use crate::session::Session;

/// An endpoint without annotations (Jakarta's `Endpoint`): deployed by
/// [`ServerEndpointConfig::builder`](crate::ServerEndpointConfig::builder), one instance for each connection.
///
/// The methods may be written as `async fn`.
///
/// ```standalone_crate
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{Endpoint, Message, ServerEndpointConfig};
///
/// struct Echo;
///
/// impl Endpoint for Echo {
///     async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
///         session.send(message).await?;
///         Ok(())
///     }
/// }
///
/// let exporter = endpoint_runtime::export_all()
///     .endpoint(ServerEndpointConfig::builder("/echo", || Echo).build());
/// assert!(exporter.check().problems().is_empty());
/// ```
pub trait Endpoint: Send + 'static {
    /// The connection has opened. Messages wait until this has returned.
    ///
    /// # Errors
    /// Go to [`on_error`](Self::on_error), and the session closes with 1011.
    fn on_open(&mut self, session: &Session) -> impl Future<Output = Result<()>> + Send {
        let _ = session;
        ready(Ok(()))
    }

    /// A message has arrived.
    ///
    /// # Errors
    /// Go to [`on_error`](Self::on_error); the session stays open.
    fn on_message(&mut self, session: &Session, message: Message) -> impl Future<Output = Result<()>> + Send {
        let _ = (session, message);
        ready(Ok(()))
    }

    /// A pong has arrived.
    ///
    /// # Errors
    /// Go to [`on_error`](Self::on_error); the session stays open.
    fn on_pong(&mut self, session: &Session, pong: Pong) -> impl Future<Output = Result<()>> + Send {
        let _ = (session, pong);
        ready(Ok(()))
    }

    /// The session has ended: the last call of all.
    fn on_close(&mut self, session: &Session, reason: &CloseReason) -> impl Future<Output = ()> + Send {
        let _ = (session, reason);
        ready(())
    }

    /// Something failed. Without this method it is logged.
    ///
    /// # Errors
    /// Logged.
    fn on_error(&mut self, session: &Session, error: &Error) -> impl Future<Output = Result<()>> + Send {
        match error {
            // The peer's doing, and logged already.
            Error::Protocol(_) | Error::Panicked(_) => {}
            _ => tracing::warn!(session = %session.id(), path = session.path(), %error, "handler failed"),
        }
        ready(Ok(()))
    }
}

/// An instance of a type that implements [`Endpoint`].
pub(crate) struct Programmatic<E>(pub(crate) E);

impl<E: Endpoint> Dispatch for Programmatic<E> {
    async fn open<'a>(&'a mut self, context: Context<'a>) -> Reply {
        reply(self.0.on_open(context.session()).await)
    }

    fn message_at_once(&mut self, _: Context<'_>, _: &mut Slot<'_>) -> Option<Reply> {
        None
    }

    fn message<'a>(
        &'a mut self,
        context: Context<'a>,
        message: Slot<'_>,
    ) -> impl Future<Output = Reply> + Send + use<'a, E> {
        enum Event {
            Message(Message),
            Pong(Pong),
            /// Shown to a message handler that is gone again.
            Ping,
        }
        let event = if message.is(Kind::Ping) {
            Ok(Event::Ping)
        } else if message.is(Kind::Pong) {
            message.decode().map(Event::Pong)
        } else {
            message.decode().map(Event::Message)
        };
        async move {
            match event {
                Ok(Event::Message(message)) => reply(self.0.on_message(context.session(), message).await),
                Ok(Event::Pong(pong)) => reply(self.0.on_pong(context.session(), pong).await),
                Ok(Event::Ping) => Reply::Unhandled,
                Err(error) => Reply::Failed(error),
            }
        }
    }

    async fn close<'a>(&'a mut self, context: Context<'a>, reason: &'a CloseReason) -> Reply {
        self.0.on_close(context.session(), reason).await;
        Reply::Nothing
    }

    async fn error<'a>(&'a mut self, context: Context<'a>, error: &'a Error) -> Reply {
        reply(self.0.on_error(context.session(), error).await)
    }
}

fn reply(result: Result<()>) -> Reply {
    match result {
        Ok(()) => Reply::Nothing,
        Err(error) => Reply::Failed(error),
    }
}

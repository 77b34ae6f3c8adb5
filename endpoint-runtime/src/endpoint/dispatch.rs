//! An endpoint's instance as its connection drives it: [`Dispatch`].

use std::future::Future;

use super::{Context, Handlers, Held, Reply, Slot};
use crate::error::Error;
use crate::message::CloseReason;

/// One instance, driven by one connection. Each event yields a future that borrows the instance, so that no two can run at once
/// (Jakarta WebSocket 5.1, WSC-5.1-2): the compiler sees to it.
pub(crate) trait Dispatch: Send + 'static {
    fn open<'a>(&'a mut self, context: Context<'a>) -> impl Future<Output = Reply> + Send + use<'a, Self>;

    /// `open` has ended well, and what it replied is on its way. Messages wait for this too.
    fn opened<'a>(&'a mut self, context: Context<'a>) -> impl Future<Output = Reply> + Send + use<'a, Self> {
        let _ = context;
        std::future::ready(Reply::Nothing)
    }

    /// What replies to the message without waiting for anything, if something does.
    fn message_at_once(&mut self, context: Context<'_>, message: &mut Slot<'_>) -> Option<Reply>;

    /// What may have to wait.
    fn message<'a>(
        &'a mut self,
        context: Context<'a>,
        message: Slot<'_>,
    ) -> impl Future<Output = Reply> + Send + use<'a, Self>;

    fn close<'a>(
        &'a mut self,
        context: Context<'a>,
        reason: &'a CloseReason,
    ) -> impl Future<Output = Reply> + Send + use<'a, Self>;

    fn error<'a>(
        &'a mut self,
        context: Context<'a>,
        error: &'a Error,
    ) -> impl Future<Output = Reply> + Send + use<'a, Self>;
}

/// An instance of an annotated type.
pub(crate) struct Annotated<E: Handlers>(pub(crate) Held<E>);

impl<E: Handlers> Dispatch for Annotated<E> {
    fn open<'a>(&'a mut self, context: Context<'a>) -> impl Future<Output = Reply> + Send + use<'a, E> {
        E::open(&mut self.0, context)
    }

    #[inline(always)]
    fn message_at_once(&mut self, context: Context<'_>, message: &mut Slot<'_>) -> Option<Reply> {
        E::message_at_once(&mut self.0, context, message)
    }

    #[inline(always)]
    fn message<'a>(
        &'a mut self,
        context: Context<'a>,
        message: Slot<'_>,
    ) -> impl Future<Output = Reply> + Send + use<'a, E> {
        E::message(&mut self.0, context, message)
    }

    fn close<'a>(
        &'a mut self,
        context: Context<'a>,
        reason: &'a CloseReason,
    ) -> impl Future<Output = Reply> + Send + use<'a, E> {
        E::close(&mut self.0, context, reason)
    }

    fn error<'a>(
        &'a mut self,
        context: Context<'a>,
        error: &'a Error,
    ) -> impl Future<Output = Reply> + Send + use<'a, E> {
        E::error(&mut self.0, context, error)
    }
}

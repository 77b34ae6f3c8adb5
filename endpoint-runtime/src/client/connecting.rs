//! [`Connecting`]: a connection that is being made.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::endpoint::BoxFuture;
use super::error::ConnectError;

/// A connection that is being made: a future, which gives a [`Session`](crate::Session) or a [`Connection`](crate::Connection).
///
/// Dropped, it leaves nothing behind. It is a type of its own so that it is small, and the same for all endpoints.
#[must_use = "nothing is connected until this is awaited"]
pub struct Connecting<T>(BoxFuture<Result<T, ConnectError>>);

impl<T> Connecting<T> {
    pub(super) fn new(connecting: impl Future<Output = Result<T, ConnectError>> + Send + 'static) -> Self {
        Connecting(Box::pin(connecting))
    }
}

impl<T> Future for Connecting<T> {
    type Output = Result<T, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Connecting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connecting")
    }
}

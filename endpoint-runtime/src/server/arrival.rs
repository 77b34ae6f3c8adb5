//! A connection that has just been accepted, on its way to HTTP: what it goes through depends on the listener it came to.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::http1;
use super::listen::Rules;
use crate::session::Ends;

/// Serves a connection until it is upgraded or closed.
pub(super) async fn arrive<I>(door: Arc<Door>, rules: Arc<Rules>, io: I, ends: Ends, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    http1::serve(door, rules, io, ends, stop).await;
}

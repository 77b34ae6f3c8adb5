//! A connection that has just been accepted, on its way to HTTP: what it goes through depends on the listener it came to.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::http1;
#[cfg(feature = "http2")]
use super::http2;
#[cfg(feature = "http2")]
use super::version::Version;
#[cfg(feature = "http2")]
use crate::connection::Rewound;
use crate::session::Ends;

/// Connections over the limit that are told so. Beyond, they are just closed: to tell them costs too.
const TOLD: usize = 256;

/// Serves a connection until it is upgraded or closed.
///
/// A peer that says nothing, or says it too slowly, is closed after `head_timeout`.
pub(super) async fn arrive<I>(door: Arc<Door>, io: I, ends: Ends, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let admission = door.admit();
    if admission.over() > TOLD {
        return;
    }
    let full = admission.over() > 0;
    // A server that stops waits for the requests that are being answered, as it does for its sessions.
    let _under_way = door.tasks().token();
    #[cfg(feature = "http2")]
    if door.settings().http2 {
        let Some((version, io)) = listen(&door, io, &stop).await else { return };
        return speak(version, door, io, ends, full, stop).await;
    }
    http1::serve(door, io, ends, full, stop).await;
}

/// Serves a connection of which it is known what it speaks.
#[cfg(feature = "http2")]
pub(super) async fn speak<I>(
    version: Version,
    door: Arc<Door>,
    io: I,
    ends: Ends,
    full: bool,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match version {
        Version::Http1 => http1::serve(door, io, ends, full, stop).await,
        // Boxed: it is large, and there are few.
        Version::Http2 => Box::pin(http2::serve(door, io, ends, full, stop)).await,
    }
}

/// Waits for the first bytes; `None` if they do not come in time, or the server stops.
#[cfg(feature = "http2")]
async fn listen<I>(door: &Door, mut io: I, stop: &CancellationToken) -> Option<(Version, Rewound<I>)>
where
    I: AsyncRead + Unpin,
{
    let first = tokio::time::timeout(door.settings().head_timeout, Version::of_first_bytes(&mut io));
    let first = tokio::select! {
        first = first => first,
        () = stop.cancelled() => return None,
    };
    match first {
        Ok(Ok((version, beginning))) => Some((version, Rewound::new(beginning, io))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the peer left before it said anything");
            None
        }
        Err(_) => None,
    }
}

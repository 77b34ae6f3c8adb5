//! A connection that has just been accepted, on its way to HTTP: what it goes through depends on the listener it came to.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::http1;
#[cfg(feature = "http2")]
use super::http2;
use super::listen::Rules;
#[cfg(feature = "tls")]
use super::tls::Tls;
#[cfg(feature = "http2")]
use super::version::Version;
#[cfg(feature = "http2")]
use crate::connection::Rewound;
use crate::session::Ends;

/// Connections over the limit that are told so. Beyond, they are just closed: to tell them costs too.
const TOLD: usize = 256;

/// A connection without its bytes: where it came in, what is known of it, and by when it has to go.
#[derive(Clone)]
pub(super) struct Arrival {
    pub(super) door: Arc<Door>,
    /// Those of the listener.
    pub(super) rules: Arc<Rules>,
    pub(super) ends: Ends,
    /// Whether there are too many with it, so that it is told to come back later.
    pub(super) full: bool,
    /// The server stops.
    pub(super) stop: CancellationToken,
}

impl Arrival {
    /// Done when there is no more time for a connection that has not asked anything yet: the server stops. Where others take over the
    /// address, who came here has done nothing wrong by it, and may still ask.
    #[cfg(any(feature = "tls", feature = "http2"))]
    pub(super) async fn too_late(&self) {
        self.stop.cancelled().await;
        if self.rules.handed_over {
            tokio::time::sleep(self.door.settings().drain_grace).await;
        }
    }
}

/// Serves a connection until it is upgraded or closed. It counts as one that is there from now on, whatever it still has to go through.
///
/// A peer that says nothing, or says it too slowly, is closed after `head_timeout`.
pub(super) async fn arrive<I>(door: Arc<Door>, rules: Arc<Rules>, io: I, ends: Ends, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let admission = door.admit();
    if admission.over() > TOLD {
        return;
    }
    let arrival = Arrival { full: admission.over() > 0, door, rules, ends, stop };
    #[cfg(feature = "tls")]
    if let Some(tls) = arrival.rules.tls.clone() {
        // In a box: the state of a handshake is large, and most of it is done with before there is a request.
        return Box::pin(arrive_encrypted(&tls, arrival, io)).await;
    }
    #[cfg(feature = "http2")]
    if arrival.door.settings().http2 {
        let Some((version, io)) = listen(&arrival, io).await else { return };
        return speak(version, arrival, io).await;
    }
    http1::serve(arrival, io).await;
}

/// The same through TLS, in which the version of HTTP is agreed on too.
#[cfg(feature = "tls")]
async fn arrive_encrypted<I>(tls: &Tls, mut arrival: Arrival, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let accepted = tokio::select! {
        accepted = tls.accept(io, arrival.door.settings().tls_handshake_timeout) => accepted,
        () = arrival.too_late() => return,
    };
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(peer = ?arrival.ends.remote, %error, "TLS handshake failed"),
    };
    arrival.ends.secure = true;
    arrival.ends.shown = super::tls::shown(&stream);
    #[cfg(feature = "http2")]
    return speak(Version::of_protocol(stream.get_ref().1.alpn_protocol()), arrival, stream).await;
    #[cfg(not(feature = "http2"))]
    http1::serve(arrival, stream).await;
}

/// Serves a connection of which it is known what it speaks.
#[cfg(feature = "http2")]
async fn speak<I>(version: Version, arrival: Arrival, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match version {
        Version::Http1 => http1::serve(arrival, io).await,
        // Boxed: it is large, and there are few.
        Version::Http2 => Box::pin(http2::serve(arrival, io)).await,
    }
}

/// Waits for the first bytes; `None` if they do not come in time, or the server stops.
#[cfg(feature = "http2")]
async fn listen<I>(arrival: &Arrival, mut io: I) -> Option<(Version, Rewound<I>)>
where
    I: AsyncRead + Unpin,
{
    let limit = arrival.door.settings().head_timeout;
    let first = tokio::select! {
        first = tokio::time::timeout(limit, Version::of_first_bytes(&mut io)) => first,
        () = arrival.too_late() => return None,
    };
    match first {
        Ok(Ok((version, beginning))) => Some((version, Rewound::new(beginning, io))),
        Ok(Err(error)) => {
            tracing::debug!(peer = ?arrival.ends.remote, %error, "the peer left before it said anything");
            None
        }
        Err(_) => None,
    }
}

//! A connection that has just been accepted, on its way to HTTP: what it goes through depends on the listener it came to.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::door::Admission;
use super::door::{Door, Full};
use super::http1;
#[cfg(feature = "http2")]
use super::http2;
use super::listen::Rules;
use super::proxies::protocol;
#[cfg(feature = "tls")]
use super::tls::Tls;
#[cfg(feature = "http2")]
use super::version::Version;
#[cfg(feature = "http2")]
use crate::connection::Rewound;
use crate::session::Ends;

/// A connection without its bytes: where it came in, what is known of it, and by when it has to go.
#[derive(Clone)]
pub(super) struct Arrival {
    pub(super) door: Arc<Door>,
    /// Those of the listener.
    pub(super) rules: Arc<Rules>,
    pub(super) ends: Ends,
    /// Why it is one too many, if it is: then it is told to come back later.
    pub(super) full: Option<Full>,
    /// The server stops.
    pub(super) stop: CancellationToken,
}

impl Arrival {
    /// Done when there is no more time for a connection that has not asked anything yet: the server stops. Where others take over the
    /// address, who came here has done nothing wrong by it, and may still ask.
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
pub(super) async fn arrive<I>(
    admission: Admission,
    rules: Arc<Rules>,
    io: I,
    ends: Ends,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if admission.is_hopeless() {
        return;
    }
    let door = Arc::clone(admission.door());
    let arrival = Arrival { full: None, door, rules, ends, stop };
    if arrival.rules.proxy_protocol {
        // In a box: few connections come through such a proxy.
        return Box::pin(arrive_introduced(arrival, admission, io)).await;
    }
    arrive_known(arrival, admission, io).await;
}

/// The same by way of a proxy that says whose connection it is.
async fn arrive_introduced<I>(mut arrival: Arrival, admission: Admission, mut io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let told = tokio::select! {
        told = introduced(&arrival, &mut io) => told,
        () = arrival.too_late() => return,
    };
    if let Some(told) = told {
        arrival.ends = told;
        arrive_known(arrival, admission, io).await;
    }
}

/// Serves a connection of which it is known whose it is.
async fn arrive_known<I>(mut arrival: Arrival, mut admission: Admission, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !admission.take_place(&mut arrival.ends) {
        return;
    }
    arrival.full = admission.full();
    #[cfg(feature = "tls")]
    if let Some(tls) = arrival.rules.tls.clone() {
        // In a box: the state of a handshake is large, and most of it is done with before there is a request.
        return Box::pin(arrive_encrypted(&tls, arrival, admission, io)).await;
    }
    #[cfg(feature = "http2")]
    if arrival.door.settings().http2 {
        let Some((version, io)) = listen(&arrival, io).await else { return };
        return speak(version, arrival, admission, io).await;
    }
    http1::serve(arrival, admission, io).await;
}

/// The same through TLS, in which the version of HTTP is agreed on too.
#[cfg(feature = "tls")]
async fn arrive_encrypted<I>(tls: &Tls, mut arrival: Arrival, admission: Admission, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let accepted = tokio::select! {
        accepted = tls.accept(io, arrival.door.settings().tls_handshake_timeout) => accepted,
        () = arrival.too_late() => return,
    };
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => {
            arrival.door.tally().tls_errors.add(1);
            return tracing::debug!(peer = ?arrival.ends.remote, %error, "TLS handshake failed");
        }
    };
    arrival.ends.secure = true;
    arrival.ends.shown = super::tls::shown(&stream);
    #[cfg(feature = "http2")]
    return speak(Version::of_protocol(stream.get_ref().1.alpn_protocol()), arrival, admission, stream).await;
    #[cfg(not(feature = "http2"))]
    http1::serve(arrival, admission, stream).await;
}

/// Serves a connection of which it is known what it speaks.
#[cfg(feature = "http2")]
async fn speak<I>(version: Version, arrival: Arrival, admission: Admission, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match version {
        Version::Http1 => http1::serve(arrival, admission, io).await,
        // Boxed: it is large, and there are few.
        Version::Http2 => Box::pin(http2::serve(arrival, admission, io)).await,
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
        first = timeout(limit, Version::of_first_bytes(&mut io)) => first,
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

/// Whom a proxy introduces by the PROXY protocol, if it does.
async fn introduced(arrival: &Arrival, io: &mut (impl AsyncRead + Unpin)) -> Option<Ends> {
    let Arrival { door, ends, .. } = arrival;
    let refused = if !door.takes_the_word_of(ends) {
        "whoever connects here must be one of `trusted_proxies`".to_owned()
    } else {
        match timeout(door.settings().head_timeout, protocol::read(io, ends.clone())).await {
            Ok(Ok(told)) => return Some(told),
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "no header of the PROXY protocol within `head_timeout`".to_owned(),
        }
    };
    door.tally().proxy_errors.add(1);
    tracing::debug!(peer = ?ends.remote, reason = refused, "connection closed");
    None
}

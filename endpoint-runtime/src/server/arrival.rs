//! A connection that has just been accepted, on its way to HTTP: what it goes through depends on the listener it came to.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "http2")]
use tokio::time::timeout_at;
use tokio::time::{Instant, timeout};
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
    /// By when the head of the first request must be there, if it has not come with the first bytes.
    pub(super) head_by: Option<Instant>,
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
    admission.door().tally().connections.add(1);
    if admission.is_hopeless() {
        return;
    }
    let door = Arc::clone(admission.door());
    let arrival = Arrival { full: None, door, rules, ends, head_by: None, stop };
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
        let Some((version, io)) = listen(&mut arrival, io).await else { return };
        return speak(version, arrival, admission, io).await;
    }
    // In a box, as everywhere below: what it takes to speak HTTP is large, and the task that waits for the first byte is moved about.
    Box::pin(http1::serve(arrival, admission, io)).await;
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
        Version::Http1 => Box::pin(http1::serve(arrival, admission, io)).await,
        Version::Http2 => Box::pin(http2::serve(arrival, admission, io)).await,
    }
}

/// Waits for the first bytes; `None` if they do not come in time, or the server stops. What is waited for them is no more there for the rest.
#[cfg(feature = "http2")]
async fn listen<I>(arrival: &mut Arrival, mut io: I) -> Option<(Version, Rewound<I>)>
where
    I: AsyncRead + Unpin,
{
    let by = Instant::now() + arrival.door.settings().head_timeout;
    let first = tokio::select! {
        biased;
        first = timeout_at(by, Version::of_first_bytes(&mut io)) => first,
        () = arrival.too_late() => return None,
    };
    match first {
        Ok(Ok((version, beginning))) => {
            arrival.head_by = (!beginning.ends_with(b"\r\n\r\n")).then_some(by);
            Some((version, Rewound::new(beginning, io)))
        }
        Ok(Err(error)) => {
            tracing::debug!(peer = ?arrival.ends.remote, %error, "the peer left before it said anything");
            None
        }
        Err(_) => {
            arrival.door.tally().slow_heads.add(1);
            tracing::debug!(peer = ?arrival.ends.remote, "the peer has said nothing within `head_timeout`");
            None
        }
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

#[cfg(all(test, feature = "test", feature = "http2"))]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use http::{Request, Response};
    use http_body_util::Empty;
    use hyper::body::{Bytes, Incoming};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, sleep};
    use tower_service::Service;

    use crate::settings::Settings;

    const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

    /// Takes longer for an answer than there is for a head.
    #[derive(Clone)]
    struct Slow;

    impl Service<Request<Incoming>> for Slow {
        type Response = Response<Empty<Bytes>>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Incoming>) -> Self::Future {
            Box::pin(async {
                sleep(2 * HEAD_TIMEOUT).await;
                Ok(Response::new(Empty::new()))
            })
        }
    }

    /// What comes at these seconds, how long the connection lives, and how its answer begins.
    type Row = (&'static [(u64, &'static str)], u64, &'static str);

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_once() {
        let table: [Row; 5] = [
            (&[], 10, ""),
            (&[(9, "GET / HTTP/1.1\r\n")], 10, ""),
            (&[(3, "G"), (6, "E"), (9, "T")], 10, ""),
            (
                &[(8, "GET / HTTP/1.1\r\n"), (9, "Connection: close\r\nHost: x\r\n\r\n")],
                29,
                "HTTP/1.1 200 OK",
            ),
            (&[(9, "GET / HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n")], 29, "HTTP/1.1 200 OK"),
        ];
        for (said, lives, answered) in table {
            let settings = Settings { head_timeout: HEAD_TIMEOUT, ..Settings::default() };
            let exporter = crate::export_all().allow_empty().settings(settings).fallback(Slow);
            let server = exporter.start_in_memory().await.unwrap();
            let (theirs, ours) = tokio::io::duplex(4096);
            let begin = Instant::now();
            server.serve_in_memory(ours);
            let (mut read, mut write) = tokio::io::split(theirs);
            let mut answer = String::new();
            let talk = async {
                for (second, piece) in said {
                    tokio::time::sleep_until(begin + Duration::from_secs(*second)).await;
                    write.write_all(piece.as_bytes()).await.unwrap();
                }
            };
            tokio::join!(talk, async { read.read_to_string(&mut answer).await.unwrap() });
            assert_eq!(begin.elapsed().as_secs(), lives, "{said:?}");
            assert!(answer.starts_with(answered) && answer.is_empty() == answered.is_empty(), "{answer}");
            let slow = server.container().counters().slow_heads;
            assert_eq!(slow, u64::from(answered.is_empty()), "{said:?}");
        }
    }
}

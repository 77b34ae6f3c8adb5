//! From a target to a byte stream: name, TCP, proxy, TLS, within a deadline and with a word on what is being done.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, StatusCode, Uri, response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{ConnectError, ConnectStep};
use super::proxy::Proxy;
use super::target::Target;
use crate::session::Ends;

/// How much is kept of what a server says when it refuses.
const MAX_BODY: usize = 64 * 1024;

/// How long it has to say it. The status alone is worth something.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// The largest head of an answer.
const MAX_HEAD: usize = 64 * 1024;

/// A connection that is being made: what is being done, and until when.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    timeout: Duration,
    step: AtomicU8,
}

const STEPS: [ConnectStep; 5] =
    [ConnectStep::Resolve, ConnectStep::Tcp, ConnectStep::Proxy, ConnectStep::Tls, ConnectStep::Handshake];

impl Progress {
    pub(super) fn begin(timeout: Duration) -> Self {
        Progress { started: Instant::now(), timeout, step: AtomicU8::new(0) }
    }

    /// Does all of it, within the time there is.
    pub(super) async fn within<T>(
        &self,
        act: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        match timeout_at(self.deadline(), act).await {
            Ok(result) => result,
            Err(_) => {
                let step = STEPS[usize::from(self.step.load(Ordering::Relaxed))];
                Err(ConnectError::Timeout { step, after: self.timeout })
            }
        }
    }

    /// Does one step of it.
    pub(super) async fn step<T, E>(
        &self,
        step: ConnectStep,
        with: &Target,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ConnectError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let index = STEPS.iter().position(|known| *known == step).unwrap_or_default();
        self.step.store(u8::try_from(index).unwrap_or_default(), Ordering::Relaxed);
        act.await.map_err(|error| {
            let source = match error.into().downcast::<io::Error>() {
                Ok(error) => *error,
                Err(other) => io::Error::other(other),
            };
            ConnectError::Io { step, with: with.host_and_port(), source }
        })
    }

    fn deadline(&self) -> Instant {
        // Whoever wants to wait for ever may wait for a year.
        self.started + self.timeout.min(Duration::from_secs(365 * 24 * 3600))
    }
}

/// A TCP connection to the target, through the proxy if there is one.
pub(super) async fn dial(
    target: &Target,
    proxy: Option<&Proxy>,
    progress: &Progress,
) -> Result<(TcpStream, Ends), ConnectError> {
    let Some(proxy) = proxy else { return reach(target, progress).await };
    let at = proxy.target.as_ref().map_err(|why| ConnectError::Setup(vec![format!("the proxy: {why}")]))?;
    let (stream, ends) = reach(at, progress).await?;
    let request = connect_request(target, proxy);
    match progress.step(ConnectStep::Proxy, at, exchange(stream, request)).await? {
        Answer::Upgraded(_, upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| lost(at))?;
            // The server behind it speaks only when it is spoken to.
            if parts.read_buf.is_empty() { Ok((parts.io.into_inner(), ends)) } else { Err(lost(at)) }
        }
        Answer::Said(head, _) => Err(ConnectError::ProxyRefused { status: head.status }),
    }
}

fn lost(proxy: &Target) -> ConnectError {
    let source = io::Error::new(io::ErrorKind::InvalidData, "the proxy says more than it was asked");
    ConnectError::Io { step: ConnectStep::Proxy, with: proxy.host_and_port(), source }
}

fn connect_request(target: &Target, proxy: &Proxy) -> Request<Empty<Bytes>> {
    let to = target.host_and_port();
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    // Its parts were checked one by one.
    *request.uri_mut() = Uri::try_from(to.as_str()).unwrap_or_default();
    if let Ok(host) = HeaderValue::from_str(&to) {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(authorization) = &proxy.authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    request
}

/// A TCP connection to the first of the host's addresses that answers.
async fn reach(target: &Target, progress: &Progress) -> Result<(TcpStream, Ends), ConnectError> {
    let lookup =
        async { Ok::<_, io::Error>(lookup_host((target.host.as_str(), target.port)).await?.collect()) };
    let addresses: Vec<SocketAddr> = progress.step(ConnectStep::Resolve, target, lookup).await?;
    let trying = first_that_answers(&addresses, progress.deadline());
    let stream = progress.step(ConnectStep::Tcp, target, trying).await?;
    // Small messages must not wait for company; a socket that refuses is as good as closed.
    let _ = stream.set_nodelay(true);
    let ends = Ends { remote: stream.peer_addr().ok(), local: stream.local_addr().ok(), ..Ends::default() };
    Ok((stream, ends))
}

/// Tries one after the other. None may use up the time of those that come after it.
async fn first_that_answers(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut left = addresses.len();
    for address in addresses {
        let connecting = TcpStream::connect(address);
        let connected = if left > 1 {
            let share =
                deadline.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX);
            timeout(share, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            // The last one has all the time that is left.
            connecting.await
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(failed) => error = failed,
        }
        left -= 1;
    }
    Err(error)
}

/// What came back for a request.
pub(super) enum Answer {
    /// 101, or 2xx for CONNECT: the stream is ours, with what was read of it already.
    Upgraded(response::Parts, hyper::upgrade::Upgraded),
    /// Anything else, and the beginning of what was said.
    Said(response::Parts, Bytes),
}

/// Sends one request, and reads the answer.
pub(super) async fn exchange<I>(io: I, request: Request<Empty<Bytes>>) -> hyper::Result<Answer>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connects = *request.method() == Method::CONNECT;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(io)).await?;
    let talk = async move {
        let mut response = sender.send_request(request).await?;
        let status = response.status();
        let upgraded = if connects { status.is_success() } else { status == StatusCode::SWITCHING_PROTOCOLS };
        if upgraded {
            let stream = hyper::upgrade::on(&mut response).await?;
            return Ok(Answer::Upgraded(response.into_parts().0, stream));
        }
        let (head, body) = response.into_parts();
        Ok(Answer::Said(head, beginning_of(body).await))
    };
    // The connection works only while it is polled, and is over when the stream is handed out.
    match select(pin!(talk), pin!(connection.with_upgrades())).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, talk)) => talk.await,
    }
}

async fn beginning_of(mut body: Incoming) -> Bytes {
    let mut read = BytesMut::new();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            let room = MAX_BODY - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
            if read.len() == MAX_BODY {
                break;
            }
        }
    };
    // What has come is as good as all.
    let _ = timeout(BODY_PATIENCE, reading).await;
    read.freeze()
}

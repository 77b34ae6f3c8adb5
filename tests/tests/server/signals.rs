//! What a connection is told while it is about to go to sleep.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use endpoint_runtime::PathParams;
use endpoint_runtime::prelude::*;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{Echo, Reporter, only, soon, start};

/// A stream that does something at the next moment in which it has nothing to read.
struct Meddling {
    stream: DuplexStream,
    act: Arc<Act>,
}

#[derive(Default)]
struct Act {
    now: AtomicBool,
    session: Mutex<Option<Session>>,
}

impl Read for Meddling {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 1024];
        let most = bytes.len().min(buf.remaining());
        let mut read = ReadBuf::new(&mut bytes[..most]);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut read);
        if polled.is_pending() && self.act.now.swap(false, Ordering::AcqRel) {
            let session = self.act.session.lock().unwrap().clone().unwrap();
            session.set_idle_timeout(Duration::from_millis(50));
        }
        ready!(polled)?;
        buf.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Meddling {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection that is awake, and has looked at what it was told already, is told more: that is not left until something else wakes it.
#[tokio::test]
async fn what_is_told_at_the_last_moment_is_heard() {
    let server = start(only::<Echo>()).await;
    let (config, mut reports) = Reporter::at("/reported");
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let act = Arc::new(Act::default());
    let io = Meddling { stream: theirs, act: Arc::clone(&act) };
    let container = server.container().clone();
    tokio::spawn(async move {
        let service = service_fn(|request: Request<Incoming>| async {
            let nothing: [(&str, &str); 0] = [];
            let answer = container.upgrade(request, &config, PathParams::from(nothing)).await;
            Ok::<_, Infallible>(answer.unwrap())
        });
        http1::Builder::new().serve_connection(io, service).with_upgrades().await.unwrap();
    });
    let client = tokio_tungstenite::client_async("ws://localhost/reported", ours);
    let (mut client, _) = soon("the handshake", client).await.unwrap();
    let session = reports.opened().await;
    client.send(Frame::text("hello")).await.unwrap();
    soon("the echo", client.next()).await.unwrap().unwrap();
    *act.session.lock().unwrap() = Some(session.clone());
    // It wakes up to send this, and is told what it is when it goes to sleep again.
    act.now.store(true, Ordering::Release);
    session.send("more").await.unwrap();
    assert_eq!(soon("what was sent", client.next()).await.unwrap().unwrap(), Frame::text("more"));
    // By itself it would wake up only to send a ping, after 25 seconds.
    let frame = timeout(Duration::from_secs(10), client.next()).await.expect("the session is not idle");
    assert!(matches!(frame, Some(Ok(Frame::Close(_)))), "{frame:?}");
}

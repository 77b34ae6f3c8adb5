//! Draining: the connection is told to go at once, its sessions with 1001, and it ends when they have.

use std::time::Duration;

use endpoint_runtime::ClosedBy;
use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::support::{Connection, End, Frame, Gate, Reporter, close, exporter, soon, start, text, websocket};

const GOODBYE: &str = "the server is shutting down";

#[tokio::test]
async fn sessions_are_told_1001_beside_goaway_and_the_connection_ends_with_them() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(connection.open_socket("/echo").await);
    }
    let stopping = tokio::spawn(server.shutdown());
    for socket in &mut sockets {
        assert_eq!(socket.reason().await, (1001, GOODBYE.to_owned()));
    }
    // None has answered yet, so that the connection is there; but nothing new is begun.
    soon("GOAWAY", async {
        while connection.is_open().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!stopping.is_finished());
    for socket in &mut sockets {
        socket.say(close(1001));
        assert_eq!(socket.ended().await, End::Closed);
        socket.end();
    }
    soon("the shutdown", stopping).await.unwrap();
    assert!(connection.ended().await.is_ok());
    for _ in 0..10 {
        let reason = reports.closed().await;
        assert_eq!(
            (u16::from(reason.code()), reason.text(), reason.closed_by()),
            (1001, GOODBYE, ClosedBy::Container)
        );
    }
}

/// Whoever says nothing, not even that it knows, delays nobody.
#[tokio::test]
async fn an_idle_connection_does_not_hold_the_server_up() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut idle = Connection::open(server.local_addr()).await;
    assert_eq!(idle.get("/is/not/there").await.status, 404);
    let mut silent = TcpStream::connect(server.local_addr()).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut first = [0; 9];
    soon("settings", silent.read_exact(&mut first)).await.unwrap();
    let begin = Instant::now();
    soon("the shutdown", server.shutdown()).await;
    // The time for draining is 30 s.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(idle.ended().await.is_ok());
    let mut rest = Vec::new();
    let _ = soon("the end", silent.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn what_is_left_at_the_end_is_cut_off() {
    let (config, gate) = Gate::at("/gate");
    let (echo, mut reports) = Reporter::at("/echo");
    let exporter = exporter([config, echo]).configure(|settings| {
        settings.drain_timeout = Duration::from_millis(300);
        settings.close_timeout = Duration::from_secs(600);
    });
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut busy = connection.open_socket("/gate").await;
    busy.say(text("busy"));
    gate.is_entered().await;
    // Says nothing to the close frame.
    let mut mute = connection.open_socket("/echo").await;
    soon("the shutdown", server.shutdown()).await;
    assert_eq!(mute.reason().await.0, 1001);
    let end = mute.ended().await;
    assert!(matches!(end, End::Reset(Reason::CANCEL) | End::Lost | End::Closed), "{end:?}");
    assert!(matches!(busy.frame().await, Ok(Frame { first: 0x88, .. })));
    assert_eq!(u16::from(reports.closed().await.code()), 1001);
}

/// A handshake that comes in the same moment is refused.
#[tokio::test]
async fn a_handshake_meanwhile_is_503() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut socket = connection.open_socket("/echo").await;
    let mut stopping = Box::pin(server.shutdown());
    // It has begun, and this thread has not heard of GOAWAY yet.
    assert!(futures_util::poll!(&mut stopping).is_pending());
    let late = connection.send(websocket("/echo", &[]), false).await;
    let stopping = tokio::spawn(stopping);
    let (answer, _send) = late.unwrap();
    assert_eq!(soon("an answer", answer).await.unwrap().status(), 503);
    assert_eq!(socket.reason().await.0, 1001);
    socket.say(close(1001));
    socket.end();
    soon("the shutdown", stopping).await.unwrap();
}

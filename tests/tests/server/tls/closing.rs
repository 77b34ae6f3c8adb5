//! How connections over TLS end: both closing handshakes, that of the WebSocket and that of TLS, and what becomes of a session when one of
//! them is missing (RFC 6455 7.1, RFC 8446 6.1).

use std::io::ErrorKind;

use endpoint_runtime::{ClosedBy, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::authority::{Authority, shake_hands};
use crate::support::{Reporter, Reports, close, frame, only_these, soon, start, text, upgrade};

/// A server, and a WebSocket to it whose stream is the test's.
struct Stage {
    server: Server,
    reports: Reports,
    stream: TlsStream<TcpStream>,
}

impl Stage {
    async fn new() -> Self {
        let authority = Authority::new();
        let (config, reports) = Reporter::at("/tls/end");
        let server = start(only_these([config]).tls(authority.tls())).await;
        let mut stream = shake_hands(server.local_addr(), authority.client()).await.unwrap();
        write(&mut stream, upgrade("/tls/end", &[]).as_bytes()).await;
        let head = read_until(&mut stream, b"\r\n\r\n").await;
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        let mut stage = Stage { server, reports, stream };
        stage.reports.opened().await;
        stage
    }

    /// How the session ended, as its endpoint was told.
    async fn ended(&mut self) -> (u16, ClosedBy) {
        let reason = self.reports.closed().await;
        (reason.code().into(), reason.closed_by())
    }
}

async fn write(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) {
    soon("writing", async {
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    })
    .await;
}

async fn read_until(stream: &mut TlsStream<TcpStream>, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(soon("a byte", stream.read_u8()).await.unwrap());
    }
    read
}

/// What still comes up to the server's `close_notify`. Were TCP's end to come without one, that would be an error here.
async fn read_to_close_notify(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut rest = Vec::new();
    soon("close_notify", stream.read_to_end(&mut rest)).await.unwrap();
    rest
}

/// TCP's end has come, and nothing before it.
async fn tcp_has_ended(stream: &mut TlsStream<TcpStream>) {
    let (tcp, _) = stream.get_mut();
    let mut rest = Vec::new();
    soon("the end of TCP", tcp.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
}

/// Close frame, close frame, `close_notify` and FIN of the server, and only then those of the client.
#[tokio::test]
async fn close_notify_comes_behind_the_close_frames_and_then_fin() {
    let mut stage = Stage::new().await;
    write(&mut stage.stream, &[text("last words"), close(1000)].concat()).await;
    let said = read_to_close_notify(&mut stage.stream).await;
    assert_eq!(said, [b"\x81\x0alast words".as_slice(), b"\x88\x02\x03\xe8"].concat());
    // The client has closed nothing yet: the server is first (RFC 6455 7.1.1).
    tcp_has_ended(&mut stage.stream).await;
    // It still listens, so that what comes late resets nothing.
    write(&mut stage.stream, &frame(true, 2, &[0; 10_000])).await;
    soon("shutdown", stage.stream.shutdown()).await.unwrap();
    assert_eq!(stage.ended().await, (1000, ClosedBy::Peer));
    soon("the end of the server", stage.server.shutdown()).await;
}

/// The other way round: the server closes.
#[tokio::test]
async fn a_server_that_stops_closes_both() {
    let mut stage = Stage::new().await;
    let stopping = tokio::spawn(stage.server.shutdown());
    let mut frame = [0; 4];
    soon("a close frame", stage.stream.read_exact(&mut frame)).await.unwrap();
    assert_eq!((frame[0], &frame[2..]), (0x88, [0x03, 0xe9].as_slice()));
    let mut text = vec![0; usize::from(frame[1]) - 2];
    soon("its text", stage.stream.read_exact(&mut text)).await.unwrap();
    write(&mut stage.stream, &close(1001)).await;
    assert_eq!(read_to_close_notify(&mut stage.stream).await, b"");
    tcp_has_ended(&mut stage.stream).await;
    drop(stage.stream);
    soon("the end of the server", stopping).await.unwrap();
}

/// TLS is closed in order, and the WebSocket is not: the connection was lost.
#[tokio::test]
async fn a_close_notify_without_a_close_frame_is_1006() {
    let mut stage = Stage::new().await;
    stage.stream.get_mut().1.send_close_notify();
    soon("flush", stage.stream.flush()).await.unwrap();
    assert_eq!(stage.ended().await, (1006, ClosedBy::Network));
    // It is answered in kind.
    assert_eq!(read_to_close_notify(&mut stage.stream).await, b"");
    tcp_has_ended(&mut stage.stream).await;
}

/// Somebody has cut the stream off: without `close_notify` the end of TCP is no end of TLS.
#[tokio::test]
async fn the_end_of_tcp_without_close_notify_is_1006() {
    let mut stage = Stage::new().await;
    soon("FIN", stage.stream.get_mut().0.shutdown()).await.unwrap();
    assert_eq!(stage.ended().await, (1006, ClosedBy::Network));
}

/// In the middle of a frame neither is better.
#[tokio::test]
async fn half_a_frame_is_1006_too() {
    for in_order in [true, false] {
        let mut stage = Stage::new().await;
        write(&mut stage.stream, &text("never finished")[..8]).await;
        if in_order {
            soon("shutdown", stage.stream.shutdown()).await.unwrap();
        } else {
            soon("FIN", stage.stream.get_mut().0.shutdown()).await.unwrap();
        }
        assert_eq!(stage.ended().await, (1006, ClosedBy::Network), "{in_order}");
    }
}

/// What cannot be decrypted is no message.
#[tokio::test]
async fn a_damaged_record_is_1006_and_an_alert() {
    let mut stage = Stage::new().await;
    let record = [b"\x17\x03\x03\x00\x20".as_slice(), &[7; 32]].concat();
    soon("writing", stage.stream.get_mut().0.write_all(&record)).await.unwrap();
    assert_eq!(stage.ended().await, (1006, ClosedBy::Network));
    let error = soon("an alert", stage.stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

/// Where there never was a WebSocket, too.
#[tokio::test]
async fn an_answer_without_an_upgrade_ends_in_order() {
    let authority = Authority::new();
    let server = start(only_these([Reporter::at("/tls/end").0]).tls(authority.tls())).await;
    let mut stream = shake_hands(server.local_addr(), authority.client()).await.unwrap();
    write(&mut stream, b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let answer = read_to_close_notify(&mut stream).await;
    assert!(answer.starts_with(b"HTTP/1.1 404 "));
    tcp_has_ended(&mut stream).await;
}

//! The end of a WebSocket over HTTP/2: END_STREAM stands where FIN does, and RST_STREAM where RST (RFC 8441 5).

use std::time::Duration;

use endpoint_runtime::ClosedBy;
use endpoint_runtime::prelude::*;
use h2::Reason;

use super::support::{Connection, End, Frame, Reporter, close, exporter, frame, soon, start, text};

#[tokio::test]
async fn the_peers_code_comes_back_and_both_ends_close() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    for code in [1000, 1001, 3000, 4001, 4999] {
        let mut socket = connection.open_socket("/echo").await;
        let said = [close(code), text("too late")].concat();
        socket.say(said);
        assert_eq!(socket.reason().await, (code, String::new()));
        assert_eq!(socket.ended().await, End::Closed);
        socket.end();
        let reason = reports.closed().await;
        assert_eq!((u16::from(reason.code()), reason.closed_by()), (code, ClosedBy::Peer));
    }
    let mut socket = connection.open_socket("/echo").await;
    socket.say(frame(0x88, b""));
    assert_eq!(socket.frame().await, Ok(Frame { first: 0x88, payload: Vec::new() }));
    assert_eq!(socket.ended().await, End::Closed);
    assert_eq!(u16::from(reports.closed().await.code()), 1005);
}

#[tokio::test]
async fn our_code_goes_behind_what_was_sent() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut socket = connection.open_socket("/echo").await;
    let session = reports.opened().await;
    session.send("the last word").await.unwrap();
    session.close(CloseReason::new(4002, "enough")).await.unwrap();
    assert_eq!(socket.text().await, "the last word");
    assert_eq!(socket.reason().await, (4002, "enough".to_owned()));
    socket.say(close(4002));
    assert_eq!(socket.ended().await, End::Closed);
    socket.end();
    let reason = reports.closed().await;
    assert_eq!((u16::from(reason.code()), reason.closed_by()), (4002, ClosedBy::Application));
    // The connection is there for others.
    connection.open_socket("/echo").await.says_back("next").await;
}

#[tokio::test]
async fn a_stream_that_ends_without_a_close_frame_is_1006() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut other = connection.open_socket("/echo").await;
    for how in ["CANCEL", "INTERNAL_ERROR", "END_STREAM", "END_STREAM in a frame"] {
        let mut socket = connection.open_socket("/echo").await;
        socket.says_back("hello").await;
        match how {
            "CANCEL" => socket.send.send_reset(Reason::CANCEL),
            "INTERNAL_ERROR" => socket.send.send_reset(Reason::INTERNAL_ERROR),
            "END_STREAM" => socket.end(),
            _ => {
                socket.say(text("half a frame")[..7].to_vec());
                socket.end();
            }
        }
        let reason = reports.closed().await;
        assert_eq!((u16::from(reason.code()), reason.closed_by()), (1006, ClosedBy::Network), "{how}");
        other.says_back(how).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_loses_all_its_sessions() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(connection.open_socket("/echo").await);
    }
    connection.cut();
    for _ in 0..5 {
        let reason = reports.closed().await;
        assert_eq!((u16::from(reason.code()), reason.closed_by()), (1006, ClosedBy::Network));
    }
    assert_eq!(server.sessions().count(), 0);
}

/// A peer that takes nothing more does not get an end that looks like one either.
#[tokio::test]
async fn a_session_that_is_cut_off_resets_its_stream() {
    let (config, mut reports) = Reporter::at("/echo");
    let exporter = exporter([config]).configure(|settings| {
        settings.close_timeout = Duration::from_millis(100);
        settings.send_buffer = 1 << 20;
    });
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut socket = connection.open_socket("/echo").await;
    let session = reports.opened().await;
    // More than the client's window, which it does not move.
    session.send(Bytes::from(vec![0; 500_000])).await.unwrap();
    session.close(CloseReason::new(1000, "")).await.unwrap();
    reports.closed().await;
    soon("the end of the session", async {
        while server.sessions().count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    connection.open_socket("/echo").await.says_back("beside it").await;
    let end = loop {
        if let Err(end) = socket.frame().await {
            break end;
        }
    };
    assert_eq!(end, End::Reset(Reason::CANCEL));
}

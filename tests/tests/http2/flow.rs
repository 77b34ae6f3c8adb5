//! Flow control: what waits on one stream of a connection holds up no other.

use std::time::Duration;

use endpoint_runtime::prelude::*;

use super::support::{Connection, Gate, Reporter, exporter, frame, soon, start, text};

/// What a client may send on a stream that is not read.
const WINDOW: usize = 128 * 1024;

/// Waits until all that was said has left.
async fn is_sent(connection: &mut Connection) {
    // Frames go in order, and the answer comes behind all of them.
    assert_eq!(connection.get("/is/not/there").await.status, 404);
}

#[tokio::test]
async fn handlers_that_are_busy_on_all_streams_but_one_hold_it_up_by_nothing() {
    const STREAMS: usize = 30;
    let (config, gate) = Gate::at("/gate");
    let (echo, _reports) = Reporter::at("/echo");
    let exporter = exporter([config, echo]).configure(|settings| {
        settings.http2_max_streams = STREAMS + 2;
        settings.max_message_size = WINDOW;
    });
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut echo = connection.open_socket("/echo").await;
    let large = vec![b'x'; WINDOW - 100];
    let mut busy = Vec::new();
    for _ in 0..STREAMS {
        let mut socket = connection.open_socket("/gate").await;
        socket.say(text("busy"));
        gate.is_entered().await;
        socket.say(frame(0x82, &large));
        busy.push(socket);
    }
    is_sent(&mut connection).await;
    echo.says_back("through all of them").await;
    // A new one too.
    connection.open_socket("/echo").await.says_back("me too").await;
    gate.open();
    for socket in &mut busy {
        assert_eq!(socket.text().await, "busy");
        assert_eq!(socket.frame().await.unwrap().payload, large);
    }
}

/// So many that the window of the stream is full of frames that carry next to nothing.
#[tokio::test]
async fn tiny_messages_to_a_busy_handler_cost_the_connection_nothing() {
    const MESSAGES: usize = 18_000;
    let (config, gate) = Gate::at("/gate");
    let (echo, _reports) = Reporter::at("/echo");
    let exporter = exporter([config, echo]).configure(|settings| settings.http2_max_streams = 10);
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut echo = connection.open_socket("/echo").await;
    let mut busy = connection.open_socket("/gate").await;
    for _ in 0..MESSAGES {
        busy.say(text("x"));
    }
    gate.is_entered().await;
    is_sent(&mut connection).await;
    echo.says_back("still there").await;
    gate.open();
    for _ in 0..MESSAGES {
        assert_eq!(busy.text().await, "x");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_one_stream_reads_the_others() {
    let (config, mut reports) = Reporter::at("/echo");
    let exporter = exporter([config]).configure(|settings| settings.max_message_size = 1 << 20);
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut slow = connection.open_socket("/echo").await;
    let session = reports.opened().await;
    let mut other = connection.open_socket("/echo").await;
    // Far more than the window of the client's stream.
    let large = Bytes::from(vec![b'x'; 300_000]);
    let last = large.clone();
    let sending = tokio::spawn(async move { session.send_and_flush(last).await });
    for index in 0..100 {
        other.says_back(&index.to_string()).await;
    }
    assert!(!sending.is_finished());
    assert_eq!(slow.frame().await.unwrap().payload, large);
    soon("the flush", sending).await.unwrap().unwrap();
    slow.says_back("awake").await;
}

#[tokio::test]
async fn a_peer_that_is_too_slow_on_one_stream_loses_that_one() {
    let (config, mut reports) = Reporter::at("/echo");
    let exporter = exporter([config]).configure(|settings| {
        settings.send_buffer = 100_000;
        settings.send_timeout = Duration::from_millis(100);
        settings.close_timeout = Duration::from_millis(100);
    });
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut other = connection.open_socket("/echo").await;
    let _other = reports.opened().await;
    let _slow = connection.open_socket("/echo").await;
    let session = reports.opened().await;
    // What is not taken is no more than windows and buffers hold, and the outbox.
    let mut sent = 0;
    while session.send(Bytes::from(vec![0; 10_000])).await.is_ok() {
        sent += 10_000;
        assert!(sent < 1_000_000, "{sent} bytes have gone to a peer that reads none");
    }
    assert_eq!(u16::from(reports.closed().await.code()), 1013);
    other.says_back("all is well").await;
}

//! Messages over HTTP/2 are what they are over HTTP/1.1: any size, in fragments, compressed, and bounded.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateDecoder, DeflateEncoder};

use super::support::{Connection, End, Frame, Reporter, exporter, frame, start, text, websocket};

#[tokio::test]
async fn what_is_said_comes_back() {
    let (config, _reports) = Reporter::at("/echo");
    let exporter = exporter([config]).configure(|settings| settings.max_message_size = 1 << 20);
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut socket = connection.open_socket("/echo").await;
    socket.says_back("Grüße 👩‍🚀").await;
    // Larger than all windows, both ways.
    let large: Vec<u8> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
    socket.say(frame(0x82, &large));
    assert_eq!(socket.frame().await, Ok(Frame { first: 0x82, payload: large }));
    // Three fragments, with a ping between two of them, in pieces that fit nothing.
    let fragments =
        [frame(0x01, b"one "), frame(0x00, b"two "), frame(0x89, b"?"), frame(0x80, b"three")].concat();
    for piece in fragments.chunks(5) {
        socket.say(piece.to_vec());
    }
    assert_eq!(socket.frame().await, Ok(Frame { first: 0x8a, payload: b"?".to_vec() }));
    assert_eq!(socket.text().await, "one two three");
    // Many in one piece.
    let many: Vec<u8> = (0..1000).flat_map(|index| text(&index.to_string())).collect();
    socket.say(many);
    for index in 0..1000 {
        assert_eq!(socket.text().await, index.to_string());
    }
}

#[tokio::test]
async fn messages_are_compressed_where_that_was_agreed_on() {
    const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let offer = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")];
    let (mut socket, answer) = connection.connect(websocket("/echo", &offer)).await.ok().unwrap();
    assert_eq!(answer.header("sec-websocket-extensions"), Some(AGREED));
    let said = "again and ".repeat(1000);
    let mut deflating = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflating.write_all(said.as_bytes()).unwrap();
    deflating.flush().unwrap();
    let mut deflated = deflating.get_ref().clone();
    // RFC 7692 7.2.1: the end of each message is understood.
    assert!(deflated.ends_with(&[0, 0, 0xff, 0xff]));
    deflated.truncate(deflated.len() - 4);
    socket.say(frame(0xc1, &deflated));
    let Frame { first, mut payload } = socket.frame().await.unwrap();
    assert!(first == 0xc1 && payload.len() < said.len() / 10, "{first:x} {}", payload.len());
    payload.extend([0, 0, 0xff, 0xff]);
    let mut inflating = DeflateDecoder::new(Vec::new());
    inflating.write_all(&payload).unwrap();
    inflating.flush().unwrap();
    assert_eq!(inflating.get_ref(), said.as_bytes());
}

#[tokio::test]
async fn what_is_too_large_or_against_the_rules_closes_this_stream_only() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config]).configure(|settings| settings.max_message_size = 1000)).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut other = connection.open_socket("/echo").await;
    let table = [(frame(0x82, &[0; 1001]), 1009), (frame(0x81, b"\xff"), 1007), (frame(0xb1, b"bits"), 1002)];
    for (said, code) in table {
        let mut socket = connection.open_socket("/echo").await;
        socket.say(said);
        assert_eq!(socket.reason().await.0, code);
        assert_eq!(socket.ended().await, End::Closed);
        assert_eq!(u16::from(reports.closed().await.code()), code);
        other.says_back("what was that?").await;
    }
}

/// The clock of a session knows nothing of what lies under it.
#[tokio::test]
async fn a_peer_that_does_not_answer_pings_is_dead_and_one_that_does_is_not() {
    let (config, mut reports) = Reporter::at("/echo");
    let exporter = exporter([config]).configure(|settings| {
        settings.ping_interval = Some(Duration::from_millis(50));
        settings.pong_timeout = Duration::from_millis(200);
    });
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut dead = connection.open_socket("/echo").await;
    let mut live = connection.open_socket("/echo").await;
    let ping = Frame { first: 0x89, payload: Vec::new() };
    for _ in 0..10 {
        assert_eq!(live.frame().await.as_ref(), Ok(&ping));
        live.say(frame(0x8a, b""));
    }
    let reason = reports.closed().await;
    assert_eq!(u16::from(reason.code()), 1006);
    assert!(reason.text().contains("ping"), "{reason:?}");
    assert_eq!(dead.frame().await, Ok(ping));
    assert_eq!(dead.reason().await.0, 1001);
    assert_eq!(dead.ended().await, End::Closed);
    assert_eq!(server.sessions().count(), 1);
}

//! Limits on connections, and on what a peer may do to one: silence, many streams, many resets.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_runtime::Settings;
use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::support::{Connection, Gate, PATIENCE, Reporter, close, exporter, soon, start, text, websocket};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// The beginning of a HEADERS frame of 100 bytes.
const HALF_A_REQUEST: &[u8] = &[0, 0, 100, 1, 0, 0, 0, 0, 1, 0x82];

/// What the impatient servers of these tests give a client.
const HEAD_TIMEOUT: Duration = Duration::from_millis(300);
/// Timers may be coarse, but not early.
const NOT_BEFORE: Duration = Duration::from_millis(250);

fn impatient(settings: &mut Settings) {
    settings.head_timeout = HEAD_TIMEOUT;
}

#[tokio::test]
async fn who_says_nothing_or_too_little_is_closed() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config]).configure(impatient)).await;
    let mut served = Connection::open(server.local_addr()).await.open_socket("/echo").await;
    let table: [&[&[u8]]; 5] =
        [&[], &[&PREFACE[..10]], &[PREFACE], &[PREFACE, SETTINGS], &[PREFACE, SETTINGS, HALF_A_REQUEST]];
    for said in table {
        let begin = Instant::now();
        let mut raw = TcpStream::connect(server.local_addr()).await.unwrap();
        raw.write_all(&said.concat()).await.unwrap();
        let mut heard = Vec::new();
        // It may be reset: what was said was not all read.
        let _ = soon("the end", raw.read_to_end(&mut heard)).await;
        assert!(begin.elapsed() >= NOT_BEFORE, "{said:?} {:?}", begin.elapsed());
    }
    // Older than all of them.
    served.says_back("still here").await;
}

/// It is told so, and its connection closed; others notice nothing.
#[tokio::test]
async fn who_speaks_nonsense_is_cut_off() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let mut served = Connection::open(server.local_addr()).await.open_socket("/echo").await;
    let table: [&[u8]; 6] = [
        // No SETTINGS at first; a frame that is too long; DATA on no stream, and on one that was never opened; a header block that is none;
        // a window that overflows.
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x",
        b"\x00\x00\x01\x00\x00\x00\x00\x00\x01x",
        b"\x00\x00\x02\x01\x04\x00\x00\x00\x01\xff\xff",
        b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff",
    ];
    for (index, nonsense) in table.into_iter().enumerate() {
        let mut raw = TcpStream::connect(server.local_addr()).await.unwrap();
        let settings = if index == 0 { &[] } else { SETTINGS };
        raw.write_all(&[PREFACE, settings, nonsense].concat()).await.unwrap();
        let mut heard = Vec::new();
        // It may be reset: what was said was not all read.
        let _ = soon("the end", raw.read_to_end(&mut heard)).await;
        served.says_back("did you hear that?").await;
    }
}

#[tokio::test]
async fn a_connection_without_streams_is_told_to_go() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config]).configure(impatient)).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut socket = connection.open_socket("/echo").await;
    tokio::time::sleep(HEAD_TIMEOUT * 3).await;
    socket.says_back("an open one keeps it").await;
    let begin = Instant::now();
    socket.say(close(1000));
    socket.reason().await;
    socket.ended().await;
    socket.end();
    reports.closed().await;
    // GOAWAY, in good order.
    assert!(connection.ended_by_server().await.is_ok());
    assert!(begin.elapsed() >= NOT_BEFORE, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn streams_beyond_the_limit_wait() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config]).configure(|settings| settings.http2_max_streams = 2)).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut first = connection.open_socket("/echo").await;
    let mut second = connection.open_socket("/echo").await;
    let mut beyond = connection.another();
    let waiting = tokio::spawn(async move { beyond.open_socket("/echo").await });
    first.says_back("one").await;
    second.says_back("two").await;
    assert!(!waiting.is_finished());
    assert_eq!(server.sessions().count(), 2);
    first.say(close(1000));
    first.reason().await;
    first.ended().await;
    first.end();
    reports.closed().await;
    soon("the third", waiting).await.unwrap().says_back("at last").await;
}

/// A connection is one, and each session in it one more.
#[tokio::test]
async fn over_the_limit_of_connections_a_handshake_is_503() {
    let (config, mut reports) = Reporter::at("/echo");
    let exporter = exporter([config]).configure(|settings| {
        settings.max_connections = 3;
        settings.head_timeout = PATIENCE * 10;
    });
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut first = connection.open_socket("/echo").await;
    let mut second = connection.open_socket("/echo").await;
    let refused = connection.connect(websocket("/echo", &[])).await.err().unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (503, "the server is full, try again later\n"));
    assert_eq!(refused.header("retry-after"), Some("5"));
    // Pages are no sessions.
    assert_eq!(connection.get("/is/not/there").await.status, 404);
    let mut another = Connection::open(server.local_addr()).await;
    assert_eq!(another.get("/is/not/there").await.status, 503);
    // It does not stay to ask again.
    assert!(another.ended_by_server().await.is_ok());
    second.says_back("still here").await;
    first.say(close(1000));
    first.reason().await;
    first.end();
    reports.closed().await;
    soon("room", async {
        while connection.connect(websocket("/echo", &[])).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Opens streams and resets each with the same breath, as no decent client would.
async fn reset_streams(address: SocketAddr, streams: u32) -> Option<u32> {
    let mut raw = TcpStream::connect(address).await.unwrap();
    let request = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/echo"),
        (":authority", "x"),
        ("sec-websocket-version", "13"),
    ];
    // HPACK, as literal as can be (RFC 7541 6.2.2).
    let literal = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let block: Vec<u8> =
        request.iter().flat_map(|(name, value)| [vec![0], literal(name), literal(value)].concat()).collect();
    let mut said = [PREFACE, SETTINGS].concat();
    for index in 0..streams {
        let stream = (2 * index + 1).to_be_bytes();
        said.extend([&[0, 0, block.len() as u8, 1, 4], &stream[..], &block].concat());
        said.extend([&[0, 0, 4, 3, 0], &stream[..], &[0, 0, 0, 8]].concat());
    }
    // The server need not read all of it.
    let _ = soon("writing", raw.write_all(&said)).await;
    let mut head = [0; 9];
    while soon("a frame", raw.read_exact(&mut head)).await.is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        soon("a frame", raw.read_exact(&mut payload)).await.ok()?;
        if head[3] == 7 {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    None
}

/// CVE-2023-44487: to open streams and reset them costs a peer nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_resets_streams_at_once_is_cut_off_and_others_are_served() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let address = server.local_addr();
    let attack = tokio::spawn(async move {
        let mut told = 0;
        for _ in 0..10 {
            match reset_streams(address, 2000).await.map(Reason::from) {
                Some(Reason::ENHANCE_YOUR_CALM) => told += 1,
                // It was reset, with what it said yet unread.
                None => {}
                other => panic!("{other:?}"),
            }
        }
        told
    });
    let mut served = Connection::open(address).await.open_socket("/echo").await;
    let mut answers = 0;
    while !attack.is_finished() {
        served.says_back(&answers.to_string()).await;
        answers += 1;
    }
    attack.await.unwrap();
    assert!(answers > 0);
    soon("the end of what was reset", async {
        while server.sessions().count() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Streams that are reset one after the other, each when it is with the configurator, are as many as the setting says.
#[tokio::test]
async fn a_peer_that_resets_streams_slowly_is_cut_off_too() {
    use endpoint_runtime::prelude::*;
    use endpoint_runtime::{Endpoint, Refusal, ServerEndpointConfig};

    #[derive(Default)]
    struct Undecided;

    impl Configurator for Undecided {
        async fn check(&self, _: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
            std::future::pending().await
        }
    }

    struct Never;
    impl Endpoint for Never {}

    const RESETS: usize = 30;
    // Of a proxy's connection one of its clients must not deprive the others.
    for (proxies, cut_off) in [(vec![], true), (vec!["127.0.0.1".to_owned()], false)] {
        let config = ServerEndpointConfig::builder("/undecided", || Never).configurator(Undecided).build();
        let exporter = exporter([config]).configure(move |settings| {
            settings.http2_max_resets = RESETS;
            settings.trusted_proxies.clone_from(&proxies);
        });
        let server = start(exporter).await;
        let mut connection = Connection::open(server.local_addr()).await;
        let mut index = 0;
        while index < 2 * RESETS {
            let Ok((answer, mut send)) = connection.send(websocket("/undecided", &[]), false).await else {
                break;
            };
            // A ping comes back behind the request.
            if connection.ping().await.is_err() {
                break;
            }
            send.send_reset(Reason::CANCEL);
            drop(answer);
            if connection.ping().await.is_err() {
                break;
            }
            index += 1;
        }
        let counted = server.container().counters().http2_worn_out;
        if cut_off {
            assert!((RESETS..2 * RESETS).contains(&index), "{index}");
            assert_eq!(counted, 1);
        } else {
            assert_eq!((index, counted), (2 * RESETS, 0));
        }
    }
}

/// Whoever leaves a page with many open sockets is no attacker.
#[tokio::test]
async fn sessions_that_are_reset_cost_the_connection_nothing() {
    let (config, mut reports) = Reporter::at("/echo");
    let server = start(exporter([config]).configure(|settings| settings.http2_max_resets = 5)).await;
    let mut connection = Connection::open(server.local_addr()).await;
    for _ in 0..50 {
        let mut socket = connection.open_socket("/echo").await;
        socket.send.send_reset(Reason::CANCEL);
        assert_eq!(u16::from(reports.closed().await.code()), 1006);
    }
    connection.open_socket("/echo").await.says_back("another page").await;
}

/// A handler that is busy does not keep the connection from noticing that its peer has gone.
#[tokio::test]
async fn gate_is_told_of_a_reset() {
    let (config, gate) = Gate::at("/gate");
    let exporter = exporter([config]).configure(|settings| settings.handler_grace = Duration::ZERO);
    let server = start(exporter).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut socket = connection.open_socket("/gate").await;
    socket.say(text("busy"));
    gate.is_entered().await;
    socket.send.send_reset(Reason::CANCEL);
    let deadline = Instant::now() + PATIENCE;
    while server.sessions().count() > 0 {
        assert!(Instant::now() < deadline, "the session outlives its stream");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

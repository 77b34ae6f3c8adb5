//! What a connection costs in memory: how many blocks and bytes of heap an idle one holds, as the page `docs/memory.md` tells it, and how
//! often a small message goes to the allocator; and what is left of a large one.
//!
//! Server and client share this process; the client makes no allocations while it is looked at, so what is counted is the server's.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use endpoint_runtime as runtime;
use runtime::prelude::*;
use runtime::rustls;
use runtime::{ServerEndpointExporter, Settings, Tls};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::sync::oneshot;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: they count for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// How much more than what is written is too much.
const TOLERANCE: f64 = 1.10;

const PATIENCE: Duration = Duration::from_secs(60);

#[server_endpoint("/shared", scope = singleton, max_message_size = 2_097_152)]
struct Shared;

#[handlers]
impl Shared {
    #[on_message]
    fn text(&self, text: Text) -> Text {
        text
    }

    #[on_message]
    fn binary(&self, bytes: Bytes) -> Bytes {
        bytes
    }
}

#[server_endpoint("/owned", scope = singleton)]
struct Owned;

#[handlers]
impl Owned {
    #[on_message]
    fn text(&self, text: String) -> String {
        text
    }
}

#[server_endpoint("/borrowed", scope = singleton)]
struct Borrowed;

#[handlers]
impl Borrowed {
    #[on_message]
    fn text(&self, text: &str) {
        assert!(text.len() < 126);
    }

    #[on_message]
    fn binary(&self, bytes: &[u8]) {
        assert!(bytes.len() < 126);
    }
}

/// A server on a thread of its own, as long as this lives.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        Self::start_with(|exporter| exporter)
    }

    fn start_with(more: impl FnOnce(ServerEndpointExporter) -> ServerEndpointExporter) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (started, address) = mpsc::channel();
        let exporter = more(runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0"));
        let thread = std::thread::spawn(move || {
            let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            one.block_on(async {
                let server = exporter.start().await.unwrap();
                started.send(server.local_addr()).unwrap();
                let _ = stopped.await;
                server.shutdown().await;
            });
        });
        let address = address.recv_timeout(PATIENCE).unwrap();
        Server { address, stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self, path: &str) -> Client {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n{HEAD}\r\n").unwrap();
        let mut client = Client(stream);
        client.read_head();
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// The header lines of the request that the page speaks of.
const HEAD: &str = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A client without buffers.
struct Client<S = TcpStream>(S);

impl<S: Read + Write> Client<S> {
    fn read_head(&mut self) {
        let (mut head, mut length) = ([0; 1024], 0);
        while !head[..length].ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut head[length..=length]).unwrap();
            length += 1;
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
    }

    /// Sends a frame of 125 bytes.
    fn send(&mut self, first: u8) {
        let mut frame = [b'x'; 6 + 125];
        // The mask of zeros leaves the payload as it is.
        frame[..6].copy_from_slice(&[first, 0x80 | 125, 0, 0, 0, 0]);
        self.0.write_all(&frame).unwrap();
    }

    fn expect(&mut self, first: u8) {
        let mut frame = [0; 2 + 125];
        self.0.read_exact(&mut frame).unwrap();
        assert_eq!(frame[..2], [first, 125]);
    }

    fn echo(&mut self, first: u8) {
        self.send(first);
        self.expect(first);
    }

    /// The peer has dealt with all that was sent before.
    fn settle(&mut self) {
        self.send(PING);
        self.expect(PONG);
    }
}

/// A client of HTTP/2 without buffers, which opens WebSockets as its streams (RFC 8441).
struct Http2 {
    stream: TcpStream,
    last: u32,
}

impl Http2 {
    fn connect(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The preface, and an empty SETTINGS frame.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let mut client = Http2 { stream, last: 1 };
        client.expect(4);
        client.stream.write_all(b"\0\0\0\x04\x01\0\0\0\0").unwrap();
        client
    }

    /// Opens a WebSocket, and exchanges a message.
    fn open(&mut self) {
        const REQUEST: &[u8] = b"\0\x07:method\x07CONNECT\0\x09:protocol\x09websocket\0\x07:scheme\x04http\
            \0\x05:path\x07/shared\0\x0a:authority\x09localhost\0\x15sec-websocket-version\x0213";
        let stream = self.last.to_be_bytes();
        self.last += 2;
        let mut head = [0, 0, REQUEST.len() as u8, 1, 4, 0, 0, 0, 0];
        head[5..].copy_from_slice(&stream);
        self.stream.write_all(&head).unwrap();
        self.stream.write_all(REQUEST).unwrap();
        // The answer.
        self.expect(1);
        let mut frame = [b'x'; 9 + 6 + 125];
        frame[..9].copy_from_slice(&[0, 0, 6 + 125, 0, 0, 0, 0, 0, 0]);
        frame[5..9].copy_from_slice(&stream);
        frame[9..15].copy_from_slice(&[TEXT, 0x80 | 125, 0, 0, 0, 0]);
        self.stream.write_all(&frame).unwrap();
        self.expect(0);
    }

    /// Reads frames up to one of this type.
    fn expect(&mut self, kind: u8) {
        loop {
            let (mut head, mut payload) = ([0; 9], [0; 1024]);
            self.stream.read_exact(&mut head).unwrap();
            let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
            self.stream.read_exact(&mut payload[..length]).unwrap();
            if head[3] == kind {
                return;
            }
        }
    }
}

/// What is held more than at the beginning of the region.
fn held(region: &Region<'_, System>) -> (f64, f64) {
    let change = region.change();
    let blocks = change.allocations as f64 - change.deallocations as f64;
    let bytes = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    (blocks, bytes)
}

/// The rows of the page's table under this heading: what it is, blocks, bytes.
fn documented(heading: &str) -> Vec<(&'static str, f64, f64)> {
    let page = include_str!("../../endpoint-runtime/docs/memory.md");
    let mut sections = page.split("\n# ");
    let section = sections.find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let part = cells.next()?;
        Some((part, cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
    });
    rows.collect()
}

#[test]
fn an_idle_connection_holds_what_the_page_says() {
    const CONNECTIONS: usize = 384;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start();
    // What is made once is made by these, and they leave their places in the tables to others.
    let mut first: Vec<Client> = (0..16).map(|_| server.connect("/shared")).collect();
    first.iter_mut().for_each(|client| client.echo(TEXT));
    let mut clients = Vec::with_capacity(CONNECTIONS);

    let region = Region::new(HEAP);
    for _ in 0..CONNECTIONS {
        let mut client = server.connect("/shared");
        client.echo(TEXT);
        client.settle();
        clients.push(client);
    }
    let (blocks, bytes) = held(&region);
    let (blocks, bytes) = (blocks / CONNECTIONS as f64, bytes / CONNECTIONS as f64);

    let parts = documented("An idle connection");
    let sum = parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.1, sum.1 + part.2));
    let told =
        format!("{blocks:.2} blocks, {bytes:.0} bytes per connection; the page says {sum:?}: {parts:?}");
    println!("{told}");
    assert_eq!(parts.len(), 6, "{told}");
    assert!(blocks <= sum.0 * TOLERANCE && bytes <= sum.1 * TOLERANCE, "{told}");
    assert!(blocks >= sum.0 / TOLERANCE && bytes >= sum.1 / TOLERANCE, "{told}");
}

/// The same over TLS. Of the client nothing is left but its socket: what it knew of TLS is dropped before it is looked.
#[test]
fn an_idle_connection_over_tls_holds_what_the_page_says() {
    const CONNECTIONS: usize = 64;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls::pem(own.cert.pem(), own.signing_key.serialize_pem());
    let server = Server::start_with(|exporter| exporter.tls(tls));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let connect = || {
        let tcp = TcpStream::connect(server.address).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut client = Client(rustls::StreamOwned::new(connection, tcp));
        write!(client.0, "GET /shared HTTP/1.1\r\n{HEAD}\r\n").unwrap();
        client.read_head();
        client.echo(TEXT);
        client.settle();
        client.0.into_parts().1
    };
    let _first: Vec<TcpStream> = (0..16).map(|_| connect()).collect();
    let mut clients = Vec::with_capacity(CONNECTIONS);
    let region = Region::new(HEAP);
    for _ in 0..CONNECTIONS {
        clients.push(connect());
    }
    let (blocks, bytes) = held(&region);
    let (blocks, bytes) = (blocks / CONNECTIONS as f64, bytes / CONNECTIONS as f64);

    let parts = [documented("An idle connection"), documented("Over TLS")].concat();
    let sum = parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.1, sum.1 + part.2));
    let told =
        format!("{blocks:.2} blocks, {bytes:.0} bytes per connection; the page says {sum:?}: {parts:?}");
    println!("{told}");
    assert!(blocks <= sum.0 * TOLERANCE && bytes <= sum.1 * TOLERANCE, "{told}");
    assert!(blocks >= sum.0 / TOLERANCE && bytes >= sum.1 / TOLERANCE, "{told}");
}

#[test]
fn an_idle_session_over_http2_holds_what_the_page_says() {
    const SESSIONS: usize = 90;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let page = include_str!("../../endpoint-runtime/docs/memory.md");
    let told = page.lines().find_map(|line| line.strip_prefix("A session over HTTP/2 holds ")).unwrap();
    let mut numbers = told.split(' ').filter_map(|word| word.parse::<f64>().ok());
    let (bytes_told, blocks_told) = (numbers.next().unwrap(), numbers.next().unwrap());
    let server = Server::start();
    let mut client = Http2::connect(&server);
    (0..8).for_each(|_| client.open());
    let region = Region::new(HEAP);
    (0..SESSIONS).for_each(|_| client.open());
    let (blocks, bytes) = held(&region);
    let (blocks, bytes) = (blocks / SESSIONS as f64, bytes / SESSIONS as f64);
    let told = format!("{blocks:.2} blocks, {bytes:.0} bytes per session; the page says {told}");
    println!("{told}");
    assert!(blocks <= blocks_told * TOLERANCE && bytes <= bytes_told * TOLERANCE, "{told}");
    assert!(blocks >= blocks_told / TOLERANCE && bytes >= bytes_told / TOLERANCE, "{told}");
}

#[test]
fn nothing_of_a_large_message_is_left() {
    const CONNECTIONS: usize = 64;
    const LARGE: usize = 1 << 20;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut frame = vec![b'x'; 14 + LARGE];
    let mut answer = vec![0; 10 + LARGE];
    let server = Server::start();
    let whole = Region::new(HEAP);
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.connect("/shared")).collect();
    clients.iter_mut().for_each(|client| client.echo(TEXT));
    let (_, idle) = held(&whole);

    let region = Region::new(HEAP);
    for (number, client) in clients.iter_mut().enumerate() {
        let kind = [TEXT, BINARY][number % 2];
        frame[..2].copy_from_slice(&[kind, 0x80 | 127]);
        frame[2..10].copy_from_slice(&(LARGE as u64).to_be_bytes());
        frame[10..14].fill(0);
        client.0.write_all(&frame).unwrap();
        client.0.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..2], [kind, 127]);
        client.settle();
    }
    let in_use = held(&region).1;
    assert!(in_use < 3.0 * LARGE as f64, "one block is used again: {in_use} bytes");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (blocks, left) = held(&region);
        if left <= idle * (TOLERANCE - 1.0) {
            break;
        }
        assert!(Instant::now() < deadline, "{blocks} blocks, {left} bytes are left beside {idle}");
        std::thread::yield_now();
    }
}

/// Blocks per message, in the long run.
fn blocks_per_message(server: &Server, path: &str, kind: u8, answered: bool) -> f64 {
    const MESSAGES: u32 = 1000;
    let mut client = server.connect(path);
    let mut exchange = |messages| {
        for _ in 0..messages {
            client.send(kind);
            if answered {
                client.expect(kind);
            }
        }
        client.settle();
    };
    exchange(10);
    let region = Region::new(HEAP);
    exchange(MESSAGES);
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / f64::from(MESSAGES)
}

#[test]
fn a_small_message_allocates_what_its_handler_keeps() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start();
    for (path, kind, answered, own) in [
        ("/borrowed", TEXT, false, 0.0),
        ("/borrowed", BINARY, false, 0.0),
        ("/owned", TEXT, true, 1.0),
        ("/shared", TEXT, true, 1.0),
        ("/shared", BINARY, true, 1.0),
    ] {
        let blocks = blocks_per_message(&server, path, kind, answered);
        println!("{path} {kind:#x}: {blocks:.3} blocks per message");
        // A timer's tick or two may fall into the time.
        assert!(blocks <= own * TOLERANCE + 0.02, "{path} {kind:#x}: {blocks} blocks per message, not {own}");
    }
}

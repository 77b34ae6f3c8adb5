//! What the tests share: an endpoint that tells what happens to it ([`Teller`]), our own server ([`start`]), and one made of bytes
//! ([`Raw`]).

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Endpoint, Message, Server, ServerEndpointConfig, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// How long anything is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

// ---- the client's side

/// An endpoint that tells what happens to it.
pub(crate) struct Teller {
    told: UnboundedSender<String>,
    /// Counts in all connections of this instance.
    opened: u32,
}

/// What was told, in its order.
pub(crate) struct Heard(UnboundedReceiver<String>);

pub(crate) fn teller() -> (Teller, Heard) {
    let (told, heard) = mpsc::unbounded_channel();
    (Teller { told, opened: 0 }, Heard(heard))
}

impl Teller {
    pub(crate) fn tell(&self, what: impl Display) {
        // A test that is over listens no more.
        let _ = self.told.send(what.to_string());
    }

    pub(crate) fn teller(&self) -> UnboundedSender<String> {
        self.told.clone()
    }
}

impl Endpoint for Teller {
    async fn on_open(&mut self, _: &Session) -> Result<()> {
        self.opened += 1;
        self.tell(format_args!("open {}", self.opened));
        Ok(())
    }

    async fn on_message(&mut self, _: &Session, message: Message) -> Result<()> {
        match message {
            Message::Text(text) => self.tell(format_args!("text {text}")),
            Message::Binary(bytes) => self.tell(format_args!("binary {}", bytes.len())),
        }
        Ok(())
    }

    async fn on_pong(&mut self, _: &Session, pong: Pong) -> Result<()> {
        self.tell(format_args!("pong {}", String::from_utf8_lossy(pong.payload())));
        Ok(())
    }

    async fn on_close(&mut self, _: &Session, reason: &CloseReason) {
        self.tell(format_args!("close {} {:?}", u16::from(reason.code()), reason.closed_by()));
    }

    async fn on_error(&mut self, _: &Session, error: &Error) -> Result<()> {
        self.tell(format_args!("error {error}"));
        Ok(())
    }
}

impl Heard {
    pub(crate) async fn next(&mut self) -> String {
        match soon("something to be told", self.0.recv()).await {
            Some(told) => told,
            None => panic!("the endpoint has gone"),
        }
    }

    /// The next thing told is this.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let told = self.next().await;
            assert_eq!(told, expected, "at {place}");
        }
    }

    /// The endpoint has been dropped, and had nothing more to tell.
    pub(crate) async fn gone(&mut self) {
        assert_eq!(soon("the end of the endpoint", self.0.recv()).await, None);
    }
}

// ---- our own server

/// Says everything back.
pub(crate) struct Echo;

impl Endpoint for Echo {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        Ok(session.send(message).await?)
    }
}

/// Closes with the code that it is told.
pub(crate) struct Closer;

impl Endpoint for Closer {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        let code: u16 = message.as_text().unwrap_or_default().parse()?;
        Ok(session.close(CloseReason::new(code, "as you like")).await?)
    }
}

/// A server of programmatic endpoints on any free port.
pub(crate) async fn start(configs: impl IntoIterator<Item = ServerEndpointConfig>) -> Server {
    let mut exporter = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0");
    for config in configs {
        exporter = exporter.endpoint(config);
    }
    soon("the start", exporter.start()).await.unwrap()
}

pub(crate) async fn start_echo() -> Server {
    let config =
        ServerEndpointConfig::builder("/echo", || Echo).max_message_size(32 << 20).send_buffer(64 << 20);
    start([config.build()]).await
}

pub(crate) fn url(address: SocketAddr, path: &str) -> String {
    format!("ws://{address}{path}")
}

// ---- a server made of bytes

/// A listener on any free port.
pub(crate) struct Raw {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Raw {
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Raw { listener, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        url(self.address, path)
    }

    pub(crate) async fn accept(&self) -> RawPeer<TcpStream> {
        let (stream, _) = soon("a connection", self.listener.accept()).await.unwrap();
        RawPeer::over(stream)
    }

    /// Accepts a connection, reads the request, and opens the WebSocket.
    pub(crate) async fn open(&self) -> RawPeer<TcpStream> {
        let mut peer = self.accept().await;
        let request = peer.request().await;
        peer.write(switching(&request, "").as_bytes()).await;
        peer
    }

    /// Accepts a connection, reads the request, and answers this. The peer is to be kept until the client has read it.
    pub(crate) async fn answer(&self, answer: &str) -> (Request, RawPeer<TcpStream>) {
        let mut peer = self.accept().await;
        let request = peer.request().await;
        peer.write(answer.as_bytes()).await;
        (request, peer)
    }
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// The first line.
    pub(crate) line: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header; several lines of it are a failure.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "two lines of {name}");
        value
    }
}

/// 101, with more header lines.
pub(crate) fn switching(request: &Request, more: &str) -> String {
    let accept = derive_accept_key(request.header("sec-websocket-key").unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// A response without a WebSocket.
pub(crate) fn response(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len())
}

/// A frame that a client sent.
#[derive(Debug)]
pub(crate) struct RawFrame {
    pub(crate) first: u8,
    pub(crate) key: [u8; 4],
    /// As it was on the wire.
    pub(crate) masked: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// The other end of a client's connection.
pub(crate) struct RawPeer<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawPeer<S> {
    pub(crate) fn over(stream: S) -> Self {
        RawPeer { stream, read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon("writing", async {
            self.stream.write_all(bytes).await.unwrap();
            self.stream.flush().await.unwrap();
        })
        .await;
    }

    /// Reads more; `false` at the end of the stream.
    async fn more(&mut self) -> bool {
        soon("bytes", self.stream.read_buf(&mut self.read)).await.unwrap_or(0) > 0
    }

    pub(crate) async fn request(&mut self) -> Request {
        let end = loop {
            match self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => assert!(self.more().await, "the client left within its request"),
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Request { line, headers }
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<RawFrame> {
        loop {
            if let Some((frame, size)) = parse(&self.read) {
                self.read.drain(..size);
                return Some(frame);
            }
            if !self.more().await {
                assert!(self.read.is_empty(), "the stream ends within a frame: {:?}", self.read);
                return None;
            }
        }
    }

    /// The next frame, which must be a text.
    pub(crate) async fn text(&mut self) -> String {
        let frame = self.frame().await.unwrap_or_else(|| panic!("the stream has ended"));
        assert_eq!(frame.first, 0x81, "{frame:?}");
        String::from_utf8(frame.payload).unwrap()
    }

    /// The next frame, which must be a close frame: its code, 1005 for none.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let frame = self.frame().await.unwrap_or_else(|| panic!("the stream has ended"));
        assert_eq!(frame.first, 0x88, "{frame:?}");
        frame.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
    }
}

/// A frame as a server sends it, not masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=0xffff => {
            frame.push(126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

pub(crate) fn close_frame(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

fn parse(bytes: &[u8]) -> Option<(RawFrame, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(second & 0x80, 0x80, "a client masks every frame");
    let (length, header) = match second & 0x7f {
        126 => (u16::from_be_bytes(*rest.first_chunk()?) as usize, 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
        short => (short as usize, 2),
    };
    let key: [u8; 4] = *bytes.get(header..)?.first_chunk()?;
    let masked = bytes.get(header + 4..header + 4 + length)?.to_vec();
    let payload = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((RawFrame { first: *first, key, masked, payload }, header + 4 + length))
}

//! [`Peer`]: the other end of a connection, made of bytes. It answers nothing by itself.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::told::soon;

/// First bytes of frames: final, and the opcode.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

const FINAL: u8 = 0x80;

/// What has come from our end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Came {
    /// A text message, in so many frames.
    Text(String, usize),
    /// A binary message, in so many frames.
    Binary(Vec<u8>, usize),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame; code 1005: an empty one.
    Close(u16, String),
    /// The end of the stream.
    End,
}

/// A text message in one frame.
pub(crate) fn text(text: &str) -> Came {
    Came::Text(text.to_owned(), 1)
}

/// A binary message in one frame.
pub(crate) fn binary(bytes: impl AsRef<[u8]>) -> Came {
    Came::Binary(bytes.as_ref().to_vec(), 1)
}

/// A close frame.
pub(crate) fn closed(code: u16, text: &str) -> Came {
    Came::Close(code, text.to_owned())
}

impl Came {
    /// The same message in so many frames.
    pub(crate) fn in_frames(self, frames: usize) -> Self {
        match self {
            Came::Text(text, _) => Came::Text(text, frames),
            Came::Binary(bytes, _) => Came::Binary(bytes, frames),
            other => other,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) struct Peer {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
    /// A client masks what it sends, a server does not.
    masks: bool,
    /// The parts of a message that has not ended: its first byte, and the payload so far.
    begun: Option<(u8, Vec<u8>, usize)>,
}

impl Peer {
    fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, masks: bool) -> Self {
        Peer { stream: Box::new(stream), read: Vec::new(), masks, begun: None }
    }

    /// A client, when the handshake is over.
    pub(crate) async fn connect(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        host: &str,
        path: &str,
    ) -> Self {
        let mut peer = Self::over(stream, true);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        peer.write(request.as_bytes()).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        peer
    }

    /// A server, when it has answered 101.
    pub(crate) async fn accept(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (peer, _) = Self::answer(stream, |_| String::new()).await;
        peer
    }

    /// A server, when it has answered 101, with what more header lines `more` makes of the request; and that request.
    pub(crate) async fn answer(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        more: impl FnOnce(&str) -> String,
    ) -> (Self, String) {
        let mut peer = Self::over(stream, false);
        let head = peer.head().await;
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        let (_, key) = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n{}\r\n",
            derive_accept_key(key.as_bytes()),
            more(&head)
        );
        peer.write(answer.as_bytes()).await;
        (peer, head)
    }

    /// A server that has read the request and said something else than 101; it goes on listening.
    pub(crate) async fn say(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        answer: &str,
    ) -> Self {
        let mut peer = Self::over(stream, false);
        peer.head().await;
        peer.write(answer.as_bytes()).await;
        peer
    }

    /// The head of a request or a response.
    async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                return String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
            }
            assert!(self.more().await, "the stream ends within the handshake");
        }
    }

    /// Reads more; `false` at the end of the stream.
    async fn more(&mut self) -> bool {
        soon("bytes", self.stream.read_buf(&mut self.read)).await.unwrap_or(0) > 0
    }

    async fn write(&mut self, bytes: &[u8]) {
        soon("writing", async {
            self.stream.write_all(bytes).await.unwrap();
            self.stream.flush().await.unwrap();
        })
        .await;
    }

    /// Sends a frame of up to 64 KiB: its first byte, and its payload.
    pub(crate) async fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
        let payload = payload.as_ref();
        let mask = if self.masks { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(mask | short as u8),
            medium => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(medium).unwrap().to_be_bytes());
            }
        }
        if self.masks {
            frame.extend(KEY);
            frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            frame.extend(payload);
        }
        self.write(&frame).await;
    }

    /// Sends a text message.
    pub(crate) async fn text(&mut self, text: &str) {
        self.frame(TEXT, text).await;
    }

    /// Sends a close frame.
    pub(crate) async fn close(&mut self, code: u16, text: &str) {
        self.frame(CLOSE, [&code.to_be_bytes(), text.as_bytes()].concat()).await;
    }

    /// Ends the stream, as a server does after a closing handshake.
    pub(crate) async fn hang_up(&mut self) {
        soon("the shutdown", self.stream.shutdown()).await.unwrap();
    }

    /// The next message or control frame.
    pub(crate) async fn next(&mut self) -> Came {
        loop {
            let Some((first, payload)) = self.next_frame().await else { return Came::End };
            match first {
                CLOSE => return close_of(&payload),
                PING => return Came::Ping(payload),
                PONG => return Came::Pong(payload),
                _ => {
                    if let Some(message) = self.part(first, payload) {
                        return message;
                    }
                }
            }
        }
    }

    /// All that comes up to the close frame, that one included, or to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Came> {
        let mut rest = Vec::new();
        loop {
            rest.push(self.next().await);
            if matches!(rest.last(), Some(Came::Close(..) | Came::End)) {
                return rest;
            }
        }
    }

    /// One more part of a message: the message, when that was the last.
    fn part(&mut self, first: u8, payload: Vec<u8>) -> Option<Came> {
        let (kind, mut whole, frames) = match (self.begun.take(), first & !FINAL) {
            (None, kind @ (1 | 2)) => (kind, Vec::new(), 0),
            (Some(begun), 0) => begun,
            (begun, _) => panic!("a frame {first:#x} after {begun:?}"),
        };
        whole.extend(payload);
        if first & FINAL == 0 {
            self.begun = Some((kind, whole, frames + 1));
            return None;
        }
        Some(match kind {
            1 => Came::Text(String::from_utf8(whole).unwrap(), frames + 1),
            _ => Came::Binary(whole, frames + 1),
        })
    }

    async fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((frame, size)) = parse(&self.read, !self.masks) {
                self.read.drain(..size);
                return Some(frame);
            }
            if !self.more().await {
                assert!(self.read.is_empty(), "the stream ends within a frame: {:?}", self.read);
                return None;
            }
        }
    }
}

fn close_of(payload: &[u8]) -> Came {
    match payload {
        [] => closed(1005, ""),
        [high, low, text @ ..] => {
            closed(u16::from_be_bytes([*high, *low]), std::str::from_utf8(text).unwrap())
        }
        half => panic!("half a close code: {half:?}"),
    }
}

/// The first frame in these bytes, and its size.
fn parse(bytes: &[u8], masked: bool) -> Option<((u8, Vec<u8>), usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(second & 0x80 != 0, masked, "a client masks, a server does not");
    let (length, mut header) = match second & 0x7f {
        126 => (u16::from_be_bytes(*rest.first_chunk()?) as usize, 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
        short => (short as usize, 2),
    };
    let key: [u8; 4] = if masked { *bytes.get(header..)?.first_chunk()? } else { [0; 4] };
    header += if masked { 4 } else { 0 };
    let payload = bytes.get(header..header + length)?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some(((*first, payload), header + length))
}

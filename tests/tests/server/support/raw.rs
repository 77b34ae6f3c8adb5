//! [`Raw`]: a client that writes any bytes, and reads HTTP answers and frames without help from any library.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::soon;

/// Both directions of a connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) struct Raw {
    stream: Box<dyn Stream>,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header; several lines of it are a failure.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "two lines of {name}");
        value
    }
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawFrame {
    pub(crate) fin: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl RawFrame {
    /// The code of a close frame, and its text.
    pub(crate) fn reason(&self) -> (u16, String) {
        assert_eq!(self.opcode, 8, "{self:?}");
        let code = u16::from_be_bytes([self.payload[0], self.payload[1]]);
        (code, String::from_utf8_lossy(&self.payload[2..]).into_owned())
    }
}

/// A request that opens a WebSocket, with these header lines too.
pub(crate) fn upgrade(path: &str, more: &[&str]) -> String {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: server.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for line in more {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request + "\r\n"
}

/// A frame as a client sends it, masked.
pub(crate) fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::from(fin) << 7 | opcode];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        middle @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(true, 1, payload.as_bytes())
}

pub(crate) fn binary(payload: &[u8]) -> Vec<u8> {
    frame(true, 2, payload)
}

pub(crate) fn close(code: u16) -> Vec<u8> {
    frame(true, 8, &code.to_be_bytes())
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("TCP", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub(crate) async fn connect_unix(path: &Path) -> Self {
        Self::over(soon("a Unix socket", UnixStream::connect(path)).await.unwrap())
    }

    pub(crate) fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Raw { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// A WebSocket at this path.
    pub(crate) async fn upgraded(address: SocketAddr, path: &str) -> Self {
        let mut raw = Self::connect(address).await;
        let answer = raw.ask(upgrade(path, &[])).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        raw
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("writing", async {
            self.stream.write_all(bytes.as_ref()).await.unwrap();
            // TLS may have kept some of it.
            self.stream.flush().await.unwrap();
        })
        .await;
    }

    /// Sends what may be too much for a server that has closed already.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        soon("writing", self.stream.write_all(bytes.as_ref())).await.is_ok()
    }

    /// No more is sent, but still read.
    pub(crate) async fn half_close(&mut self) {
        soon("shutdown", self.stream.shutdown()).await.unwrap();
    }

    /// Reads more; `false` at the end, and when the connection is lost.
    async fn more(&mut self) -> bool {
        soon("bytes", self.stream.read_buf(&mut self.buffer)).await.is_ok_and(|count| count > 0)
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        match self.answer().await {
            Some(answer) => answer,
            None => panic!("the connection was closed instead of an answer"),
        }
    }

    /// The next answer; `None` if the connection ended instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if !self.more().await => return None,
                None => {}
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = String::from_utf8(self.take(length).await?).unwrap();
        Some(answer)
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<RawFrame> {
        let head = self.take(2).await?;
        let length = match head[1] {
            short @ 0..126 => usize::from(short),
            126 => usize::from(u16::from_be_bytes(self.take(2).await?.try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8).await?.try_into().unwrap()) as usize,
            _ => panic!("the server has masked a frame"),
        };
        let payload = self.take(length).await?;
        Some(RawFrame { fin: head[0] & 0x80 != 0, opcode: head[0] & 0x0f, payload })
    }

    /// The next frame, which must be a text.
    pub(crate) async fn text(&mut self) -> String {
        match self.frame().await {
            Some(RawFrame { fin: true, opcode: 1, payload }) => String::from_utf8(payload).unwrap(),
            other => panic!("a text was expected, and {other:?} came"),
        }
    }

    /// Whether the other side ends the connection, and what came before it did.
    pub(crate) async fn ended(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Reads until the connection ends, and writes meanwhile what `drip` gives, whenever it gives something.
    pub(crate) async fn ended_in_spite_of(&mut self, bytes: &[u8], pause: std::time::Duration) {
        for byte in bytes.iter().cycle() {
            tokio::select! {
                more = self.more() => if !more { return },
                () = tokio::time::sleep(pause) => {
                    if !self.try_send([*byte]).await {
                        return;
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("buffer", &self.buffer).finish_non_exhaustive()
    }
}

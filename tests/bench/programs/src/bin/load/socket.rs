//! Connections: the handshake while they block, and then as many bytes as are there or go out.

use std::io::{self, Read, Write};
use std::net::TcpStream as Blocking;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

use crate::{Arguments, Result};

/// How long one answer is waited for before all are awaited at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// The request of a handshake; the key is always the same.
pub(crate) fn request(arguments: &Arguments) -> Result<String> {
    let offer = if arguments.deflate()? {
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
    } else {
        ""
    };
    Ok(format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n",
        arguments.path()?,
        arguments.port()?,
    ))
}

/// So many connections with the handshake behind them, one after the other.
pub(crate) fn connect(arguments: &Arguments, count: usize) -> Result<Vec<Blocking>> {
    let request = request(arguments)?;
    (0..count).map(|_| open(arguments, &request)).collect()
}

fn open(arguments: &Arguments, request: &str) -> Result<Blocking> {
    let mut stream = Blocking::connect(("127.0.0.1", arguments.port()?))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    if !answer.starts_with("http/1.1 101") {
        return Err(format!("the server answers {}", answer.lines().next().unwrap_or_default()).into());
    }
    if arguments.deflate()? && !answer.contains("permessage-deflate") {
        return Err("the server does not compress".into());
    }
    Ok(stream)
}

/// A connection that sends the same bytes over and over.
pub(crate) struct Connection {
    stream: TcpStream,
    /// How many bytes are still to be sent, and where in the frame the next one stands.
    owed: usize,
    at: usize,
    /// How many bytes of an incomplete answer have come.
    part: usize,
}

impl Connection {
    /// Nothing may be on its way yet.
    pub(crate) fn new(stream: Blocking, poll: &Poll, token: usize) -> Result<Self> {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, owed: 0, at: 0, part: 0 })
    }

    /// How many answers of this length have come.
    pub(crate) fn receive(&mut self, length: usize, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err("the server has closed a connection".into()),
                Ok(read) => {
                    self.part += read;
                    // Less than there was room for: there is no more.
                    if read < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let count = self.part / length;
        self.part %= length;
        Ok(count)
    }

    /// Sends so many more frames of which `frames` is one after the other, as far as the socket takes them now.
    pub(crate) fn send(&mut self, count: usize, frame: usize, frames: &[u8]) -> Result<()> {
        self.owed += count * frame;
        while self.owed > 0 {
            let end = frames.len().min(self.at + self.owed);
            match self.stream.write(&frames[self.at..end]) {
                Ok(sent) => {
                    self.owed -= sent;
                    self.at = (self.at + sent) % frame;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

//! What TCP alone costs: epoll, and no WebSocket at all.
//!
//! It learns from the first frame how long frames are, and from then on only counts bytes and sends as many prepared answers, to
//! where they came from, or to everybody whose request was for `/bcast`. No server that reads its messages can be below it.

use std::io::{self, Read, Write};

use bench_programs::{Header, frame, port};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// The load generator always sends the same key.
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;
/// So many answers are sent by one call at most.
const AT_ONCE: usize = 16;

/// What all frames are like.
struct Frames {
    length: usize,
    answer: usize,
    /// The answer, so many times as may be sent at once.
    answers: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    everybody: bool,
    open: bool,
    /// What came before the frames were known.
    before: Vec<u8>,
    /// How many bytes of an incomplete frame are there.
    part: usize,
    /// How many bytes are still to be sent, and where in the answer the next one stands.
    owed: usize,
    at: usize,
}

impl Connection {
    /// How many frames have come, or the end of the connection.
    fn receive(&mut self, buffer: &mut [u8], frames: &mut Option<Frames>) -> io::Result<usize> {
        let mut count = 0;
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                Err(error) => return Err(error),
            };
            count += self.count(&buffer[..read], frames)?;
            if read < buffer.len() {
                return Ok(count);
            }
        }
    }

    fn count(&mut self, bytes: &[u8], frames: &mut Option<Frames>) -> io::Result<usize> {
        if let (true, Some(frames)) = (self.open, &*frames) {
            self.part += bytes.len();
            let count = self.part / frames.length;
            self.part %= frames.length;
            return Ok(count);
        }
        self.before.extend_from_slice(bytes);
        if !self.open {
            let Some(end) = self.before.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(0) };
            self.everybody = self.before.starts_with(b"GET /bcast");
            self.before.drain(..end + 4);
            self.open = true;
            self.stream.write_all(ANSWER)?;
        }
        if frames.is_none() {
            let Some(header) = Header::parse(&self.before) else { return Ok(0) };
            if self.before.len() < header.frame() {
                return Ok(0);
            }
            // Masking again unmasks.
            let masked = &self.before[header.size..header.frame()];
            let payload = &frame(0, masked, header.mask)[header.size..];
            let answer = frame(header.first, payload, None);
            *frames = Some(Frames {
                length: header.frame(),
                answer: answer.len(),
                answers: answer.repeat(AT_ONCE),
            });
        }
        let before = std::mem::take(&mut self.before);
        self.count(&before, frames)
    }

    fn send(&mut self, frames: &Frames) -> io::Result<()> {
        while self.owed > 0 {
            let end = frames.answers.len().min(self.at + self.owed);
            match self.stream.write(&frames.answers[self.at..end]) {
                Ok(sent) => {
                    self.owed -= sent;
                    self.at = (self.at + sent) % frames.answer;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port()).into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; 256 * 1024];
    let mut frames = None;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                if connections.iter().all(Option::is_none) {
                    // Another load, of other frames.
                    frames = None;
                }
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let index = event.token().0;
            let Some(connection) = connections[index].as_mut() else { continue };
            let received =
                if event.is_readable() { connection.receive(&mut buffer, &mut frames) } else { Ok(0) };
            let to_all = connection.everybody;
            let result = match (received, &frames) {
                (Err(error), _) => Err(error),
                (Ok(_), None) => Ok(()),
                (Ok(count), Some(frames)) if count > 0 && to_all => {
                    send_to_all(&mut connections, count, frames);
                    Ok(())
                }
                (Ok(count), Some(frames)) => {
                    connection.owed += count * frames.answer;
                    connection.send(frames)
                }
            };
            if result.is_err() {
                connections[index] = None;
            }
        }
    }
}

fn send_to_all(connections: &mut [Option<Connection>], count: usize, frames: &Frames) {
    for connection in connections.iter_mut().flatten().filter(|connection| connection.everybody) {
        connection.owed += count * frames.answer;
        // Whoever cannot be sent to any more is told so by an event of its own.
        let _ = connection.send(frames);
    }
}

fn accept(listener: &TcpListener, poll: &Poll, connections: &mut Vec<Option<Connection>>) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let free = connections.iter().position(Option::is_none).unwrap_or(connections.len());
        poll.registry().register(&mut stream, Token(free), Interest::READABLE | Interest::WRITABLE)?;
        let connection =
            Connection { stream, everybody: false, open: false, before: Vec::new(), part: 0, owed: 0, at: 0 };
        if free == connections.len() {
            connections.push(Some(connection));
        } else {
            connections[free] = Some(connection);
        }
    }
}

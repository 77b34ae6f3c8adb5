//! The wire as a whole: bytes go in, in pieces of every size, and what a connection would see comes out.

mod autobahn;
#[cfg(feature = "deflate")]
mod deflate;
mod limits;
mod parts;
mod properties;
mod rules;

use super::{Decoder, Delivery, Gate, Role, Step, Violation};

/// The key that frames of the tests are masked with, where it does not matter.
const KEY: [u8; 4] = [0x9c, 0x01, 0xfe, 0x55];

const CONTINUE: u8 = 0x00;
const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const FIN: u8 = 0x80;

/// A frame as a client sends it, made without the code under test. `first` is its first byte as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => out.extend([0x80 | 126, (medium >> 8) as u8, medium as u8]),
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// The same frame as a server sends it.
fn unmasked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = frame(first, payload);
    let header = out.len() - payload.len();
    out.truncate(header - KEY.len());
    out[1] &= 0x7f;
    out.extend(payload);
    out
}

/// The frames of one message whose payload is cut into `pieces`.
fn fragments(opcode: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().flat_map(|(i, piece)| {
        let fin = if i == last { FIN } else { 0 };
        let opcode = if i == 0 { opcode } else { CONTINUE };
        frame(fin | opcode, piece)
    });
    frames.collect()
}

/// A [`Step`] that owns what it says, or the code of the violation that ended the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Text(String),
    Binary(Vec<u8>),
    TextPart(String, bool),
    BinaryPart(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(u16),
}

/// The reading side of a connection: keeps what the decoder left, appends what arrives, and notes every event. It
/// also holds the decoder to the promises that do not depend on what was sent.
struct Reader {
    decoder: Decoder,
    unconsumed: Vec<u8>,
    events: Vec<Event>,
}

/// A decoder of whole messages.
fn decoder(role: Role, max_message: usize) -> Decoder {
    Decoder::new(role, Delivery::Whole(max_message), Delivery::Whole(max_message))
}

impl Reader {
    fn new(role: Role, max_message: usize) -> Self {
        Self { decoder: decoder(role, max_message), unconsumed: Vec::new(), events: Vec::new() }
    }

    fn failed(&self) -> bool {
        matches!(self.events.last(), Some(Event::Failed(_)))
    }

    /// A chunk arrives and is read through `gate`, until the decoder wants more bytes, holds, or fails.
    fn receive(&mut self, chunk: &[u8], gate: Gate) {
        self.unconsumed.extend_from_slice(chunk);
        while !self.failed() {
            let before = self.unconsumed.clone();
            let (consumed, event) = match self.decoder.decode(&mut self.unconsumed, gate) {
                Err(violation) => return self.events.push(failure(&violation)),
                Ok((consumed, Step::Held)) => {
                    assert_eq!((gate, consumed), (Gate::ControlOnly, 0));
                    (consumed, None)
                }
                Ok((consumed, Step::Incomplete)) => {
                    assert!(before.len() - consumed <= 130, "more is left than the beginning of a frame");
                    (consumed, None)
                }
                Ok((consumed, step)) => (consumed, Some(owned(step))),
            };
            assert_eq!(before[consumed..], self.unconsumed[consumed..], "what is not consumed is untouched");
            self.unconsumed.drain(..consumed);
            let Some(event) = event else { return };
            if let (
                Gate::ControlOnly,
                Event::Text(_) | Event::Binary(_) | Event::TextPart(..) | Event::BinaryPart(..),
            ) = (gate, &event)
            {
                panic!("a message passed the gate");
            }
            self.events.push(event);
        }
    }
}

/// What a server sees when these bytes arrive at once.
fn read(bytes: &[u8]) -> Vec<Event> {
    read_chops(bytes, usize::MAX)
}

/// What a server sees when these bytes arrive `size` at a time.
fn read_chops(bytes: &[u8], size: usize) -> Vec<Event> {
    let mut reader = Reader::new(Role::Server, 1 << 24);
    for chop in bytes.chunks(size.min(bytes.len()).max(1)) {
        reader.receive(chop, Gate::Open);
    }
    reader.events
}

/// What a server sees, having made sure that it sees the same when the bytes come one by one.
fn read_both_ways(bytes: &[u8]) -> Vec<Event> {
    let events = read(bytes);
    assert_eq!(events, read_chops(bytes, 1), "octet by octet");
    events
}

fn owned(step: Step<'_>) -> Event {
    match step {
        Step::Incomplete | Step::Held => unreachable!("not an event"),
        Step::Text(text) => Event::Text(text.into_owned()),
        Step::Binary(bytes) => Event::Binary(bytes.into_owned()),
        Step::TextPart(part, last) => Event::TextPart(part.into_owned(), last),
        Step::BinaryPart(part, last) => Event::BinaryPart(part.into_owned(), last),
        Step::Ping(payload) => Event::Ping(payload.to_vec()),
        Step::Pong(payload) => Event::Pong(payload.to_vec()),
        Step::Close(body) => Event::Close(body.map(|(code, reason)| (code.into(), reason.into_owned()))),
    }
}

fn failure(violation: &Violation) -> Event {
    assert!(violation.reason.len() <= 123, "a reason must fit into a close frame: {}", violation.reason);
    assert!(!violation.reason.is_empty(), "a violation says what was wrong");
    Event::Failed(violation.code.into())
}

fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

fn pong(payload: &[u8]) -> Event {
    Event::Pong(payload.to_vec())
}

fn ping(payload: &[u8]) -> Event {
    Event::Ping(payload.to_vec())
}

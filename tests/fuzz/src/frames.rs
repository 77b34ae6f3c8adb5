//! Any bytes as a stream of frames: the same events however they arrive, and no message that is too large.

use crate::reader::{Event, read};
use crate::wire::{Decoder, Delivery, Role, Window};

/// The first three bytes say how the rest is read.
pub fn run(data: &[u8]) {
    let [how, size, seed, stream @ ..] = data else { return };
    let limit = 1 << (size % 18);
    let whole = read(decoder(*how, limit), [stream]);
    for event in &whole {
        match event {
            Event::Text(text) => assert!(text.len() <= limit, "a text of {} bytes", text.len()),
            Event::Binary(bytes) => assert!(bytes.len() <= limit, "{} bytes", bytes.len()),
            Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
            _ => {}
        }
    }
    let one_by_one = read(decoder(*how, limit), stream.chunks(1));
    assert_eq!(whole, one_by_one, "octet by octet");
    let random = read(decoder(*how, limit), pieces(stream, *seed));
    assert_eq!(whole, random, "in pieces");
}

fn decoder(how: u8, limit: usize) -> Decoder {
    let is_set = |bit: u8| how & 1 << bit != 0;
    let role = if is_set(0) { Role::Client } else { Role::Server };
    let delivery = |parts| if parts { Delivery::Parts } else { Delivery::Whole(limit) };
    let window = is_set(3).then(|| Window { bits: 8 + (how >> 5), takeover: is_set(4) });
    Decoder::new(role, delivery(is_set(1)), delivery(is_set(2))).inflating(window)
}

/// Cuts the stream at places that only the seed decides on.
fn pieces(stream: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed) << 1 | 1;
    let mut pieces = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        // Xorshift: mostly short pieces, some long ones.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let length = 1 + state as usize % if state % 8 == 0 { 400 } else { 20 };
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

//! Any bytes as messages that we compress: they come out as they went in, whole or in fragments.

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::reader::{Event, read};
use crate::wire::{Decoder, Deflater, Delivery, Role, Window, mark_compressed, put_frame};

/// The first byte says how it is compressed, the second how long each message is.
pub fn run(data: &[u8]) {
    let [how, length, content @ ..] = data else { return };
    let window = Window { bits: 9 + how % 7, takeover: how & 8 != 0 };
    let Some(mut deflater) = Deflater::new(window) else { return };
    // Compressed data is what repeats itself.
    let messages: Vec<Vec<u8>> = content
        .chunks(1 + usize::from(*length))
        .map(|message| message.repeat(1 + usize::from(how >> 5)))
        .collect();
    let mut stream = Vec::new();
    for message in &messages {
        if how & 16 == 0 {
            put_message(&mut stream, &mut deflater, message);
        } else {
            put_fragments(&mut stream, &mut deflater, message);
        }
    }
    let longest = messages.iter().map(Vec::len).max().unwrap_or(0);
    let decoder = || {
        let whole = Delivery::Whole(longest);
        Decoder::new(Role::Client, whole, whole).inflating(Some(window))
    };
    let expected: Vec<Event> = messages.into_iter().map(Event::Binary).collect();
    assert_eq!(read(decoder(), [&stream[..]]), expected, "at once");
    assert_eq!(read(decoder(), stream.chunks(7)), expected, "in pieces");
}

fn put_message(stream: &mut Vec<u8>, deflater: &mut Deflater, message: &[u8]) {
    let start = stream.len();
    let opcode = OpCode::Data(Data::Binary);
    let put = |compressed: &[u8]| {
        assert!(compressed.len() < message.len(), "it has become no smaller");
        put_frame(stream, true, opcode, compressed);
        mark_compressed(&mut stream[start..]);
    };
    if deflater.message(message, put).is_none() {
        put_frame(stream, true, opcode, message);
    }
}

fn put_fragments(stream: &mut Vec<u8>, deflater: &mut Deflater, message: &[u8]) {
    let (first, second) = message.split_at(message.len() / 2);
    for (last, part) in [(false, first), (true, second)] {
        let start = stream.len();
        let opcode = OpCode::Data(if last { Data::Continue } else { Data::Binary });
        let put = |compressed: &[u8]| put_frame(stream, last, opcode, compressed);
        deflater.fragment(part, last, put).expect("a fragment is always compressed");
        if !last {
            mark_compressed(&mut stream[start..]);
        }
    }
}

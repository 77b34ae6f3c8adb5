//! Compressed messages (RFC 7692): what must be understood, what must not, and that nothing costs more than it may.

mod properties;

use flate2::{Compress, Compression, FlushCompress};

use super::super::{Deflater, Window};
use super::*;

const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;

const ALONE: Window = Window { bits: 15, takeover: false };
const TAKEOVER: Window = Window { bits: 15, takeover: true };

/// Another's compressor, for a peer.
fn compressor() -> Compress {
    Compress::new(Compression::default(), false)
}

/// Compresses a message as a peer does, without what is cut off.
fn by_peer(compressor: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 1024);
    compressor.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
    out.strip_suffix(&[0x00, 0x00, 0xff, 0xff]).unwrap().to_vec()
}

fn deflated(message: &[u8]) -> Vec<u8> {
    by_peer(&mut compressor(), message)
}

/// A whole message, compressed by us; `None`: it goes as it is.
fn by_us(deflater: &mut Deflater, message: &[u8]) -> Option<Vec<u8>> {
    deflater.message(message, <[u8]>::to_vec)
}

/// A client's compressed message in one frame.
fn compressed_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(FIN | RSV1 | opcode, payload)
}

/// A client's compressed message in fragments.
fn compressed_fragments(opcode: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = fragments(opcode, pieces);
    out[0] |= RSV1;
    out
}

impl Reader {
    fn inflating(window: Window, limit: usize) -> Self {
        let decoder = decoder(Role::Server, limit).inflating(Some(window));
        Reader { decoder, unconsumed: Vec::new(), events: Vec::new() }
    }

    fn inflating_parts(window: Window) -> Self {
        let mut reader = Reader::inflating(window, 0);
        reader.decoder.deliver(Delivery::Parts, Delivery::Parts);
        reader
    }
}

/// What a server sees that has agreed on compression; the same at once, octet by octet, and in parts.
fn inflate(window: Window, bytes: &[u8]) -> Vec<Event> {
    let mut at_once = Reader::inflating(window, 1 << 20);
    at_once.receive(bytes, Gate::Open);
    let mut by_octet = Reader::inflating(window, 1 << 20);
    let mut in_parts = Reader::inflating_parts(window);
    for octet in bytes.chunks(1) {
        by_octet.receive(octet, Gate::Open);
        in_parts.receive(octet, Gate::Open);
    }
    assert_eq!(by_octet.events, at_once.events, "octet by octet");
    assert_eq!(super::parts::joined(in_parts.events), at_once.events, "in parts");
    at_once.events
}

/// The examples of RFC 7692, 7.2.3.
#[test]
fn understands_the_examples_of_the_rfc() {
    let hello = [text("Hello")];
    let one_block: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(ALONE, &compressed_frame(TEXT, one_block)), hello, "7.2.3.1");
    let (first, second) = one_block.split_at(3);
    assert_eq!(inflate(ALONE, &compressed_fragments(TEXT, &[first, second])), hello, "7.2.3.1, fragments");

    let again: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];
    let twice = [compressed_frame(TEXT, one_block), compressed_frame(TEXT, again)].concat();
    assert_eq!(inflate(TAKEOVER, &twice), [text("Hello"), text("Hello")], "7.2.3.2");

    let stored: &[u8] = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(inflate(ALONE, &compressed_frame(TEXT, stored)), hello, "7.2.3.3");

    let last_block: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(inflate(ALONE, &compressed_frame(TEXT, last_block)), hello, "7.2.3.4");

    let two_blocks: &[u8] = &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(ALONE, &compressed_frame(TEXT, two_blocks)), hello, "7.2.3.5");
}

/// A peer may keep its window only if that was agreed on; whoever grants it must not forget.
#[test]
fn messages_refer_to_each_other_only_if_that_was_agreed_on() {
    let mut peer = compressor();
    let message = b"a message that is said more than once";
    let (first, second) = (by_peer(&mut peer, message), by_peer(&mut peer, message));
    assert!(second.len() < 10, "the second refers to the first");
    let seen = Event::Binary(message.to_vec());
    let frames = [&first, &second, &first].map(|payload| compressed_frame(BINARY, payload)).concat();
    assert_eq!(inflate(TAKEOVER, &frames), [seen.clone(), seen.clone(), seen.clone()]);
    assert_eq!(inflate(ALONE, &frames), [seen, Event::Failed(1007)]);
}

#[test]
fn messages_that_are_not_compressed_come_between() {
    let mut peer = compressor();
    let frames = [
        compressed_frame(TEXT, &by_peer(&mut peer, b"one and two")),
        frame(FIN | TEXT, b"plain"),
        fragments(TEXT, &[b"pl", b"ain"]),
        compressed_frame(TEXT, &by_peer(&mut peer, b"one and two")),
    ];
    let seen = ["one and two", "plain", "plain", "one and two"].map(text);
    assert_eq!(inflate(TAKEOVER, &frames.concat()), seen);
}

#[test]
fn a_reserved_bit_means_something_only_where_it_was_agreed_on() {
    let hello = deflated(b"Hello");
    assert_eq!(read_both_ways(&compressed_frame(TEXT, &hello)), [Event::Failed(1002)], "no agreement");
    for first in [
        FIN | RSV2 | TEXT,
        FIN | RSV3 | BINARY,
        FIN | RSV1 | RSV2 | TEXT,
        FIN | RSV1 | RSV3 | TEXT,
        RSV1 | PING,
        RSV1 | PONG,
        RSV1 | CLOSE,
        FIN | RSV1 | CONTINUE,
        FIN | RSV1 | 0x03,
    ] {
        assert_eq!(inflate(ALONE, &frame(first, &hello)), [Event::Failed(1002)], "{first:#x}");
    }
    let (one, two) = hello.split_at(3);
    let again = [frame(RSV1 | TEXT, one), frame(FIN | RSV1 | CONTINUE, two)].concat();
    assert_eq!(inflate(ALONE, &again), [Event::Failed(1002)], "on the second fragment");
    let late = [frame(TEXT, b"He"), frame(FIN | RSV1 | CONTINUE, &hello)].concat();
    assert_eq!(inflate(ALONE, &late), [Event::Failed(1002)], "of a message that is not compressed");
}

#[test]
fn an_empty_message_may_be_compressed_to_nearly_nothing_or_nothing() {
    for window in [ALONE, TAKEOVER] {
        for payload in [&[0x00][..], &[], &[0x03, 0x00], &[0x01, 0x00, 0x00, 0xff, 0xff]] {
            let twice = compressed_frame(BINARY, payload).repeat(2);
            let seen = [Event::Binary(Vec::new()), Event::Binary(Vec::new())];
            assert_eq!(inflate(window, &twice), seen, "{payload:02x?}");
            let frames = compressed_fragments(TEXT, &[b"", payload, b"", b""]);
            assert_eq!(inflate(window, &frames), [text("")], "{payload:02x?} in fragments");
        }
    }
}

#[test]
fn last_blocks_may_stand_anywhere() {
    let last = |message: &[u8]| {
        let mut out = Vec::with_capacity(1024);
        compressor().compress_vec(message, &mut out, FlushCompress::Finish).unwrap();
        out
    };
    let several = [last(b"one, "), last(b"two, "), deflated(b"three")].concat();
    for window in [ALONE, TAKEOVER] {
        let frames = [compressed_frame(TEXT, &several), compressed_frame(TEXT, &last(b"and four"))];
        let seen = [text("one, two, three"), text("and four"), text("one, two, three")];
        assert_eq!(inflate(window, &[&frames[0][..], &frames[1], &frames[0]].concat()), seen);
    }
}

/// However a message is cut, and whatever comes between.
#[test]
fn fragments_are_cut_anywhere() {
    let message = "a fragment of a fragment \u{20ac} ".repeat(4);
    let payload = deflated(message.as_bytes());
    for cut in 0..=payload.len() {
        let (one, two) = payload.split_at(cut);
        let frames =
            [frame(RSV1 | TEXT, one), frame(PING, b"?"), frame(CONTINUE, b""), frame(FIN | CONTINUE, two)];
        assert_eq!(inflate(ALONE, &frames.concat()), [ping(b"?"), text(&message)], "cut at {cut}");
    }
}

#[test]
fn what_is_not_deflate_is_1007() {
    let mut cases = vec![
        ("a reserved kind of block", vec![0x07, 0x00]),
        ("a length that is not repeated", vec![0x00, 0x05, 0x00, 0x00, 0x00, 0x48]),
        ("a reference to before the beginning", vec![0x02, 0x03, 0x02, 0x00]),
        (
            "with a header of zlib, which could name a dictionary",
            vec![0x78, 0xbb, 1, 2, 3, 4, 0x4b, 0x04, 0x00],
        ),
        ("plain text", b"plain text".to_vec()),
    ];
    let mut behind = vec![0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    behind.extend([0x07, 0xff]);
    cases.push(("garbage behind the last block", behind));
    for window in [ALONE, TAKEOVER] {
        for (what, payload) in &cases {
            assert_eq!(inflate(window, &compressed_frame(TEXT, payload)), [Event::Failed(1007)], "{what}");
        }
    }
}

/// Where a message breaks off it is not taken for whole, and never does it spoil the next.
#[test]
fn a_message_that_breaks_off_is_1007() {
    let message = "it breaks off in the middle of 12,345 things ".repeat(3);
    for payload in
        [deflated(message.as_bytes()), [&[0x00, 0xff, 0x00, 0x00, 0xff][..], &[b'a'; 255]].concat()]
    {
        // The first byte of a stored block is the whole of an empty message.
        for length in 2..payload.len() - 1 {
            for window in [ALONE, TAKEOVER] {
                let frames = compressed_frame(BINARY, &payload[..length]);
                assert_eq!(inflate(window, &frames), [Event::Failed(1007)], "{length} of {}", payload.len());
            }
        }
    }
}

/// Not the compressed bytes are limited, nor what they announce: what they come to is.
#[test]
fn the_limit_is_that_of_what_is_inflated() {
    for limit in [0, 1, 1000, 70_000] {
        for (length, passes) in [(limit, true), (limit + 1, false)] {
            let message = vec![b'a'; length];
            let payload = deflated(&message);
            let (one, two) = payload.split_at(payload.len() / 2);
            for bytes in [
                compressed_frame(BINARY, &payload),
                compressed_frame(TEXT, &payload),
                compressed_fragments(BINARY, &[one, b"", two]),
            ] {
                for chop in [1, 7, usize::MAX] {
                    let mut reader = Reader::inflating(ALONE, limit);
                    bytes.chunks(chop.min(bytes.len())).for_each(|chunk| reader.receive(chunk, Gate::Open));
                    let seen = match (passes, bytes[0] & 0x0f) {
                        (false, _) => Event::Failed(1009),
                        (true, TEXT) => Event::Text("a".repeat(length)),
                        (true, _) => Event::Binary(message.clone()),
                    };
                    assert_eq!(reader.events, [seen], "limit {limit}, {length} bytes, {chop} at a time");
                }
            }
        }
    }
    // Stored, a message is longer than it is.
    let stored = [&[0x00, 0x05, 0x00, 0xfa, 0xff][..], b"Hello", &[0x00]].concat();
    let mut reader = Reader::inflating(ALONE, 5);
    reader.receive(&compressed_frame(TEXT, &stored), Gate::Open);
    assert_eq!(reader.events, [text("Hello")]);
}

#[test]
fn a_plain_message_behind_a_compressed_one_is_limited_by_its_own_length() {
    let mut reader = Reader::inflating(TAKEOVER, 10);
    reader.receive(&compressed_frame(TEXT, &deflated(b"0123456789")), Gate::Open);
    reader.receive(&frame(FIN | TEXT, b"0123456789a"), Gate::Open);
    assert_eq!(reader.events, [text("0123456789"), Event::Failed(1009)]);
}

/// A hundred megabytes in a hundred kilobytes: it ends at the limit, by the byte, and holds no more than that.
#[test]
fn a_bomb_goes_off_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    let mut peer = compressor();
    let megabytes: Vec<Vec<u8>> = (0..100).map(|_| by_peer(&mut peer, &zeros)).collect();
    let payload = megabytes.join(&[0x00, 0x00, 0xff, 0xff][..]);
    assert!(payload.len() < 200_000);
    let limit = 1 << 16;
    let mut decoder = decoder(Role::Server, limit).inflating(Some(ALONE));
    let violation = decoder.decode(&mut compressed_frame(BINARY, &payload), Gate::Open).unwrap_err();
    assert_eq!(u16::from(violation.code), 1009);
    assert_eq!(violation.reason, "message of more than 65536 bytes; see max_message_size");
    assert!(decoder.heap() <= limit);

    let mut decoder = super::decoder(Role::Server, 1 << 24).inflating(Some(ALONE));
    let mut bytes = compressed_frame(BINARY, &payload);
    let (header, payload) = bytes.split_at_mut(14);
    assert_eq!(decoder.decode(header, Gate::Open), Ok((14, Step::Incomplete)));
    let violation = payload.chunks_mut(64).find_map(|chunk| {
        let result = decoder.decode(chunk, Gate::Open);
        let violation = result.inspect(|(_, step)| assert_eq!(step, &Step::Incomplete)).err();
        assert!(decoder.heap() <= 1 << 24);
        violation
    });
    assert_eq!(u16::from(violation.unwrap().code), 1009);
}

/// Blocks without content have no end, and cost nothing but the reading.
#[test]
fn empty_blocks_without_end_hold_no_memory() {
    let mut decoder = decoder(Role::Server, 1 << 16).inflating(Some(ALONE));
    let blocks = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(1000);
    let mut first = frame(RSV1 | BINARY, &blocks);
    decoder.decode(&mut first, Gate::Open).unwrap();
    for _ in 0..100 {
        let mut more = frame(CONTINUE, &blocks);
        let length = more.len();
        assert_eq!(decoder.decode(&mut more, Gate::Open), Ok((length, Step::Incomplete)));
        assert_eq!(decoder.heap(), 0);
    }
}

/// Both rules are broken, and the first of them is told, at once as octet by octet.
#[test]
fn what_passes_the_limit_before_it_turns_corrupt_is_1009() {
    // Two bytes, and then no deflate, which who looks ahead sees before there is room for the second.
    let payload = [0xf2, 0x55, 0x00, 0xc0, 0xfa, 0x00, 0xe1, 0x18, 0xcc, 0x11, 0xf4];
    let stream = compressed_frame(TEXT, &payload);
    for chop in [1, 7, stream.len()] {
        let mut reader = Reader::inflating(ALONE, 1);
        stream.chunks(chop).for_each(|bytes| reader.receive(bytes, Gate::Open));
        assert_eq!(reader.events, [Event::Failed(1009)], "{chop} at a time");
    }
}

#[test]
fn what_is_no_text_before_the_limit_is_1007() {
    for (message, code) in [(&b"12\xff4567"[..], 1007), (b"123456\xff", 1009)] {
        let bytes = compressed_frame(TEXT, &deflated(message));
        for size in 1..=bytes.len() {
            let mut reader = Reader::inflating(ALONE, 5);
            for chunk in bytes.chunks(size) {
                reader.receive(chunk, Gate::Open);
            }
            assert_eq!(reader.events, [Event::Failed(code)], "{message:?}, {size} bytes at a time");
        }
    }
}

#[test]
fn text_is_checked_when_it_is_inflated_and_as_early_as_it_shows() {
    assert_eq!(inflate(ALONE, &compressed_frame(TEXT, &deflated(b"\xce\xba\xff"))), [Event::Failed(1007)]);
    assert_eq!(inflate(ALONE, &compressed_frame(TEXT, &deflated(b"\xce"))), [Event::Failed(1007)]);
    // Stored, so that it can be said when which byte is there.
    let stored = [&[0x00, 0x05, 0x00, 0xfa, 0xff][..], b"ab\xffde", &[0x00]].concat();
    for parts in [false, true] {
        let bytes = frame(RSV1 | TEXT, &stored);
        let mut reader = if parts { Reader::inflating_parts(ALONE) } else { Reader::inflating(ALONE, 1000) };
        let header = bytes.len() - stored.len();
        reader.receive(&bytes[..header + 7], Gate::Open);
        assert!(!reader.failed());
        reader.receive(&bytes[header + 7..header + 8], Gate::Open);
        assert!(reader.failed());
    }
}

/// The next message is not looked at, the rest of this one waits where it is, and what comes between is heard.
#[test]
fn a_message_in_parts_waits_for_its_reader() {
    let message: Vec<u8> = (0..300_000u32).map(|i| (i / 1000) as u8).collect();
    let mut peer = compressor();
    let payload = by_peer(&mut peer, &message);
    assert!(payload.len() < 5000, "little comes to much");
    let (one, two) = payload.split_at(payload.len() / 2);
    let bytes = [
        compressed_fragments(BINARY, &[one, two]),
        frame(PING, b"behind"),
        compressed_frame(TEXT, &deflated(b"next")),
    ]
    .concat();
    let mut reader = Reader::inflating_parts(ALONE);
    reader.unconsumed = bytes;
    let mut seen = Vec::new();
    let mut held = 0;
    let mut pinged = false;
    loop {
        let (used, step) = reader.decoder.decode(&mut reader.unconsumed, Gate::Open).unwrap();
        let (part, last) = match step {
            Step::BinaryPart(part, last) => (part.into_owned(), last),
            other => panic!("{other:?}"),
        };
        assert!(part.len() <= 64 * 1024);
        seen.extend(part);
        reader.unconsumed.drain(..used);
        if last {
            break;
        }
        loop {
            let before = reader.unconsumed.clone();
            match reader.decoder.decode(&mut reader.unconsumed, Gate::ControlOnly).unwrap() {
                (0, Step::Held) => break,
                (used, Step::Ping(b"behind")) => {
                    pinged = true;
                    reader.unconsumed.drain(..used);
                }
                other => panic!("{other:?}"),
            }
            assert!(reader.unconsumed.len() < before.len());
        }
        held += 1;
    }
    assert!(seen == message && held >= 4 && !reader.decoder.owes());
    reader.receive(&[], Gate::Open);
    let rest = [ping(b"behind"), Event::TextPart("next".to_owned(), true)];
    assert_eq!(reader.events, rest[usize::from(pinged)..]);
}

/// All the input is used, and there is more to tell: who asks is told, and whoever must not be told yet waits.
#[test]
fn a_part_may_be_owed_when_nothing_is_left_to_read() {
    for length in [65_535, 65_536, 65_537, 131_072, 200_000] {
        let mut reader = Reader::inflating_parts(ALONE);
        let mut bytes = compressed_frame(BINARY, &deflated(&vec![b'x'; length]));
        let total = bytes.len();
        let (mut used, mut seen) = (0, 0);
        loop {
            let (more, step) = reader.decoder.decode(&mut bytes[used..], Gate::Open).unwrap();
            used += more;
            let Step::BinaryPart(part, last) = step else { panic!("{step:?}") };
            seen += part.len();
            assert!(!last || (seen == length && !reader.decoder.owes()));
            if last {
                break;
            }
            if reader.decoder.owes() {
                let gated = reader.decoder.decode(&mut bytes[used..], Gate::ControlOnly);
                assert_eq!(gated, Ok((0, Step::Held)));
            }
        }
        assert_eq!((used, seen), (total, length));
    }
}

#[test]
fn between_messages_only_a_window_that_was_granted_is_kept() {
    for (window, keeps) in [(ALONE, false), (TAKEOVER, true)] {
        let mut reader = Reader::inflating(window, 1000);
        assert!(!reader.decoder.keeps_inflater(), "before the first");
        reader.receive(&frame(FIN | TEXT, b"plain"), Gate::Open);
        assert!(!reader.decoder.keeps_inflater(), "one that is not compressed needs none");
        let bytes = compressed_frame(TEXT, &deflated(b"compressed"));
        reader.receive(&bytes[..9], Gate::Open);
        assert!(reader.decoder.keeps_inflater(), "amid a message");
        reader.receive(&bytes[9..], Gate::Open);
        assert_eq!(reader.decoder.keeps_inflater(), keeps);
        assert_eq!(reader.events, [text("plain"), text("compressed")]);
    }
}

// ---- what we send

/// Bytes that nothing makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A message that does not become smaller is sent as it is, and the peer's window has not seen it: what comes after must not refer to it.
#[test]
fn a_message_that_goes_as_it_is_does_not_spoil_the_next() {
    for bits in 9..=15 {
        let mut deflater = Deflater::new(Window { bits, takeover: true }).unwrap();
        let mut reader = Reader::inflating(Window { bits, takeover: true }, 1 << 20);
        let speech = "to be, or not to be, that is the question; ".repeat(40).into_bytes();
        let random = noise(4000);
        let mixed = [&speech[..500], &random[..2000], &speech[..500]].concat();
        let messages = [&speech, &random, &speech, &random, &mixed, &speech];
        let (mut sent, mut plain) = (Vec::new(), 0);
        for message in messages {
            sent.extend(match by_us(&mut deflater, message) {
                Some(payload) => compressed_frame(BINARY, &payload),
                None => {
                    plain += 1;
                    frame(FIN | BINARY, message)
                }
            });
        }
        reader.receive(&sent, Gate::Open);
        assert_eq!(reader.events, messages.map(|message| Event::Binary(message.clone())), "{bits} bits");
        assert_eq!(plain, 2, "{bits} bits");
    }
}

/// The thread's compressors serve one message after the other, whatever became of the last.
#[test]
fn what_is_in_vain_leaves_nothing_behind() {
    let speech = b"to be, or not to be, ".repeat(300);
    for bits in [9, 12, 15] {
        let mut deflater = Deflater::new(Window { bits, takeover: false }).unwrap();
        for round in 0..100 {
            assert_eq!(by_us(&mut deflater, &noise(1024 + 50 * round)), None);
            let size = 1024 + 50 * round;
            let payload = by_us(&mut deflater, &speech[..size]).unwrap();
            let mut reader = Reader::inflating(ALONE, size);
            reader.receive(&compressed_frame(BINARY, &payload), Gate::Open);
            assert_eq!(reader.events, [Event::Binary(speech[..size].to_vec())], "{bits} bits, {round}");
        }
    }
}

#[test]
fn only_what_becomes_smaller_is_compressed() {
    for takeover in [false, true] {
        let mut deflater = Deflater::new(Window { bits: 15, takeover }).unwrap();
        assert_eq!(by_us(&mut deflater, b""), None);
        assert_eq!(by_us(&mut deflater, b"a"), None);
        for length in [1, 100, 1000, 20_000, 300_000] {
            assert_eq!(by_us(&mut deflater, &noise(length)), None, "{length}");
            let zeros = vec![0; length];
            let payload = by_us(&mut deflater, &zeros);
            assert_eq!(payload.is_some(), length >= 100, "{length}");
            assert!(payload.is_none_or(|payload| payload.len() < length));
        }
    }
}

#[test]
fn with_takeover_what_was_said_before_makes_messages_smaller() {
    let message =
        br#"{"symbol":"ACME","bid":1234.56,"ask":1234.60,"bid_size":9876,"ask_size":5432,"currency":"EUR"}"#;
    let mut alone = Deflater::new(ALONE).unwrap();
    let (first, second) = (by_us(&mut alone, message), by_us(&mut alone, message));
    assert_eq!(first, second, "each by itself");
    let mut context = Deflater::new(TAKEOVER).unwrap();
    let (first, second) = (by_us(&mut context, message), by_us(&mut context, message));
    assert!(second.unwrap().len() < 10 && first.unwrap().len() > 50);
}

/// Whoever agreed on a small window refers no further back than that.
#[test]
fn no_reference_leaves_the_window() {
    // Between the two halves there is so much noise that a window of `bits` does not reach.
    for bits in 9..15u8 {
        let half = noise(300);
        let apart = (1 << bits) - 200;
        let zeros = vec![0; 4 * apart];
        let far = [&half, &zeros[..], &half].concat();
        let small = by_us(&mut Deflater::new(Window { bits, takeover: false }).unwrap(), &far).unwrap();
        assert!(small.len() > 2 * half.len(), "{bits} bits: {} bytes", small.len());
    }
    let near = [noise(300), noise(300)].concat();
    let payload = by_us(&mut Deflater::new(ALONE).unwrap(), &near).unwrap();
    assert!(payload.len() < 400, "and within it, it does");
}

#[test]
fn fragments_are_one_message_of_the_stream() {
    for takeover in [false, true] {
        let window = Window { bits: 12, takeover };
        let mut deflater = Deflater::new(window).unwrap();
        let mut reader = Reader::inflating(window, 1 << 20);
        let pieces: [&[u8]; 5] = [b"one, ", b"", b"two, ", &noise(50_000), b""];
        for _ in 0..2 {
            for (i, piece) in pieces.iter().enumerate() {
                let last = i + 1 == pieces.len();
                let payload = deflater.fragment(piece, last, <[u8]>::to_vec).unwrap();
                let opcode = if i == 0 { RSV1 | BINARY } else { CONTINUE };
                reader.receive(&frame(if last { FIN } else { 0 } | opcode, &payload), Gate::Open);
            }
            let whole = by_us(&mut deflater, b"a whole one, a whole one, a whole one").unwrap();
            reader.receive(&compressed_frame(TEXT, &whole), Gate::Open);
        }
        let message = Event::Binary(pieces.concat());
        let whole = text("a whole one, a whole one, a whole one");
        assert_eq!(reader.events, [message.clone(), whole.clone(), message, whole]);
    }
}

/// What a fragment says can be read when it arrives, and not only when the next does.
#[test]
fn nothing_of_a_fragment_is_held_back() {
    let mut deflater = Deflater::new(ALONE).unwrap();
    let mut reader = Reader::inflating_parts(ALONE);
    for (i, said) in ["ready?", " steady?", " go!"].into_iter().enumerate() {
        let payload = deflater.fragment(said.as_bytes(), i == 2, <[u8]>::to_vec).unwrap();
        let opcode = [RSV1 | TEXT, CONTINUE, FIN | CONTINUE][i];
        reader.receive(&frame(opcode, &payload), Gate::Open);
        assert_eq!(reader.events[i..], [Event::TextPart(said.to_owned(), i == 2)]);
    }
}

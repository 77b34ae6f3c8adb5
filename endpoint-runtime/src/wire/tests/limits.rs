//! The limit of a message's size, and the memory that a peer can make us hold.

use super::*;

/// The header of a client's frame that announces `len` bytes.
fn announcing(first: u8, len: u64) -> Vec<u8> {
    let mut out = vec![first, 0xff];
    out.extend(len.to_be_bytes());
    out.extend(KEY);
    out
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
    for limit in [0, 1, 125, 126, 1000] {
        for (len, passes) in [(limit, true), (limit + 1, false)] {
            let payload = vec![b'a'; len];
            let whole = frame(FIN | BINARY, &payload);
            let pieces = fragments(BINARY, &[&payload[..len / 2], b"", &payload[len / 2..], b""]);
            for bytes in [whole, pieces] {
                let mut reader = Reader::new(Role::Server, limit);
                reader.receive(&bytes, Gate::Open);
                let expected = if passes { Event::Binary(payload.clone()) } else { Event::Failed(1009) };
                assert_eq!(reader.events, [expected], "limit {limit}, {len} bytes");
            }
        }
    }
}

#[test]
fn the_header_alone_shows_that_a_message_is_too_large() {
    for announced in [65537, 1 << 32, (1 << 63) - 1] {
        let violation =
            decoder(Role::Server, 65536).decode(&mut announcing(TEXT, announced), Gate::Open).unwrap_err();
        assert_eq!(u16::from(violation.code), 1009);
        assert_eq!(violation.reason, "message of more than 65536 bytes; see max_message_size");
    }
    let mut reader = Reader::new(Role::Server, 100);
    reader.receive(&frame(TEXT, &[b'a'; 99]), Gate::Open);
    reader.receive(&frame(CONTINUE, b"")[..6], Gate::Open);
    assert_eq!(reader.events, []);
    reader.receive(&frame(CONTINUE, b"ab")[..6], Gate::Open);
    assert_eq!(reader.events, [Event::Failed(1009)]);
}

/// Bytes of a code point that is still undecided count like the others.
#[test]
fn the_limit_counts_undecided_bytes() {
    let mut reader = Reader::new(Role::Server, 3);
    reader.receive(&fragments(TEXT, &[b"\xe2", b"\x82", b"\xac"]), Gate::Open);
    reader.receive(&frame(TEXT, b"\xe2\x82"), Gate::Open);
    reader.receive(&frame(FIN | CONTINUE, b"\xacx"), Gate::Open);
    assert_eq!(reader.events, [text("€"), Event::Failed(1009)]);
}

#[test]
fn a_changed_limit_holds_from_the_next_message_on() {
    let mut reader = Reader::new(Role::Server, 10);
    let ten = frame(TEXT, b"0123456789");
    reader.receive(&ten[..8], Gate::Open);
    reader.decoder.deliver(Delivery::Whole(5), Delivery::Whole(5));
    reader.receive(&ten[8..], Gate::Open);
    reader.receive(&frame(PING, b"0123456"), Gate::Open);
    reader.receive(&frame(FIN | CONTINUE, b""), Gate::Open);
    assert_eq!(reader.events, [ping(b"0123456"), text("0123456789")]);
    reader.receive(&frame(FIN | TEXT, b"012345"), Gate::Open);
    assert_eq!(reader.events[2..], [Event::Failed(1009)]);

    let mut reader = Reader::new(Role::Server, 5);
    reader.decoder.deliver(Delivery::Whole(10), Delivery::Whole(10));
    reader.receive(&frame(FIN | TEXT, b"0123456789"), Gate::Open);
    assert_eq!(reader.events, [text("0123456789")]);
}

#[test]
fn without_a_limit_the_largest_announcement_is_only_awaited() {
    let mut decoder = decoder(Role::Server, usize::MAX);
    let mut bytes = announcing(FIN | BINARY, (1 << 63) - 1);
    assert_eq!(decoder.decode(&mut bytes, Gate::Open), Ok((14, Step::Incomplete)));
    assert_eq!(decoder.decode(&mut [0; 100], Gate::Open), Ok((100, Step::Incomplete)));
    assert!(decoder.heap() <= 128 * 1024);
}

/// Fourteen bytes cost nothing, and the first bytes of the payload no more than one buffer.
#[test]
fn an_announcement_claims_no_memory() {
    for opcode in [TEXT, BINARY] {
        let mut decoder = decoder(Role::Server, 1 << 24);
        let mut received = 0;
        decoder.decode(&mut announcing(FIN | opcode, 1 << 24), Gate::Open).unwrap();
        assert_eq!(decoder.heap(), 0);
        while received < 1 << 23 {
            decoder.decode(&mut KEY.repeat(250), Gate::Open).unwrap(); // zeros, masked
            received += 1000;
            assert!(decoder.heap() <= 2 * received + 128 * 1024, "{} for {received}", decoder.heap());
        }
    }
}

#[test]
fn an_announcement_of_little_claims_little() {
    let mut decoder = decoder(Role::Server, 1 << 24);
    decoder.decode(&mut frame(FIN | TEXT, &[b'a'; 300])[..10], Gate::Open).unwrap();
    assert_eq!(decoder.heap(), 300);
}

/// Room for fragments to come grows by doubling, but never beyond what the message may have.
#[test]
fn fragments_never_hold_more_than_the_limit() {
    for opcode in [TEXT, BINARY] {
        let mut decoder = decoder(Role::Server, 1000);
        decoder.decode(&mut frame(opcode, &[b'a'; 600]), Gate::Open).unwrap();
        assert_eq!(decoder.heap(), 600);
        decoder.decode(&mut frame(CONTINUE, b"b"), Gate::Open).unwrap();
        assert_eq!(decoder.heap(), 1000);
    }
}

#[test]
fn memory_goes_with_the_message() {
    let mut decoder = decoder(Role::Server, 1 << 24);
    for opcode in [TEXT, BINARY] {
        let mut bytes = fragments(opcode, &[&[b'a'; 5000], &[b'a'; 5000]]);
        let half = bytes.len() / 2;
        assert_eq!(decoder.decode(&mut bytes[..half], Gate::Open), Ok((half, Step::Incomplete)));
        assert!(decoder.heap() >= 4900);
        decoder.decode(&mut bytes[half..], Gate::Open).unwrap();
        assert_eq!(decoder.heap(), 0);
    }
}

/// A message from a server (which spares the tests the masking of many megabytes), in frames of `size` bytes.
fn in_frames(opcode: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * payload.len());
    let mut left = payload.len();
    for (i, piece) in payload.chunks(size).enumerate() {
        left -= piece.len();
        let opcode = if i == 0 { opcode } else { CONTINUE };
        super::super::put_header(&mut out, left == 0, opcode.into(), piece.len(), None);
        out.extend_from_slice(piece);
    }
    out
}

/// Gives a client the bytes 64 at a time and returns the length of the message that ends with them, and how often
/// memory was claimed for it: the copying is linear if that is rare.
fn claims_in_chops(bytes: &mut [u8]) -> (usize, usize) {
    let mut decoder = decoder(Role::Client, 1 << 24);
    let (mut claims, mut heap) = (0, 0);
    let (mut from, mut to) = (0, 0);
    while to < bytes.len() {
        to = bytes.len().min(to + 64);
        let (consumed, step) = decoder.decode(&mut bytes[from..to], Gate::Open).unwrap();
        from += consumed;
        match step {
            Step::Text(text) => return (text.len(), claims),
            Step::Binary(binary) => return (binary.len(), claims),
            other => assert_eq!(other, Step::Incomplete),
        }
        if decoder.heap() != heap {
            heap = decoder.heap();
            claims += 1;
        }
        assert!(heap <= 1 << 24);
    }
    panic!("no message");
}

#[test]
fn sixteen_mebibytes_in_small_pieces_are_linear() {
    let payload = "abcdefghijklmnopqrstuvwxyz€😀".repeat((1 << 24) / 33);
    let payload = payload.as_bytes();
    for opcode in [TEXT, BINARY] {
        let (len, claims) = claims_in_chops(&mut in_frames(opcode, payload, usize::MAX));
        assert_eq!(len, payload.len());
        assert!(claims <= 10, "one frame: {claims}");

        let (len, claims) = claims_in_chops(&mut in_frames(opcode, payload, 64));
        assert_eq!(len, payload.len());
        assert!(claims <= 30, "fragments: {claims}");
    }
}

/// Empty fragments are legal and lead nowhere; they must cost nothing but the reading.
#[test]
fn empty_fragments_without_end_hold_no_memory() {
    let mut decoder = decoder(Role::Server, 1024);
    decoder.decode(&mut frame(TEXT, b""), Gate::Open).unwrap();
    let mut flood = frame(CONTINUE, b"").repeat(10_000);
    let len = flood.len();
    assert_eq!(decoder.decode(&mut flood, Gate::Open), Ok((len, Step::Incomplete)));
    assert_eq!(decoder.heap(), 0);
}

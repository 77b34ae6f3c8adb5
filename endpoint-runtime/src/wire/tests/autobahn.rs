//! What the Autobahn testsuite asks of a server in its sections 1 to 7, as bytes. The names are its section numbers.

use super::*;

/// 1.1, 1.2 and the chopped ones: whole frames at every form of the length.
#[test]
fn s1_framing() {
    for len in [0, 125, 126, 127, 128, 65535, 65536] {
        let payload = vec![b'*'; len];
        let as_text = Event::Text(String::from_utf8(payload.clone()).unwrap());
        for (first, expected) in [(FIN | TEXT, as_text), (FIN | BINARY, Event::Binary(payload.clone()))] {
            let bytes = frame(first, &payload);
            let expected = [expected];
            assert_eq!(read(&bytes), expected, "{len} bytes");
            assert_eq!(read_chops(&bytes, 997), expected, "{len} bytes, chopped");
        }
    }
}

/// 2.1 to 2.11.
#[test]
fn s2_pings_and_pongs() {
    let not_text: &[u8] = &[0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    for payload in [b"", &b"Hello, world!"[..], not_text, &[0xfe; 125]] {
        assert_eq!(read_both_ways(&frame(PING, payload)), [ping(payload)]);
        assert_eq!(read_both_ways(&frame(PONG, payload)), [pong(payload)]);
    }
    assert_eq!(read_both_ways(&frame(PING, &[0xfe; 126])), [Event::Failed(1002)]);

    let pong_then_ping = [frame(PONG, b"unsolicited"), frame(PING, b"ping")].concat();
    assert_eq!(read_both_ways(&pong_then_ping), [pong(b"unsolicited"), ping(b"ping")]);

    let payloads: Vec<_> = (0..10).map(|i| format!("payload-{i}")).collect();
    let ten: Vec<_> = payloads.iter().flat_map(|payload| frame(PING, payload.as_bytes())).collect();
    let expected: Vec<_> = payloads.iter().map(|payload| ping(payload.as_bytes())).collect();
    assert_eq!(read_both_ways(&ten), expected);
}

/// 3.1 to 3.7: what came before the wrong frame is delivered, what comes after is not read.
#[test]
fn s3_reserved_bits() {
    for rsv in 1..=7 {
        for first in [FIN | TEXT, FIN | BINARY, PING, CLOSE] {
            let bytes = [frame(FIN | TEXT, b"before"), frame(first | rsv << 4, b""), frame(PING, b"after")];
            assert_eq!(read_both_ways(&bytes.concat()), [text("before"), Event::Failed(1002)], "rsv {rsv}");
        }
    }
}

/// 4.1 and 4.2.
#[test]
fn s4_reserved_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"reserved opcode payload"] {
            let bytes = [frame(FIN | TEXT, b"before"), frame(FIN | opcode, payload), frame(PING, b"after")];
            assert_eq!(read_both_ways(&bytes.concat()), [text("before"), Event::Failed(1002)], "{opcode}");
        }
    }
}

/// 5.1 and 5.2.
#[test]
fn s5_fragmented_control_frames() {
    for first in [PING, PONG] {
        let bytes = [frame(first & !FIN, b"frag"), frame(FIN | CONTINUE, b"ment")].concat();
        assert_eq!(read_both_ways(&bytes), [Event::Failed(1002)]);
    }
}

/// 5.3 to 5.8: two fragments, with and without a ping between them, which comes first.
#[test]
fn s5_two_fragments() {
    let (first, second) = (frame(TEXT, b"fragment1"), frame(FIN | CONTINUE, b"fragment2"));
    assert_eq!(read_both_ways(&[&first[..], &second].concat()), [text("fragment1fragment2")]);
    let with_ping = [&first[..], &frame(PING, b"between"), &second].concat();
    assert_eq!(read_both_ways(&with_ping), [ping(b"between"), text("fragment1fragment2")]);
}

/// 5.9 to 5.17: nothing to continue, with the last bit set or not, before or after a whole message.
#[test]
fn s5_stray_continuations() {
    for first in [CONTINUE, FIN | CONTINUE] {
        let stray = frame(first, b"non-continuation payload");
        let then_whole = [&stray[..], &frame(FIN | TEXT, b"Hello")].concat();
        assert_eq!(read_both_ways(&then_whole), [Event::Failed(1002)]);

        let finished = fragments(TEXT, &[b"fragment1", b"fragment2"]);
        let after_message = [&finished[..], &stray].concat();
        assert_eq!(read_both_ways(&after_message), [text("fragment1fragment2"), Event::Failed(1002)]);
    }
}

/// 5.18.
#[test]
fn s5_second_fragment_with_a_data_opcode() {
    for opcode in [TEXT, BINARY] {
        let bytes = [frame(TEXT, b"fragment1"), frame(FIN | opcode, b"fragment2")].concat();
        assert_eq!(read_both_ways(&bytes), [Event::Failed(1002)]);
    }
}

/// 5.19 and 5.20: five fragments with pings, which are seen as soon as they are there.
#[test]
fn s5_five_fragments_with_pings() {
    let steps: [(Vec<u8>, Vec<Event>); 7] = [
        (frame(TEXT, b"fragment1"), vec![]),
        (frame(CONTINUE, b"fragment2"), vec![]),
        (frame(PING, b"ping1"), vec![ping(b"ping1")]),
        (frame(CONTINUE, b"fragment3"), vec![]),
        (frame(CONTINUE, b"fragment4"), vec![]),
        (frame(PING, b"ping2"), vec![ping(b"ping2")]),
        (frame(FIN | CONTINUE, b"fragment5"), vec![text("fragment1fragment2fragment3fragment4fragment5")]),
    ];
    let mut reader = Reader::new(Role::Server, 1 << 16);
    for (bytes, expected) in steps {
        reader.receive(&bytes, Gate::Open);
        assert_eq!(std::mem::take(&mut reader.events), expected);
    }
}

/// 6.1: empty messages and empty fragments.
#[test]
fn s6_empty_text() {
    assert_eq!(read_both_ways(&frame(FIN | TEXT, b"")), [text("")]);
    assert_eq!(read_both_ways(&fragments(TEXT, &[b"", b"", b""])), [text("")]);
    assert_eq!(
        read_both_ways(&fragments(TEXT, &[b"", b"middle frame payload", b""])),
        [text("middle frame payload")]
    );
}

/// 6.2: valid text cut between and inside code points.
#[test]
fn s6_text_cut_anywhere() {
    let greeting = "Hello-µ@ßöäüàá-UTF-8!! κόσμε 😀";
    let bytes = greeting.as_bytes();
    assert_eq!(read_both_ways(&frame(FIN | TEXT, bytes)), [text(greeting)]);
    for cut in 0..=bytes.len() {
        let two = fragments(TEXT, &[&bytes[..cut], &bytes[cut..]]);
        assert_eq!(read_both_ways(&two), [text(greeting)], "cut at {cut}");
    }
    let octets: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read_both_ways(&fragments(TEXT, &octets)), [text(greeting)]);
}

/// A good beginning, then an unpaired surrogate or something beyond Unicode, then more; and the offset of the first
/// byte that no text can have there.
const BROKEN: [(&[u8], usize); 2] = [
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 12),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", 12),
];

/// 6.3: invalid text, whole, in two fragments, and with every octet a fragment.
#[test]
fn s6_invalid_text() {
    for (bytes, _) in BROKEN {
        assert_eq!(read_both_ways(&frame(FIN | TEXT, bytes)), [Event::Failed(1007)]);
        let octets: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read_both_ways(&fragments(TEXT, &octets)), [Event::Failed(1007)]);
    }
}

/// 6.4: invalid text is refused with the very byte that makes it so, in a later frame (6.4.1, 6.4.2) or in a later
/// part of the same frame (6.4.3, 6.4.4).
#[test]
fn s6_fail_fast() {
    for (bytes, culprit) in BROKEN {
        let in_one_frame = frame(FIN | TEXT, bytes);
        let header = in_one_frame.len() - bytes.len();
        let mut reader = Reader::new(Role::Server, 1 << 16);
        reader.receive(&in_one_frame[..header + culprit], Gate::Open);
        assert_eq!(reader.events, [], "all that has come may still become text");
        reader.receive(&in_one_frame[header + culprit..=header + culprit], Gate::Open);
        assert_eq!(reader.events, [Event::Failed(1007)]);

        let mut reader = Reader::new(Role::Server, 1 << 16);
        reader.receive(&frame(TEXT, &bytes[..culprit]), Gate::Open);
        assert_eq!(reader.events, []);
        reader.receive(&frame(CONTINUE, &bytes[culprit..=culprit]), Gate::Open);
        assert_eq!(reader.events, [Event::Failed(1007)]);
    }
}

/// 6.5 to 6.7, 6.9, 6.11, 6.22 and 6.23: what is valid though it looks odd, non-characters included.
#[test]
fn s6_valid_sequences() {
    let non_characters = (0..=16u32).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let boundaries = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x1_0000, 0x10_ffff, 0xd7ff, 0xe000, 0xfffd];
    for point in boundaries.into_iter().chain(non_characters).chain(0xfdd0..=0xfdef) {
        let character = char::from_u32(point).unwrap().to_string();
        assert_eq!(read_both_ways(&frame(FIN | TEXT, character.as_bytes())), [text(&character)]);
        assert_eq!(read_both_ways(&fragments(TEXT, &[character.as_bytes(), b""])), [text(&character)]);
    }
}

/// 6.6 (truncated), 6.8, 6.10 and 6.12 to 6.21.
#[test]
fn s6_invalid_sequences() {
    let sequences: &[&[u8]] = &[
        // Cut off at the end of the message.
        b"\xce",
        b"\xce\xba\xe1",
        b"\xce\xba\xe1\xbd",
        b"\xf0\x9f\x98",
        // Five and six octets, and beyond U+10FFFF.
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xfb\xbf\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
        b"\xf4\x90\x80\x80",
        // Continuations without a start.
        b"\x80",
        b"\xbf",
        b"\x80\xbf",
        b"\x80\xbf\x80\xbf\x80\xbf",
        // Starts without a continuation.
        b"\xc0 \xc1 \xdf ",
        b"\xe0 \xef ",
        b"\xf0 \xf7 ",
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xc0\xe0\x80\xf0\x80\x80",
        // Impossible octets.
        b"\xfe",
        b"\xff",
        b"\xfe\xfe\xff\xff",
        // Overlong forms.
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        // Surrogates, single and paired.
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbe\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
    ];
    for sequence in sequences {
        assert_eq!(read_both_ways(&frame(FIN | TEXT, sequence)), [Event::Failed(1007)], "{sequence:02x?}");
        let fragmented = fragments(TEXT, &[b"", sequence, b""]);
        assert_eq!(read_both_ways(&fragmented), [Event::Failed(1007)], "{sequence:02x?} in fragments");
    }
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

fn closed(code: u16, reason: &str) -> Event {
    Event::Close(Some((code, reason.to_owned())))
}

/// 7.3 and 7.5: the body of a close frame.
#[test]
fn s7_close_bodies() {
    let longest = "*".repeat(123);
    assert_eq!(read_both_ways(&frame(CLOSE, b"")), [Event::Close(None)]);
    assert_eq!(read_both_ways(&frame(CLOSE, b"a")), [Event::Failed(1002)]);
    assert_eq!(read_both_ways(&close(1000, b"")), [closed(1000, "")]);
    assert_eq!(read_both_ways(&close(1000, b"Hello World!")), [closed(1000, "Hello World!")]);
    assert_eq!(read_both_ways(&close(1000, longest.as_bytes())), [closed(1000, &longest)]);
    assert_eq!(read_both_ways(&close(1000, &[b'*'; 124])), [Event::Failed(1002)]);
    assert_eq!(read_both_ways(&close(1000, BROKEN[0].0)), [Event::Failed(1007)]);
}

/// 7.7, 7.9 and 7.13, and every other code there is.
#[test]
fn s7_close_codes() {
    for code in 0..=u16::MAX {
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected = if allowed { closed(code, "") } else { Event::Failed(1002) };
        assert_eq!(read(&close(code, b"")), [expected]);
    }
}

/// 7.1.6: a long message with the close frame at its heels.
#[test]
fn s7_long_message_then_close() {
    let long = "BAsd7&jh23".repeat(26 * 1024);
    let bytes = [frame(FIN | TEXT, long.as_bytes()), close(1000, b"")].concat();
    let expected = [text(&long), closed(1000, "")];
    assert_eq!(read(&bytes), expected);
    assert_eq!(read_chops(&bytes, 4096), expected);
}

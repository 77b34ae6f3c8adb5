//! Messages in parts: delivered as they arrive, cut at code points, of any length, with nothing kept.

use super::*;

/// A server's reader that has both kinds in parts.
fn reader() -> Reader {
    let mut reader = Reader::new(Role::Server, 0);
    reader.decoder.deliver(Delivery::Parts, Delivery::Parts);
    reader
}

fn part(text: &str, last: bool) -> Event {
    Event::TextPart(text.to_owned(), last)
}

/// Parts put together to the messages they are parts of. Those of a message that does not end are left out.
pub(super) fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut all = Vec::new();
    let (mut text, mut bytes) = (String::new(), Vec::new());
    for event in events {
        match event {
            Event::TextPart(part, last) => {
                text.push_str(&part);
                if last {
                    all.push(Event::Text(std::mem::take(&mut text)));
                }
            }
            Event::BinaryPart(part, last) => {
                bytes.extend(part);
                if last {
                    all.push(Event::Binary(std::mem::take(&mut bytes)));
                }
            }
            other => all.push(other),
        }
    }
    all
}

#[test]
fn a_part_is_what_has_arrived_and_not_a_frame() {
    let mut reader = reader();
    let message = frame(FIN | TEXT, b"0123456789");
    reader.receive(&message[..9], Gate::Open);
    assert_eq!(reader.events, [part("012", false)]);
    reader.receive(&message[9..], Gate::Open);
    assert_eq!(reader.events[1..], [part("3456789", true)]);
}

#[test]
fn empty_parts_come_only_last() {
    for (opcode, expected) in [
        (TEXT, [part("a", false), part("", true)]),
        (BINARY, [Event::BinaryPart(b"a".to_vec(), false), Event::BinaryPart(Vec::new(), true)]),
    ] {
        let mut reader = reader();
        reader.receive(&fragments(opcode, &[b"", b"a", b"", b""]), Gate::Open);
        assert_eq!(reader.events, expected);
    }
    let mut reader = reader();
    reader.receive(&frame(FIN | TEXT, b""), Gate::Open);
    assert_eq!(reader.events, [part("", true)]);
}

#[test]
fn a_code_point_is_never_cut() {
    let mut reader = reader();
    reader.receive(&fragments(TEXT, &[b"a\xe2", b"\x82", b"\xacb", b"\xc3"]), Gate::Open);
    assert_eq!(reader.events, [part("a", false), part("\u{20ac}b", false), Event::Failed(1007)]);
}

#[test]
fn control_frames_come_between_parts_and_a_gate_holds_them() {
    let mut reader = reader();
    reader.receive(&[frame(BINARY, b"ab"), frame(PING, b"?")].concat(), Gate::Open);
    reader.receive(&frame(FIN | CONTINUE, b"c")[..7], Gate::ControlOnly);
    assert_eq!(reader.events, [Event::BinaryPart(b"ab".to_vec(), false), ping(b"?")]);
    reader.receive(&[], Gate::Open);
    assert_eq!(reader.events[2..], [Event::BinaryPart(b"c".to_vec(), true)]);
}

/// Each part is bounded, and the message is not.
#[test]
fn a_message_of_four_gibibytes_is_parts_of_64_kib() {
    let mut decoder = Decoder::new(Role::Client, Delivery::Parts, Delivery::Parts);
    let total = 1u64 << 32;
    let mut header = vec![FIN | BINARY, 127];
    header.extend(total.to_be_bytes());
    assert_eq!(decoder.decode(&mut header, Gate::Open), Ok((10, Step::Incomplete)));
    let mut buffer = vec![0; 1 << 20];
    let mut seen = 0;
    let mut ended = false;
    while !ended {
        let (used, step) = decoder.decode(&mut buffer, Gate::Open).unwrap();
        let Step::BinaryPart(part, last) = step else { panic!("{step:?}") };
        assert_eq!(used, part.len());
        assert!(part.len() <= 64 * 1024);
        seen += part.len() as u64;
        ended = last;
    }
    assert_eq!(seen, total);
    assert_eq!(decoder.heap(), 0);
}

#[test]
fn each_kind_is_received_in_its_own_way() {
    let mut reader = Reader::new(Role::Server, 5);
    reader.decoder.deliver(Delivery::Parts, Delivery::Whole(5));
    reader.receive(&fragments(TEXT, &[b"0123", b"456"]), Gate::Open);
    reader.receive(&fragments(BINARY, &[b"01", b"23"]), Gate::Open);
    assert_eq!(reader.events, [part("0123", false), part("456", true), Event::Binary(b"0123".to_vec())]);
    reader.receive(&frame(FIN | BINARY, b"012345"), Gate::Open);
    assert_eq!(reader.events[3..], [Event::Failed(1009)]);
}

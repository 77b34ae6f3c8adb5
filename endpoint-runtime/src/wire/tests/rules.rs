//! The rules of RFC 6455 that Autobahn does not ask about, the gate, and what is lent and what is owned.

use std::borrow::Cow;

use super::super::{may_be_sent, put_close, put_frame, put_header, put_masked, put_masked_close};
use super::*;
use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

fn fed(role: Role, bytes: &[u8]) -> Vec<Event> {
    let mut reader = Reader::new(role, 1 << 16);
    reader.receive(bytes, Gate::Open);
    reader.events
}

/// Wrong headers: what is wrong, who reads them, and their bytes up to the one that shows it.
#[test]
fn a_wrong_header_is_refused_with_the_byte_that_shows_it() {
    use Role::{Client, Server};
    let table: &[(&str, Role, &[u8])] = &[
        ("RSV1 on a message", Server, &[0xc1]),
        ("RSV2 on a pong", Client, &[0xaa]),
        ("RSV3 on a continuation", Server, &[0x90]),
        ("reserved data opcode", Client, &[0x83]),
        ("reserved control opcode", Server, &[0x8b]),
        ("fragmented ping", Server, &[0x09]),
        ("fragmented close", Client, &[0x08]),
        ("unmasked text from a client", Server, &[0x81, 0x05]),
        ("unmasked close from a client", Server, &[0x88, 0x00]),
        ("masked text from a server", Client, &[0x81, 0x85]),
        ("masked pong from a server", Client, &[0x8a, 0x80]),
        ("126 byte ping", Server, &[0x89, 0xfe]),
        ("64 bit length on a close", Client, &[0x88, 0x7f]),
        ("0 in 16 bits", Client, &[0x82, 126, 0, 0]),
        ("125 in 16 bits", Server, &[0x82, 0x80 | 126, 0, 125]),
        ("125 in 64 bits", Client, &[0x81, 127, 0, 0, 0, 0, 0, 0, 0, 125]),
        ("65535 in 64 bits", Server, &[0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        ("the top bit of a length", Client, &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("all bits of a length", Server, &[0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255]),
    ];
    for (what, role, bytes) in table {
        let (last, before) = bytes.split_last().unwrap();
        let mut reader = Reader::new(*role, 1 << 16);
        reader.receive(before, Gate::Open);
        assert_eq!(reader.events, [], "{what}: nothing is wrong yet");
        reader.receive(&[*last], Gate::Open);
        assert_eq!(reader.events, [Event::Failed(1002)], "{what}");
        assert_eq!(fed(*role, bytes), [Event::Failed(1002)], "{what}, at once");
    }
}

#[test]
fn the_shortest_forms_at_their_edges_are_accepted_from_both_sides() {
    for len in [0, 1, 125, 126, 127, 65535, 65536] {
        let payload = vec![7; len];
        assert_eq!(fed(Role::Server, &frame(FIN | BINARY, &payload)), [Event::Binary(payload.clone())]);
        assert_eq!(fed(Role::Client, &unmasked_frame(FIN | BINARY, &payload)), [Event::Binary(payload)]);
    }
}

#[test]
fn a_client_reads_fragments_and_control_frames_too() {
    let bytes = [
        unmasked_frame(TEXT, "Käse".as_bytes().split_at(2).0),
        unmasked_frame(PING, b"?"),
        unmasked_frame(FIN | CONTINUE, "Käse".as_bytes().split_at(2).1),
        unmasked_frame(CLOSE, &[0x03, 0xe9]),
    ];
    let expected = [ping(b"?"), text("Käse"), Event::Close(Some((1001, String::new())))];
    assert_eq!(fed(Role::Client, &bytes.concat()), expected);
}

/// Nothing is copied for a message that lies in the input as a whole, wherever it lies.
#[test]
fn whole_frames_are_lent_and_pieces_are_owned() {
    let mut input = [frame(FIN | TEXT, b"whole"), frame(FIN | BINARY, b"too")].concat();
    let mut decoder = decoder(Role::Server, 1024);
    let (consumed, step) = decoder.decode(&mut input, Gate::Open).unwrap();
    assert!(matches!(step, Step::Text(Cow::Borrowed("whole"))), "{step:?}");
    let (_, step) = decoder.decode(&mut input[consumed..], Gate::Open).unwrap();
    assert!(matches!(step, Step::Binary(Cow::Borrowed(b"too"))), "{step:?}");
    assert_eq!(decoder.heap(), 0);

    let mut input = fragments(TEXT, &[b"in ", b"pieces"]);
    let (consumed, step) = decoder.decode(&mut input, Gate::Open).unwrap();
    assert!(matches!(&step, Step::Text(Cow::Owned(text)) if text == "in pieces"), "{step:?}");
    assert_eq!(consumed, input.len());
}

/// From the moment the header is whole, payload does not stay with the reader.
#[test]
fn payload_of_an_unfinished_frame_is_taken_in() {
    let bytes = frame(FIN | TEXT, &[b'x'; 1000]);
    for cut in 1..bytes.len() {
        let mut input = bytes.clone();
        let (consumed, step) = decoder(Role::Server, 1024).decode(&mut input[..cut], Gate::Open).unwrap();
        assert_eq!(step, Step::Incomplete);
        assert_eq!(consumed, if cut < 8 { 0 } else { cut });
    }
}

#[test]
fn an_incomplete_control_frame_is_left_where_it_is() {
    let bytes = frame(PING, &[1; 125]);
    for cut in 0..bytes.len() {
        let mut input = bytes.clone();
        let (consumed, step) = decoder(Role::Server, 1024).decode(&mut input[..cut], Gate::Open).unwrap();
        assert_eq!((consumed, step), (0, Step::Incomplete));
        assert_eq!(input, bytes);
    }
}

#[test]
fn the_closed_gate_lets_control_frames_through_and_nothing_else() {
    let bytes =
        [frame(PING, b"1"), frame(PONG, b"2"), frame(FIN | TEXT, b"later"), frame(PING, b"3")].concat();
    let mut reader = Reader::new(Role::Server, 1024);
    reader.receive(&bytes, Gate::ControlOnly);
    assert_eq!(reader.events, [ping(b"1"), pong(b"2")]);
    let held = reader.unconsumed.len();
    reader.receive(b"", Gate::ControlOnly);
    assert_eq!(reader.unconsumed.len(), held);
    reader.receive(b"", Gate::Open);
    assert_eq!(reader.events, [ping(b"1"), pong(b"2"), text("later"), ping(b"3")]);

    // A single byte tells a data frame.
    let mut decoder = decoder(Role::Server, 1024);
    assert_eq!(decoder.decode(&mut [0x81], Gate::ControlOnly), Ok((0, Step::Held)));
    assert_eq!(decoder.decode(&mut [0x00], Gate::ControlOnly), Ok((0, Step::Held)));
    assert_eq!(decoder.decode(&mut [0x8a], Gate::ControlOnly), Ok((0, Step::Incomplete)));
    assert_eq!(decoder.decode(&mut [], Gate::ControlOnly), Ok((0, Step::Incomplete)));
}

#[test]
fn the_gate_holds_between_fragments_and_inside_a_frame() {
    let mut reader = Reader::new(Role::Server, 1024);
    let first = frame(TEXT, b"first, ");
    reader.receive(&first[..9], Gate::Open);
    reader.receive(&first[9..], Gate::ControlOnly);
    assert_eq!(reader.unconsumed.len(), first.len() - 9, "the rest of the payload waits");
    reader.receive(&frame(PING, b"p"), Gate::Open);
    assert_eq!(reader.events, [ping(b"p")]);
    reader.receive(&frame(FIN | CONTINUE, b"second"), Gate::ControlOnly);
    assert_eq!(reader.events, [ping(b"p")]);
    reader.receive(b"", Gate::Open);
    assert_eq!(reader.events, [ping(b"p"), text("first, second")]);
}

/// RFC 6455, 5.7: the frames that it prints.
#[test]
fn the_examples_of_the_rfc_are_written() {
    let (ping, text) = (OpCode::Control(Control::Ping), OpCode::Data(Data::Text));
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = Vec::new();
    put_frame(&mut out, true, text, b"Hello");
    put_masked(&mut out, true, text, b"Hello", key);
    put_header(&mut out, false, text, 3, None);
    out.extend(b"Hel");
    put_header(&mut out, true, OpCode::Data(Data::Continue), 2, None);
    out.extend(b"lo");
    put_frame(&mut out, true, ping, b"Hello");
    put_header(&mut out, true, OpCode::Data(Data::Binary), 256, None);
    put_header(&mut out, true, OpCode::Data(Data::Binary), 65536, None);
    let expected = [
        &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f][..],
        &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58],
        &[0x01, 0x03, 0x48, 0x65, 0x6c],
        &[0x80, 0x02, 0x6c, 0x6f],
        &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
        &[0x82, 0x7e, 0x01, 0x00],
        &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0],
    ];
    assert_eq!(out, expected.concat());
}

#[test]
fn close_frames_say_only_what_may_be_said() {
    let written = |code: u16, reason: &str| {
        let mut out = Vec::new();
        put_close(&mut out, CloseCode::from(code), reason);
        out
    };
    assert_eq!(written(1000, ""), [0x88, 2, 0x03, 0xe8]);
    assert_eq!(written(4001, "bye"), [0x88, 5, 0x0f, 0xa1, b'b', b'y', b'e']);
    for code in 0..=u16::MAX {
        let expected: &[u8] = match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => &[0x88, 2, (code >> 8) as u8, code as u8],
            _ => &[0x88, 0],
        };
        assert_eq!(written(code, ""), expected);
        assert_eq!(may_be_sent(CloseCode::from(code)), expected.len() == 4);
    }
    // Neither the variant's name nor the reason makes a difference.
    for code in [CloseCode::Status, CloseCode::Abnormal, CloseCode::Tls, CloseCode::Bad(1006)] {
        let mut out = Vec::new();
        put_close(&mut out, code, "a reason");
        assert_eq!(out, [0x88, 0]);
    }
}

#[test]
fn a_long_close_reason_is_cut_between_characters() {
    for (unit, expected) in [("x", 123), ("é", 122), ("€", 123), ("😀", 120)] {
        for lead in 0..4 {
            let reason = "-".repeat(lead) + &unit.repeat(123);
            let mut out = Vec::new();
            put_close(&mut out, CloseCode::Normal, &reason);
            let [Event::Close(Some((1000, sent)))] = &fed(Role::Client, &out)[..] else { panic!("{out:?}") };
            assert!(reason.starts_with(sent.as_str()));
            assert!(sent.len() > 123 - unit.len() && sent.len() <= 123, "{}", sent.len());
            if lead == 0 {
                assert_eq!(sent.len(), expected);
            }
        }
    }
}

#[test]
fn a_client_closes_like_a_server_but_masked() {
    let mut out = Vec::new();
    put_masked_close(&mut out, CloseCode::Away, "leaving", KEY);
    assert_eq!(out, frame(CLOSE, b"\x03\xe9leaving"));
    assert_eq!(fed(Role::Server, &out), [Event::Close(Some((1001, "leaving".to_owned())))]);
}

/// A decoder is part of every idle connection.
#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 96, "{}", size_of::<Decoder>());
}

//! Any envelope is read back, and any bytes are an envelope or are not.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn kind() -> impl Strategy<Value = Kind> {
    (1..=8_u8).prop_map(|byte| Kind::from_byte(byte).unwrap())
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<(u64, u64)>().prop_map(|(node, serial)| SessionId::new(node, serial))
}

fn to() -> impl Strategy<Value = To> {
    let name = || option::of("\\PC{0,200}").prop_map(|name| Arc::from(name.unwrap_or_default()));
    prop_oneof![
        Just(To::Everyone),
        name().prop_map(To::Endpoint),
        name().prop_map(To::Room),
        name().prop_map(To::User),
        session().prop_map(To::Session),
        Just(To::Node),
    ]
}

prop_compose! {
    fn envelope()(
        (kind, flags, id, origin) in (kind(), any::<u16>(), any::<u128>(), any::<u64>()),
        (sent, ttl, correlation) in any::<(u64, u32, u64)>(),
        to in to(),
        except in vec(session(), 0..200),
        payload in vec(any::<u8>(), 0..300),
    ) -> Envelope {
        Envelope {
            kind, flags: Flags(flags), id: MessageId(id), origin: NodeId::new(origin), sent, ttl, to, except,
            correlation, payload: payload.into(),
        }
    }
}

proptest! {
    #[test]
    fn an_envelope_is_read_back(envelope in envelope()) {
        let bytes = envelope.encode();
        prop_assert_eq!(bytes.len(), envelope.encoded_len());
        prop_assert_eq!(Envelope::decode(bytes), Ok(envelope));
    }

    #[test]
    fn one_that_ends_too_early_is_malformed(envelope in envelope()) {
        let bytes = envelope.encode();
        for length in 0..bytes.len() {
            prop_assert_eq!(Envelope::decode(bytes.slice(..length)), Err(Unreadable::Malformed));
        }
    }

    #[test]
    fn one_that_does_not_end_is_malformed(envelope in envelope(), more in vec(any::<u8>(), 1..20)) {
        let bytes = [&envelope.encode()[..], &more].concat();
        prop_assert_eq!(Envelope::decode(bytes.into()), Err(Unreadable::Malformed));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), known: bool) {
        let mut bytes = bytes;
        if known && bytes.len() > 1 {
            (bytes[0], bytes[1]) = (VERSION, 1 + bytes[1] % 8);
        }
        let bytes = Bytes::from(bytes);
        if let Ok(envelope) = Envelope::decode(bytes.clone()) {
            prop_assert_eq!(envelope.encode(), bytes);
        }
    }

    #[test]
    fn one_with_a_wrong_byte_is_read_as_it_is_or_refused(envelope in envelope(), at: usize, byte: u8) {
        let mut bytes = envelope.encode().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let bytes = Bytes::from(bytes);
        if let Ok(envelope) = Envelope::decode(bytes.clone()) {
            prop_assert_eq!(envelope.encode(), bytes);
        }
    }
}

fn simple() -> Envelope {
    Envelope::new(Kind::Data, NodeId::new(7), To::Room("blue".into()), Bytes::from_static(b"hello"))
}

#[test]
fn what_is_not_known_is_told_from_what_is_broken() {
    let bytes = simple().encode();
    let changed = |at: usize, byte: u8| {
        let mut changed = bytes.to_vec();
        changed[at] = byte;
        Envelope::decode(changed.into())
    };
    for version in [0, 2, 255] {
        assert_eq!(changed(0, version), Err(Unreadable::Version(version)));
    }
    for kind in [0, 9, 255] {
        assert_eq!(changed(1, kind), Err(Unreadable::Kind(kind)));
    }
    assert_eq!(changed(FIXED, 6), Err(Unreadable::Malformed), "for whom is not known");
}

#[test]
fn the_payload_is_not_copied() {
    let bytes = simple().encode();
    let within = bytes.as_ptr_range();
    let payload = Envelope::decode(bytes).unwrap().payload;
    assert_eq!(payload, &b"hello"[..]);
    assert!(within.contains(&payload.as_ptr()));
}

#[test]
fn flags_are_set_and_asked_for() {
    let flags = Flags::default().with(Flags::TEXT, true).with(Flags::RECOVERABLE, false);
    assert!(flags.has(Flags::TEXT));
    assert!(
        !flags.has(Flags::RECOVERABLE) && !flags.has(Flags::UNCOMPRESSED) && !flags.has(Flags::REPLY_WANTED)
    );
}

#[test]
fn exceptions_are_bounded() {
    let sessions = |count| (0..count).map(|serial| SessionId::new(1, serial)).collect::<Vec<_>>();
    let most = MOST_EXCEPTIONS as u64;
    let full = simple().excepting(sessions(most)).unwrap();
    assert_eq!(Envelope::decode(full.encode()).unwrap().except().len(), MOST_EXCEPTIONS);
    assert_eq!(simple().excepting(sessions(most + 1)), Err(TooManyExceptions));
    // Nor does one arrive that some other program has made.
    let too_many = Envelope { except: sessions(most + 1), ..simple() };
    assert_eq!(Envelope::decode(too_many.encode()), Err(Unreadable::Malformed));
}

#[test]
fn two_envelopes_have_two_ids() {
    assert_ne!(simple().id, simple().id);
    assert!(simple().lag() < Duration::from_secs(60));
}

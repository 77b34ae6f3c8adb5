//! What must hold for every compressed message, and for everything that claims to be one.

use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;

use super::*;

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec(
        prop::sample::select(&["alpha ", "beta ", "gamma ", "\u{20ac}uro "][..]),
        0..400,
    );
    prop_oneof![
        3 => words.prop_map(|words| words.concat().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..2000),
        1 => (any::<u8>(), 0..200_000usize).prop_map(|(byte, length)| vec![byte; length]),
        1 => (0..40_000usize).prop_map(noise),
    ]
}

/// A message, and where it is cut into fragments; not at all, or perhaps.
fn message() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let cuts = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<prop::sample::Index>(), 0..4),];
    (payload(), cuts).prop_map(|(payload, cuts)| {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        (payload, cuts)
    })
}

/// How we send messages: those in fragments compressed, the others if that makes them smaller.
fn send(deflater: &mut Deflater, messages: &[(Vec<u8>, Vec<usize>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (message, cuts) in messages {
        if cuts.is_empty() {
            match by_us(deflater, message) {
                Some(payload) => out.extend(compressed_frame(BINARY, &payload)),
                None => out.extend(frame(FIN | BINARY, message)),
            }
            continue;
        }
        let mut start = 0;
        for (i, end) in cuts.iter().copied().chain([message.len()]).enumerate() {
            let last = i == cuts.len();
            let payload = deflater.fragment(&message[start..end], last, <[u8]>::to_vec).unwrap();
            let first = if i == 0 { RSV1 | BINARY } else { CONTINUE };
            out.extend(frame(if last { FIN } else { 0 } | first, &payload));
            start = end;
        }
    }
    out
}

/// What another implementation makes of a compressed message; `None`: nothing, or more than `limit` bytes.
fn inflated_by_another(payload: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(limit + 1);
    let input = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&input, &mut out, FlushDecompress::Sync).ok()?;
    (out.len() <= limit).then_some(out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// To compress and to inflate is the identity: for every window, with takeover and without, whole and in parts, however a message is
    /// cut and its bytes arrive, and whenever handlers are busy.
    #[test]
    fn what_is_compressed_is_what_is_seen(
        messages in prop::collection::vec(message(), 1..5),
        bits in 9..=15u8,
        takeover in any::<bool>(),
        lengths in super::super::properties::arrival(),
        gates in super::super::properties::gates(),
    ) {
        let window = Window { bits, takeover };
        let bytes = send(&mut Deflater::new(window).unwrap(), &messages);
        let expected: Vec<_> = messages.into_iter().map(|(message, _)| Event::Binary(message)).collect();
        let mut whole = Reader::inflating(window, 1 << 20);
        whole.arrive(&bytes, &lengths, &gates);
        prop_assert_eq!(&whole.events, &expected);
        prop_assert!(whole.unconsumed.is_empty() && whole.decoder.heap() == 0);
        let mut parts = Reader::inflating_parts(window);
        parts.arrive(&bytes, &lengths, &gates);
        prop_assert!(parts.unconsumed.is_empty() && parts.decoder.heap() == 0 && !parts.decoder.owes());
        prop_assert_eq!(super::super::parts::joined(parts.events), expected);
    }

    /// Others read what we write, and we what they do.
    #[test]
    fn others_agree(message in payload(), bits in 9..=15u8) {
        let deflater = Deflater::new(Window { bits, takeover: false });
        if let Some(payload) = by_us(&mut deflater.unwrap(), &message) {
            prop_assert_eq!(inflated_by_another(&payload, message.len()), Some(message.clone()));
        }
        let mut reader = Reader::inflating(ALONE, message.len());
        reader.receive(&compressed_frame(BINARY, &deflated(&message)), Gate::Open);
        prop_assert_eq!(reader.events, [Event::Binary(message)]);
    }

    /// No input makes us panic, exceed the limit, or see what another does not; and how it arrives makes no difference.
    #[test]
    fn damage_costs_nothing_but_the_connection(
        message in payload(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        takeover in any::<bool>(),
        limit in 0..3000usize,
        lengths in super::super::properties::arrival(),
    ) {
        let mut payload = deflated(&message);
        for (index, byte) in damage {
            let at = index.index(payload.len());
            payload[at] = byte;
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len()));
        }
        let window = Window { bits: 15, takeover };
        let bytes = compressed_frame(BINARY, &payload);
        let mut at_once = Reader::inflating(window, limit);
        at_once.receive(&bytes, Gate::Open);
        prop_assert!(at_once.decoder.heap() <= limit);
        match &at_once.events[..] {
            [Event::Binary(seen)] => {
                prop_assert!(seen.len() <= limit);
                if !payload.is_empty() {
                    let another = inflated_by_another(&payload, limit);
                    prop_assert_eq!(Some(seen), another.as_ref());
                }
            }
            [Event::Failed(1007 | 1009)] => {}
            other => prop_assert!(false, "{:?}", other),
        }
        let mut in_chunks = Reader::inflating(window, limit);
        in_chunks.arrive(&bytes, &lengths, &[Gate::Open]);
        prop_assert_eq!(&in_chunks.events, &at_once.events);
        let mut parts = Reader::inflating_parts(window);
        parts.arrive(&bytes, &lengths, &[Gate::Open]);
        if let [Event::Binary(_)] = &at_once.events[..] {
            prop_assert_eq!(super::super::parts::joined(parts.events), at_once.events);
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_not(
        payload in prop::collection::vec(any::<u8>(), 0..100),
        takeover in any::<bool>(),
    ) {
        let mut reader = Reader::inflating(Window { bits: 15, takeover }, 1000);
        reader.receive(&compressed_frame(TEXT, &payload), Gate::Open);
        prop_assert!(matches!(&reader.events[..], [Event::Text(_) | Event::Failed(1007 | 1009)]));
    }
}

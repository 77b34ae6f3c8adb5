//! What must hold for every stream of frames and every way in which it can arrive.

use std::io::Cursor;

use proptest::prelude::*;
use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::super::{MAX_HEADER, header, put_close, put_frame, put_header, put_masked, put_masked_close};
use super::*;

/// One thing that a peer sends.
#[derive(Debug, Clone)]
enum Sent {
    /// A message, cut into fragments at some places, with a ping or pong behind each fragment but the last.
    Message {
        text: bool,
        payload: Vec<u8>,
        cuts: Vec<usize>,
        between: Option<(bool, Vec<u8>)>,
    },
    Control {
        ping: bool,
        payload: Vec<u8>,
    },
    Close {
        code: u16,
        reason: String,
    },
}

fn control_payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=125)
}

fn sent() -> impl Strategy<Value = Sent> {
    let payload = prop_oneof![
        4 => "\\PC{0,80}".prop_map(|text| (true, text.into_bytes())),
        3 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (false, bytes)),
        1 => (any::<bool>(), 65_000..66_000usize).prop_map(|(text, len)| (text, vec![b'+'; len])),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let message = (payload, cuts, prop::option::of((any::<bool>(), control_payload())));
    let message = message.prop_map(|((text, payload), cuts, between)| {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        Sent::Message { text, payload, cuts, between }
    });
    prop_oneof![
        6 => message,
        2 => (any::<bool>(), control_payload()).prop_map(|(ping, payload)| Sent::Control { ping, payload }),
        1 => (3000..5000u16, "\\PC{0,30}").prop_map(|(code, reason)| Sent::Close { code, reason }),
    ]
}

/// Writes what a peer sends with the encoder; it is masked when a server reads it.
struct Peer {
    reader: Role,
    key: [u8; 4],
    out: Vec<u8>,
    expected: Vec<Event>,
}

impl Peer {
    fn sends(reader: Role, key: [u8; 4], all: &[Sent]) -> Self {
        let mut peer = Self { reader, key, out: Vec::new(), expected: Vec::new() };
        for sent in all {
            peer.send(sent);
        }
        peer
    }

    fn send(&mut self, sent: &Sent) {
        match sent {
            Sent::Message { text, payload, cuts, between } => {
                let mut start = 0;
                for (i, &cut) in cuts.iter().enumerate() {
                    self.fragment(false, data(*text, i == 0), &payload[start..cut]);
                    start = cut;
                    if let Some((ping, payload)) = between {
                        self.control(*ping, payload);
                    }
                }
                self.fragment(true, data(*text, cuts.is_empty()), &payload[start..]);
                self.expected.push(if *text {
                    Event::Text(String::from_utf8(payload.clone()).unwrap())
                } else {
                    Event::Binary(payload.clone())
                });
            }
            Sent::Control { ping, payload } => self.control(*ping, payload),
            Sent::Close { code, reason } => {
                match self.reader {
                    Role::Server => put_masked_close(&mut self.out, (*code).into(), reason, self.key),
                    Role::Client => put_close(&mut self.out, (*code).into(), reason),
                }
                let fits =
                    reason.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= 123);
                let cut = fits.last().unwrap_or(0);
                self.expected.push(Event::Close(Some((*code, reason[..cut].to_owned()))));
            }
        }
    }

    fn fragment(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) {
        match (fin, self.reader) {
            (true, Role::Server) => put_masked(&mut self.out, true, opcode, payload, self.key),
            (true, Role::Client) => put_frame(&mut self.out, true, opcode, payload),
            (false, Role::Client) => {
                put_header(&mut self.out, false, opcode, payload.len(), None);
                self.out.extend(payload);
            }
            (false, Role::Server) => {
                put_header(&mut self.out, false, opcode, payload.len(), Some(self.key));
                self.out.extend(payload.iter().zip(self.key.iter().cycle()).map(|(byte, key)| byte ^ key));
            }
        }
    }

    fn control(&mut self, is_ping: bool, payload: &[u8]) {
        let control = if is_ping { Control::Ping } else { Control::Pong };
        self.fragment(true, OpCode::Control(control), payload);
        self.expected.push(if is_ping { ping(payload) } else { pong(payload) });
    }
}

fn data(text: bool, first: bool) -> OpCode {
    OpCode::Data(match (first, text) {
        (false, _) => Data::Continue,
        (true, true) => Data::Text,
        (true, false) => Data::Binary,
    })
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

/// How a stream arrives: lengths of chunks, over and over.
pub(super) fn arrival() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..5usize, 1..200usize, 1..70_000usize], 1..8)
}

/// Whether a handler is busy when a chunk arrives, over and over.
pub(super) fn gates() -> impl Strategy<Value = Vec<Gate>> {
    prop::collection::vec(prop_oneof![Just(Gate::Open), Just(Gate::ControlOnly)], 1..8)
}

fn arrive(role: Role, limit: usize, bytes: &[u8], lengths: &[usize], gates: &[Gate]) -> Reader {
    let mut reader = Reader::new(role, limit);
    reader.arrive(bytes, lengths, gates);
    reader
}

impl Reader {
    pub(super) fn arrive(&mut self, bytes: &[u8], lengths: &[usize], gates: &[Gate]) {
        let mut rest = bytes;
        for (length, gate) in lengths.iter().cycle().zip(gates.iter().cycle()) {
            // Thousands of steps on long frames would show nothing that short ones do not.
            let length = if bytes.len() > 20_000 { length * 100 } else { *length };
            let (chunk, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            self.receive(chunk, *gate);
            if rest.is_empty() || self.failed() {
                break;
            }
        }
        self.receive(rest, Gate::Open);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Encoding and decoding is the identity for both roles, however the bytes arrive and whenever handlers are busy.
    #[test]
    fn what_is_sent_is_what_is_seen(
        all in prop::collection::vec(sent(), 0..6),
        role in role(),
        key in any::<[u8; 4]>(),
        lengths in arrival(),
        gates in gates(),
    ) {
        let peer = Peer::sends(role, key, &all);
        let at_once = arrive(role, 1 << 20, &peer.out, &[usize::MAX / 100], &[Gate::Open]);
        prop_assert_eq!(&at_once.events, &peer.expected);
        let in_chunks = arrive(role, 1 << 20, &peer.out, &lengths, &gates);
        prop_assert_eq!(&in_chunks.events, &peer.expected);
        prop_assert!(in_chunks.unconsumed.is_empty());
        prop_assert_eq!(in_chunks.decoder.heap(), 0);
    }

    /// What comes in parts is, put together, what comes whole; and nothing of it is kept.
    #[test]
    fn parts_make_the_whole(
        all in prop::collection::vec(sent(), 0..6),
        role in role(),
        key in any::<[u8; 4]>(),
        damage in any::<Option<(prop::sample::Index, u8)>>(),
        lengths in arrival(),
        gates in gates(),
    ) {
        let mut bytes = Peer::sends(role, key, &all).out;
        if let Some((index, byte)) = damage.filter(|_| !bytes.is_empty()) {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = arrive(role, usize::MAX, &bytes, &[usize::MAX / 100], &[Gate::Open]);
        let mut parts = Reader::new(role, usize::MAX);
        parts.decoder.deliver(Delivery::Parts, Delivery::Parts);
        parts.arrive(&bytes, &lengths, &gates);
        prop_assert!(parts.failed() || parts.decoder.heap() == 0);
        let joined = super::parts::joined(parts.events);
        // A message that ends in a violation was begun in parts, and not at all as a whole.
        prop_assert_eq!(joined, whole.events);
    }

    /// Damage is found, or not, in the same place however the bytes arrive.
    #[test]
    fn damage_looks_the_same_however_it_arrives(
        all in prop::collection::vec(sent(), 1..4),
        role in role(),
        key in any::<[u8; 4]>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        lengths in arrival(),
        gates in gates(),
    ) {
        let mut bytes = Peer::sends(role, key, &all).out;
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let at_once = arrive(role, 70_000, &bytes, &[usize::MAX / 100], &[Gate::Open]);
        let in_chunks = arrive(role, 70_000, &bytes, &lengths, &gates);
        prop_assert_eq!(at_once.events, in_chunks.events);
    }

    /// Whatever arrives, nothing panics and no more than the limit is ever held.
    #[test]
    fn nonsense_costs_at_most_the_limit(
        heads in prop::collection::vec((any::<u8>(), any::<[u8; 13]>(), prop::collection::vec(any::<u8>(), 0..400)), 1..40),
        limit in prop_oneof![0..300usize, 200_000..300_000usize],
        tame in any::<bool>(),
        lengths in arrival(),
    ) {
        let mut bytes = Vec::new();
        for (first, mut head, payload) in heads {
            if tame {
                // Frames that pass the first checks, so that the later ones are reached.
                bytes.push([0x00, 0x02, 0x80, 0x82, 0x89][usize::from(first % 5)]);
                head[0] |= 0x80;
            } else {
                bytes.push(first);
            }
            bytes.extend(&head[..usize::from(first >> 4).min(13)]);
            bytes.extend(payload);
        }
        let mut reader = Reader::new(Role::Server, limit);
        let mut rest = &bytes[..];
        for length in lengths.iter().cycle() {
            let (chunk, after) = rest.split_at((*length).min(rest.len()));
            rest = after;
            reader.receive(chunk, Gate::Open);
            prop_assert!(reader.decoder.heap() <= limit);
            if rest.is_empty() {
                break;
            }
        }
    }

    /// Every header that we accept says the same to tungstenite, and every one that it refuses we refuse.
    #[test]
    fn headers_mean_what_tungstenite_says(
        first in prop_oneof![any::<u8>(), prop::sample::select(&[0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a][..])],
        second in prop_oneof![any::<u8>(), prop::sample::select(&[126, 127, 254, 255][..])],
        length in prop_oneof![any::<[u8; 8]>(), any::<u16>().prop_map(|n| u64::from(n).to_be_bytes())],
        key in any::<[u8; 4]>(),
        cut in 0..=MAX_HEADER,
        role in role(),
        deflate in any::<bool>(),
    ) {
        let mut bytes = vec![first, second];
        bytes.extend(length);
        bytes.extend(key);
        let bytes = &bytes[..cut];
        let mut cursor = Cursor::new(bytes);
        let theirs = FrameHeader::parse(&mut cursor);
        match header::parse(bytes, role, deflate) {
            Ok(Some(ours)) => {
                let (header, payload) = theirs.unwrap().expect("a whole header");
                prop_assert_eq!((ours.frame, ours.payload), (header, payload));
                prop_assert_eq!(ours.size as u64, cursor.position());
            }
            Ok(None) => prop_assert!(matches!(theirs, Ok(None))),
            Err(_) => {}
        }
    }

    /// And every header that we write is the one that tungstenite would write.
    #[test]
    fn headers_are_written_as_tungstenite_writes_them(
        fin in any::<bool>(),
        opcode in prop::sample::select(&[0u8, 1, 2, 8, 9, 10][..]),
        len in prop_oneof![0..300usize, 65_000..66_000usize, any::<u32>().prop_map(|n| n as usize)],
        mask in any::<Option<[u8; 4]>>(),
    ) {
        let header = FrameHeader { is_final: fin, opcode: opcode.into(), mask, ..FrameHeader::default() };
        let mut theirs = Vec::new();
        header.format(len as u64, &mut theirs).unwrap();
        let mut ours = Vec::new();
        put_header(&mut ours, fin, opcode.into(), len, mask);
        prop_assert!(ours.len() <= MAX_HEADER);
        prop_assert_eq!(ours, theirs);
    }

    /// The decoder refuses a text with the first chunk that makes it hopeless, no earlier and no later.
    #[test]
    fn text_fails_as_early_as_std_knows(
        bytes in prop::collection::vec(prop_oneof![
            3 => prop::sample::select(&[0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc3, 0xe0, 0xe2, 0xed, 0xf0, 0xf4][..]),
            1 => any::<u8>(),
        ], 1..40),
        lengths in prop::collection::vec(1..9usize, 1..6),
    ) {
        let framed = frame(FIN | TEXT, &bytes);
        let header = framed.len() - bytes.len();
        let mut reader = Reader::new(Role::Server, 1 << 16);
        // The first chunk must not be the whole: then it would be judged as a message, which is tested elsewhere.
        reader.receive(&framed[..header], Gate::Open);
        let mut fed = 0;
        for length in lengths.iter().cycle() {
            let end = bytes.len().min(fed + length);
            reader.receive(&framed[header + fed..header + end], Gate::Open);
            fed = end;
            let hopeless = match std::str::from_utf8(&bytes[..fed]) {
                Ok(_) => false,
                Err(error) => error.error_len().is_some() || fed == bytes.len(),
            };
            prop_assert_eq!(reader.failed(), hopeless, "after {} of {:02x?}", fed, bytes);
            if hopeless || fed == bytes.len() {
                break;
            }
        }
    }
}

/// The close codes that tungstenite names and we may send come back as the same variants.
#[test]
fn named_close_codes_survive_the_wire() {
    use CloseCode::{
        Again, Away, Error, Extension, Invalid, Normal, Policy, Protocol, Restart, Size, Unsupported,
    };
    for code in [Normal, Away, Protocol, Unsupported, Invalid, Policy, Size, Extension, Error, Restart, Again]
    {
        let mut out = Vec::new();
        put_close(&mut out, code, "why");
        let (_, step) = decoder(Role::Client, 0).decode(&mut out, Gate::Open).unwrap();
        assert_eq!(step, Step::Close(Some((code, "why".into()))));
    }
}

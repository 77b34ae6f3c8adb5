//! Group C: message handlers that are added at run time, of each form, beside each other and beside methods.

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Coders, Decoder, Endpoint, HandlerConflict, MessageHandlerId, ServerEndpointConfig};
use tokio::io::AsyncReadExt;

use crate::peers::{
    BINARY, Both, Came, PING, PLACES, PONG, Pair, Peer, Place, SIDES, TEXT, on_both_sides, text,
};
use crate::table::each;

// ---- beans, by each kind of decoder

struct FromText(String);
struct FromTextStream(String);
struct FromBytes(usize);
struct FromByteStream(usize);

#[derive(Default)]
struct TextDecoder;

impl Decoder for TextDecoder {
    type Input = Text;
    type Value = FromText;

    fn will_decode(&self, text: &Text) -> bool {
        text.starts_with("whole")
    }

    async fn decode(&mut self, text: Text) -> Result<FromText> {
        Ok(FromText(text.to_uppercase()))
    }
}

#[derive(Default)]
struct TextStreamDecoder;

impl Decoder for TextStreamDecoder {
    type Input = TextReader;
    type Value = FromTextStream;

    async fn decode(&mut self, mut reader: TextReader) -> Result<FromTextStream> {
        let mut text = String::new();
        reader.read_to_string(&mut text).await?;
        Ok(FromTextStream(text.to_uppercase()))
    }
}

#[derive(Default)]
struct BytesDecoder;

impl Decoder for BytesDecoder {
    type Input = Bytes;
    type Value = FromBytes;

    fn will_decode(&self, bytes: &Bytes) -> bool {
        bytes.starts_with(b"whole")
    }

    async fn decode(&mut self, bytes: Bytes) -> Result<FromBytes> {
        Ok(FromBytes(bytes.len()))
    }
}

#[derive(Default)]
struct ByteStreamDecoder;

impl Decoder for ByteStreamDecoder {
    type Input = BinaryReader;
    type Value = FromByteStream;

    async fn decode(&mut self, mut reader: BinaryReader) -> Result<FromByteStream> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await?;
        Ok(FromByteStream(bytes.len()))
    }
}

// ---- the forms

/// Of which messages a taker gets all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Native {
    Text,
    Binary,
    Any,
    Ping,
    Pong,
}

/// One form in which a handler may take messages.
#[derive(Clone, Copy)]
struct Form {
    name: &'static str,
    native: Native,
    /// Whether decoders make it: then others that are decoded may stand beside it.
    decoded: bool,
    add: fn(&Session) -> Result<MessageHandlerId, HandlerConflict>,
    /// What the peer sends, frame by frame, and what it is told then. What is answered to a ping is not listed.
    sends: &'static [(u8, &'static str)],
    says: &'static [&'static str],
}

macro_rules! forms {
    ($($native:ident $($decoded:ident)?: |$message:ident: $ty:ty| $reply:expr, [$($sends:expr),*] => [$($says:literal),*];)*) => {
        const FORMS: &[Form] = &[$(Form {
            name: stringify!($ty),
            native: Native::$native,
            decoded: false $(|| stringify!($decoded).len() > 0)?,
            add: |session| session.add_message_handler(|$message: $ty| async move { $reply }),
            sends: &[$($sends),*],
            says: &[$($says),*],
        }),*];
    };
}

/// A text message in two fragments, and a binary one.
const IN_TWO: [(u8, &str); 2] = [(0x01, "two "), (0x80, "parts")];
const BYTES_IN_TWO: [(u8, &str); 2] = [(0x02, "two "), (0x80, "parts")];

forms! {
    Text: |text: String| format!("string {text}"), [IN_TWO[0], IN_TWO[1], (TEXT, "")] => ["string two parts", "string "];
    Text: |text: Text| format!("text {text}"), [(TEXT, "héllo")] => ["text héllo"];
    Text: |number: i32| number + 1, [(TEXT, "-8")] => ["-7"];
    Text: |flag: bool| format!("bool {flag}"), [(TEXT, "true")] => ["bool true"];
    Text: |letter: char| format!("char {letter}"), [(TEXT, "ß")] => ["char ß"];
    Text: |reader: TextReader| {
        let (mut reader, mut text) = (reader, String::from("stream "));
        reader.read_to_string(&mut text).await.map(|_| text)
    }, [IN_TWO[0], IN_TWO[1], (TEXT, "")] => ["stream two parts", "stream "];
    Text: |part: Fragment<Text>| format!("part {} {}", part.data, part.last), [IN_TWO[0], IN_TWO[1], (TEXT, "x")]
        => ["part two  false", "part parts true", "part x true"];
    Binary: |bytes: Bytes| format!("bytes {bytes:?}"), [BYTES_IN_TWO[0], BYTES_IN_TWO[1], (BINARY, "")]
        => [r#"bytes b"two parts""#, r#"bytes b"""#];
    Binary: |bytes: Vec<u8>| format!("vec {bytes:?}"), [(BINARY, "ab")] => ["vec [97, 98]"];
    Binary: |reader: BinaryReader| {
        let (mut reader, mut bytes) = (reader, Vec::new());
        reader.read_to_end(&mut bytes).await.map(|_| format!("stream {bytes:?}"))
    }, [BYTES_IN_TWO[0], (0x80, ""), (BINARY, "")] => ["stream [116, 119, 111, 32]", "stream []"];
    Binary: |part: Fragment<Bytes>| format!("part {:?} {}", part.data, part.last),
        [BYTES_IN_TWO[0], BYTES_IN_TWO[1], (BINARY, "x")]
        => [r#"part b"two " false"#, r#"part b"parts" true"#, r#"part b"x" true"#];
    Any: |message: Message| format!("any {message:?}"), [(TEXT, "t"), (BINARY, "b")]
        => [r#"any Text("t")"#, r#"any Binary(b"b")"#];
    Pong: |pong: Pong| format!("pong {:?}", pong.payload()), [(PONG, "data"), (PONG, "")]
        => [r#"pong b"data""#, r#"pong b"""#];
    Ping: |ping: Ping| format!("ping {:?}", ping.payload()), [(PING, "data")] => [r#"ping b"data""#];
    Text decoded: |bean: Decoded<FromText>| format!("bean {}", bean.0.0), [(TEXT, "whole")] => ["bean WHOLE"];
    Text decoded: |bean: Decoded<FromTextStream>| format!("stream bean {}", bean.0.0), [IN_TWO[0], IN_TWO[1]]
        => ["stream bean TWO PARTS"];
    Binary decoded: |bean: Decoded<FromBytes>| format!("bean of {}", bean.0.0), [(BINARY, "whole")] => ["bean of 5"];
    Binary decoded: |bean: Decoded<FromByteStream>| format!("stream bean of {}", bean.0.0), [BYTES_IN_TWO[0], BYTES_IN_TWO[1]]
        => ["stream bean of 9"];
}

impl Form {
    /// Whether the two can not both have a taker.
    fn excludes(&self, other: &Form) -> bool {
        let (one, two) = (self.native, other.native);
        let is_message = |native| matches!(native, Native::Text | Native::Binary | Native::Any);
        let any = one == Native::Any || two == Native::Any;
        let same = one == two || (any && is_message(one) && is_message(two));
        same && (self.name == other.name || !(self.decoded && other.decoded))
    }

    /// Lets the peer send this form's sample, and sees that this form's handler has it.
    async fn works(&self, peer: &mut Peer) {
        for (first, payload) in self.sends {
            peer.frame(*first, payload).await;
            if *first == PING {
                assert_eq!(
                    peer.next().await,
                    Came::Pong(payload.as_bytes().to_vec()),
                    "the answer to a ping"
                );
            }
        }
        for says in self.says {
            assert_eq!(peer.next().await, text(says), "{}", self.name);
        }
    }
}

on_both_sides! {
    /// Annotated, with no message methods.
    empty at "/handlers/empty" [decoders = [TextDecoder, TextStreamDecoder, BytesDecoder, ByteStreamDecoder]] {
        #[on_open]
        fn open(&self) {
            self.told.tell("open");
        }
    }
}

/// By hand: on a server with decoders; a client has none then.
struct ByHand;

impl Endpoint for ByHand {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        Ok(session.send(format!("endpoint {message:?}")).await?)
    }
}

const BY_HAND: Both = Both {
    path: "/handlers/by-hand",
    config: || {
        let coders = Coders::none().decoder::<TextDecoder>().decoder::<TextStreamDecoder>();
        let coders = coders.decoder::<BytesDecoder>().decoder::<ByteStreamDecoder>();
        ServerEndpointConfig::builder("/handlers/by-hand", || ByHand).coders(coders).build()
    },
    connect: |client, _, url| client.connect(ByHand, url),
};

/// T-S11: each form is handled, and not any more when its handler is gone.
#[test]
fn every_form_is_handled() {
    let rows = [("annotated", empty::BOTH), ("by hand", BY_HAND)].into_iter();
    let rows = rows.flat_map(|endpoint| PLACES.map(|place| (endpoint, place)));
    let rows = rows.flat_map(|(endpoint, place)| FORMS.iter().map(move |form| (endpoint, place, form)));
    let rows = rows.map(|((kind, endpoint), place, form)| {
        (format!("{} ({kind}, {place:?})", form.name), (endpoint, place, form))
    });
    each(rows, async |(endpoint, place, form): (Both, Place, &Form)| {
        let Pair { session, mut peer, stage: _stage } = Pair::open(place, endpoint).await;
        let added = (form.add)(&session);
        if form.decoded && place == Place::Client && endpoint.path == BY_HAND.path {
            let Err(HandlerConflict::NoDecoder(name)) = added else { panic!("{added:?}") };
            assert_eq!(form.name, format!("Decoded<{}>", name.rsplit("::").next().unwrap()));
            return;
        }
        let id = added.unwrap();
        assert_eq!(session.message_handlers().len(), 1);
        form.works(&mut peer).await;
        form.works(&mut peer).await;
        assert!(session.remove_message_handler(id));
        assert_eq!(session.message_handlers().len(), 0);
        for (first, payload) in form.sends {
            peer.frame(*first, payload).await;
        }
        // Who answers this has seen all that was before it.
        peer.frame(PING, "and now?").await;
        loop {
            match peer.next().await {
                Came::Pong(payload) if payload == b"and now?" => break,
                came => assert!(!form.says.iter().any(|says| came == text(says)), "{came:?}"),
            }
        }
    });
}

/// WSC-2.1.3-1, -2: of each two forms, a second taker of the same messages is refused, and the first goes on; others stand side by side.
#[test]
fn two_handlers_share_no_messages() {
    let pairs = FORMS.iter().flat_map(|first| FORMS.iter().map(move |second| (first, second)));
    let rows = pairs.flat_map(|pair| SIDES.map(|side| (pair, side)));
    let rows =
        rows.map(|(pair, side)| (format!("{}, then {} ({side:?})", pair.0.name, pair.1.name), (pair, side)));
    each(rows, async |((first, second), side): ((&Form, &Form), Place)| {
        let Pair { session, mut peer, stage: _stage } = Pair::open(side, empty::BOTH).await;
        (first.add)(&session).unwrap();
        let added = (second.add)(&session);
        let refused = first.excludes(second);
        assert_eq!(matches!(added, Err(HandlerConflict::Taken(_))), refused, "{added:?}");
        assert_eq!(session.message_handlers().len(), if refused { 1 } else { 2 });
        first.works(&mut peer).await;
        if !refused {
            second.works(&mut peer).await;
            first.works(&mut peer).await;
        }
    });
}

// ---- beside methods

/// Declares endpoints with one message method each, which takes what the form of the same name does, and the table of them.
macro_rules! methods {
    ($($name:ident at $path:literal: $form:literal, |$message:ident: $ty:ty| $reply:expr;)*) => {
        $(on_both_sides! {
            $name at $path [decoders = [TextDecoder, TextStreamDecoder, BytesDecoder, ByteStreamDecoder]] {
                #[on_open]
                fn open(&self) {
                    self.told.tell("open");
                }

                #[on_message]
                async fn message(&self, $message: $ty) -> Result<String> {
                    Ok($reply)
                }
            }
        })*

        const METHODS: &[(&str, Both)] = &[$(($form, $name::BOTH)),*];
    };
}

methods! {
    string at "/handlers/string": "String", |text: String| format!("string {text}");
    reader at "/handlers/reader": "TextReader", |reader: TextReader| {
        let (mut reader, mut text) = (reader, String::from("stream "));
        reader.read_to_string(&mut text).await?;
        text
    };
    text_part at "/handlers/text-part": "Fragment<Text>",
        |part: Fragment<Text>| format!("part {} {}", part.data, part.last);
    bytes at "/handlers/bytes": "Bytes", |bytes: Bytes| format!("bytes {bytes:?}");
    stream at "/handlers/stream": "BinaryReader", |reader: BinaryReader| {
        let (mut reader, mut bytes) = (reader, Vec::new());
        reader.read_to_end(&mut bytes).await?;
        format!("stream {bytes:?}")
    };
    part at "/handlers/part": "Fragment<Bytes>", |part: Fragment<Bytes>| format!("part {:?} {}", part.data, part.last);
    any at "/handlers/any": "Message", |message: Message| format!("any {message:?}");
    pong at "/handlers/pong": "Pong", |pong: Pong| format!("pong {:?}", pong.payload());
    ping at "/handlers/ping": "Ping", |ping: Ping| format!("ping {:?}", ping.payload());
    bean at "/handlers/bean": "Decoded<FromText>", |bean: Decoded<FromText>| format!("bean {}", bean.0.0);
    stream_bean at "/handlers/stream-bean": "Decoded<FromByteStream>",
        |bean: Decoded<FromByteStream>| format!("stream bean of {}", bean.0.0);
}

/// T-S11 with annotated endpoints: beside a method there may be handlers of other messages, and none of the same.
#[test]
fn handlers_and_methods_share_no_messages() {
    let rows = METHODS.iter().flat_map(|method| FORMS.iter().map(move |form| (method, form)));
    let rows = rows.flat_map(|(method, form)| PLACES.map(|place| (method, form, place)));
    let rows = rows.map(|row @ (method, form, place)| {
        (format!("method {}, then {} ({place:?})", method.0, form.name), row)
    });
    each(rows, async |((name, endpoint), form, place): (&(&str, Both), &Form, Place)| {
        let own = FORMS.iter().find(|form| form.name == *name).unwrap();
        let Pair { session, mut peer, stage: _stage } = Pair::open(place, *endpoint).await;
        let added = (form.add)(&session);
        let refused = own.excludes(form);
        assert_eq!(matches!(added, Err(HandlerConflict::Taken(_))), refused, "{added:?}");
        assert_eq!(session.message_handlers().len(), usize::from(!refused));
        own.works(&mut peer).await;
        if let Ok(id) = added {
            form.works(&mut peer).await;
            assert!(session.remove_message_handler(id));
            own.works(&mut peer).await;
        }
    });
}

/// SES-06: a message that has begun goes on to who got its first part.
#[test]
fn a_message_stays_with_its_handler() {
    let rows = PLACES.map(|place| (format!("{place:?}"), place));
    each(rows, async |place| {
        let Pair { session, mut peer, stage: _stage } = Pair::open(place, empty::BOTH).await;
        let part = |part: Fragment<Text>| async move { format!("part {} {}", part.data, part.last) };
        let id = session.add_message_handler(part).unwrap();
        peer.frame(0x01, "one").await;
        assert_eq!(peer.next().await, text("part one false"));
        assert!(session.remove_message_handler(id));
        session.add_message_handler(|text: String| async move { format!("whole {text}") }).unwrap();
        peer.frame(0x80, "two").await;
        assert_eq!(peer.next().await, text("part two true"));
        peer.frame(TEXT, "three").await;
        assert_eq!(peer.next().await, text("whole three"));
    });
}

//! Where errors go (5.2.2, 5.2.3, 4.6, LC-03, LC-07 to LC-09, CD-09, CD-12), and who is to blame when the other side breaks a rule.

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Context, Decoder, EncodeError, Encoder, Incoming, Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::pair::{Pair, SIDES, Side, both_sides};
use crate::table::rows;
use crate::told::{Told, diary, soon};

/// A text that may not be one.
struct Line(String);

impl FromMessage for Line {
    const KIND: Kind = Kind::Text;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        let text = message.into_text()?;
        if text == "undecodable" { Err(DecodeError::text(&text, "not this")) } else { Ok(Line(text.into())) }
    }
}

/// Bytes that a decoder has seen.
struct Note;

#[derive(Default)]
struct NoteDecoder;

impl Decoder for NoteDecoder {
    type Input = Bytes;
    type Value = Note;

    fn will_decode(&self, input: &Bytes) -> bool {
        input != "refuse"
    }

    async fn decode(&mut self, input: Bytes) -> Result<Note> {
        match &input[..] {
            b"fail" => Err(Error::msg("in the decoder")),
            b"io" => Err(std::io::Error::other("disk").into()),
            _ => Ok(Note),
        }
    }
}

/// What no encoder encodes.
struct Unspeakable;

#[derive(Default)]
struct UnspeakableEncoder;

impl Encoder for UnspeakableEncoder {
    type Value = Unspeakable;
    type Output = String;

    async fn encode(&mut self, _: &Unspeakable, _: &mut String) -> Result<()> {
        Err(EncodeError::new("in the encoder").into())
    }
}

/// A parameter that cannot be made while the session is marked.
struct Fussy;

#[derive(Clone)]
struct Marked;

impl FromContext for Fussy {
    fn from_context(context: Context<'_>) -> Result<Self> {
        match context.session().attributes().remove::<Marked>() {
            Some(_) => Err(Error::msg("no parameter")),
            None => Ok(Fussy),
        }
    }
}

fn may_panic(text: &str) {
    assert_ne!(text, "panic", "as told");
}

both_sides! {
    Fallible at "/beyond/errors", FallibleClient
    (max_message_size = 100, decoders = [NoteDecoder], encoders = [UnspeakableEncoder]) {
        #[on_open]
        fn open(&self, #[query] open: Option<String>) -> Result<()> {
            match open.as_deref() {
                Some("fail") => Err(Error::msg("in on_open")),
                other => {
                    may_panic(other.unwrap_or_default());
                    Ok(())
                }
            }
        }

        #[on_message]
        async fn text(&self, Line(text): Line, session: &Session, _fussy: Fussy) -> Result<Option<Encoded<Unspeakable>>> {
            may_panic(&text);
            match text.as_str() {
                "fail" | "in on_error" => Err(Error::msg(text)),
                "send" => Ok(session.ping([0; 126]).await.map(|()| None)?),
                "object" => Ok(session.send_object(Unspeakable).await.map(|()| None)?),
                "encode" => Ok(Some(Encoded(Unspeakable))),
                "mark" => Ok(session.attributes().insert(Marked).and(None)),
                _ => Ok(session.send(text).await.map(|()| None)?),
            }
        }

        #[on_message]
        fn note(&self, _note: Decoded<Note>) {}

        #[on_message]
        fn pong(&self, pong: Pong) -> Result<()> {
            if pong.payload() == "fail" { Err(Error::msg("in a pong")) } else { Ok(()) }
        }

        #[on_error]
        fn error(&self, error: &Error, session: &Session) -> Result<()> {
            assert!(!session.id().to_string().is_empty());
            let text = error.to_string();
            self.told.tell(format_args!("error {text}"));
            if text == "in on_error" { Err(Error::msg("again")) } else { Ok(()) }
        }

        #[on_close]
        fn close(&self, reason: &CloseReason) -> Result<()> {
            self.told.tell(format_args!("close {}", u16::from(reason.code())));
            may_panic(reason.text());
            if reason.text() == "fail" { Err(Error::msg("in on_close")) } else { Ok(()) }
        }
    }
}

/// What the other end does.
#[derive(Clone, Copy)]
enum Does {
    Says(&'static str),
    Sends(&'static [u8]),
    Pongs(&'static str),
    SaysTooMuch,
    Closes(&'static str),
    /// It is not its doing: the query of the URL.
    Asks(&'static str),
}

/// What happens, and all that `on_error` and `on_close` are then told; with no `close` among that, the session stays open.
const ERRORS: [(&str, &[Does], &[&str]); 18] = [
    ("a method fails", &[Does::Says("fail")], &["error fail"]),
    ("a method panics", &[Does::Says("panic")], &["error a handler panicked: ", "close 1011"]),
    ("a method for pongs fails", &[Does::Pongs("fail")], &["error in a pong"]),
    (
        "a message cannot be decoded",
        &[Does::Says("undecodable")],
        &["error cannot decode the message: not this"],
    ),
    ("a decoder fails", &[Does::Sends(b"fail")], &["error cannot decode the message: in the decoder"]),
    ("a decoder fails with an I/O error", &[Does::Sends(b"io")], &["error cannot decode the message: disk"]),
    ("no decoder decodes", &[Does::Sends(b"refuse")], &["error cannot decode the message: "]),
    (
        "what is returned cannot be encoded",
        &[Does::Says("encode")],
        &["error cannot encode the message: in the encoder"],
    ),
    (
        "what is sent cannot be encoded",
        &[Does::Says("object")],
        &["error cannot encode the message: in the encoder"],
    ),
    ("sending fails", &[Does::Says("send")], &["error a ping or pong carries at most 125 bytes"]),
    ("a parameter cannot be made", &[Does::Says("mark"), Does::Says("x")], &["error no parameter"]),
    ("on_error fails", &[Does::Says("in on_error")], &["error in on_error"]),
    (
        "errors one after the other",
        &[Does::Says("fail"), Does::Sends(b"fail")],
        &["error fail", "error cannot decode"],
    ),
    ("a message is too large", &[Does::SaysTooMuch], &["error ", "close 1009"]),
    ("on_open fails", &[Does::Asks("?open=fail")], &["error in on_open", "close 1011"]),
    ("on_open panics", &[Does::Asks("?open=panic")], &["error a handler panicked: ", "close 1011"]),
    ("on_close fails", &[Does::Closes("fail")], &["close 4000", "error in on_close"]),
    ("on_close panics", &[Does::Closes("panic")], &["close 4000", "error a handler panicked: "]),
];

async fn goes_to(side: Side, does: &[Does], expected: &[&str]) {
    let query = does.iter().find_map(|does| if let Does::Asks(query) = does { Some(*query) } else { None });
    let mut pair = FallibleClient::pair(side, query.unwrap_or_default()).await;
    let Pair { tested, heard, other, others, .. } = &mut pair;
    for does in does {
        match *does {
            Does::Says(text) => other.send(text).await.unwrap(),
            Does::Sends(bytes) => other.send(bytes).await.unwrap(),
            Does::Pongs(text) => other.pong(text).await.unwrap(),
            Does::SaysTooMuch => other.send("x".repeat(101)).await.unwrap(),
            Does::Closes(text) => other.close(CloseReason::new(4000, text)).await.unwrap(),
            Does::Asks(_) => {}
        }
    }
    for expected in expected {
        let told = heard.next().await;
        assert!(told.starts_with(expected), "{told:?} instead of {expected:?}");
    }
    if expected.iter().any(|expected| expected.starts_with("close ")) {
        // What it was about is nobody else's business: the other end is told a code.
        let code = others.up_to("close ").await;
        assert!(code.len() == 1 && expected.contains(&code[0].as_str()), "{code:?}");
        assert!(!tested.is_open());
    } else {
        // It goes on, and what follows is not the error's, which was told to nobody but us.
        other.send("still there").await.unwrap();
        others.expect("still there").await;
        assert!(tested.is_open());
    }
    pair.stop().await;
    let rest = pair.heard.so_far();
    assert!(rest.iter().all(|told| told.starts_with("close 100")), "{rest:?}");
}

#[tokio::test]
async fn errors_go_to_on_error_and_few_of_them_close() {
    let table = SIDES.into_iter().flat_map(|side| ERRORS.map(|row| (side, row)));
    rows(
        table.map(|(side, (name, does, expected))| {
            (format!("{name}, {side:?}"), goes_to(side, does, expected))
        }),
    )
    .await;
}

// ---- a server that breaks the rules

/// The code of the close frame that a client answers these bytes with.
async fn answered(bytes: &[u8]) -> (u16, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, mut heard) = diary();
    let client = runtime::client();
    let connecting = client.connect(FallibleClient { told: Arc::new(told) }, format!("ws://{address}/"));
    let (session, stream) = tokio::join!(connecting, async {
        let (mut stream, _) = listener.accept().await.unwrap();
        switch(&mut stream).await;
        stream
    });
    let (_session, mut stream) = (session.unwrap(), stream);
    soon("writing", stream.write_all(bytes)).await.unwrap();
    // A close frame, masked: two bytes of header, four of the key, two of the code.
    let mut frame = [0; 8];
    soon("a close frame", stream.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[0], 0x88, "{frame:?}");
    let code = u16::from_be_bytes([frame[6] ^ frame[2], frame[7] ^ frame[3]]);
    drop(stream);
    (code, heard.up_to("close ").await)
}

/// Reads a request, and opens the WebSocket.
async fn switch(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(soon("the request", stream.read_u8()).await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let mut fields = request.lines().filter_map(|line| line.split_once(": "));
    let (_, key) = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// The rules hold for a server's frames too: the client closes with the code, which `on_error` and then `on_close` are told.
#[tokio::test]
async fn a_server_that_breaks_the_rules_is_closed() {
    let table: [(&str, &[u8], u16); 14] = [
        ("text that is not UTF-8", &[0x81, 1, 0xff], 1007),
        ("text that is not UTF-8, in a message that goes on", &[0x01, 2, b'a', 0xff], 1007),
        ("half a character at the end", &[0x01, 1, 0xc3, 0x80, 0], 1007),
        ("a close text that is not UTF-8", &[0x88, 3, 3, 0xe8, 0xff], 1007),
        ("a message that is too large", &[0x82, 101], 1009),
        (
            "fragments that are too large together",
            &[&[0x02, 100][..], &[0; 100], &[0x80, 1, 0]].concat().leak()[..],
            1009,
        ),
        ("a masked frame", &[0x81, 0x81, 1, 2, 3, 4, 0], 1002),
        ("a reserved opcode", &[0x83, 0], 1002),
        ("a reserved bit", &[0xc1, 0], 1002),
        ("a continuation of nothing", &[0x80, 0], 1002),
        ("a message within a message", &[0x01, 0, 0x81, 0], 1002),
        ("a ping in fragments", &[0x09, 0], 1002),
        ("half a close code", &[0x88, 1, 3], 1002),
        ("a close code that must not be sent", &[0x88, 2, 3, 0xed], 1002),
    ];
    rows(table.map(|(name, bytes, code)| {
        (name, async move {
            let (answer, told) = answered(bytes).await;
            assert_eq!(answer, code);
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(
                told[0].starts_with("error ") && told[0].contains(&format!("(close code {code})")),
                "{told:?}"
            );
            assert_eq!(told[1], format!("close {code}"));
        })
    }))
    .await;
}

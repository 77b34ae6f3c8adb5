//! Decoders and encoders: whose turn it is, what they keep, what becomes of their failures, and what they replace.

use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Decoder, EncodeError, Encoder, SendError};
use futures_util::{Stream, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::support::{Told, diary};

/// What each of the four decoders makes.
struct Note {
    via: &'static str,
    text: String,
}

/// What each of the four encoders takes.
struct TextOut(String);
struct BytesOut(String);
struct TextStreamOut(String);
struct BinaryStreamOut(String);

/// What a coder tells whom.
#[derive(Default)]
struct Voice(Option<std::sync::Arc<Told>>);

impl Voice {
    fn find(&mut self, session: &Session) {
        self.0 = session.application().find::<Told>();
    }

    fn tell(&self, what: &str) {
        if let Some(told) = &self.0 {
            told.tell(what);
        }
    }
}

/// A failure that both sides of a test know.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

fn checked(text: &str) -> Result<()> {
    match text {
        "fail" => Err(Broken.into()),
        "io" => Err(std::io::Error::other("disk").into()),
        "panic" => panic!("a coder panics"),
        _ => Ok(()),
    }
}

macro_rules! decoders {
    ($($name:ident $via:literal: $input:ty, |$message:ident| $read:expr;)*) => {
        $(
            #[derive(Default)]
            struct $name(Voice);

            impl Decoder for $name {
                type Input = $input;
                type Value = Note;

                fn init(&mut self, session: &Session) -> Result<()> {
                    self.0.find(session);
                    self.0.tell(concat!($via, " decoder init"));
                    Ok(())
                }

                async fn decode(&mut self, #[allow(unused_mut)] mut $message: $input) -> Result<Note> {
                    let text: String = $read;
                    self.0.tell(&format!(concat!($via, " decoder decodes {}"), text));
                    checked(&text)?;
                    Ok(Note { via: $via, text })
                }

                fn destroy(&mut self) {
                    self.0.tell(concat!($via, " decoder destroy"));
                }
            }
        )*
    };
}

decoders! {
    TextDecoder "text": Text, |message| message.into();
    BytesDecoder "bytes": Bytes, |message| String::from_utf8(message.into())?;
    TextStreamDecoder "text stream": TextReader, |message| {
        let mut text = String::new();
        message.read_to_string(&mut text).await?;
        text
    };
    BinaryStreamDecoder "binary stream": BinaryReader, |message| {
        let mut text = String::new();
        while let Some(chunk) = message.chunk().await? {
            text.push_str(std::str::from_utf8(&chunk)?);
        }
        text
    };
}

macro_rules! encoders {
    ($($name:ident $via:literal: $value:ty => $output:ty, |$text:ident, $message:ident| $write:expr;)*) => {
        $(
            #[derive(Default)]
            struct $name(Voice);

            impl Encoder for $name {
                type Value = $value;
                type Output = $output;

                fn init(&mut self, session: &Session) -> Result<()> {
                    self.0.find(session);
                    self.0.tell(concat!($via, " encoder init"));
                    Ok(())
                }

                async fn encode(&mut self, value: &$value, $message: &mut $output) -> Result<()> {
                    self.0.tell(&format!(concat!($via, " encoder encodes {}"), value.0));
                    checked(&value.0)?;
                    let $text = &value.0;
                    $write;
                    Ok(())
                }

                fn destroy(&mut self) {
                    self.0.tell(concat!($via, " encoder destroy"));
                }
            }
        )*
    };
}

encoders! {
    TextEncoder "text": TextOut => String, |text, message| message.push_str(text);
    BytesEncoder "bytes": BytesOut => Vec<u8>, |text, message| message.extend(text.as_bytes());
    TextStreamEncoder "text stream": TextStreamOut => TextWriter, |text, message| message.write_all(text.as_bytes()).await?;
    BinaryStreamEncoder "binary stream": BinaryStreamOut => BinaryWriter, |text, message| message.write_all(text.as_bytes()).await?;
}

/// Takes notes by one decoder and gives them back by one encoder: as a return value, or, from `send:`, by `send_object`.
macro_rules! notebooks {
    ($($name:ident $path:literal: $decoder:ident, $encoder:ident for $out:ident;)*) => {
        $(
            #[server_endpoint($path, decoders = [$decoder], encoders = [$encoder])]
            struct $name {
                #[inject]
                told: std::sync::Arc<Told>,
            }

            #[handlers]
            impl $name {
                #[on_open]
                fn open(&self) {
                    self.told.tell("open");
                }

                #[on_message]
                async fn note(&self, Decoded(note): Decoded<Note>, session: &Session) -> Result<Option<Encoded<$out>>> {
                    match note.text.strip_prefix("send:") {
                        Some(text) => {
                            session.send_object($out(text.to_owned())).await?;
                            Ok(None)
                        }
                        None => Ok(Some(Encoded($out(format!("{} by {}", note.text, note.via))))),
                    }
                }

                #[on_error]
                fn error(&self, error: &Error) -> String {
                    let message = error.downcast_ref::<DecodeError>().map(|error| error.message().clone());
                    let kept = message.map_or_else(|| "nothing".to_owned(), |message| format!("{message:?}"));
                    let source = error.as_std().source().map_or_else(|| "no cause".to_owned(), ToString::to_string);
                    format!("error: {error} ({kept}, {source})")
                }

                #[on_close]
                fn close(&self) {
                    self.told.tell("close");
                }
            }
        )*
    };
}

notebooks! {
    TextBook "/text": TextDecoder, TextEncoder for TextOut;
    BytesBook "/bytes": BytesDecoder, BytesEncoder for BytesOut;
    TextStreamBook "/text-stream": TextStreamDecoder, TextStreamEncoder for TextStreamOut;
    BinaryStreamBook "/binary-stream": BinaryStreamDecoder, BinaryStreamEncoder for BinaryStreamOut;
}

const BOOKS: [(&str, &str, bool); 4] = [
    ("/text", "text", true),
    ("/bytes", "bytes", false),
    ("/text-stream", "text stream", true),
    ("/binary-stream", "binary stream", false),
];

async fn books(told: &Told) -> runtime::test::RunningApp {
    let is_one =
        |config: &runtime::ServerEndpointConfig| BOOKS.iter().any(|(path, ..)| config.path() == *path);
    let app = runtime::test::app().provide(told.clone()).with(|exporter| exporter.only(is_one));
    app.start().await
}

fn message(text: &str, is_text: bool) -> Message {
    if is_text { Message::Text(text.into()) } else { Message::Binary(text.to_owned().into()) }
}

async fn said(peer: &mut runtime::test::Peer) -> (String, bool) {
    match peer.message().await {
        Some(Message::Text(text)) => (text.into(), true),
        Some(Message::Binary(bytes)) => (String::from_utf8(bytes.into()).unwrap(), false),
        None => panic!("the session has ended"),
    }
}

/// CD-01, CD-02, CD-06, CD-10; groups J and E of the matrix.
#[tokio::test(start_paused = true)]
async fn each_form_has_its_whole_life() {
    for (path, via, is_text) in BOOKS {
        let (told, mut heard) = diary();
        let app = books(&told).await;
        let mut peer = app.connect(path).await.unwrap();
        for text in ["one", "two"] {
            peer.send(message(text, is_text)).await.unwrap();
            assert_eq!(said(&mut peer).await, (format!("{text} by {via}"), is_text));
        }
        peer.send(message("send:three", is_text)).await.unwrap();
        assert_eq!(said(&mut peer).await, ("three".to_owned(), is_text));
        peer.close(1000, "").await.unwrap();
        heard.expect(&format!("{via} decoder init")).await;
        heard.expect(&format!("{via} encoder init")).await;
        heard.expect("open").await;
        for text in ["one", "two"] {
            heard.expect(&format!("{via} decoder decodes {text}")).await;
            heard.expect(&format!("{via} encoder encodes {text} by {via}")).await;
        }
        heard.expect(&format!("{via} decoder decodes send:three")).await;
        heard.expect(&format!("{via} encoder encodes three")).await;
        heard.expect("close").await;
        heard.expect(&format!("{via} decoder destroy")).await;
        heard.expect(&format!("{via} encoder destroy")).await;
        app.shutdown().await;
        assert_eq!(heard.so_far(), [""; 0], "{path}");
    }
}

/// CD-09, CD-12; group K of the matrix.
#[tokio::test(start_paused = true)]
async fn what_coders_fail_with_goes_to_on_error_and_the_session_stays_open() {
    let (told, _heard) = diary();
    let app = books(&told).await;
    for (path, _, is_text) in BOOKS {
        let is_stream = path.ends_with("stream");
        let mut peer = app.connect(path).await.unwrap();
        for (sent, cause) in [("fail", "broken"), ("io", "disk")] {
            let kept = format!("{:?}", message(sent, is_text));
            let expected = if is_stream {
                format!("error: {cause} (nothing, no cause)")
            } else {
                format!("error: cannot decode the message: {cause} ({kept}, {cause})")
            };
            peer.send(message(sent, is_text)).await.unwrap();
            assert_eq!(said(&mut peer).await, (expected, true), "{path}");
        }
        for (sent, cause) in [("send:fail", "broken"), ("send:io", "disk")] {
            peer.send(message(sent, is_text)).await.unwrap();
            let (error, _) = said(&mut peer).await;
            assert!(
                error.starts_with(&format!("error: cannot encode the message: {cause}")),
                "{path}: {error}"
            );
        }
        peer.send(message("fine", is_text)).await.unwrap();
        assert!(said(&mut peer).await.0.starts_with("fine by"), "{path}");
    }
}

/// A panic in a coder is a handler's panic: it costs the session.
#[tokio::test(start_paused = true)]
async fn a_coder_that_panics_costs_its_session() {
    for (path, via, is_text) in BOOKS {
        for sent in ["panic", "send:panic"] {
            let (told, mut heard) = diary();
            let app = books(&told).await;
            let mut peer = app.connect(path).await.unwrap();
            peer.send(message(sent, is_text)).await.unwrap();
            assert_eq!(
                said(&mut peer).await.0,
                "error: a handler panicked: a coder panics (nothing, no cause)"
            );
            assert_eq!(peer.closed().await.code(), CloseCode::Error, "{path} {sent}");
            let last = heard.up_to(&format!("{via} encoder destroy")).await;
            assert!(last.contains(&format!("{via} decoder destroy")), "{last:?}");
        }
    }
}

/// A stream decoder takes messages of any length: they are never there as a whole.
#[tokio::test(start_paused = true)]
async fn a_stream_decoder_has_no_limit() {
    let (told, _heard) = diary();
    let app = runtime::test::app()
        .provide(told)
        .only::<TextStreamBook>()
        .configure(|settings| settings.max_message_size = 1000)
        .start()
        .await;
    let mut peer = app.connect("/text-stream").await.unwrap();
    let long = "long ".repeat(100_000);
    peer.send(long.as_str()).await.unwrap();
    assert_eq!(peer.text().await, format!("{long} by text stream"));
}

// ---- whose turn it is

struct Number(i64);
struct Word(String);
struct Blob(usize);

#[derive(Default)]
struct NumberDecoder;

impl Decoder for NumberDecoder {
    type Input = Text;
    type Value = Number;

    fn will_decode(&self, text: &Text) -> bool {
        text.starts_with(|first: char| first.is_ascii_digit())
    }

    async fn decode(&mut self, text: Text) -> Result<Number> {
        Ok(Number(text.parse()?))
    }
}

#[derive(Default)]
struct WordDecoder;

impl Decoder for WordDecoder {
    type Input = Text;
    type Value = Word;

    fn will_decode(&self, text: &Text) -> bool {
        text.starts_with(char::is_alphabetic)
    }

    async fn decode(&mut self, text: Text) -> Result<Word> {
        Ok(Word(text.into()))
    }
}

/// The same from bytes; behind `SmallBlobs`.
#[derive(Default)]
struct BinaryWordDecoder;

impl Decoder for BinaryWordDecoder {
    type Input = Bytes;
    type Value = Word;

    async fn decode(&mut self, bytes: Bytes) -> Result<Word> {
        Ok(Word(String::from_utf8(bytes.into())?))
    }
}

#[derive(Default)]
struct SmallBlobs;

impl Decoder for SmallBlobs {
    type Input = Bytes;
    type Value = Blob;

    fn will_decode(&self, bytes: &Bytes) -> bool {
        bytes.len() < 4
    }

    async fn decode(&mut self, bytes: Bytes) -> Result<Blob> {
        Ok(Blob(bytes.len()))
    }
}

/// Would take everything, but nobody takes a note here.
#[derive(Default)]
struct Unasked;

impl Decoder for Unasked {
    type Input = Text;
    type Value = Note;

    async fn decode(&mut self, _: Text) -> Result<Note> {
        panic!("nobody asked for this")
    }
}

#[server_endpoint("/sorted", decoders = [Unasked, NumberDecoder, SmallBlobs, WordDecoder, BinaryWordDecoder])]
struct Sorted;

#[handlers]
impl Sorted {
    #[on_message]
    fn number(&self, number: Decoded<Number>) -> String {
        format!("number {}", number.0.0)
    }

    #[on_message]
    async fn word(&self, Decoded(word): Decoded<Word>) -> String {
        format!("word {}", word.0)
    }

    #[on_message(max_size = 3)]
    fn blob(&self, Decoded(blob): Decoded<Blob>) -> String {
        format!("blob {}", blob.0)
    }

    #[on_error]
    fn error(&self, error: &DecodeError) -> String {
        format!("{error}: {:?}", error.message())
    }
}

/// CD-03, CD-04, CD-07, OM-16: the first that will; what it makes decides which method gets it (not so in Jakarta, P-14).
#[tokio::test(start_paused = true)]
async fn the_first_that_will_decode_does() {
    let app = runtime::test::app().only::<Sorted>().start().await;
    let mut peer = app.connect("/sorted").await.unwrap();
    for (sent, expected) in [
        (message("12", true), "number 12"),
        (message("twelve", true), "word twelve"),
        (message("abc", false), "blob 3"),
        (message("abcd", false), "word abcd"),
        // It will, and cannot: the next one is not asked.
        (
            message("12 twelve", true),
            "cannot decode the message: invalid digit found in string: Text(\"12 twelve\")",
        ),
    ] {
        peer.send(sent).await.unwrap();
        assert_eq!(peer.text().await, expected);
    }
}

/// CD-08, A14: an error for `on_error`, with the message; the session stays open.
#[tokio::test(start_paused = true)]
async fn a_message_that_no_decoder_will_decode_is_an_error() {
    let app = runtime::test::app().only::<Sorted>().start().await;
    let mut peer = app.connect("/sorted").await.unwrap();
    peer.send("?").await.unwrap();
    assert_eq!(
        peer.text().await,
        "cannot decode the message: none of the endpoint's decoders will decode it: Text(\"?\")"
    );
    peer.send("7").await.unwrap();
    assert_eq!(peer.text().await, "number 7");
}

#[derive(Default)]
struct EveryBlob;

impl Decoder for EveryBlob {
    type Input = Bytes;
    type Value = Blob;

    async fn decode(&mut self, bytes: Bytes) -> Result<Blob> {
        Ok(Blob(bytes.len()))
    }
}

#[derive(Default)]
struct WordsFirst;

impl Decoder for WordsFirst {
    type Input = Bytes;
    type Value = Word;

    fn will_decode(&self, bytes: &Bytes) -> bool {
        bytes.first().is_some_and(u8::is_ascii_alphabetic)
    }

    async fn decode(&mut self, bytes: Bytes) -> Result<Word> {
        Ok(Word(String::from_utf8(bytes.into())?))
    }
}

#[server_endpoint("/sizes", decoders = [WordsFirst, EveryBlob], max_message_size = 100)]
struct Sizes;

#[handlers]
impl Sizes {
    #[on_message(max_size = 10)]
    fn word(&self, Decoded(word): Decoded<Word>) -> String {
        word.0
    }

    #[on_message]
    fn blob(&self, Decoded(blob): Decoded<Blob>) -> usize {
        blob.0
    }
}

/// `max_size` of a method that takes what a decoder makes: the decoder's choice decides which limit counts.
#[tokio::test(start_paused = true)]
async fn each_decoded_type_has_its_own_limit() {
    let app = runtime::test::app().only::<Sizes>().start().await;
    for (sent, answer) in [
        ("0".repeat(100), Some("100")),
        ("0".repeat(101), None),
        ("w".repeat(10), Some("wwwwwwwwww")),
        ("w".repeat(11), None),
    ] {
        let mut peer = app.connect("/sizes").await.unwrap();
        peer.send(sent.clone().into_bytes()).await.unwrap();
        match answer {
            Some(answer) => assert_eq!(peer.text().await, answer),
            None => assert_eq!(peer.closed().await.code(), CloseCode::Size, "{sent}"),
        }
    }
}

#[derive(Default)]
struct RestAsStream;

impl Decoder for RestAsStream {
    type Input = TextReader;
    type Value = Word;

    async fn decode(&mut self, mut text: TextReader) -> Result<Word> {
        let mut word = "streamed ".to_owned();
        text.read_to_string(&mut word).await?;
        Ok(Word(word))
    }
}

#[server_endpoint("/mixed", decoders = [NumberDecoder, RestAsStream])]
struct Mixed;

#[handlers]
impl Mixed {
    #[on_message]
    fn number(&self, Decoded(number): Decoded<Number>) -> i64 {
        number.0
    }

    #[on_message]
    fn word(&self, Decoded(word): Decoded<Word>) -> String {
        word.0
    }

    /// Binary messages are nobody's but this one's.
    #[on_message]
    fn part(&self, part: Fragment<Bytes>) -> Option<&'static str> {
        part.last.then_some("parts")
    }
}

/// A stream decoder behind one that looks at the whole reads what is there already.
#[tokio::test(start_paused = true)]
async fn a_stream_decoder_takes_what_those_before_it_will_not() {
    let app = runtime::test::app().only::<Mixed>().start().await;
    let mut peer = app.connect("/mixed").await.unwrap();
    peer.send("5").await.unwrap();
    assert_eq!(peer.text().await, "5");
    peer.send("five").await.unwrap();
    assert_eq!(peer.text().await, "streamed five");
    peer.send(&b"x"[..]).await.unwrap();
    assert_eq!(peer.text().await, "parts");
}

/// While a decoder waits, the connection lives on: pings are answered.
#[derive(Default)]
struct Slow;

impl Decoder for Slow {
    type Input = Text;
    type Value = Word;

    async fn decode(&mut self, text: Text) -> Result<Word> {
        sleep(Duration::from_secs(20)).await;
        Ok(Word(text.into()))
    }
}

#[server_endpoint("/slow", decoders = [Slow], ping_interval = "off", idle_timeout = "off")]
struct Slowly;

#[handlers]
impl Slowly {
    #[on_message]
    fn word(&self, Decoded(word): Decoded<Word>) -> String {
        word.0
    }
}

#[tokio::test(start_paused = true)]
async fn the_connection_lives_while_a_decoder_waits() {
    use tokio_tungstenite::tungstenite::Message as Frame;
    let app = runtime::test::app().only::<Slowly>().start().await;
    let mut peer = app.connect("/slow").await.unwrap();
    peer.send("one").await.unwrap();
    peer.send("two").await.unwrap();
    peer.ping("now").await.unwrap();
    assert_eq!(peer.frame().await, Some(Frame::Text("one".into())));
    // The ping stands behind the second message, which was not looked at before the first had been dealt with.
    assert_eq!(peer.frame().await, Some(Frame::Pong("now".into())));
    assert_eq!(peer.text().await, "two");
}

// ---- init

macro_rules! reluctant {
    ($($name:ident $path:literal with $coder:ident, $init:expr;)*) => {
        $(
            #[derive(Default)]
            struct $coder(Voice);

            impl Decoder for $coder {
                type Input = Bytes;
                type Value = Word;

                fn init(&mut self, _: &Session) -> Result<()> {
                    $init
                }

                async fn decode(&mut self, _: Bytes) -> Result<Word> {
                    panic!("it never was in service")
                }

                fn destroy(&mut self) {
                    self.0.tell("it never was in service");
                }
            }

            #[server_endpoint($path, decoders = [TextDecoder, $coder], encoders = [TextEncoder])]
            struct $name {
                #[inject]
                told: std::sync::Arc<Told>,
            }

            #[handlers]
            impl $name {
                #[on_open]
                fn open(&self) {
                    self.told.tell("open");
                }

                #[on_message]
                fn word(&self, _word: Decoded<Word>) {}

                #[on_error]
                fn error(&self, error: &Error) {
                    self.told.tell(format!("error {error}"));
                }

                #[on_close]
                fn close(&self, reason: &CloseReason) {
                    self.told.tell(format!("close {reason}"));
                }
            }
        )*
    };
}

reluctant! {
    Unwilling "/unwilling" with FailsToStart, Err(Broken.into());
    Startled "/startled" with PanicsAtStart, panic!("boom");
}

/// A coder that cannot be brought into service: nothing is opened, and those that were in service are taken out of it.
#[tokio::test(start_paused = true)]
async fn a_coder_that_does_not_start_costs_the_session() {
    for (path, error) in [("/unwilling", "error broken"), ("/startled", "error a handler panicked: boom")] {
        let (told, mut heard) = diary();
        let app = runtime::test::app()
            .provide(told)
            .with(|exporter| exporter.only(move |config| config.path() == path))
            .start()
            .await;
        let mut peer = app.connect(path).await.unwrap();
        assert_eq!(peer.closed().await.code(), CloseCode::Error);
        heard.expect("text decoder init").await;
        heard.expect(error).await;
        heard.expect("close 1011 unexpected condition").await;
        heard.expect("text decoder destroy").await;
        app.shutdown().await;
        assert_eq!(heard.so_far(), [""; 0]);
    }
}

// ---- one for each connection

struct Serial;

#[derive(Default)]
struct SerialEncoder(u32);

impl Encoder for SerialEncoder {
    type Value = Serial;
    type Output = String;

    async fn encode(&mut self, _: &Serial, text: &mut String) -> Result<()> {
        // Were two of them at work at once, they would number alike.
        let number = self.0 + 1;
        tokio::task::yield_now().await;
        self.0 = number;
        text.push_str(&number.to_string());
        Ok(())
    }
}

#[server_endpoint("/serial", encoders = [SerialEncoder])]
struct Serials;

#[handlers]
impl Serials {
    #[on_message]
    async fn number(&self, _text: &str) -> Encoded<Serial> {
        Encoded(Serial)
    }

    /// From other tasks, all at once.
    #[on_message]
    async fn many(&self, _bytes: &[u8], session: &Session) -> Result<()> {
        for _ in 0..8 {
            let other = session.clone();
            session.spawn(async move { other.send_object(Serial).await });
        }
        Ok(())
    }
}

/// CD-01.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_has_coders_of_its_own_that_never_run_twice_at_once() {
    let app = runtime::test::app().only::<Serials>().start().await;
    let mut first = app.connect("/serial").await.unwrap();
    let mut second = app.connect("/serial").await.unwrap();
    for expected in ["1", "2"] {
        first.send("").await.unwrap();
        assert_eq!(first.text().await, expected);
    }
    second.send(&b""[..]).await.unwrap();
    let mut numbers = Vec::new();
    for _ in 0..8 {
        numbers.push(second.text().await.parse::<u32>().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}

// ---- what they replace

macro_rules! overrides {
    ($($name:ident for $ty:ty: |$value:ident| $text:expr;)*) => {
        $(
            #[derive(Default)]
            struct $name;

            impl Encoder for $name {
                type Value = $ty;
                type Output = String;

                async fn encode(&mut self, $value: &$ty, text: &mut String) -> Result<()> {
                    text.push_str(&$text);
                    Ok(())
                }
            }
        )*
    };
}

overrides! {
    Hex for i32: |value| format!("{value:#x}");
    YesNo for bool: |value| if *value { "yes".to_owned() } else { "no".to_owned() };
    Letter for char: |value| format!("letter {value}");
    Ratio for f64: |value| format!("{value:.1}");
    Loud for String: |value| value.to_uppercase();
    Louder for Text: |value| format!("{}!", value.to_uppercase());
    Length for Bytes: |value| format!("{} bytes", value.len());
    Lengths for Vec<u8>: |value| format!("{} octets", value.len());
}

macro_rules! returns {
    ($($name:ident $path:literal: $ty:ty = $value:expr => $expected:expr;)*) => {
        $(
            #[server_endpoint($path, encoders = [Hex, YesNo, Letter, Ratio, Loud, Louder, Length, Lengths])]
            struct $name;

            #[handlers]
            impl $name {
                #[on_open]
                async fn open(&self, session: &Session) -> Result<Option<$ty>> {
                    session.send_object($value).await?;
                    session.post_object($value).await?;
                    session.send($value).await?;
                    Ok(Some($value))
                }

                #[on_message]
                fn text(&self, _text: &str) -> $ty {
                    $value
                }

                #[on_message]
                async fn bytes(&self, _bytes: Bytes) -> Result<$ty> {
                    Ok($value)
                }

                #[on_message]
                fn pong(&self, _pong: Pong) -> Replies<impl Stream<Item = $ty> + Send + use<>> {
                    Replies(stream::iter([$value]))
                }
            }
        )*

        const RETURNS: &[(&str, &str)] = &[$(($path, $expected)),*];
    };
}

returns! {
    Hexed "/hexed": i32 = -255 => "0xffffff01";
    Yes "/yes": bool = true => "yes";
    Lettered "/lettered": char = 'x' => "letter x";
    Ratios "/ratios": f64 = 0.25 => "0.2";
    Shouted "/shouted": String = "hey".to_owned() => "HEY";
    ShoutedText "/shouted-text": Text = Text::from("hey") => "HEY!";
    Measured "/measured": Bytes = Bytes::from_static(b"abc") => "3 bytes";
    MeasuredVec "/measured-vec": Vec<u8> = vec![1u8, 2] => "2 octets";
    // For these there is none.
    Plain "/plain": u8 = 200u8 => "200";
    PlainTruth "/plain-truth": &'static str = "as it is" => "as it is";
}

/// OR-03, BAS-07, CD-14; group F of the matrix: an encoder for a type that has a form of its own replaces that form, but for `send`.
#[tokio::test(start_paused = true)]
async fn an_encoder_replaces_the_built_in_form() {
    let is_one =
        |config: &runtime::ServerEndpointConfig| RETURNS.iter().any(|(path, _)| config.path() == *path);
    let app = runtime::test::app().with(|exporter| exporter.only(is_one)).start().await;
    for (path, expected) in RETURNS {
        let mut peer = app.connect(path).await.unwrap();
        assert_eq!(peer.text().await, *expected, "{path}: send_object");
        assert_eq!(peer.text().await, *expected, "{path}: post_object");
        let built_in = match *path {
            "/hexed" => message("-255", true),
            "/yes" => message("true", true),
            "/lettered" => message("x", true),
            "/ratios" => message("0.25", true),
            "/shouted" | "/shouted-text" => message("hey", true),
            "/measured" => message("abc", false),
            "/measured-vec" => Message::Binary(Bytes::from_static(&[1, 2])),
            _ => message(expected, true),
        };
        assert_eq!(peer.message().await, Some(built_in), "{path}: send");
        assert_eq!(peer.text().await, *expected, "{path}: returned by on_open");
        peer.send("").await.unwrap();
        assert_eq!(peer.text().await, *expected, "{path}: returned");
        peer.send(&b""[..]).await.unwrap();
        assert_eq!(peer.text().await, *expected, "{path}: returned in a Result");
        peer.pong("").await.unwrap();
        assert_eq!(peer.text().await, *expected, "{path}: in a stream");
    }
}

// ---- without an encoder

#[server_endpoint("/bare")]
struct Bare;

#[handlers]
impl Bare {
    #[on_message]
    async fn objects(&self, _text: &str, session: &Session) -> Result<Encoded<Broken>> {
        session.send_object(5u16).await?;
        session.send_object("text").await?;
        session.send_object(vec![1u8, 2]).await?;
        Ok(Encoded(Broken))
    }

    #[on_message]
    async fn encoded(&self, _bytes: &[u8]) -> Replies<impl Stream<Item = Encoded<u8>> + Send + use<>> {
        Replies(stream::iter([Encoded(1), Encoded(2)]))
    }

    #[on_error]
    fn error(&self, error: &EncodeError) -> String {
        error.to_string()
    }
}

/// BAS-07, OR-06: what has a form of its own goes in that; anything else is an error that says what there is.
#[tokio::test(start_paused = true)]
async fn without_an_encoder_only_what_has_a_form_is_sent() {
    let app = runtime::test::app().only::<Bare>().start().await;
    let mut peer = app.connect("/bare").await.unwrap();
    peer.send("").await.unwrap();
    assert_eq!(peer.text().await, "5");
    assert_eq!(peer.text().await, "text");
    assert_eq!(peer.binary().await, &[1, 2][..]);
    let error = peer.text().await;
    assert!(error.contains("no encoder for `") && error.contains("Broken`"), "{error}");
    assert!(error.ends_with("the endpoint lists no encoders"), "{error}");
    peer.send(&b""[..]).await.unwrap();
    assert_eq!(peer.text().await, "1");
    assert_eq!(peer.text().await, "2");

    let (told, _heard) = diary();
    let app = books(&told).await;
    let mut peer = app.connect("/text").await.unwrap();
    peer.send("send:x").await.unwrap();
    assert_eq!(peer.text().await, "x");
    let session = app.sessions().all().iter().next().unwrap();
    let Err(SendError::Encode(error)) = session.send_object(Broken).await else {
        panic!("nothing encodes this")
    };
    let error = error.to_string();
    assert!(error.contains("TextEncoder` is for `") && error.contains("TextOut`"), "{error}");
}

// ---- posting

/// ASY-05: what the encoder fails with is in the receipt, not at the call.
#[tokio::test(start_paused = true)]
async fn a_receipt_tells_of_the_encoder() {
    let (told, _heard) = diary();
    let app = books(&told).await;
    for (path, ..) in BOOKS {
        let mut peer = app.connect(path).await.unwrap();
        let session = app.sessions().all().iter().next().unwrap();
        let post = |text: &str| match path {
            "/text" => session.post_object(TextOut(text.to_owned())),
            "/bytes" => session.post_object(BytesOut(text.to_owned())),
            "/text-stream" => session.post_object(TextStreamOut(text.to_owned())),
            _ => session.post_object(BinaryStreamOut(text.to_owned())),
        };
        let receipts = [post("one"), post("fail"), post("panic"), post("two")];
        let mut results = Vec::new();
        for receipt in receipts {
            results.push(receipt.await.map_err(|error| error.to_string()));
        }
        assert_eq!(
            results,
            [
                Ok(()),
                Err("cannot encode the message: broken".to_owned()),
                Err("cannot encode the message: a handler panicked: a coder panics".to_owned()),
                Ok(()),
            ],
            "{path}"
        );
        assert_eq!(said(&mut peer).await.0, "one", "{path}");
        assert_eq!(said(&mut peer).await.0, "two", "{path}");
        peer.close(1000, "").await.unwrap();
        let late = post("late").await.unwrap_err();
        assert!(late.to_string().starts_with("the session is closed"), "{path}: {late}");
    }
}

// ---- deployment

#[server_endpoint("/undecoded", decoders = [NumberDecoder])]
struct Undecoded;

#[handlers]
impl Undecoded {
    #[on_message]
    fn text(&self, _text: &str) {}

    #[on_message]
    fn number(&self, _number: Decoded<Number>) {}

    #[on_message]
    fn word(&self, _word: Decoded<Word>) {}
}

/// OM-17, WSC-4.7-1: found before anything is started, all at once, with the place.
#[test]
fn what_cannot_be_decoded_is_not_deployed() {
    let exporter = runtime::export_all()
        .settings(runtime::Settings::default())
        .only(runtime::ServerEndpointConfig::is::<Undecoded>);
    let report = exporter.check();
    let problems: Vec<_> = report.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{report}");
    assert!(problems.iter().all(|problem| problem.contains(file!())), "{report}");
    assert!(problems[0].contains("text messages have two takers"), "{report}");
    assert!(
        problems[1].contains("no decoder of the endpoint makes that")
            && problems[1].contains("NumberDecoder")
    );
}

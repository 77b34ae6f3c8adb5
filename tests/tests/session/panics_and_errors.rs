//! What goes wrong in a handler costs its own session at most, and is told to `on_error`: the most specific one.

use std::num::ParseIntError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_runtime::{self as runtime, Context, EncodeError, IntoMessage, SendError};
use futures_util::{Stream, stream};
use serde::Deserialize;

use crate::support::{Heard, Raw, TEXT, Told, diary, frame, settle, soon};

struct Explosive;

impl FromContext for Explosive {
    fn from_context(context: Context<'_>) -> Result<Self> {
        match context.handshake().query() {
            Some("panic=argument") => panic!("boom"),
            Some("fail=argument") => Err(Error::msg("no argument")),
            _ => Ok(Explosive),
        }
    }
}

fn boom() -> bool {
    panic!("boom")
}

macro_rules! explosives {
    ($name:ident $path:literal $(, $scope:ident)?) => {
        #[server_endpoint($path $(, scope = $scope)?)]
        struct $name {
            #[inject]
            told: Arc<Told>,
        }

        #[handlers]
        impl $name {
            #[on_open]
            async fn open(&self, #[query] panic: Option<String>) {
                if panic.as_deref() == Some("open") {
                    boom();
                }
                tokio::task::yield_now().await;
                if panic.as_deref() == Some("open later") {
                    boom();
                }
            }

            #[on_message]
            async fn text(&self, text: String, session: &Session, _argument: Explosive) -> Result<String> {
                if text == "message" {
                    boom();
                }
                tokio::task::yield_now().await;
                if text == "message later" {
                    boom();
                }
                if text == "task" {
                    let panicked = session.spawn(async { boom() }).await.is_err();
                    return Ok(format!("task panicked: {panicked}"));
                }
                if text == "error" || text == "error later" {
                    return Err(Error::msg(text));
                }
                Ok(text)
            }

            #[on_message]
            fn bytes(&self, bytes: Bytes) -> Replies<impl Stream<Item = usize> + Send + use<>> {
                Replies(stream::iter(0..2).map_then_boom(bytes.len()))
            }

            #[on_message]
            fn pong(&self, pong: Pong) {
                assert_ne!(pong.payload(), "boom", "boom");
            }

            #[on_error]
            async fn error(&self, error: &Error) {
                self.told.tell(format!("error {error}"));
                if error.to_string() == "error" {
                    boom();
                }
                tokio::task::yield_now().await;
                if error.to_string() == "error later" {
                    boom();
                }
            }

            #[on_close]
            async fn close(&self, reason: &CloseReason) {
                self.told.tell(format!("close {reason}"));
                if reason.text() == "boom" {
                    boom();
                }
                tokio::task::yield_now().await;
                if reason.text() == "boom later" {
                    boom();
                }
            }
        }
    };
}

/// A stream that gives what it has, and then panics.
trait MapThenBoom: Stream<Item = usize> + Sized {
    fn map_then_boom(self, last: usize) -> impl Stream<Item = usize> {
        use futures_util::StreamExt;
        self.chain(stream::once(async move { if boom() { 0 } else { last } }))
    }
}
impl<S: Stream<Item = usize>> MapThenBoom for S {}

explosives!(Fragile "/fragile");
explosives!(FragileSingleton "/fragile-singleton", singleton);

async fn echoes(peer: &mut Peer) {
    peer.send("still here").await.unwrap();
    assert_eq!(peer.text().await, "still here");
}

async fn a_panic_costs_one_session(app: RunningApp, path: &str, mut heard: Heard) {
    #[derive(Clone, Copy)]
    enum Does {
        Says(&'static str),
        Bytes,
        Pong,
        Closes(&'static str),
        Nothing,
    }
    use Does::{Bytes, Closes, Nothing, Pong, Says};
    let table = [
        ("", Says("message")),
        ("", Says("message later")),
        ("", Bytes),
        ("", Pong),
        ("", Says("error")),
        ("", Says("error later")),
        ("?panic=open", Nothing),
        ("?panic=open+later", Nothing),
        ("?panic=argument", Says("hello")),
        ("", Closes("boom")),
        ("", Closes("boom later")),
    ];
    let mut bystander = app.connect(path).await.unwrap();
    for (query, does) in table {
        let mut peer = app.connect(&format!("{path}{query}")).await.unwrap();
        let row = match does {
            Says(text) => {
                peer.send(text).await.unwrap();
                text
            }
            Bytes => {
                peer.send(b"x").await.unwrap();
                "stream"
            }
            Pong => {
                peer.pong("boom").await.unwrap();
                "pong"
            }
            Nothing => query,
            Closes(text) => {
                assert_eq!(peer.close(1000, text).await.unwrap().code(), CloseCode::Normal);
                text
            }
        };
        let by_us = !matches!(does, Closes(_));
        if by_us {
            let reason = soon("a close frame", peer.closed()).await;
            assert_eq!(reason.code(), CloseCode::Error, "{row}");
            assert!(!reason.text().contains("boom"), "{row}: internals are shown to the peer: {reason}");
        }
        let entries = if by_us { heard.up_to("close").await } else { heard.up_to("error").await };
        let told =
            entries.iter().any(|entry| entry.contains("a handler panicked: ") && entry.contains("boom"));
        // Of a panic in `on_error` nobody is told any more.
        let expected = !row.starts_with("error");
        assert_eq!(told, expected, "{row}: {entries:?}");
        assert_eq!(
            entries.iter().filter(|entry| entry.starts_with("close")).count(),
            1,
            "{row}: {entries:?}"
        );
        if by_us {
            assert!(entries.last().unwrap().starts_with("close 1011"), "{row}: {entries:?}");
        }
        echoes(&mut bystander).await;
        soon("the end of the session", async {
            while app.sessions().count() > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let mut late = app.connect(path).await.unwrap();
    echoes(&mut late).await;
    late.send("task").await.unwrap();
    assert_eq!(late.text().await, "task panicked: true");
    echoes(&mut late).await;
}

#[tokio::test]
async fn a_panic_costs_its_own_session_and_no_other() {
    let (told, heard) = diary();
    let app = runtime::test::app().only::<Fragile>().provide(told).start().await;
    a_panic_costs_one_session(app, "/fragile", heard).await;
}

#[tokio::test]
async fn a_panic_in_a_singleton_costs_one_session_too() {
    let (told, heard) = diary();
    let app = runtime::test::app().only::<FragileSingleton>().provide(told).start().await;
    a_panic_costs_one_session(app, "/fragile-singleton", heard).await;
}

#[tokio::test(start_paused = true)]
async fn a_parameter_that_cannot_be_made_is_an_error_and_the_handler_is_not_called() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Fragile>().provide(told).start().await;
    let mut peer = app.connect("/fragile?fail=argument").await.unwrap();
    peer.send("message").await.unwrap();
    heard.expect("error no argument").await;
    peer.send("message").await.unwrap();
    heard.expect("error no argument").await;
}

fn maybe_panic(panics: &AtomicBool) -> u8 {
    assert!(!panics.swap(false, Ordering::SeqCst), "cannot be made");
    1
}

static PANICS: AtomicBool = AtomicBool::new(true);

#[server_endpoint("/stillborn")]
struct Stillborn {
    #[init(maybe_panic(&PANICS))]
    made: u8,
}

#[handlers]
impl Stillborn {
    #[on_message]
    fn text(&self, _text: &str) -> u8 {
        self.made
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_made_costs_its_session() {
    let app = runtime::test::app().only::<Stillborn>().start().await;
    let mut peer = app.connect("/stillborn").await.unwrap();
    assert_eq!(peer.closed().await.code(), CloseCode::Error);
    let mut peer = app.connect("/stillborn").await.unwrap();
    peer.send("").await.unwrap();
    assert_eq!(peer.text().await, "1");
    assert_eq!(app.sessions().count(), 1);
}

#[derive(Debug, Deserialize)]
struct Command {
    number: String,
}

/// What cannot be sent.
struct Unspeakable;

impl IntoMessage for Unspeakable {
    fn into_message(self) -> Result<Message, EncodeError> {
        Err(EncodeError::new("unspeakable"))
    }
}

#[server_endpoint("/errors")]
struct Errors {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Errors {
    #[on_message]
    async fn command(&self, Json(command): Json<Command>) -> Result<Option<Unspeakable>> {
        match command.number.as_str() {
            "io" => Err(std::io::Error::other("disk"))?,
            "encode" => return Ok(Some(Unspeakable)),
            number => self.told.tell(number.parse::<u8>()?),
        }
        Ok(None)
    }

    // The order of the methods is of no account.
    #[on_error]
    fn any(&self, error: &Error) -> String {
        self.told.tell(format!("any: {error}"));
        "something failed".to_owned()
    }

    #[on_error]
    fn decode(&self, error: &DecodeError) {
        self.told.tell(format!("decode: {:?}", error.message().as_text()));
    }

    #[on_error]
    async fn number(&self, error: &ParseIntError) -> Result<()> {
        self.told.tell(format!("number: {error}"));
        Err(Error::msg("on_error fails too"))
    }
}

#[tokio::test(start_paused = true)]
async fn errors_go_to_the_most_specific_on_error_and_the_session_stays_open() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Errors>().provide(told).start().await;
    let mut peer = app.connect("/errors").await.unwrap();
    let table = [
        ("{", "decode: Some(\"{\")", None),
        ("{\"number\":\"x\"}", "number: invalid digit found in string", None),
        ("{\"number\":\"io\"}", "any: disk", Some("something failed")),
        ("{\"number\":\"encode\"}", "any: cannot encode the message: unspeakable", Some("something failed")),
        ("{\"number\":\"7\"}", "7", None),
    ];
    for (sends, told, answer) in table {
        peer.send(sends).await.unwrap();
        heard.expect(told).await;
        // What `on_error` returns is sent; nothing else of the error is.
        match answer {
            Some(answer) => assert_eq!(peer.text().await, answer, "{sends}"),
            None => peer.expect_nothing_for(std::time::Duration::from_secs(1)).await,
        }
    }
}

#[server_endpoint("/nobody-listens")]
struct NobodyListens;

#[handlers]
impl NobodyListens {
    #[on_message]
    fn number(&self, number: u8) -> Result<u8> {
        if number == 13 { Err(Error::msg("unlucky")) } else { Ok(number) }
    }
}

#[tokio::test(start_paused = true)]
async fn without_on_error_the_session_stays_open() {
    let app = runtime::test::app().only::<NobodyListens>().start().await;
    let mut peer = app.connect("/nobody-listens").await.unwrap();
    for sends in ["x", "13", "256", ""] {
        peer.send(sends).await.unwrap();
    }
    peer.send(7).await.unwrap();
    assert_eq!(peer.text().await, "7");
}

/// Sends for as long as it can, as a feed does.
#[server_endpoint("/feed", send_buffer = 1000)]
struct Feed {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Feed {
    #[on_message]
    async fn text(&self, text: String, session: &Session) -> Result<()> {
        let other = session.siblings().except(session).iter().next();
        let to = if text == "other" { other.as_ref().unwrap_or(session) } else { session };
        self.told.tell("feeding");
        loop {
            to.send("x".repeat(100)).await?;
        }
    }

    #[on_error]
    fn error(&self, error: &Error) {
        self.told.tell(format!("error {error}"));
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {}", u16::from(reason.code())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_vanished_peer_is_no_error() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Feed>().provide(told).start().await;
    let mut raw = Raw::open_narrow(&app, "/feed", 2000).await;
    raw.write(&frame(TEXT, b"own")).await;
    heard.expect("feeding").await;
    settle().await;
    drop(raw);
    heard.expect("close 1006").await;

    // Neither is one that closes.
    let mut peer = app.connect("/feed").await.unwrap();
    peer.send("own").await.unwrap();
    heard.expect("feeding").await;
    peer.close(1001, "").await.unwrap();
    heard.expect("close 1001").await;
}

#[tokio::test(start_paused = true)]
async fn that_someone_else_has_vanished_is_an_error_like_any_other() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Feed>().provide(told).start().await;
    let mut peer = app.connect("/feed").await.unwrap();
    let other = Raw::open_narrow(&app, "/feed", 2000).await;
    settle().await;
    peer.send("other").await.unwrap();
    heard.expect("feeding").await;
    settle().await;
    drop(other);
    let mut entries = vec![heard.next().await, heard.next().await];
    entries.sort();
    assert_eq!(entries[0], "close 1006");
    assert!(entries[1].starts_with("error the session is closed: 1006"), "{entries:?}");
    assert_eq!(app.sessions().count(), 1);
}

#[server_endpoint("/limits", max_message_size = 100)]
struct Limits {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Limits {
    #[on_message]
    fn text(&self, _text: &str) {}

    #[on_error]
    fn protocol(&self, error: &runtime::ProtocolError, session: &Session) {
        let sent = session.try_send("too late").is_ok();
        self.told.tell(format!("protocol {} {error}, sent: {sent}", u16::from(error.code())));
    }

    #[on_error]
    fn send(&self, error: &SendError) {
        self.told.tell(format!("send {error}"));
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {}", u16::from(reason.code())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_rule_goes_to_on_error_before_on_close() {
    let table: [(Vec<u8>, u16, &[&str]); 3] = [
        (vec![0xff, 0x80, 0, 0, 0, 0], 1002, &[]),
        (frame(TEXT, b"\xc0"), 1007, &["UTF-8"]),
        (frame(TEXT, &[b'x'; 101]), 1009, &["100", "max_message_size"]),
    ];
    for (sends, code, words) in table {
        let (told, mut heard) = diary();
        let app = runtime::test::app().only::<Limits>().provide(told).start().await;
        let mut raw = Raw::open(&app, "/limits").await;
        raw.write(&sends).await;
        let (wire, text) = raw.close_code().await;
        assert_eq!(wire, code);
        let error = heard.next().await;
        assert!(error.starts_with(&format!("protocol {code} ")) && error.ends_with("sent: false"), "{error}");
        for word in words {
            assert!(error.contains(word) && text.contains(word), "{error}, {text}");
        }
        heard.expect(&format!("close {code}")).await;
    }
}

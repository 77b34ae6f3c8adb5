//! Message handlers that a session adds and removes while it lives.

use std::sync::{Arc, Weak};

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_runtime::{
    self as runtime, Coders, Decoder, Endpoint, HandlerConflict, Kind, ServerEndpointConfig,
};
use serde::Deserialize;
use tokio::io::AsyncReadExt;

use crate::support::{Gate, PING, PONG, Raw, TEXT, Told, diary, frame, only_session, settle, soon, until};

/// A fragment that is not the last: the first of a text, and one that continues it; and the last.
const TEXT_BEGINS: u8 = 0x01;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

/// An endpoint written by hand, which says what comes to it.
struct Plain;

impl Endpoint for Plain {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        session.send(format!("endpoint {message:?}")).await?;
        Ok(())
    }

    async fn on_pong(&mut self, session: &Session, _: Pong) -> Result<()> {
        session.send("endpoint pong").await?;
        Ok(())
    }

    async fn on_error(&mut self, session: &Session, error: &Error) -> Result<()> {
        session.send(format!("error {error}")).await?;
        Ok(())
    }
}

/// The first text in capitals.
struct Shout(String);

#[derive(Default)]
struct ShoutDecoder;

impl Decoder for ShoutDecoder {
    type Input = Text;
    type Value = Shout;

    fn will_decode(&self, text: &Text) -> bool {
        text.ends_with('!')
    }

    async fn decode(&mut self, text: Text) -> Result<Shout> {
        Ok(Shout(text.to_uppercase()))
    }
}

struct Whisper(String);

#[derive(Default)]
struct WhisperDecoder;

impl Decoder for WhisperDecoder {
    type Input = TextReader;
    type Value = Whisper;

    async fn decode(&mut self, mut text: TextReader) -> Result<Whisper> {
        let mut whisper = String::new();
        text.read_to_string(&mut whisper).await?;
        Ok(Whisper(whisper.to_lowercase()))
    }
}

async fn plain() -> (RunningApp, Peer, Session) {
    let coders = Coders::none().decoder::<ShoutDecoder>().decoder::<WhisperDecoder>();
    let config = ServerEndpointConfig::builder("/plain", || Plain).coders(coders).build();
    let app = runtime::test::app().endpoint(config).only::<Plain>().start().await;
    let peer = app.connect("/plain").await.unwrap();
    let session = only_session(&app).await;
    (app, peer, session)
}

#[derive(Deserialize)]
struct Sum {
    a: i32,
    b: i32,
}

/// SES-03…SES-05, MH-01…MH-09: each form, and its reply.
#[tokio::test(start_paused = true)]
async fn every_form_can_be_handled() {
    let (_app, mut peer, session) = plain().await;
    macro_rules! handled {
        ($(|$message:ident: $ty:ty| $reply:expr, $sent:expr => $expected:expr;)*) => {
            $(
                let id = session.add_message_handler(|$message: $ty| async move { $reply }).unwrap();
                peer.send($sent).await.unwrap();
                assert_eq!(peer.text().await, $expected, stringify!($ty));
                assert!(session.remove_message_handler(id));
            )*
        };
    }
    handled! {
        |text: String| format!("string {text}"), "x" => "string x";
        |text: Text| text, "x" => "x";
        |number: u8| number + 1, "5" => "6";
        |sum: Json<Sum>| sum.a + sum.b, r#"{"a":1,"b":2}"# => "3";
        |reader: TextReader| {
            let (mut reader, mut text) = (reader, String::new());
            reader.read_to_string(&mut text).await.map(|_| text)
        }, "streamed" => "streamed";
        |part: Fragment<Text>| part.last.then_some(part.data), "part" => "part";
        |bytes: Bytes| bytes.len(), vec![1, 2] => "2";
        |bytes: Vec<u8>| bytes.len(), vec![1, 2] => "2";
        |reader: BinaryReader| {
            let (mut reader, mut bytes) = (reader, Vec::new());
            reader.read_to_end(&mut bytes).await.map(|_| bytes.len())
        }, vec![1, 2, 3] => "3";
        |part: Fragment<Bytes>| part.last.then(|| part.data.len()), vec![0; 4] => "4";
        |message: Message| message.as_bytes().len(), "any" => "3";
        |message: Message| message.as_bytes().len(), vec![0; 7] => "7";
        |shout: Decoded<Shout>| shout.0.0, "hey!" => "HEY!";
        |whisper: Decoded<Whisper>| whisper.0.0, "HEY!" => "hey!";
    }
    // With its handlers gone the endpoint has its messages again.
    peer.send("x").await.unwrap();
    assert_eq!(peer.text().await, r#"endpoint Text("x")"#);
}

/// MH-07, and pings, which are answered all the same.
#[tokio::test(start_paused = true)]
async fn pings_and_pongs_can_be_handled() {
    let (app, _peer, _) = plain().await;
    let mut raw = Raw::open(&app, "/plain").await;
    for session in app.sessions().all().iter() {
        session
            .add_message_handler(|ping: Ping| async move { format!("ping {:?}", ping.payload()) })
            .unwrap();
        session
            .add_message_handler(|pong: Pong| async move { format!("pong {:?}", pong.payload()) })
            .unwrap();
    }
    raw.write(&frame(PING, b"a")).await;
    assert_eq!(raw.frame().await, Some((PONG, b"a".to_vec())));
    assert_eq!(raw.frame().await, Some((TEXT, b"ping b\"a\"".to_vec())));
    raw.write(&frame(PONG, b"b")).await;
    assert_eq!(raw.frame().await, Some((TEXT, b"pong b\"b\"".to_vec())));
}

/// SES-03: a second taker of a kind is refused, and the first goes on.
#[tokio::test(start_paused = true)]
async fn each_kind_has_one_taker() {
    let (_app, mut peer, session) = plain().await;
    let first = session.add_message_handler(|text: String| async move { format!("first {text}") }).unwrap();
    let conflict = HandlerConflict::Taken(Kind::Text);
    let taken = Err(conflict.clone());
    assert_eq!(session.add_message_handler(|_: Text| async {}), taken);
    assert_eq!(session.add_message_handler(|_: Fragment<Text>| async {}), taken);
    assert_eq!(session.add_message_handler(|_: TextReader| async {}), taken);
    assert_eq!(session.add_message_handler(|_: Message| async {}), taken);
    assert_eq!(session.add_message_handler(|_: Decoded<Shout>| async {}), taken);
    assert_eq!(conflict.to_string(), "a method or a message handler takes text messages already");
    peer.send("x").await.unwrap();
    assert_eq!(peer.text().await, "first x");

    // What is decoded and what is not cannot be told apart; what is decoded to different types can.
    assert!(session.remove_message_handler(first));
    session.add_message_handler(|shout: Decoded<Shout>| async move { shout.0.0 }).unwrap();
    session.add_message_handler(|whisper: Decoded<Whisper>| async move { whisper.0.0 }).unwrap();
    assert_eq!(session.add_message_handler(|_: String| async {}), Err(HandlerConflict::Taken(Kind::Text)));
    let twice = session.add_message_handler(|_: Decoded<Shout>| async {}).unwrap_err();
    assert!(twice.to_string().starts_with("a method or a message handler takes `Decoded<"), "{twice}");
    peer.send("A!").await.unwrap();
    assert_eq!(peer.text().await, "A!");
    peer.send("A").await.unwrap();
    assert_eq!(peer.text().await, "a");

    for (kind, text) in [(Kind::Binary, "binary messages"), (Kind::Ping, "pings"), (Kind::Pong, "pongs")] {
        let add = || match kind {
            Kind::Binary => session.add_message_handler(|_: Bytes| async {}),
            Kind::Ping => session.add_message_handler(|_: Ping| async {}),
            _ => session.add_message_handler(|_: Pong| async {}),
        };
        assert!(add().is_ok());
        let conflict = add().unwrap_err();
        assert_eq!(conflict, HandlerConflict::Taken(kind));
        assert!(conflict.to_string().ends_with(&format!("takes {text} already")), "{conflict}");
    }

    let none = session.add_message_handler(|_: Decoded<Sum>| async {}).unwrap_err();
    assert!(matches!(none, HandlerConflict::NoDecoder(name) if name.ends_with("Sum")), "{none}");
}

/// SES-07, SES-08.
#[tokio::test(start_paused = true)]
async fn the_list_is_a_copy() {
    let (_app, _peer, session) = plain().await;
    assert_eq!(session.message_handlers(), []);
    let text = session.add_message_handler(|_: String| async {}).unwrap();
    let list = session.message_handlers();
    let pong = session.add_message_handler(|_: Pong| async {}).unwrap();
    assert_eq!(list, [(text, Kind::Text)]);
    assert_eq!(session.message_handlers(), [(text, Kind::Text), (pong, Kind::Pong)]);
    assert!(session.remove_message_handler(text));
    assert!(!session.remove_message_handler(text));
    assert_eq!(session.message_handlers(), [(pong, Kind::Pong)]);
}

// ---- beside methods

#[server_endpoint("/half")]
struct Half;

#[handlers]
impl Half {
    #[on_open]
    fn open(&self, session: &Session) -> Result<()> {
        session.add_message_handler(|bytes: Bytes| async move { format!("{} bytes", bytes.len()) })?;
        Ok(())
    }

    #[on_message]
    fn text(&self, text: String, session: &Session) -> String {
        match session.add_message_handler(|_: TextReader| async {}) {
            Ok(_) => "added".to_owned(),
            Err(conflict) => format!("{text}: {conflict}"),
        }
    }

    #[on_message]
    fn pong(&self, _pong: Pong, session: &Session) -> String {
        format!("{:?}", session.add_message_handler(|_: Pong| async {}))
    }
}

/// SES-03: methods are takers too; and a handler that is added in `#[on_open]` gets the first message.
#[tokio::test(start_paused = true)]
async fn handlers_stand_beside_methods() {
    let app = runtime::test::app().only::<Half>().start().await;
    let mut peer = app.connect("/half").await.unwrap();
    peer.send(vec![1, 2, 3]).await.unwrap();
    assert_eq!(peer.text().await, "3 bytes");
    peer.send("x").await.unwrap();
    assert_eq!(peer.text().await, "x: a method or a message handler takes text messages already");
    peer.pong("").await.unwrap();
    assert_eq!(peer.text().await, "Err(Taken(Pong))");
}

// ---- when they run

/// SES-06, MH-08: who got the first part gets them all, whatever happens meanwhile.
#[tokio::test(start_paused = true)]
async fn a_message_stays_with_its_handler() {
    let (app, _, _) = plain().await;
    let mut raw = Raw::open(&app, "/plain").await;
    let session = newest(&app);
    let parts = session
        .add_message_handler(
            |part: Fragment<Text>| async move { format!("part {} {}", part.data, part.last) },
        )
        .unwrap();
    raw.write(&frame(TEXT_BEGINS, b"a")).await;
    assert_eq!(raw.frame().await, Some((TEXT, b"part a false".to_vec())));
    assert!(session.remove_message_handler(parts));
    session.add_message_handler(|text: String| async move { format!("whole {text}") }).unwrap();
    raw.write(&frame(GOES_ON, b"b")).await;
    assert_eq!(raw.frame().await, Some((TEXT, b"part b false".to_vec())));
    raw.write(&[frame(ENDS, b"c"), frame(TEXT, b"d")].concat()).await;
    assert_eq!(raw.frame().await, Some((TEXT, b"part c true".to_vec())));
    assert_eq!(raw.frame().await, Some((TEXT, b"whole d".to_vec())));
}

fn newest(app: &RunningApp) -> Session {
    app.sessions().all().iter().max_by_key(|session| session.id().to_string()).unwrap()
}

/// A handler that is removed while it runs finishes, and the next message is not its.
#[tokio::test(start_paused = true)]
async fn a_running_handler_finishes() {
    let (_app, mut peer, session) = plain().await;
    let gate = Arc::new(Gate::new());
    let at = Arc::clone(&gate);
    let id = session
        .add_message_handler(move |text: String| {
            let gate = Arc::clone(&at);
            async move {
                gate.pass().await;
                format!("held {text}")
            }
        })
        .unwrap();
    peer.send("one").await.unwrap();
    peer.send("two").await.unwrap();
    gate.arrived().await;
    assert!(session.remove_message_handler(id));
    gate.open();
    assert_eq!(peer.text().await, "held one");
    assert_eq!(peer.text().await, r#"endpoint Text("two")"#);
}

/// MH-11: never two at once, whether methods or handlers.
#[tokio::test(start_paused = true)]
async fn handlers_run_one_after_the_other() {
    let (_app, mut peer, session) = plain().await;
    let (told, mut heard) = diary();
    let gate = Arc::new(Gate::new());
    let (at, texts) = (Arc::clone(&gate), told.clone());
    session
        .add_message_handler(move |_: String| {
            let (gate, told) = (Arc::clone(&at), texts.clone());
            async move {
                told.tell("text begins");
                gate.pass().await;
                told.tell("text ends");
            }
        })
        .unwrap();
    session
        .add_message_handler(move |_: Bytes| {
            told.tell("bytes");
            async {}
        })
        .unwrap();
    peer.send("x").await.unwrap();
    peer.send(vec![1]).await.unwrap();
    gate.arrived().await;
    settle().await;
    assert_eq!(heard.so_far(), ["text begins"]);
    gate.open();
    heard.expect("text ends").await;
    heard.expect("bytes").await;
}

/// A closure that changes what it has captured; a handler that removes itself.
#[tokio::test(start_paused = true)]
async fn a_handler_may_keep_state_and_remove_itself() {
    let (_app, mut peer, session) = plain().await;
    let this = session.clone();
    let mut count = 0;
    session
        .add_message_handler(move |_: String| {
            count += 1;
            if count == 2 {
                for (id, _) in this.message_handlers() {
                    this.remove_message_handler(id);
                }
            }
            async move { count }
        })
        .unwrap();
    for expected in ["1", "2", r#"endpoint Text("x")"#] {
        peer.send("x").await.unwrap();
        assert_eq!(peer.text().await, expected);
    }
}

/// Errors and panics are those of a method.
#[tokio::test(start_paused = true)]
async fn what_fails_goes_to_on_error() {
    let (_app, mut peer, session) = plain().await;
    session
        .add_message_handler(|number: u8| async move {
            match number {
                0 => Err(Error::msg("zero")),
                1 => panic!("one"),
                _ => Ok(number),
            }
        })
        .unwrap();
    for (sent, expected) in [
        ("2", "2"),
        ("0", "error zero"),
        ("300", "error cannot decode the message: number too large to fit in target type"),
        ("1", "error a handler panicked: one"),
    ] {
        peer.send(sent).await.unwrap();
        assert_eq!(peer.text().await, expected);
    }
    assert_eq!(peer.closed().await.code(), CloseCode::Error);
}

/// The limit of whole messages holds for handlers too, and streams have none.
#[tokio::test(start_paused = true)]
async fn streams_that_are_handled_have_no_limit() {
    let config = ServerEndpointConfig::builder("/small", || Plain).max_message_size(10).build();
    let app = runtime::test::app().endpoint(config).only::<Plain>().start().await;
    let mut peer = app.connect("/small").await.unwrap();
    let session = newest(&app);
    session
        .add_message_handler(|mut reader: BinaryReader| async move {
            let mut bytes = 0;
            while let Ok(Some(chunk)) = reader.chunk().await {
                bytes += chunk.len();
            }
            bytes
        })
        .unwrap();
    session.add_message_handler(|text: String| async move { text.len() }).unwrap();
    peer.send(vec![0; 1_000_000]).await.unwrap();
    assert_eq!(peer.text().await, "1000000");
    peer.send("0123456789").await.unwrap();
    assert_eq!(peer.text().await, "10");
    peer.send("0123456789a").await.unwrap();
    assert_eq!(peer.closed().await.code(), CloseCode::Size);
}

// ---- the end

/// A handler that holds its own session does not keep it, and none is added to a session that has ended.
#[tokio::test(start_paused = true)]
async fn handlers_end_with_their_session() {
    let (app, mut peer, session) = plain().await;
    let (told, held): (Arc<Told>, Weak<Told>) = {
        let told = Arc::new(diary().0);
        (Arc::clone(&told), Arc::downgrade(&told))
    };
    let this = session.clone();
    session
        .add_message_handler(move |_: String| {
            told.tell(this.id());
            async {}
        })
        .unwrap();
    peer.close(1000, "").await.unwrap();
    until("the handler is dropped", || held.upgrade().is_none()).await;
    assert_eq!(session.message_handlers(), []);
    assert_eq!(session.add_message_handler(|_: Bytes| async {}), Err(HandlerConflict::Closed));
    soon("the server stops", app.shutdown()).await;
}

/// Handlers come and go from many tasks while messages arrive: each message has exactly one taker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_change_while_messages_arrive() {
    let (_app, mut peer, session) = plain().await;
    let changing = session.clone();
    let changes = tokio::spawn(async move {
        for _ in 0..200 {
            let id = changing.add_message_handler(|text: String| async move { text }).unwrap();
            tokio::task::yield_now().await;
            assert!(changing.remove_message_handler(id));
        }
    });
    for number in 0..500 {
        peer.send(number.to_string()).await.unwrap();
        let answer = peer.text().await;
        let by_endpoint = format!("endpoint Text(\"{number}\")");
        assert!(answer == number.to_string() || answer == by_endpoint, "{answer}");
    }
    changes.await.unwrap();
}

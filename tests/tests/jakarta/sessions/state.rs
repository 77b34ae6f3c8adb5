//! Group B, all but closing: what a session says of itself, its limits, and its message handlers as they come and go.
//!
//! The table is run on endpoints of a server, on endpoints deployed while it serves (the kit's `addendpoint`), and on clients.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{HandlerConflict, Kind};

use crate::peers::{BINARY, Came, PLACES, Pair, Place, StoppedClock, closed, on_both_sides, text};
use crate::table::each;
use crate::told::until;

on_both_sides! {
    /// Takes no messages: those are for handlers that are added.
    keeper at "/keeper/{one}/{two}" [idle_timeout = "5s", max_message_size = 100, ping_interval = "off"] {
        #[on_open]
        fn open(&self, session: &Session) {
            self.told.tell(format_args!("open {} {}", session.is_open(), session.id()));
        }

        #[on_close]
        fn close(&self, reason: &CloseReason, session: &Session) {
            self.told.tell(format_args!("close {reason} {}", session.id()));
        }

        #[on_error]
        fn error(&self, error: &Error) {
            self.told.tell(format_args!("error {error}"));
        }
    }
}

/// The kit's parameters: one has a `=`.
const PATH: &str = "/keeper/param1/param2=xxx?one=1&two=a%20b";

type Checking = Pin<Box<dyn Future<Output = ()>>>;
type Check = fn(Pair, Place) -> Checking;

macro_rules! checks {
    ($($name:literal, |$pair:ident, $place:ident| $check:block)*) => {
        const CHECKS: &[(&str, Check)] = &[$((
            $name,
            #[allow(unused_mut, unused_variables)]
            |$pair: Pair, $place: Place| Box::pin(async move {
                // All of it, so that the peer stays.
                let mut $pair = $pair;
                $check
            }),
        )),*];
    };
}

checks! {
    "isOpen: open in on_open and later, not after our close", |pair, place| {
        let id = *pair.session.id();
        assert_eq!(pair.told().await, format!("open true {id}"));
        assert!(pair.session.is_open());
        pair.session.close(CloseReason::normal()).await.unwrap();
        assert!(!pair.session.is_open());
        pair.peer.close(1000, "").await;
        pair.peer.hang_up().await;
        assert_eq!(pair.told().await, format!("close 1000 {id}"));
        assert!(!pair.session.is_open());
    }
    "isOpen: not after the peer's close", |pair, place| {
        pair.told().await;
        pair.peer.close(1000, "").await;
        assert_eq!(pair.told().await, format!("close 1000 {}", pair.session.id()));
        assert!(!pair.session.is_open());
    }
    "isOpen: not after a loss", |pair, place| {
        let Pair { session, peer, mut stage } = pair;
        stage.heard.next().await;
        drop(peer);
        assert!(stage.heard.next().await.starts_with("close 1006"));
        assert!(!session.is_open());
    }

    "addMessageHandlers, removeMessageHandler: 0, 1, 2, 1, 0", |pair, place| {
        let session = &pair.session;
        let kinds = || session.message_handlers().into_iter().map(|(_, kind)| kind).collect::<Vec<_>>();
        assert_eq!(kinds(), []);
        let texts = session.add_message_handler(|text: String| async move { format!("text {text}") }).unwrap();
        assert_eq!(kinds(), [Kind::Text]);
        let binaries = session.add_message_handler(|bytes: Bytes| async move { bytes.len() }).unwrap();
        assert_eq!(kinds(), [Kind::Text, Kind::Binary]);
        pair.peer.text("x").await;
        pair.peer.frame(BINARY, [0; 5]).await;
        assert_eq!([pair.peer.next().await, pair.peer.next().await], [text("text x"), text("5")]);
        assert!(session.remove_message_handler(texts));
        assert_eq!(kinds(), [Kind::Binary]);
        // Nobody takes it.
        pair.peer.text("y").await;
        pair.peer.frame(BINARY, [0; 6]).await;
        assert_eq!(pair.peer.next().await, text("6"));
        assert!(session.remove_message_handler(binaries));
        assert_eq!(kinds(), []);
        assert!(!session.remove_message_handler(binaries), "it was removed already");
    }
    "addMessageHandlers: a reader, and bytes later", |pair, place| {
        let session = &pair.session;
        session
            .add_message_handler(|mut reader: TextReader| async move {
                let mut all = String::from("read ");
                while let Ok(Some(chunk)) = reader.chunk().await {
                    all.push_str(&chunk);
                }
                all
            })
            .unwrap();
        pair.peer.text("x").await;
        assert_eq!(pair.peer.next().await, text("read x"));
        session.add_message_handler(|bytes: Bytes| async move { bytes }).unwrap();
        pair.peer.frame(BINARY, "y").await;
        assert_eq!(pair.peer.next().await, Came::Binary(b"y".to_vec(), 1));
        pair.peer.text("z").await;
        assert_eq!(pair.peer.next().await, text("read z"));
        assert_eq!(session.message_handlers().len(), 2);
    }
    "addMessageHandlerBasicString: a second one for text is refused", |pair, place| {
        let session = &pair.session;
        session.add_message_handler(|text: String| async move { format!("first {text}") }).unwrap();
        let second = session.add_message_handler(|text: String| async move { format!("second {text}") });
        assert_eq!(second, Err(HandlerConflict::Taken(Kind::Text)));
        assert_eq!(session.message_handlers().len(), 1);
        pair.peer.text("x").await;
        assert_eq!(pair.peer.next().await, text("first x"));
    }
    "addMessageHandlerBasicByteBuffer: a second one for bytes is refused", |pair, place| {
        let session = &pair.session;
        session.add_message_handler(|bytes: Bytes| async move { format!("first {bytes:?}") }).unwrap();
        let second = session.add_message_handler(|bytes: Bytes| async move { format!("second {bytes:?}") });
        assert_eq!(second, Err(HandlerConflict::Taken(Kind::Binary)));
        assert_eq!(session.message_handlers().len(), 1);
        pair.peer.frame(BINARY, "x").await;
        assert_eq!(pair.peer.next().await, text(r#"first b"x""#));
    }

    "getId", |pair, place| {
        let (other, _peer) = pair.stage.connect(PATH).await;
        assert_ne!(pair.session.id(), other.id());
        assert_eq!(pair.session.id(), pair.session.clone().id());
        assert!(!pair.session.id().to_string().is_empty());
    }
    "getProtocolVersion", |pair, place| {
        assert_eq!(pair.session.protocol_version(), "13");
        assert_eq!(pair.session.handshake().header("sec-websocket-version"), Some("13"));
    }
    "getRequestURI: the whole of it", |pair, place| {
        let url = format!("ws://{}{PATH}", pair.stage.authority());
        assert_eq!(pair.session.handshake().url().to_string(), url);
        assert!(!pair.session.is_secure());
    }
    "getQueryString", |pair, place| {
        let handshake = pair.session.handshake();
        assert_eq!(handshake.query(), Some("one=1&two=a%20b"));
        assert_eq!(pair.session.uri().query(), handshake.query());
        assert_eq!(handshake.query_param("two").as_deref(), Some("a b"));
    }
    "getQueryString: none", |pair, place| {
        let (session, _peer) = pair.stage.connect("/keeper/a/b").await;
        assert_eq!(session.handshake().query(), None);
    }
    "getPathParameters", |pair, place| {
        let params = pair.session.handshake().path_params();
        let all: Vec<_> = params.iter().collect();
        match place {
            // A client's URL has no template.
            Place::Client => assert_eq!(all, []),
            _ => assert_eq!(all, [("one", "param1"), ("two", "param2=xxx")]),
        }
        assert_eq!(pair.session.path_param("two").is_some(), place != Place::Client);
        assert_eq!(pair.session.path_param("three"), None);
    }
    "getNegotiatedSubprotocol, getNegotiatedExtensions: none", |pair, place| {
        assert_eq!(pair.session.subprotocol(), None);
        assert_eq!(pair.session.extensions(), []);
    }
    "getContainer: it has this session, and is the other's too", |pair, place| {
        let (other, _peer) = pair.stage.connect(PATH).await;
        for (one, two) in [(&pair.session, &other), (&other, &pair.session)] {
            assert_eq!(one.container().sessions().get(two.id()).as_ref(), Some(two));
        }
        assert_eq!(pair.stage.sessions().get(pair.session.id()).as_ref(), Some(&pair.session));
        let endpoints = pair.session.container().endpoints();
        let deployed: Vec<_> = endpoints.iter().map(|config| config.path().to_owned()).collect();
        match place {
            Place::Client => assert_eq!(deployed, [""; 0]),
            _ => assert_eq!(deployed, [keeper::BOTH.path]),
        }
    }
    "getOpenSessions: 1, 2, 3, 2, 1", |pair, place| {
        let first = &pair.session;
        let count = |expected: usize| {
            let siblings = first.siblings();
            async move { until(&format!("{expected} sessions"), || siblings.count() == expected).await }
        };
        assert_eq!(first.siblings().count(), 1);
        let (second, mut second_peer) = pair.stage.connect(PATH).await;
        assert_eq!(first.siblings().count(), 2);
        let (third, mut third_peer) = pair.stage.connect(PATH).await;
        assert_eq!(first.siblings().count(), 3);
        let mut all: Vec<_> = first.siblings().iter().map(|session| *session.id()).collect();
        let mut expected = [*first.id(), *second.id(), *third.id()];
        all.sort();
        expected.sort();
        assert_eq!(all, expected);
        second_peer.close(1000, "").await;
        count(2).await;
        third_peer.close(1000, "").await;
        count(1).await;
        assert!(first.siblings().iter().eq([first.clone()]));
    }

    "setMaxTextMessageBufferSize", |pair, place| {
        let session = &pair.session;
        session.add_message_handler(|text: String| async move { text.len() }).unwrap();
        assert_eq!(session.max_text_size(), 100);
        session.set_max_text_size(200);
        assert_eq!((session.max_text_size(), session.max_binary_size()), (200, 100));
        pair.peer.text(&"x".repeat(200)).await;
        assert_eq!(pair.peer.next().await, text("200"));
        session.set_max_text_size(7);
        assert_eq!(session.max_text_size(), 7);
        pair.peer.text("1234567").await;
        assert_eq!(pair.peer.next().await, text("7"));
        pair.peer.text("12345678").await;
        assert!(matches!(pair.peer.next().await, Came::Close(1009, _)));
    }
    "setMaxBinaryMessageBufferSize", |pair, place| {
        let session = &pair.session;
        session.add_message_handler(|bytes: Bytes| async move { bytes.len() }).unwrap();
        assert_eq!(session.max_binary_size(), 100);
        session.set_max_binary_size(200);
        assert_eq!((session.max_binary_size(), session.max_text_size()), (200, 100));
        pair.peer.frame(BINARY, [0; 200]).await;
        assert_eq!(pair.peer.next().await, text("200"));
        session.set_max_binary_size(7);
        assert_eq!(session.max_binary_size(), 7);
        pair.peer.frame(BINARY, [0; 7]).await;
        assert_eq!(pair.peer.next().await, text("7"));
        pair.peer.frame(BINARY, [0; 8]).await;
        assert!(matches!(pair.peer.next().await, Came::Close(1009, _)));
    }
    "setTimeout: what is set is what one gets, and zero is none", |pair, place| {
        let session = &pair.session;
        assert_eq!(session.idle_timeout(), Some(Duration::from_secs(5)));
        for (set, expected) in [
            (Some(Duration::from_millis(12_345)), Some(Duration::from_millis(12_345))),
            (None, None),
            (Some(Duration::ZERO), None),
        ] {
            session.set_idle_timeout(set);
            assert_eq!(session.idle_timeout(), expected);
        }
        assert!(session.is_open());
    }
    "setTimeout1, setTimeout2: the session is closed before the late message", |pair, place| {
        late(pair, Some(2000)).await;
    }
    "the endpoint's own idle timeout: likewise", |pair, place| {
        late(pair, None).await;
    }
    "a close code that must not be sent", |pair, place| {
        for code in [0_u16, 999, 1004, 1006, 1015, 5000] {
            let refused = pair.session.close(CloseReason::new(code, "")).await;
            assert!(refused.is_err(), "{code}");
        }
        assert!(pair.session.is_open());
        pair.session.close(CloseReason::new(CloseCode::Status, "")).await.unwrap();
        assert_eq!(pair.peer.next().await, closed(1005, ""));
    }
}

/// Is idle for so many milliseconds; by default, the 5 s of the endpoint. What the peer sends afterwards is for nobody.
async fn late(mut pair: Pair, timeout: Option<u64>) {
    assert!(pair.told().await.starts_with("open"));
    let heard = pair.session.clone();
    pair.session
        .add_message_handler(move |text: String| {
            heard.attributes().insert(text);
            async {}
        })
        .unwrap();
    let clock = StoppedClock::stop();
    let timeout = Duration::from_millis(timeout.unwrap_or(5000));
    if timeout != Duration::from_secs(5) {
        pair.session.set_idle_timeout(timeout);
    }
    // Timers are coarse, but never early.
    clock.advance(timeout - Duration::from_millis(500)).await;
    assert!(pair.session.is_open(), "too early");
    clock.advance(Duration::from_millis(600)).await;
    assert!(!pair.session.is_open(), "too late");
    assert!(matches!(pair.peer.next().await, Came::Close(1001, _)));
    pair.peer.text("late").await;
    pair.peer.close(1001, "").await;
    pair.peer.hang_up().await;
    let told = pair.told().await;
    assert!(told.starts_with("close 1006 "), "{told}");
    assert_eq!(pair.session.attributes().get::<String>(), None, "the late message");
}

#[test]
fn a_session_is_what_jakarta_says() {
    let rows = CHECKS
        .iter()
        .flat_map(|(name, check)| PLACES.map(|place| (format!("{name} ({place:?})"), (place, *check))));
    each(rows, async |(place, check): (Place, Check)| {
        check(Pair::open_at(place, keeper::BOTH, PATH).await, place).await;
    });
}

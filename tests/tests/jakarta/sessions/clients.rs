//! Group S: clients, their configuration, and endpoints written by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Client, ConnectError, Endpoint, ServerEndpointConfig, Settings};
use tokio::net::TcpListener;

use crate::peers::{Both, PLACES, Pair, Peer, Place, SIDES, TEXT, on_both_sides};
use crate::table::each;
use crate::told::{Told, diary, soon};

/// Does nothing.
struct Quiet;

impl Endpoint for Quiet {}

// ---- T-CE, T-CEC: subprotocols

/// What a client offers, what the server speaks, and what they agree on.
const SUBPROTOCOLS: [(&[&str], &[&str], Option<&str>); 7] = [
    (&["a"], &["a"], Some("a")),
    (&["a", "b"], &["b"], Some("b")),
    (&["b", "a"], &["a", "b"], Some("b")),
    (&["x"], &["a"], None),
    (&["A"], &["a"], None),
    (&["x"], &[], None),
    (&[], &["a"], None),
];

/// clientEndpointSubprotocolsTest and its like: agreed or not, they are connected, and both ends know.
#[test]
fn subprotocols_are_agreed_on_or_not() {
    let rows = SUBPROTOCOLS.map(|row @ (offered, spoken, _)| (format!("{offered:?} to {spoken:?}"), row));
    each(rows, async |(offered, spoken, agreed): (&[&str], &'static [&'static str], Option<&str>)| {
        let config = ServerEndpointConfig::builder("/quiet", || Quiet).subprotocols(spoken.iter().copied());
        let exporter = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0");
        let exporter = exporter.only(ServerEndpointConfig::is::<Quiet>).endpoint(config.build());
        let server = exporter.start().await.unwrap();
        let url = format!("ws://{}/quiet", server.local_addr());
        let client = runtime::client().subprotocols(offered.iter().copied());
        let session = soon("connecting", client.connect(Quiet, &url)).await.unwrap();
        assert!(session.is_open());
        assert_eq!(session.subprotocol(), agreed);
        assert_eq!(session.handshake().offered_subprotocols().collect::<Vec<_>>(), offered);
        let theirs = server.sessions().all().iter().next().unwrap();
        assert_eq!(theirs.subprotocol(), agreed);
    });
}

#[client_endpoint(subprotocols = ["own.v2", "own.v1"])]
struct Annotated;

#[handlers]
impl Annotated {
    #[on_message]
    fn message(&self, _text: &str) {}
}

/// Answers a client's request, and gives it what more header lines `more` says.
async fn connected(
    connect: impl AsyncFnOnce(&str) -> Result<Session, ConnectError>,
    more: &'static str,
) -> (Result<Session, ConnectError>, Peer, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat?x=1", listener.local_addr().unwrap());
    let serve = async {
        let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
        Peer::answer(stream, |_| more.to_owned()).await
    };
    let (session, (peer, request)) = tokio::join!(soon("connecting", connect(&url)), serve);
    (session, peer, request)
}

/// The same of an annotation: what is on the wire, and what comes of the answer.
#[test]
fn an_annotations_subprotocols_are_offered() {
    let rows = [("Sec-WebSocket-Protocol: own.v1\r\n", Some("own.v1")), ("", None)];
    each(rows.map(|row| (format!("{row:?}"), row)), async |(answer, agreed)| {
        let client = runtime::client();
        let (session, _peer, request) =
            connected(async |url| client.connect(Annotated, url).await, answer).await;
        assert!(
            request.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: own.v2, own.v1\r\n"),
            "{request}"
        );
        assert_eq!(session.unwrap().subprotocol(), agreed);
    });
}

// ---- T-CE: hooks

type Seen = Arc<Mutex<Vec<String>>>;

/// Its hooks write down what they see.
fn hooked() -> (Client, Seen) {
    let seen = Seen::default();
    let (before, after) = (Arc::clone(&seen), Arc::clone(&seen));
    let client = runtime::client().header("x-own", "1").before_request(move |headers| {
        before.lock().unwrap().push(format!("before {:?}", headers.get("x-own").is_some()));
        headers.insert("x-hook", "2".parse().unwrap());
    });
    let client = client.after_response(move |answer| {
        let answer = answer.map(|answer| {
            let header = answer.headers.get("x-answer").map(|value| value.to_str().unwrap().to_owned());
            (answer.status.as_u16(), header)
        });
        after.lock().unwrap().push(format!("after {answer:?}"));
    });
    (client, seen)
}

/// configuratorTest, CL-10, CL-11: each hook is called once, before and after, and has its say.
#[test]
fn the_hooks_of_a_handshake_are_called() {
    let rows = [("annotated", true), ("by hand", false)];
    each(rows.map(|(name, row)| (name.to_owned(), row)), async |annotated| {
        let (client, seen) = hooked();
        let connect = async |url: &str| match annotated {
            true => client.connect(Annotated, url).await,
            false => client.connect(Quiet, url).await,
        };
        let (session, _peer, request) = connected(connect, "X-Answer: 3\r\n").await;
        assert!(request.contains("\r\nx-own: 1\r\n") && request.contains("\r\nx-hook: 2\r\n"), "{request}");
        assert_eq!(*seen.lock().unwrap(), ["before true", r#"after Some((101, Some("3")))"#]);
        let session = session.unwrap();
        assert_eq!(session.handshake().header("x-hook"), Some("2"));
        assert_eq!(session.handshake().response_headers().unwrap()["x-answer"], "3");
    });
}

/// How a server fails a client.
#[derive(Clone, Copy)]
enum Failure {
    /// Nobody listens.
    Nobody,
    /// The connection ends without a word.
    HangsUp,
    /// This is what it says.
    Says(&'static str),
    /// It takes too long.
    Silent,
}

/// How connecting fails, what the error says, and what the hook sees of an answer.
const FAILURES: [(&str, Failure, &str, &str); 11] = [
    ("nobody", Failure::Nobody, "connecting by TCP failed with 127.0.0.1:", "None"),
    ("hangs up", Failure::HangsUp, "the opening handshake failed with 127.0.0.1:", "None"),
    (
        "silent",
        Failure::Silent,
        "no connection within 200ms; the time was over in the opening handshake",
        "None",
    ),
    ("garbage", Failure::Says("nonsense\r\n\r\n"), "the opening handshake failed with 127.0.0.1:", "None"),
    (
        "a page",
        Failure::Says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        "the server refused the WebSocket: 200 OK",
        "Some((200, None))",
    ),
    (
        "400",
        Failure::Says("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        "400 Bad Request",
        "Some((400, None))",
    ),
    (
        "401",
        Failure::Says("HTTP/1.1 401 Unauthorized\r\nX-Answer: who\r\nContent-Length: 0\r\n\r\n"),
        "401 Unauthorized",
        r#"Some((401, Some("who")))"#,
    ),
    (
        "404",
        Failure::Says("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"),
        "404 Not Found",
        "Some((404, None))",
    ),
    (
        "500",
        Failure::Says("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        "500 Internal Server Error",
        "Some((500, None))",
    ),
    (
        "a redirect",
        Failure::Says("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"),
        "302 Found",
        "Some((302, None))",
    ),
    (
        "a wrong key",
        Failure::Says(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        ),
        "`Sec-WebSocket-Accept` does not answer our key",
        "Some((101, None))",
    ),
];

/// failedConnectionTest of 2.3, CL-06, CL-11: the error says why, and `after_response` is called all the same, once.
#[test]
fn a_failed_connection_says_why_and_calls_the_hook() {
    let rows = FAILURES.map(|row| (row.0.to_owned(), row));
    each(rows, async |(_, failure, error, answer)| {
        let (client, seen) = hooked();
        let client = client.timeout(if let Failure::Silent = failure {
            Duration::from_millis(200)
        } else {
            Duration::from_secs(20)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let listener = Some(listener).filter(|_| !matches!(failure, Failure::Nobody));
        let serve = async {
            let (stream, _) = listener.as_ref()?.accept().await.unwrap();
            match failure {
                Failure::Says(answer) => Some(Peer::say(stream, answer).await),
                Failure::Silent => Some(Peer::say(stream, "").await),
                _ => None,
            }
        };
        let connecting = async { soon("connecting", client.connect(Quiet, &url)).await };
        let (result, _peer) = tokio::join!(connecting, serve);
        let failed = result.unwrap_err().to_string();
        assert!(failed.contains(error), "{failed}");
        assert_eq!(*seen.lock().unwrap(), ["before true".to_owned(), format!("after {answer}")]);
        assert_eq!(client.sessions().count(), 0);
    });
}

// ---- T-CEC: the configuration

/// What is set for a client, and where its session shows it.
struct Setting {
    name: &'static str,
    set: fn(Client) -> Client,
    shows: fn(&Session) -> String,
    expected: &'static str,
}

const SETTINGS: [Setting; 10] = [
    Setting {
        name: "nothing",
        set: |client| client,
        shows: |session| {
            format!("{} {:?} {:?}", session.max_text_size(), session.idle_timeout(), session.send_timeout())
        },
        expected: "65536 None Some(20s)",
    },
    Setting {
        name: "max_message_size",
        set: |client| client.max_message_size(77),
        shows: |session| {
            format!(
                "{} {} {}",
                session.max_text_size(),
                session.max_binary_size(),
                session.config().max_message_size()
            )
        },
        expected: "77 77 77",
    },
    Setting {
        name: "idle_timeout",
        set: |client| client.idle_timeout(Some(Duration::from_secs(77))),
        shows: |session| format!("{:?}", session.idle_timeout()),
        expected: "Some(77s)",
    },
    Setting {
        name: "send_timeout",
        set: |client| client.send_timeout(Duration::from_secs(77)),
        shows: |session| format!("{:?}", session.send_timeout()),
        expected: "Some(77s)",
    },
    Setting {
        name: "subprotocols",
        set: |client| client.subprotocols(["a", "b"]),
        shows: |session| format!("{:?}", session.config().subprotocols()),
        expected: r#"["a", "b"]"#,
    },
    Setting {
        name: "header",
        set: |client| client.header("x-one", "1").header("x-two", "2"),
        shows: |session| {
            format!("{:?} {:?}", session.handshake().header("x-one"), session.handshake().header("x-two"))
        },
        expected: r#"Some("1") Some("2")"#,
    },
    Setting {
        name: "bearer",
        set: |client| client.bearer("token"),
        shows: |session| format!("{:?}", session.handshake().header("authorization")),
        expected: r#"Some("Bearer token")"#,
    },
    Setting {
        name: "basic_auth",
        set: |client| client.basic_auth("bo", "secret"),
        shows: |session| format!("{:?}", session.handshake().header("authorization")),
        expected: r#"Some("Basic Ym86c2VjcmV0")"#,
    },
    Setting {
        name: "a component",
        set: |client| client.provide(77_u16),
        shows: |session| format!("{:?}", session.application().find::<u16>()),
        expected: "Some(77)",
    },
    Setting {
        name: "all on a clone, which leaves the first alone",
        set: |client| {
            let _clone = client
                .clone()
                .max_message_size(1)
                .idle_timeout(Some(Duration::from_secs(1)))
                .subprotocols(["x"]);
            client
        },
        shows: |session| {
            format!(
                "{} {:?} {:?}",
                session.max_text_size(),
                session.idle_timeout(),
                session.config().subprotocols()
            )
        },
        expected: "65536 None []",
    },
];

#[test]
fn what_is_set_for_a_client_reaches_its_sessions() {
    let rows = SETTINGS.into_iter().map(|setting| (setting.name.to_owned(), setting));
    each(rows, async |Setting { set, shows, expected, .. }| {
        let client = set(runtime::client());
        let (session, _peer, _) = connected(async |url| client.connect(Quiet, url).await, "").await;
        assert_eq!(shows(&session.unwrap()), expected);
    });
}

// ---- T-EP, and T-CE: errors and the end

/// Fails as it is told.
struct Failing;

fn fail(text: &str) -> Result<()> {
    match text {
        "err" => Err(Error::msg("it went wrong")),
        "parse" => {
            text.parse::<u8>()?;
            Ok(())
        }
        _ => panic!("it panicked"),
    }
}

impl Endpoint for Failing {
    async fn on_message(&mut self, _: &Session, message: Message) -> Result<()> {
        fail(message.as_text().unwrap_or_default())
    }

    async fn on_error(&mut self, session: &Session, error: &Error) -> Result<()> {
        told(session).tell(format_args!("error {error} {}", session.id()));
        Ok(())
    }

    async fn on_close(&mut self, session: &Session, reason: &CloseReason) {
        told(session).tell(format_args!("close {reason}"));
    }
}

fn told(session: &Session) -> Arc<Told> {
    session.application().get().unwrap()
}

const FAILING_BY_HAND: Both = Both {
    path: "/clients/by-hand",
    config: || ServerEndpointConfig::builder("/clients/by-hand", || Failing).build(),
    connect: |client, _, url| client.connect(Failing, url),
};

on_both_sides! {
    failing at "/clients/failing" [] {
        #[on_message]
        fn message(&self, text: &str) -> Result<()> {
            fail(text)
        }

        #[on_error]
        fn error(&self, error: &Error, session: &Session) {
            self.told.tell(format_args!("error {error} {}", session.id()));
        }

        #[on_close]
        fn close(&self, reason: &CloseReason) {
            self.told.tell(format_args!("close {reason}"));
        }
    }
}

/// onErrorTest, onCloseTest: what a handler fails with goes to `on_error`, with the session; then `on_close` is called.
#[test]
fn errors_and_the_end_are_told() {
    let rows = [("annotated", failing::BOTH), ("by hand", FAILING_BY_HAND)].into_iter();
    let rows = rows.flat_map(|endpoint| PLACES.map(|place| (endpoint, place)));
    let failures = [
        ("err", "it went wrong", "1000"),
        ("parse", "invalid digit found in string", "1000"),
        ("panic", "a handler panicked: it panicked", "1011 unexpected condition"),
    ];
    let rows = rows.flat_map(|((kind, endpoint), place)| {
        failures.map(|failure| (format!("{} ({kind}, {place:?})", failure.0), (endpoint, place, failure)))
    });
    each(rows, async |(endpoint, place, (does, error, end)): (Both, Place, (&str, &str, &str))| {
        let mut pair = Pair::open(place, endpoint).await;
        pair.peer.frame(TEXT, does).await;
        assert_eq!(pair.told().await, format!("error {error} {}", pair.session.id()));
        assert!(does == "panic" || pair.session.is_open());
        pair.peer.close(1000, "").await;
        pair.peer.hang_up().await;
        assert_eq!(pair.told().await, format!("close {end}"));
    });
}

/// Without a word from anybody else: `on_close` of both ends, as each sees it.
#[test]
fn both_ends_of_ours_are_closed() {
    let rows = SIDES.map(|side| (format!("{side:?} closes"), side));
    each(rows, async |side| {
        let (told, mut ours) = diary();
        let (theirs_told, mut theirs) = diary();
        let exporter =
            runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0").provide(theirs_told);
        let exporter = exporter
            .only(|config| config.path() == FAILING_BY_HAND.path)
            .endpoint((FAILING_BY_HAND.config)());
        let server = exporter.start().await.unwrap();
        let client = runtime::client().provide(told);
        let url = format!("ws://{}{}", server.local_addr(), FAILING_BY_HAND.path);
        let session = soon("connecting", client.connect(Failing, url)).await.unwrap();
        let other = server.sessions().all().iter().next().unwrap();
        let closing = if side == Place::Client { &session } else { &other };
        closing.close(CloseReason::new(4009, "TCKCloseNowWithReason")).await.unwrap();
        assert_eq!(ours.next().await, "close 4009 TCKCloseNowWithReason");
        assert_eq!(theirs.next().await, "close 4009 TCKCloseNowWithReason");
        assert!(!session.is_open() && !other.is_open());
    });
}

//! The points that the specification leaves open or contradicts itself on (A1 to A15), as they are decided here.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Decoder, Endpoint, SendError, ServerEndpointConfig};
use futures_util::future::join_all;

use crate::stage::{Lacking, echo, serve, these, url};
use crate::table::rows;
use crate::told::{Heard, Told, diary, soon};

/// Tells everything that happens, and answers nothing.
struct Teller(Told);

impl Endpoint for Teller {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        self.0.tell("open");
        if session.handshake().query() == Some("fail") { Err(Error::msg("in on_open")) } else { Ok(()) }
    }

    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        match message.as_text() {
            Some("fail") => Err(Error::msg("in on_message")),
            Some("close") => Ok(session.close(CloseReason::new(4000, "ours")).await?),
            text => {
                self.0.tell(format_args!("text {}", text.unwrap_or_default()));
                Ok(())
            }
        }
    }

    async fn on_close(&mut self, session: &Session, reason: &CloseReason) {
        let sent = session.send("in on_close").await;
        assert!(matches!(sent, Err(SendError::Closed(closed)) if closed == *reason));
        self.0.tell(format_args!("close {} {:?}", u16::from(reason.code()), reason.closed_by()));
    }

    async fn on_error(&mut self, _: &Session, error: &Error) -> Result<()> {
        self.0.tell(format_args!("error {error}"));
        Ok(())
    }
}

fn teller(
    path: &str,
    change: impl FnOnce(runtime::ServerEndpointConfigBuilder) -> runtime::ServerEndpointConfigBuilder,
) -> (ServerEndpointConfig, Heard) {
    let (told, heard) = diary();
    (change(ServerEndpointConfig::builder(path, move || Teller(told.clone()))).build(), heard)
}

/// Concurrent sends: never an error. Whoever sends at once is served one after the other, also while a message is sent in parts.
#[tokio::test(start_paused = true)]
async fn a01_concurrent_sends_are_no_error() {
    let (config, _heard) = teller("/a01", |config| config);
    let app = these([config]).start().await;
    let mut peer = app.connect("/a01").await.unwrap();
    crate::told::until("the session", || app.sessions().count() == 1).await;
    let session = &app.sessions().all().iter().next().unwrap();
    session.send_fragment(Fragment::new("be", false)).await.unwrap();
    let mut sends: Vec<_> = (0..10)
        .map(|number| {
            tokio::spawn({
                let session = session.clone();
                async move { session.send(number).await }
            })
        })
        .collect();
    let whole = join_all((10..20).map(|number| session.send(number)));
    sends.push(tokio::spawn({
        let session = session.clone();
        async move { session.send_and_flush(20).await }
    }));
    for sent in soon("sending", whole).await {
        sent.unwrap();
    }
    session.send_fragment(Fragment::new("fore", true)).await.unwrap();
    assert_eq!(peer.text().await, "before");
    let mut numbers = Vec::new();
    for _ in 0..21 {
        numbers.push(peer.text().await.parse::<u32>().unwrap());
    }
    for sent in sends {
        soon("sending", sent).await.unwrap().unwrap();
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..21));
}

/// 1006 for what the container ends: `on_close` is told 1006, as the kit wants it, and the wire 1001; not so for our own close.
#[tokio::test(start_paused = true)]
async fn a02_the_container_ends_with_1006_and_the_application_with_its_own_code() {
    let (config, mut heard) = teller("/a02", |config| config.idle_timeout(Some(Duration::from_millis(1))));
    let app = these([config]).start().await;
    let mut peer = app.connect("/a02").await.unwrap();
    assert_eq!(peer.closed().await.code(), CloseCode::Away);
    heard.expect("open").await;
    heard.expect("close 1006 Container").await;

    let (config, mut heard) = teller("/a02", |config| config);
    let app = these([config]).start().await;
    let mut peer = app.connect("/a02").await.unwrap();
    peer.send("close").await.unwrap();
    assert_eq!(u16::from(peer.closed().await.code()), 4000);
    heard.expect("open").await;
    heard.expect("close 4000 Application").await;
}

/// Sending in `on_close`: an error that says why, whoever has closed, and nothing arrives.
#[tokio::test(start_paused = true)]
async fn a03_nothing_is_sent_in_on_close() {
    rows([true, false].map(|ours| {
        (if ours { "ours" } else { "theirs" }, async move {
            let (config, mut heard) = teller("/a03", |config| config);
            let app = these([config]).start().await;
            let mut peer = app.connect("/a03").await.unwrap();
            if ours {
                peer.send("close").await.unwrap();
            } else {
                peer.close(4000, "theirs").await.unwrap();
            }
            // What the endpoint was told is asserted by itself: that it is told at all shows that it held.
            let told = heard.up_to("close").await;
            let by = if ours { "Application" } else { "Peer" };
            assert_eq!(told, ["open".to_owned(), format!("close 4000 {by}")]);
            assert_eq!(peer.message().await, None);
        })
    }))
    .await;
}

/// A trailing slash is significant: as in the specification's example, not as in the javadoc.
#[tokio::test(start_paused = true)]
async fn a04_a_trailing_slash_is_significant() {
    let table: [(&str, &str, u16); 6] = [
        ("/a", "/a", 101),
        ("/a", "/a/", 404),
        ("/a/", "/a/", 101),
        ("/a/", "/a", 404),
        ("/a/{x}", "/a/", 404),
        ("/a/{x}", "/a/b/", 404),
    ];
    rows(table.map(|(template, path, status)| {
        (format!("{path} at {template}"), async move {
            let app = these([echo(template)]).start().await;
            let found = app.connect(path).await.map_or_else(|refused| refused.status(), |_| 101);
            assert_eq!(found, status);
        })
    }))
    .await;
}

/// Deploying after the start: it works at any time, also from within a handler.
#[tokio::test]
async fn a05_endpoints_are_deployed_while_the_server_runs() {
    struct Deploys;

    impl Endpoint for Deploys {
        async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
            session.container().deploy(echo(message.as_text().unwrap_or_default()))?;
            Ok(session.send("deployed").await?)
        }
    }

    let config = ServerEndpointConfig::builder("/a05", || Deploys).build();
    let server = serve([config]).await;
    let (told, mut heard) = diary();
    let client = runtime::client();
    let session = soon("connecting", client.connect(Teller(told), url(&server, "/a05"))).await.unwrap();
    heard.expect("open").await;
    assert!(soon("connecting", client.connect(Teller(diary().0), url(&server, "/a05/late"))).await.is_err());
    session.send("/a05/late").await.unwrap();
    heard.expect("text deployed").await;
    let (told, mut heard) = diary();
    let late = soon("connecting", client.connect(Teller(told), url(&server, "/a05/late"))).await.unwrap();
    late.send("hello").await.unwrap();
    heard.expect("open").await;
    heard.expect("text hello").await;
}

/// The unit of every limit is the byte.
#[tokio::test(start_paused = true)]
async fn a06_limits_are_in_bytes() {
    let table = [
        ("ten bytes", "1234567890", true),
        ("eleven bytes", "12345678901", false),
        ("ten bytes, five characters", "ééééé", true),
        ("twelve bytes, six characters", "éééééé", false),
        ("twelve bytes, six UTF-16 units", "😀😀😀", false),
    ];
    let table = [true, false].into_iter().flat_map(|endpoint| table.map(|row| (endpoint, row)));
    rows(table.map(|(endpoint, (name, text, fits))| {
        (format!("{name}, limit of the {}", if endpoint { "endpoint" } else { "session" }), async move {
            let (config, mut heard) =
                teller("/a06", |config| if endpoint { config.max_message_size(10) } else { config });
            let app = these([config]).start().await;
            let mut peer = app.connect("/a06").await.unwrap();
            heard.expect("open").await;
            if !endpoint {
                app.sessions().all().iter().for_each(|session| session.set_max_text_size(10));
            }
            peer.send(text).await.unwrap();
            if fits {
                heard.expect(&format!("text {text}")).await;
            } else {
                assert_eq!(peer.closed().await.code(), CloseCode::Size);
                assert!(heard.next().await.starts_with("error "));
                heard.expect("close 1009 Container").await;
            }
        })
    }))
    .await;
}

/// A message whose method fails costs nothing but that; an `on_open` that fails is the end, with 1011.
#[tokio::test(start_paused = true)]
async fn a07_a_method_that_fails_closes_nothing_but_on_open_does() {
    let (config, mut heard) = teller("/a07", |config| config);
    let app = these([config]).start().await;
    let mut peer = app.connect("/a07").await.unwrap();
    for text in ["fail", "fail", "still here"] {
        peer.send(text).await.unwrap();
    }
    for told in ["open", "error in on_message", "error in on_message", "text still here"] {
        heard.expect(told).await;
    }
    let mut failing = app.connect("/a07?fail").await.unwrap();
    assert_eq!(failing.closed().await.code(), CloseCode::Error);
    for told in ["open", "error in on_open", "close 1011 Container"] {
        heard.expect(told).await;
    }
    assert_eq!(app.sessions().count(), 1);
}

/// A message that no method takes is discarded: no error, no close.
#[tokio::test(start_paused = true)]
async fn a08_a_message_that_nobody_takes_is_discarded() {
    #[server_endpoint("/a08")]
    struct TextOnly {
        #[inject]
        told: Arc<Told>,
    }

    #[handlers]
    impl TextOnly {
        #[on_message]
        fn text(&self, text: String) -> String {
            text
        }

        #[on_error]
        fn error(&self, error: &Error) {
            self.told.tell(error);
        }
    }

    let (told, mut heard) = diary();
    let app = these([ServerEndpointConfig::of::<TextOnly>()]).provide(told).start().await;
    let mut peer = app.connect("/a08").await.unwrap();
    for _ in 0..3 {
        peer.send(b"bytes").await.unwrap();
        peer.pong("pong").await.unwrap();
        peer.send("text").await.unwrap();
        assert_eq!(peer.text().await, "text");
    }
    assert_eq!(heard.so_far(), [""; 0]);
}

/// Methods are an endpoint's own: what it is made of has methods too, and they are called by whoever calls them.
#[tokio::test(start_paused = true)]
async fn a09_annotations_are_not_inherited() {
    #[server_endpoint("/a09/base")]
    struct Base;

    #[handlers]
    impl Base {
        #[on_open]
        fn open(&self) -> String {
            "base open".to_owned()
        }

        #[on_message]
        fn text(&self, text: String) -> String {
            format!("base {text}")
        }
    }

    #[server_endpoint("/a09/derived")]
    struct Derived {
        #[init(Base)]
        base: Base,
    }

    impl Deref for Derived {
        type Target = Base;

        fn deref(&self) -> &Base {
            &self.base
        }
    }

    #[handlers]
    impl Derived {
        #[on_message]
        fn text(&self, text: String) -> String {
            format!("derived {}", self.base.text(text))
        }
    }

    let configs = [ServerEndpointConfig::of::<Base>(), ServerEndpointConfig::of::<Derived>()];
    let app = these(configs).start().await;
    let mut base = app.connect("/a09/base").await.unwrap();
    assert_eq!(base.text().await, "base open");
    let mut derived = app.connect("/a09/derived").await.unwrap();
    derived.send("x").await.unwrap();
    // There was no `on_open` before it.
    assert_eq!(derived.text().await, "derived base x");
}

/// The preference is the client's: the first of its list that the endpoint supports.
#[tokio::test(start_paused = true)]
async fn a10_the_first_subprotocol_of_the_clients_list_is_agreed_on() {
    let table: [(&[&str], &str); 4] =
        [(&["b", "a"], "b"), (&["a", "b"], "a"), (&["x", "b", "a"], "b"), (&["x", "y", "a"], "a")];
    rows(table.map(|(offered, agreed)| {
        (format!("{offered:?}"), async move {
            let (config, _heard) = teller("/a10", |config| config.subprotocols(["a", "b"]));
            let app = these([config]).start().await;
            let peer = app.connect("/a10").subprotocols(offered).await.unwrap();
            assert_eq!(peer.subprotocol(), Some(agreed));
        })
    }))
    .await;
}

/// An empty close frame is 1005, and is answered by one.
#[tokio::test(start_paused = true)]
async fn a11_an_empty_close_frame_is_1005() {
    let (config, mut heard) = teller("/a11", |config| config);
    let app = these([config]).start().await;
    let mut peer = app.connect("/a11").await.unwrap();
    // The peer, too, says 1005 of an empty frame.
    assert_eq!(peer.close_without_code().await.unwrap().code(), CloseCode::Status);
    heard.expect("open").await;
    heard.expect("close 1005 Peer").await;
}

/// The parameters are those of the path and of the query, in this order.
#[tokio::test(start_paused = true)]
async fn a12_parameters_are_those_of_path_and_query() {
    struct Parameters;

    impl Endpoint for Parameters {
        async fn on_open(&mut self, session: &Session) -> Result<()> {
            Ok(session.send(format!("{:?}", session.handshake().parameters())).await?)
        }
    }

    let config = ServerEndpointConfig::builder("/a12/{a}/{b}", || Parameters).build();
    let app = these([config]).start().await;
    let mut peer = app.connect("/a12/1/2?b=3&c=4&b=5").await.unwrap();
    assert_eq!(peer.text().await, r#"{"a": ["1"], "b": ["2", "3", "5"], "c": ["4"]}"#);
}

/// By default a page of another origin is refused, and who is no browser is not.
#[tokio::test(start_paused = true)]
async fn a13_by_default_only_the_same_origin_may_connect() {
    let table = [
        (None, 101),
        (Some("http://test"), 101),
        (Some("http://elsewhere.example"), 403),
        (Some("https://test"), 403),
        (Some("http://test:8080"), 403),
        (Some("null"), 403),
    ];
    rows(table.map(|(origin, status)| {
        (format!("{origin:?}"), async move {
            let (config, mut heard) = teller("/a13", |config| config);
            let app = these([config]).start().await;
            let connect = app.connect("/a13");
            let connect = if let Some(origin) = origin { connect.origin(origin) } else { connect };
            let found = connect.await.map_or_else(|refused| refused.status(), |_| 101);
            assert_eq!(found, status);
            if status != 101 {
                app.shutdown().await;
                assert_eq!(heard.so_far(), [""; 0], "there was no session");
            }
        })
    }))
    .await;
}

/// A message that no decoder will decode is an error like any other: `on_error`, with the message, and the session stays open.
#[tokio::test(start_paused = true)]
async fn a14_a_message_that_no_decoder_takes_is_a_decode_error() {
    struct Number(u32);

    #[derive(Default)]
    struct Digits;

    impl Decoder for Digits {
        type Input = Text;
        type Value = Number;

        fn will_decode(&self, input: &Text) -> bool {
            input.bytes().all(|byte| byte.is_ascii_digit())
        }

        async fn decode(&mut self, input: Text) -> Result<Number> {
            Ok(Number(input.parse()?))
        }
    }

    #[server_endpoint("/a14", decoders = [Digits])]
    struct Numbers;

    #[handlers]
    impl Numbers {
        #[on_message]
        fn number(&self, Decoded(Number(number)): Decoded<Number>) -> u32 {
            number + 1
        }

        #[on_error]
        fn error(&self, error: &DecodeError) -> String {
            format!("not a number: {}", error.message().as_text().unwrap_or_default())
        }
    }

    let app = these([ServerEndpointConfig::of::<Numbers>()]).start().await;
    let mut peer = app.connect("/a14").await.unwrap();
    for (sent, answer) in [("1", "2"), ("one", "not a number: one"), ("41", "42")] {
        peer.send(sent).await.unwrap();
        assert_eq!(peer.text().await, answer);
    }
}

/// A variable that is not there: a name that the template lacks does not compile (`ui/path_not_in_template.rs`), and where a session
/// comes without its variables, an `Option` is `None` and anything else is refused.
#[tokio::test(start_paused = true)]
async fn a15_a_variable_that_is_not_there_is_none_or_a_refusal() {
    #[server_endpoint("/a15/option/{a}")]
    struct Optional;

    #[handlers]
    impl Optional {
        #[on_open]
        fn open(&self, #[path] a: Option<i64>) -> String {
            format!("{a:?}")
        }
    }

    #[server_endpoint("/a15/plain/{a}")]
    struct Plain;

    #[handlers]
    impl Plain {
        #[on_open]
        fn open(&self, #[path] a: i64) -> i64 {
            a
        }
    }

    let lacking = |config| these([]).with(|exporter| exporter.fallback(Lacking(Arc::new(config))));
    let app = lacking(ServerEndpointConfig::of::<Optional>()).start().await;
    assert_eq!(app.connect("/x").await.unwrap().text().await, "None");
    let app = lacking(ServerEndpointConfig::of::<Plain>()).start().await;
    let refused = app.connect("/x").await.unwrap_err();
    assert_eq!(refused.status(), 400);
    assert!(refused.reason().contains("`a`") && refused.reason().contains("is missing"), "{refused}");
    let source = std::fs::read_to_string("ui/path_not_in_template.stderr").unwrap();
    assert!(source.contains("the endpoint's path has no variable of this name"), "{source}");
}

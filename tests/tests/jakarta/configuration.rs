//! Groups A and O: configurations, reasons and errors as objects, and what of a configuration is there at run time.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    self as runtime, ClosedBy, Configurator, EncodeError, Endpoint, EndpointConfig, Extension,
    ServerEndpointConfig,
};

use crate::stage::{Echo, echo, serve, these, url};
use crate::table::{equal, rows};
use crate::told::{soon, until};

// ---- A: objects without a server

/// `closereason`: every code by its number and by its name.
#[test]
fn close_codes() {
    use CloseCode::{
        Abnormal, Again, Away, Error, Extension, Invalid, Normal, Policy, Protocol, Restart, Size, Status,
        Tls, Unsupported,
    };
    let named = [
        (1000, Normal),
        (1001, Away),
        (1002, Protocol),
        (1003, Unsupported),
        (1005, Status),
        (1006, Abnormal),
        (1007, Invalid),
        (1008, Policy),
        (1009, Size),
        (1010, Extension),
        (1011, Error),
        (1012, Restart),
        (1013, Again),
        (1015, Tls),
    ];
    equal(named.map(|(number, code)| (number, (CloseCode::from(number), u16::from(code)), (code, number))));
    // Those without a name: the reserved one, and an application's own.
    equal(
        [1004, 3000, 3999, 4000, 4999]
            .map(|number: u16| (number, u16::from(CloseReason::new(number, "").code()), number)),
    );
}

/// SES-33: a reason has a code, and a text of at most 123 bytes, which may be absent.
#[test]
fn close_reasons() {
    let of = |reason: &CloseReason| (u16::from(reason.code()), reason.text().to_owned());
    let reason = |code: u16, text: &str| (code, text.to_owned());
    let long = "x".repeat(123);
    equal([
        ("code and text", of(&CloseReason::new(CloseCode::Size, "TCKCloseNow")), reason(1009, "TCKCloseNow")),
        ("by number", of(&CloseReason::new(4711, "own")), reason(4711, "own")),
        ("without text", of(&CloseReason::new(CloseCode::Away, "")), reason(1001, "")),
        ("the longest text", of(&CloseReason::new(1000, long.as_str())), reason(1000, &long)),
        ("a longer text is cut", of(&CloseReason::new(1000, "x".repeat(124))), reason(1000, &long)),
        (
            "and not within a character",
            of(&CloseReason::new(1000, "ö".repeat(62))),
            reason(1000, &"ö".repeat(61)),
        ),
        ("normal", of(&CloseReason::normal()), reason(1000, "")),
        ("away", of(&CloseReason::away("a")), reason(1001, "a")),
        ("policy", of(&CloseReason::policy("p")), reason(1008, "p")),
        ("error", of(&CloseReason::error("e")), reason(1011, "e")),
    ]);
    assert_eq!(CloseReason::normal().closed_by(), ClosedBy::Application);
}

/// CD-16, EX-03: errors keep what they are about, and their causes.
#[test]
fn errors_keep_what_they_are_about() {
    let cause = || io::Error::other("the cause");
    let caused = |error: &dyn std::error::Error| {
        error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(ToString::to_string)
    };
    let (text, bytes) = (DecodeError::text("text", cause()), DecodeError::binary(b"bytes", cause()));
    let encode = EncodeError::new(cause());
    let some = |text: &str| Some(text.to_owned());
    equal([
        ("DecodeException.getText", text.message().as_text().map(str::to_owned), some("text")),
        ("DecodeException.getText of bytes", bytes.message().as_text().map(str::to_owned), None),
        ("DecodeException.getBytes", Some(format!("{:?}", bytes.message())), some("Binary(b\"bytes\")")),
        ("DecodeException.getMessage", Some(text.to_string()), some("cannot decode the message: the cause")),
        ("DecodeException.getCause", caused(&text), some("the cause")),
        (
            "EncodeException.getMessage",
            Some(encode.to_string()),
            some("cannot encode the message: the cause"),
        ),
        ("EncodeException.getCause", caused(&encode), some("the cause")),
        ("of an Error", Some(Error::from(bytes).to_string()), some("cannot decode the message: the cause")),
    ]);
    let kept = Error::from(text);
    assert_eq!(kept.downcast_ref::<DecodeError>().unwrap().message().as_text(), Some("text"));
}

/// `serverendpointconfig`: what is built is what was given, and what was not given is empty.
#[test]
fn server_configurations() {
    let everything = ServerEndpointConfig::builder("/a/{b}", || Echo)
        .subprotocols(["second", "first"])
        .extensions([Extension::new("x-two").with("a", "1"), Extension::new("x-one")])
        .require_subprotocol()
        .configurator(Counted::default())
        .attribute(7u8)
        .build();
    let nothing = echo("/a");
    let shown = |config: &ServerEndpointConfig| {
        format!(
            "{} {} {:?} {:?} {}",
            config.path(),
            config.type_name(),
            config.subprotocols(),
            config.extensions().iter().map(ToString::to_string).collect::<Vec<_>>(),
            config.requires_subprotocol()
        )
    };
    let annotated = ServerEndpointConfig::of::<Full>();
    equal([
        (
            "everything",
            shown(&everything),
            r#"/a/{b} Echo ["second", "first"] ["x-two; a=1", "x-one"] true"#.to_owned(),
        ),
        ("nothing", shown(&nothing), "/a Echo [] [] false".to_owned()),
        ("a clone", shown(&everything.clone()), shown(&everything)),
        ("annotated, everything", shown(&annotated), r#"/o/full/{x} Full ["b", "a"] [] false"#.to_owned()),
        (
            "annotated, nothing",
            shown(&ServerEndpointConfig::of::<Plain>()),
            "/o/plain Plain [] [] false".to_owned(),
        ),
    ]);
    assert!(nothing.is::<Echo>() && !nothing.is::<Full>() && annotated.is::<Full>());
    assert!(
        nothing.place().to_string().starts_with(file!())
            && annotated.place().to_string().starts_with(file!())
    );
}

/// `clientendpointconfig`, `websocketcontainer` (CL-08, CL-13 to CL-16): what a client is set to is what its sessions have, each of
/// which may have it changed for itself.
#[tokio::test]
async fn client_configurations() {
    struct Silent;

    impl Endpoint for Silent {}

    let seconds = Duration::from_secs;
    type Limits = (Option<Duration>, Option<Duration>, usize, usize);
    let limits = |session: &Session| -> Limits {
        (session.idle_timeout(), session.send_timeout(), session.max_text_size(), session.max_binary_size())
    };
    let server = &serve([echo("/a/client")]).await;
    let connect = async |client: &runtime::Client| {
        soon("connecting", client.connect(Silent, url(server, "/a/client"))).await.unwrap()
    };
    let defaults: Limits = (None, Some(seconds(20)), 65_536, 65_536);
    let (plain, set) = (runtime::client(), runtime::client().idle_timeout(Some(seconds(9))));
    let set = set.send_timeout(seconds(7)).max_message_size(1000);
    // What is set on a clone is the clone's own, though they share their sessions.
    let changed = plain.clone().idle_timeout(Some(seconds(5))).idle_timeout(None).max_message_size(10);
    let sessions = [connect(&plain).await, connect(&set).await, connect(&changed).await];
    let tuned = connect(&plain).await;
    tuned.set_idle_timeout(seconds(3));
    tuned.set_send_timeout(seconds(4));
    tuned.set_max_text_size(5);
    tuned.set_max_binary_size(6);
    equal([
        ("defaults", limits(&sessions[0]), defaults),
        ("set", limits(&sessions[1]), (Some(seconds(9)), Some(seconds(7)), 1000, 1000)),
        ("set on a clone", limits(&sessions[2]), (None, Some(seconds(20)), 10, 10)),
        ("set on a session", limits(&tuned), (Some(seconds(3)), Some(seconds(4)), 5, 6)),
    ]);
    // A session enters its container beside the caller.
    until("the sessions", || (plain.sessions().count(), set.sessions().count()) == (3, 1)).await;
    let config = sessions[1].config();
    assert_eq!((config.path(), config.type_name(), config.max_message_size()), ("/a/client", "Silent", 1000));
    assert!(config.subprotocols().is_empty() && config.extensions().is_empty());

    let client = plain.subprotocols(["b", "a"]);
    let session = connect(&client).await;
    assert_eq!(session.handshake().offered_subprotocols().collect::<Vec<_>>(), ["b", "a"]);
    let extensions: Vec<_> = session.extensions().iter().map(Extension::name).collect();
    assert_eq!((session.subprotocol(), &extensions[..]), (None, &["permessage-deflate"][..]));
}

// ---- O: configurations at run time

static MADE: AtomicUsize = AtomicUsize::new(0);

/// Has a number, and counts its connections.
struct Counted {
    number: usize,
    connections: AtomicUsize,
}

impl Default for Counted {
    fn default() -> Self {
        Counted { number: MADE.fetch_add(1, Ordering::Relaxed), connections: AtomicUsize::new(0) }
    }
}

impl Configurator for Counted {
    fn configure(&self, _: Option<&Handshake>, _: &mut dyn Any) -> Result<()> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// What the configuration says within `on_open`.
fn shown(config: &EndpointConfig) -> String {
    format!(
        "{} {} {:?} {} {} {}",
        config.path(),
        config.type_name(),
        config.subprotocols(),
        config.extensions().iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        config.max_message_size(),
        config.configurator::<Counted>().is_some(),
    )
}

#[server_endpoint("/o/full/{x}", subprotocols = ["b", "a"], max_message_size = 1000, configurator = Counted)]
struct Full;

#[server_endpoint("/o/plain")]
struct Plain;

macro_rules! shows {
    ($($name:ident)*) => {
        $(
            #[handlers]
            impl $name {
                #[on_open]
                fn open(&self, config: &EndpointConfig, session: &Session) -> String {
                    assert_eq!(shown(config), shown(session.config()));
                    assert!(config.is::<$name>());
                    shown(config)
                }
            }
        )*
    };
}

shows!(Full Plain);

struct Shows;

impl Endpoint for Shows {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        Ok(session.send(shown(session.config())).await?)
    }
}

/// SE-02 to SE-06: what is configured is what `on_open` finds; lists have their order, and what was not given is empty.
#[tokio::test(start_paused = true)]
async fn the_configuration_is_there_in_on_open() {
    let builder = |path| ServerEndpointConfig::builder(path, || Shows);
    let table = [
        (
            "annotated",
            ServerEndpointConfig::of::<Full>(),
            "/o/full/1",
            r#"/o/full/{x} Full ["b", "a"]  1000 true"#,
        ),
        (
            "annotated, defaults",
            ServerEndpointConfig::of::<Plain>(),
            "/o/plain",
            "/o/plain Plain []  65536 false",
        ),
        (
            "programmatic",
            builder("/o/built/{x}/{y}")
                .subprotocols(["z", "y", "x"])
                .extensions([Extension::new("x-b").with("k", "v"), Extension::new("x-a")])
                .max_message_size(77)
                .configurator(Counted::default())
                .build(),
            "/o/built/1/2",
            r#"/o/built/{x}/{y} Shows ["z", "y", "x"] x-b; k=v,x-a 77 true"#,
        ),
        ("programmatic, defaults", builder("/o/bare").build(), "/o/bare", "/o/bare Shows []  65536 false"),
    ];
    rows(table.map(|(name, config, path, expected)| {
        (name, async move {
            let app = these([config]).start().await;
            assert_eq!(app.connect(path).await.unwrap().text().await, expected);
        })
    }))
    .await;
}

/// SE-09: each session begins with a shallow copy of the configuration's properties. What one changes no other sees, in this run and the next.
#[tokio::test(start_paused = true)]
async fn user_properties_are_copied_for_each_session() {
    #[derive(Clone)]
    struct Notes(Vec<&'static str>);

    /// Adds what the handshake says, and may take a property away.
    struct Adds;

    impl Configurator for Adds {
        fn modify_handshake(&self, handshake: &Handshake, _: &mut http::HeaderMap) {
            let attributes = handshake.attributes();
            let Some(Notes(mut notes)) = attributes.get() else { return };
            notes.push("modify_handshake");
            attributes.insert(Notes(notes));
        }
    }

    struct Reads;

    impl Endpoint for Reads {
        async fn on_open(&mut self, session: &Session) -> Result<()> {
            let attributes = session.attributes();
            let shared =
                attributes.get::<Arc<AtomicUsize>>().map(|shared| shared.fetch_add(1, Ordering::Relaxed));
            let notes = attributes.get().map(|Notes(notes)| notes);
            session.send(format!("{notes:?} {shared:?} {}", attributes.contains::<u8>())).await?;
            attributes.insert(Notes(vec!["changed"]));
            attributes.insert(1u8);
            Ok(())
        }
    }

    let with = ServerEndpointConfig::builder("/o/properties", || Reads)
        .attribute(Notes(vec!["configured"]))
        .attribute(Arc::new(AtomicUsize::new(0)))
        .configurator(Adds)
        .build();
    let without = ServerEndpointConfig::builder("/o/no-properties", || Reads).build();
    // The same configuration is served twice.
    let mut shared = 0..;
    for run in ["first run", "second run"] {
        let app = these([with.clone(), without.clone()]).start().await;
        for connection in ["first connection", "second connection"] {
            let text = app.connect("/o/properties").await.unwrap().text().await;
            let expected = format!(r#"Some(["configured", "modify_handshake"]) {:?} false"#, shared.next());
            assert_eq!(text, expected, "{run}, {connection}");
            let text = app.connect("/o/no-properties").await.unwrap().text().await;
            assert_eq!(text, "None None false", "{run}, {connection}: the default is empty");
        }
    }
}

/// SE-04, CF-07, `countConfigurationInstances`: one configurator for each endpoint, which its sessions share.
#[tokio::test(start_paused = true)]
async fn each_endpoint_has_one_configurator() {
    macro_rules! counted {
        ($($name:ident $path:literal)*) => {
            $(
                #[server_endpoint($path, configurator = Counted)]
                struct $name;

                #[handlers]
                impl $name {
                    #[on_open]
                    fn open(&self, config: &EndpointConfig) -> String {
                        let counted = config.configurator::<Counted>().unwrap();
                        format!("{} {}", counted.number, counted.connections.load(Ordering::Relaxed))
                    }
                }
            )*
        };
    }
    counted!(One "/o/one" Two "/o/two");
    let app = these([ServerEndpointConfig::of::<One>(), ServerEndpointConfig::of::<Two>()]).start().await;
    let mut numbers = Vec::new();
    for path in ["/o/one", "/o/two", "/o/one", "/o/two", "/o/two"] {
        let text = app.connect(path).await.unwrap().text().await;
        let (number, connections) = text.split_once(' ').unwrap();
        numbers.push((number.to_owned(), connections.to_owned()));
    }
    let (one, two) = (numbers[0].0.clone(), numbers[1].0.clone());
    assert_ne!(one, two);
    let expected = [(&one, "1"), (&two, "1"), (&one, "2"), (&two, "2"), (&two, "3")];
    equal(
        numbers
            .into_iter()
            .zip(expected)
            .map(|(found, expected)| ("connection", found, (expected.0.clone(), expected.1.to_owned()))),
    );
}

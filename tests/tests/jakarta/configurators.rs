//! Group N: configurators, what each of their hooks is asked, and what becomes of its answer.

use std::any::Any;
use std::sync::Mutex;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Configurator, Endpoint, Extension, ServerEndpointConfig};
use http::{HeaderMap, HeaderValue};

use crate::stage::{serve, these, url};
use crate::table::rows;
use crate::told::{Told, diary, soon};

/// A client that hears nothing.
struct Silent;

impl Endpoint for Silent {}

/// Tells what each of its hooks is asked, and answers as the row wants.
struct Hooks {
    told: Told,
    /// What `check_origin` says.
    admits: bool,
    /// What `subprotocol` and `extensions` say; `None`: what is usual.
    subprotocol: Option<&'static str>,
    extensions: Option<Vec<Extension>>,
}

fn list<T: ToString>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(" | ")
}

/// What a configurator does that writes no hook.
struct Usual;

impl Configurator for Usual {}

impl Configurator for Hooks {
    fn check_origin(&self, handshake: &Handshake, _: bool) -> bool {
        self.told.tell(format_args!("check_origin {:?}", handshake.header("origin")));
        self.admits
    }

    fn subprotocol(&self, supported: &[Text], requested: &[&str]) -> Option<Text> {
        self.told.tell(format_args!(
            "subprotocol supported {} requested {}",
            list(supported),
            list(requested)
        ));
        match self.subprotocol {
            Some(chosen) => Some(chosen.into()),
            None => Usual.subprotocol(supported, requested),
        }
    }

    fn extensions(&self, installed: &[Extension], requested: &[Extension]) -> Vec<Extension> {
        self.told.tell(format_args!(
            "extensions installed {} requested {}",
            list(installed),
            list(requested)
        ));
        match &self.extensions {
            Some(chosen) => chosen.clone(),
            None => Usual.extensions(installed, requested),
        }
    }

    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap) {
        let header = |name: &str| response.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (subprotocol, extensions) =
            (header("sec-websocket-protocol"), header("sec-websocket-extensions"));
        self.told.tell(format_args!(
            "modify_handshake request {} response {subprotocol:?} {extensions:?}",
            handshake.path()
        ));
        // It may change what it likes of the response.
        response.insert("x-modified", HeaderValue::from_static("yes"));
    }

    fn configure(&self, handshake: Option<&Handshake>, instance: &mut dyn Any) -> Result<()> {
        self.told.tell(format_args!("configure {} {}", handshake.is_some(), instance.is::<Opened>()));
        Ok(())
    }
}

struct Opened(Told);

impl Endpoint for Opened {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let extensions = list(session.extensions());
        self.0.tell(format_args!("on_open {:?} {extensions}", session.subprotocol().unwrap_or_default()));
        Ok(())
    }
}

/// A handshake, and everything that its hooks and the session then tell.
struct Case {
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    admits: bool,
    subprotocol: Option<&'static str>,
    extensions: Option<fn() -> Vec<Extension>>,
    status: u16,
    /// The answer's `Sec-WebSocket-Protocol` and `Sec-WebSocket-Extensions`.
    agreed: (Option<&'static str>, Option<&'static str>),
    told: Vec<&'static str>,
}

const CASE: Case = Case {
    name: "",
    headers: &[],
    admits: true,
    subprotocol: None,
    extensions: None,
    status: 101,
    agreed: (None, None),
    told: Vec::new(),
};

impl Case {
    async fn run(self) {
        let (told, mut heard) = diary();
        let hooks = Hooks {
            told: told.clone(),
            admits: self.admits,
            subprotocol: self.subprotocol,
            extensions: self.extensions.map(|extensions| extensions()),
        };
        let config = ServerEndpointConfig::builder("/n/hooks", move || Opened(told.clone()))
            .subprotocols(["v2", "v1"])
            .extensions([Extension::new("x-one"), Extension::new("x-two")])
            .configurator(hooks)
            .build();
        let app = these([config]).start().await;
        let mut connect = app.connect("/n/hooks");
        for (name, value) in self.headers {
            connect = connect.header(name, value);
        }
        if self.status == 101 {
            let headers = connect.await.unwrap().headers().clone();
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((header("sec-websocket-protocol"), header("sec-websocket-extensions")), self.agreed);
            assert_eq!(header("x-modified"), Some("yes"));
            assert_eq!(heard.up_to("on_open").await, self.told);
        } else {
            assert_eq!(connect.await.unwrap_err().status(), self.status);
            assert_eq!(app.sessions().count(), 0);
            app.shutdown().await;
            assert_eq!(heard.so_far(), self.told);
        }
    }
}

/// CF-01 to CF-05: what each hook is asked, in which order, and what becomes of its answer.
#[tokio::test(start_paused = true)]
async fn every_hook_is_asked_and_obeyed() {
    const NO_SUBPROTOCOL: &str = "subprotocol supported v2 | v1 requested ";
    const NO_EXTENSIONS: &str = "extensions installed x-one | x-two | permessage-deflate requested ";
    const NOTHING_AGREED: &str = "modify_handshake request /n/hooks response None None";
    const CONFIGURE: &str = "configure true true";
    let table = [
        Case {
            name: "checkOrigin is told the origin",
            headers: &[("origin", "https://elsewhere.example")],
            told: vec![
                "check_origin Some(\"https://elsewhere.example\")",
                NO_SUBPROTOCOL,
                NO_EXTENSIONS,
                NOTHING_AGREED,
                CONFIGURE,
                "on_open \"\" ",
            ],
            ..CASE
        },
        Case {
            name: "checkOrigin is told that there is none, and modifyHandshake comes after it",
            told: vec![
                "check_origin None",
                NO_SUBPROTOCOL,
                NO_EXTENSIONS,
                NOTHING_AGREED,
                CONFIGURE,
                "on_open \"\" ",
            ],
            ..CASE
        },
        // Nothing else is asked, and there is no session: the kit's own test could not fail.
        Case {
            name: "checkOrigin returns false",
            headers: &[("origin", "http://test")],
            admits: false,
            status: 403,
            told: vec!["check_origin Some(\"http://test\")"],
            ..CASE
        },
        Case {
            name: "checkOrigin returns false without an origin",
            admits: false,
            status: 403,
            told: vec!["check_origin None"],
            ..CASE
        },
        Case {
            name: "getNegotiatedSubprotocol: requested, supported, and the first of the client's",
            headers: &[("sec-websocket-protocol", "v3, v1, v2")],
            agreed: (Some("v1"), None),
            told: vec![
                "check_origin None",
                "subprotocol supported v2 | v1 requested v3 | v1 | v2",
                NO_EXTENSIONS,
                "modify_handshake request /n/hooks response Some(\"v1\") None",
                CONFIGURE,
                "on_open \"v1\" ",
            ],
            ..CASE
        },
        Case {
            name: "getNegotiatedSubprotocol: its result",
            headers: &[("sec-websocket-protocol", "v3, v1, v2")],
            subprotocol: Some("v2"),
            agreed: (Some("v2"), None),
            told: vec![
                "check_origin None",
                "subprotocol supported v2 | v1 requested v3 | v1 | v2",
                NO_EXTENSIONS,
                "modify_handshake request /n/hooks response Some(\"v2\") None",
                CONFIGURE,
                "on_open \"v2\" ",
            ],
            ..CASE
        },
        Case {
            name: "getNegotiatedExtensions: requested and installed, in requested order",
            headers: &[("sec-websocket-extensions", "x-two; a=1; b, x-none, x-one")],
            agreed: (None, Some("x-two; a=1; b, x-one")),
            told: vec![
                "check_origin None",
                NO_SUBPROTOCOL,
                "extensions installed x-one | x-two | permessage-deflate requested x-two; a=1; b | x-none | x-one",
                "modify_handshake request /n/hooks response None Some(\"x-two; a=1; b, x-one\")",
                CONFIGURE,
                "on_open \"\" x-two; a=1; b | x-one",
            ],
            ..CASE
        },
        Case {
            name: "getNegotiatedExtensions: its result",
            headers: &[("sec-websocket-extensions", "x-two; a=1, x-one")],
            extensions: Some(|| vec![Extension::new("x-two").with("a", "2")]),
            agreed: (None, Some("x-two; a=2")),
            told: vec![
                "check_origin None",
                NO_SUBPROTOCOL,
                "extensions installed x-one | x-two | permessage-deflate requested x-two; a=1 | x-one",
                "modify_handshake request /n/hooks response None Some(\"x-two; a=2\")",
                CONFIGURE,
                "on_open \"\" x-two; a=2",
            ],
            ..CASE
        },
        Case {
            name: "getNegotiatedExtensions: none of them",
            headers: &[("sec-websocket-extensions", "x-two, x-one")],
            extensions: Some(Vec::new),
            told: vec![
                "check_origin None",
                NO_SUBPROTOCOL,
                "extensions installed x-one | x-two | permessage-deflate requested x-two | x-one",
                NOTHING_AGREED,
                CONFIGURE,
                "on_open \"\" ",
            ],
            ..CASE
        },
    ];
    rows(table.map(|case| (case.name, case.run()))).await;
}

/// CF-02: no subprotocol in common is no failure; the session has none on either side, and there is no header.
#[tokio::test]
async fn without_a_common_subprotocol_there_is_none() {
    let offers: [(&str, &[&str]); 3] =
        [("another", &["v3"]), ("in other letters", &["V1"]), ("none at all", &[])];
    rows(offers.map(|(name, offered)| {
        (name, async move {
            let (told, mut heard) = diary();
            let config = ServerEndpointConfig::builder("/n/none", move || Opened(told.clone()))
                .subprotocols(["v2", "v1"])
                .configurator(Usual)
                .build();
            let server = serve([config]).await;
            let client =
                runtime::client().subprotocols(offered.iter().copied()).compression(Compression::Off);
            let session = soon("connecting", client.connect(Silent, url(&server, "/n/none"))).await.unwrap();
            assert_eq!(session.handshake().offered_subprotocols().collect::<Vec<_>>(), offered);
            assert_eq!(session.subprotocol(), None);
            assert!(!session.handshake().response_headers().unwrap().contains_key("sec-websocket-protocol"));
            heard.expect("on_open \"\" ").await;
            assert!(session.is_open());
        })
    }))
    .await;
}

/// CF-05: the instance hook is called for each connection, with an instance of its own.
#[tokio::test(start_paused = true)]
async fn the_instance_hook_is_called_for_each_connection() {
    struct Numbers(Mutex<u32>);

    impl Configurator for Numbers {
        fn configure(&self, _: Option<&Handshake>, instance: &mut dyn Any) -> Result<()> {
            let mut number = self.0.lock().unwrap();
            *number += 1;
            instance.downcast_mut::<Numbered>().ok_or_else(|| Error::msg("not mine"))?.0 += *number;
            Ok(())
        }
    }

    struct Numbered(u32);

    impl Endpoint for Numbered {
        async fn on_message(&mut self, session: &Session, _: Message) -> Result<()> {
            Ok(session.send(self.0).await?)
        }
    }

    let config = ServerEndpointConfig::builder("/n/instances", || Numbered(100))
        .configurator(Numbers(Mutex::default()))
        .build();
    let app = these([config]).start().await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(app.connect("/n/instances").await.unwrap());
    }
    for (peer, number) in peers.iter_mut().zip(["101", "102", "103"]) {
        for _ in 0..2 {
            peer.send("").await.unwrap();
            assert_eq!(peer.text().await, number);
        }
    }
}

/// CF-06: who writes no hook has the usual ones, and so has who has no configurator.
#[tokio::test(start_paused = true)]
async fn the_default_configurator_does_what_is_usual() {
    let table = [("a configurator without hooks", true), ("none", false)];
    rows(table.map(|(name, configured)| {
        (name, async move {
            let (told, mut heard) = diary();
            let mut builder = ServerEndpointConfig::builder("/n/usual", move || Opened(told.clone()))
                .subprotocols(["v2", "v1"])
                .extensions([Extension::new("x-one"), Extension::new("x-two")]);
            if configured {
                builder = builder.configurator(Usual);
            }
            let app = these([builder.build()]).start().await;
            let refused = app.connect("/n/usual").origin("https://elsewhere.example").await.unwrap_err();
            assert_eq!(refused.status(), 403);
            let offer = ("sec-websocket-extensions", "x-two, x-none, x-one");
            let connect = app.connect("/n/usual").origin("http://test").header(offer.0, offer.1);
            let peer = connect.subprotocols(&["v1", "v2"]).await.unwrap();
            assert_eq!(peer.subprotocol(), Some("v1"));
            heard.expect("on_open \"v1\" x-two | x-one").await;
            assert!(peer.headers().get("x-modified").is_none());
        })
    }))
    .await;
}

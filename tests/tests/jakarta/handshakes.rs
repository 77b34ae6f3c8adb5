//! Groups M and N: the handshake, and configurators.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    self as runtime, Configurator, ConnectError, Endpoint, Extension, Refusal, Server, ServerEndpointConfig,
};
use http::{HeaderMap, HeaderValue};

use super::rows::{Echo, Told, diary, equal, rows, serve, soon, these, until, url};

/// A client that hears nothing.
struct Silent;

impl Endpoint for Silent {}

// ---- M: the request

type Facts = BTreeMap<&'static str, String>;

/// All that a handshake says, by the names of the kit's tests.
fn facts(handshake: &Handshake) -> Facts {
    let headers = |name: &str| format!("{:?}", handshake.headers().get_all(name).iter().collect::<Vec<_>>());
    let parameter = |name: &str| format!("{:?}", handshake.parameters().get(name));
    let addresses = || (handshake.peer_addr().unwrap(), handshake.local_addr().unwrap());
    BTreeMap::from([
        ("getHeaders", headers("x-custom")),
        ("getHeaders, upper case", headers("X-CUSTOM")),
        ("getHeaders, one of them", format!("{:?}", handshake.header("x-CuStOm"))),
        ("getHeaders, absent", headers("x-absent")),
        ("getParameterMap, path", parameter("room")),
        ("getParameterMap, query", parameter("lang")),
        ("getParameterMap, several values", parameter("many")),
        ("getParameterMap, path and query", parameter("seat")),
        ("getParameterMap, decoded", parameter("a b")),
        ("getParameterMap, without value", parameter("flag")),
        ("getParameterMap, absent", parameter("absent")),
        ("getParameterMap, size", handshake.parameters().len().to_string()),
        ("getQueryString", format!("{:?}", handshake.query())),
        ("getRequestURI", handshake.url().to_string()),
        ("getRequestURI, as it was sent", handshake.uri().to_string()),
        ("getUserPrincipal", format!("{:?}", handshake.extensions().get::<Principal<String>>())),
        ("getRemoteAddress", addresses().0.ip().to_string()),
        ("getRemotePort", addresses().0.port().to_string()),
        ("getLocalAddress", addresses().1.ip().to_string()),
        ("getLocalPort", addresses().1.port().to_string()),
        ("getPreferredLocale", format!("{:?}", handshake.locales().first())),
        ("all locales", format!("{:?}", handshake.locales())),
        ("isSecure", handshake.is_secure().to_string()),
    ])
}

/// Keeps what each of the hooks that see the request has seen of it.
#[derive(Clone, Default)]
struct Looks(Arc<Mutex<Vec<(&'static str, Facts)>>>);

impl Looks {
    fn look(&self, place: &'static str, handshake: &Handshake) {
        self.0.lock().unwrap().push((place, facts(handshake)));
    }
}

impl Configurator for Looks {
    fn check_origin(&self, handshake: &Handshake, allowed: bool) -> bool {
        self.look("check_origin", handshake);
        allowed
    }

    fn modify_handshake(&self, handshake: &Handshake, _: &mut HeaderMap) {
        self.look("modify_handshake", handshake);
    }
}

/// HS-01 to HS-04, HS-08, SES-24 to SES-27: what the request says, says it to the configurator and to the session, and after the session too.
#[tokio::test]
async fn the_request_is_the_same_for_the_configurator_and_the_session() {
    let looks = Looks::default();
    let config =
        ServerEndpointConfig::builder("/m/{room}/{seat}", || Echo).configurator(looks.clone()).build();
    let server = serve([config]).await;
    let path = "/m/blue%20room/7?lang=en&many=1&many=2&seat=8&a+b=c%26d&flag";
    let client = runtime::client()
        .header("X-Custom", "one")
        .header("x-CUSTOM", "two")
        .header("Accept-Language", "en;q=0.5, de-AT, eo;q=0.9");
    let session = soon("connecting", client.connect(Silent, url(&server, path))).await.unwrap();
    let accepted = only_session(&server).await;
    looks.look("the session", accepted.handshake());
    soon("closing", session.close(CloseReason::normal())).await.unwrap();
    until("the end", || accepted.close_reason().is_some()).await;
    looks.look("the session, closed", accepted.handshake());

    let port = server.local_addr().port().to_string();
    let peer = session.handshake().local_addr().unwrap().port().to_string();
    let whole = format!("ws://127.0.0.1:{port}{path}");
    let expected: Facts = [
        ("getHeaders", r#"["one", "two"]"#),
        ("getHeaders, upper case", r#"["one", "two"]"#),
        ("getHeaders, one of them", r#"Some("one")"#),
        ("getHeaders, absent", "[]"),
        ("getParameterMap, path", r#"Some(["blue room"])"#),
        ("getParameterMap, query", r#"Some(["en"])"#),
        ("getParameterMap, several values", r#"Some(["1", "2"])"#),
        ("getParameterMap, path and query", r#"Some(["7", "8"])"#),
        ("getParameterMap, decoded", r#"Some(["c&d"])"#),
        ("getParameterMap, without value", r#"Some([""])"#),
        ("getParameterMap, absent", "None"),
        ("getParameterMap, size", "6"),
        ("getQueryString", r#"Some("lang=en&many=1&many=2&seat=8&a+b=c%26d&flag")"#),
        ("getRequestURI", &whole),
        ("getRequestURI, as it was sent", path),
        ("getUserPrincipal", "None"),
        ("getRemoteAddress", "127.0.0.1"),
        ("getRemotePort", &peer),
        ("getLocalAddress", "127.0.0.1"),
        ("getLocalPort", &port),
        ("getPreferredLocale", r#"Some("de-AT")"#),
        ("all locales", r#"["de-AT", "eo", "en"]"#),
        ("isSecure", "false"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    let seen = looks.0.lock().unwrap().clone();
    let places: Vec<_> = seen.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, ["check_origin", "modify_handshake", "the session", "the session, closed"]);
    equal(seen.into_iter().flat_map(|(place, seen)| {
        assert!(seen.keys().eq(expected.keys()), "every fact has its row");
        let expected = expected.clone();
        seen.into_iter()
            .map(move |(name, value)| (format!("{name} in {place}"), value, expected[name].clone()))
    }));
}

async fn only_session(server: &Server) -> Session {
    until("a session", || server.sessions().count() == 1).await;
    server.sessions().all().iter().next().unwrap()
}

// ---- M: the response

/// Answers the request's headers with others.
struct Answers;

impl Configurator for Answers {
    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap) {
        let asked = handshake.header("x-asked").unwrap_or("nothing");
        response.insert("x-answered", HeaderValue::try_from(asked).unwrap());
        response.append("x-several", HeaderValue::from_static("one"));
        response.append("x-several", HeaderValue::from_static("two"));
    }

    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        match handshake.query() {
            Some("refuse") => {
                let name = http::HeaderName::from_static("x-answered");
                Err(Refusal::forbidden("no").header(name, HeaderValue::from_static("no")))
            }
            _ => Ok(()),
        }
    }
}

/// HS-09, CL-10, CL-11: what one side's hook puts into its headers, the other side's hook sees; so it is when the connection fails.
#[tokio::test]
async fn headers_of_both_directions_reach_the_other_sides_hook() {
    let config = ServerEndpointConfig::builder("/m/answers", || Echo).configurator(Answers).build();
    let server = &serve([config]).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("ws://{}/m/answers", nobody.local_addr().unwrap());
    drop(nobody);
    // Where to, and what `after_response` sees of the answer, once: its status, and two headers; nothing where there was no answer.
    let table = [
        (
            "accepted",
            url(server, "/m/answers"),
            Some((101, "[\"before the request\"]", "[\"one\", \"two\"]")),
        ),
        ("refused", url(server, "/m/answers?refuse"), Some((403, "[\"no\"]", "[]"))),
        ("no match", url(server, "/m/elsewhere"), Some((404, "[]", "[]"))),
        ("no server", nowhere, None),
    ];
    rows(table.map(|(name, url, expected)| {
        (name, async move {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let hook = Arc::clone(&seen);
            let client = runtime::client()
                .before_request(|headers| {
                    headers.insert("x-asked", HeaderValue::from_static("before the request"));
                })
                .after_response(move |answer| {
                    let values = |name: &str| {
                        let all =
                            answer.map(|answer| answer.headers.get_all(name).iter().collect::<Vec<_>>());
                        format!("{:?}", all.unwrap_or_default())
                    };
                    let status = answer.map(|answer| answer.status.as_u16());
                    hook.lock().unwrap().push((status, values("x-answered"), values("x-several")));
                });
            let result = soon("connecting", client.connect(Silent, url)).await;
            match (&result, expected) {
                (Ok(session), Some((101, ..))) => {
                    let headers = session.handshake().response_headers().unwrap();
                    assert_eq!(headers["x-answered"], "before the request");
                }
                (Err(error @ ConnectError::Refused { .. }), Some((status, ..))) => {
                    assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
                }
                (Err(ConnectError::Io { .. }), None) => {}
                _ => panic!("{result:?}"),
            }
            let expected = match expected {
                Some((status, answered, several)) => (Some(status), answered.to_owned(), several.to_owned()),
                None => (None, "[]".to_owned(), "[]".to_owned()),
            };
            assert_eq!(*seen.lock().unwrap(), [expected]);
        })
    }))
    .await;
}

// ---- N

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
    const NO_EXTENSIONS: &str = "extensions installed x-one | x-two requested ";
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
                "extensions installed x-one | x-two requested x-two; a=1; b | x-none | x-one",
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
                "extensions installed x-one | x-two requested x-two; a=1 | x-one",
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
                "extensions installed x-one | x-two requested x-two | x-one",
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
            let client = runtime::client().subprotocols(offered.iter().copied());
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

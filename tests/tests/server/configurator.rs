//! Configurators: their hooks, in which order they are called and with what, and what becomes of a handshake whose configurator refuses,
//! panics or hangs.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    Configurator, Context, Endpoint, EndpointConfig, Extension, Refusal, ServerEndpointConfig,
};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SET_COOKIE};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::support::{
    Answer, Echo, Raw, capture, close, connect, connect_with, next_text, only, only_these, says_back, soon,
    start, text, upgrade,
};

/// Says hello, and everything back.
struct Greeter;

impl Endpoint for Greeter {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        Ok(session.send("hello").await?)
    }

    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        Ok(session.send(message).await?)
    }
}

/// The greeter at a path, with a configurator.
#[track_caller]
fn greeter(path: &str, configurator: impl Configurator) -> ServerEndpointConfig {
    ServerEndpointConfig::builder(path, || Greeter).configurator(configurator).build()
}

/// One handshake at a server of this endpoint alone.
async fn one_answer(config: ServerEndpointConfig, lines: &[&str]) -> Answer {
    let path = config.path().to_owned();
    let server = start(only_these([config])).await;
    Raw::connect(server.local_addr()).await.ask(upgrade(&path, lines)).await
}

// ---- the order

/// Notes every call of its hooks.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn note(&self, call: String) {
        self.0.lock().unwrap().push(call);
    }
}

impl Configurator for Recorder {
    fn check_origin(&self, handshake: &Handshake, allowed: bool) -> bool {
        self.note(format!("check_origin {} {allowed}", handshake.path()));
        allowed
    }

    async fn check(
        &self,
        handshake: &mut Handshake,
        application: &ApplicationContext,
    ) -> Result<(), Refusal> {
        tokio::task::yield_now().await;
        let component = application.get::<String>().unwrap();
        self.note(format!("check {:?} {component}", handshake.path_param("name")));
        Ok(())
    }

    fn subprotocol(&self, supported: &[Text], requested: &[&str]) -> Option<Text> {
        self.note(format!("subprotocol {supported:?} {requested:?}"));
        supported.first().cloned()
    }

    fn extensions(&self, installed: &[Extension], requested: &[Extension]) -> Vec<Extension> {
        self.note(format!("extensions {} {}", installed.len(), requested[0]));
        Vec::new()
    }

    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap) {
        let accept = response.get(SEC_WEBSOCKET_ACCEPT);
        self.note(format!("modify_handshake {:?} {}", handshake.subprotocol(), accept.is_some()));
    }

    fn configure(&self, handshake: Option<&Handshake>, instance: &mut dyn Any) -> Result<()> {
        let ordered = instance.downcast_mut::<Ordered>().unwrap();
        self.note(format!("configure {} {:?}", handshake.is_some(), ordered.0));
        ordered.0 = Some("configured");
        Ok(())
    }
}

#[server_endpoint("/ordered/{name}", subprotocols = ["b", "a"], configurator = Recorder)]
struct Ordered(Option<&'static str>);

/// A parameter that notes when the handshake is looked at; the note is kept where the configurator left it.
struct Admitted;

impl FromContext for Admitted {
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        handshake.attributes().insert("admitted");
        // It is asked after the origin and `check`, and before the subprotocol is chosen.
        assert_eq!(handshake.subprotocol(), None);
        Ok(())
    }

    fn from_context(_: Context<'_>) -> Result<Self> {
        Ok(Admitted)
    }
}

#[handlers]
impl Ordered {
    #[on_open]
    fn open(&self, _: Admitted, session: &Session, config: &EndpointConfig) -> String {
        let recorder = config.configurator::<Recorder>().unwrap();
        assert!(config.configurator::<String>().is_none());
        recorder.note(format!("on_open {:?} {:?}", self.0, session.attributes().get::<&str>()));
        recorder.0.lock().unwrap().join("\n")
    }
}

#[tokio::test]
async fn the_hooks_are_called_in_their_order() {
    let exporter = only_these([ServerEndpointConfig::of::<Ordered>()]).provide("a component".to_owned());
    let server = start(exporter).await;
    let headers = [
        ("origin", "https://elsewhere.example"),
        ("sec-websocket-protocol", "a, b"),
        ("sec-websocket-extensions", "x; y=1"),
    ];
    // The origin is not allowed: nothing else is asked.
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/ordered/a%20b", &lines)).await;
    assert_eq!(answer.status, 403);
    let mut client = connect_with(server.local_addr(), "/ordered/a%20b", &headers[1..]).await;
    let calls = next_text(&mut client).await;
    let expected = [
        "check_origin /ordered/a%20b false",
        "check_origin /ordered/a%20b true",
        "check Some(\"a b\") a component",
        "subprotocol [\"b\", \"a\"] [\"a\", \"b\"]",
        "extensions 1 x; y=1",
        "modify_handshake Some(\"b\") true",
        "configure true None",
        "on_open Some(\"configured\") Some(\"admitted\")",
    ];
    assert_eq!(calls.lines().collect::<Vec<_>>(), expected);
}

// ---- refusing

struct Refuses(Refusal);

impl Configurator for Refuses {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        tokio::task::yield_now().await;
        if handshake.query_param("welcome").is_some() { Ok(()) } else { Err(self.0.clone()) }
    }

    fn modify_handshake(&self, handshake: &Handshake, _: &mut HeaderMap) {
        assert!(handshake.query_param("welcome").is_some(), "there is no response to modify");
    }
}

#[tokio::test]
async fn a_configurator_refuses_with_any_status_headers_and_body() {
    let json = HeaderValue::from_static("application/json");
    let refusal = Refusal::new(StatusCode::PAYMENT_REQUIRED, "no money")
        .header(RETRY_AFTER, HeaderValue::from_static("60"))
        .append_header(SET_COOKIE, HeaderValue::from_static("debt=1"))
        .body(json, r#"{"debt":1}"#);
    let server = start(only_these([greeter("/refuses", Refuses(refusal))])).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let answer = raw.ask(upgrade("/refuses", &[])).await;
    assert_eq!((answer.status, answer.body.as_str()), (402, r#"{"debt":1}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((answer.header("retry-after"), answer.header("set-cookie")), (Some("60"), Some("debt=1")));
    // The connection is still good for the next request.
    assert_eq!(raw.ask(upgrade("/refuses?welcome", &[])).await.status, 101);
    assert_eq!(raw.text().await, "hello");
}

#[tokio::test]
async fn every_status_that_ends_a_request_may_be_the_answer() {
    for status in [200, 302, 400, 401, 404, 418, 429, 500, 503, 599] {
        let refusal = Refusal::new(StatusCode::from_u16(status).unwrap(), "no");
        let answer = one_answer(greeter("/refuses", Refuses(refusal)), &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, "no\n"));
    }
    // What looks like an acceptance is none.
    for status in [100, 101, 103] {
        let refusal = Refusal::new(StatusCode::from_u16(status).unwrap(), "no");
        assert_eq!(one_answer(greeter("/refuses", Refuses(refusal)), &[]).await.status, 500, "{status}");
    }
}

// ---- the origin

struct Decides(bool);

impl Configurator for Decides {
    fn check_origin(&self, _: &Handshake, allowed: bool) -> bool {
        assert_ne!(allowed, self.0, "the rule says the opposite");
        self.0
    }
}

#[tokio::test]
async fn the_configurator_has_the_last_word_about_the_origin() {
    let foreign = ["Origin: https://elsewhere.example"];
    let own = ["Origin: http://server.example"];
    assert_eq!(one_answer(greeter("/origin", Decides(true)), &foreign).await.status, 101);
    assert_eq!(one_answer(greeter("/origin", Decides(false)), &own).await.status, 403);
    assert_eq!(one_answer(greeter("/origin", Decides(false)), &[]).await.status, 403);
}

// ---- subprotocols

struct Speaks(&'static str);

impl Configurator for Speaks {
    fn subprotocol(&self, _: &[Text], _: &[&str]) -> Option<Text> {
        Some(self.0.into())
    }
}

#[tokio::test]
async fn the_configurator_chooses_the_subprotocol() {
    let table = [
        ("b", "Sec-WebSocket-Protocol: a, b", Some("b")),
        // Not in the endpoint's list: it may know more.
        ("token.7", "Sec-WebSocket-Protocol: a, token.7", Some("token.7")),
        ("b", "Sec-WebSocket-Protocol: a", None),
        ("b", "X-Nothing: offered", None),
    ];
    for (speaks, line, agreed) in table {
        let config = ServerEndpointConfig::builder("/speaks", || Greeter)
            .subprotocols(["a", "b"])
            .configurator(Speaks(speaks))
            .build();
        let answer = one_answer(config, &[line]).await;
        assert_eq!(
            (answer.status, answer.header("sec-websocket-protocol")),
            (101, agreed),
            "{speaks} {line}"
        );
    }
}

#[server_endpoint("/strict", subprotocols = ["a"], require_subprotocol = true)]
struct Strict;

#[handlers]
impl Strict {
    #[on_open]
    fn open(&self) {}
}

#[tokio::test]
async fn a_subprotocol_may_be_required() {
    let config = || {
        ServerEndpointConfig::builder("/required", || Greeter)
            .subprotocols(["a"])
            .require_subprotocol()
            .build()
    };
    assert!(config().requires_subprotocol());
    for (line, status) in [
        ("Sec-WebSocket-Protocol: b, a", 101),
        ("Sec-WebSocket-Protocol: b", 400),
        ("X-Nothing: offered", 400),
    ] {
        assert_eq!(one_answer(config(), &[line]).await.status, status, "{line}");
        let annotated = ServerEndpointConfig::of::<Strict>();
        assert_eq!(one_answer(annotated, &[line]).await.status, status, "annotated, {line}");
    }
    let nobody = ServerEndpointConfig::builder("/required", || Greeter).require_subprotocol().build();
    let report = only_these([nobody]).check();
    assert_eq!(report.problems().len(), 1, "{report}");
    assert!(report.to_string().contains("`require_subprotocol` without any subprotocol"), "{report}");
}

// ---- extensions

/// Says which extensions were agreed on.
struct Extended;

impl Endpoint for Extended {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let names: Vec<_> = session.extensions().iter().map(ToString::to_string).collect();
        Ok(session.send(names.join(", ")).await?)
    }
}

struct Chooses(fn() -> Vec<Extension>);

impl Configurator for Chooses {
    fn extensions(&self, installed: &[Extension], requested: &[Extension]) -> Vec<Extension> {
        assert_eq!((installed.len(), requested.len()), (3, 2));
        self.0()
    }
}

/// The header of the answer, which must be what the session says too.
async fn agreed(builder: endpoint_runtime::ServerEndpointConfigBuilder, lines: &[&str]) -> Option<String> {
    let config = builder.extensions([Extension::new("x-one"), Extension::new("x-two")]).build();
    assert_eq!(config.extensions().len(), 2);
    let server = start(only_these([config])).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let answer = raw.ask(upgrade("/extended", lines)).await;
    let header = answer.header("sec-websocket-extensions").map(str::to_owned);
    assert_eq!(raw.text().await, header.clone().unwrap_or_default());
    header
}

#[tokio::test]
async fn extensions_are_agreed_on_in_requested_order() {
    let builder = || ServerEndpointConfig::builder("/extended", || Extended);
    let table = [
        ("x-two; a=1; b, x-none, x-one; c=\"d e\"", Some("x-two; a=1; b, x-one; c=\"d e\"")),
        ("x-one; a=1, x-one", Some("x-one; a=1")),
        ("permessage-bzip2; client_max_window_bits", None),
        (
            "x-two, permessage-deflate; client_max_window_bits, x-one",
            Some("x-two, permessage-deflate; server_no_context_takeover; client_no_context_takeover, x-one"),
        ),
        ("", None),
    ];
    for (offered, expected) in table {
        let line = format!("Sec-WebSocket-Extensions: {offered}");
        assert_eq!(agreed(builder(), &[&line]).await.as_deref(), expected, "{offered}");
    }
    let lines = ["Sec-WebSocket-Extensions: x-two", "Sec-WebSocket-Extensions: x-one"];
    assert_eq!(agreed(builder(), &lines).await.as_deref(), Some("x-two, x-one"));
}

#[tokio::test]
async fn the_configurator_chooses_extensions_and_their_parameters() {
    let offer = ["Sec-WebSocket-Extensions: x-one; a=1, x-three"];
    type Choose = fn() -> Vec<Extension>;
    let table: [(Choose, Option<&str>); 4] = [
        (Vec::new, None),
        (|| vec![Extension::new("x-one").with("a", "2")], Some("x-one; a=2")),
        // Not offered, not installed, twice, not fit for a header.
        (|| ["x-two", "x-three", "x-one", "x-one"].map(Extension::new).into(), Some("x-one")),
        (|| vec![Extension::new("x-one").with("a\r\nX-Injected", "1")], None),
    ];
    for (choose, expected) in table {
        let builder = ServerEndpointConfig::builder("/extended", || Extended).configurator(Chooses(choose));
        assert_eq!(agreed(builder, &offer).await.as_deref(), expected);
    }
}

#[tokio::test]
async fn extensions_that_are_none_are_refused() {
    let config = ServerEndpointConfig::builder("/extended", || Extended).build();
    let answer = one_answer(config, &["Sec-WebSocket-Extensions: x-one; ="]).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let bad = ["two words", "permessage-deflate"].map(Extension::new);
    let config = ServerEndpointConfig::builder("/extended", || Extended).extensions(bad).build();
    assert_eq!(only_these([config]).check().problems().len(), 2);
}

// ---- the response

struct Modifies;

impl Configurator for Modifies {
    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap) {
        let theme = handshake.cookie("theme").unwrap_or("none");
        response.insert("x-theme", HeaderValue::try_from(theme).unwrap());
        response.insert(SET_COOKIE, HeaderValue::from_static("seen=1"));
        for name in
            ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "content-length"]
        {
            response.insert(name, HeaderValue::from_static("7"));
        }
        response.remove("sec-websocket-extensions");
    }
}

#[tokio::test]
async fn headers_are_added_and_those_of_the_handshake_stay() {
    let logged = capture();
    let answer = one_answer(greeter("/modifies", Modifies), &["Cookie: a=b; theme=dark"]).await;
    assert_eq!(answer.status, 101);
    assert_eq!((answer.header("x-theme"), answer.header("set-cookie")), (Some("dark"), Some("seen=1")));
    let own = ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "content-length"];
    assert_eq!(
        own.map(|name| answer.header(name)),
        [Some("Upgrade"), Some("websocket"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), None, None]
    );
    let warned = logged.loud().into_iter().filter(|line| line.message.contains("changed a header")).count();
    assert_eq!(warned, own.len());
}

// ---- what is handed on to the handlers

#[derive(Clone, Debug, PartialEq)]
struct Visits(usize);

/// Knows who it is, and leaves it for the handlers.
struct Knows;

impl Configurator for Knows {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        let Some(name) = handshake.query_param("name") else { return Ok(()) };
        // What the endpoint's configuration says is there already.
        let Visits(before) = handshake.attributes().get().unwrap();
        handshake.attributes().insert(Visits(before + name.len()));
        handshake.extensions_mut().insert(Principal::new(name));
        Ok(())
    }
}

/// Says what it finds in its session, and changes it.
struct Finds;

impl Endpoint for Finds {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let attributes = session.attributes();
        let who = session.handshake().principal::<String>();
        let shared = attributes.get::<Arc<AtomicUsize>>().unwrap().fetch_add(1, Ordering::Relaxed);
        let Visits(visits) = attributes.get().unwrap();
        attributes.insert(Visits(visits + 1000));
        let text = format!("{:?} {visits} {shared}", who.as_deref());
        Ok(session.send(text).await?)
    }
}

#[tokio::test]
async fn sessions_begin_with_copies_of_their_own() {
    let config = ServerEndpointConfig::builder("/finds", || Finds)
        .attribute(Visits(10))
        .attribute(Arc::new(AtomicUsize::new(0)))
        .configurator(Knows)
        .build();
    let server = start(only_these([config])).await;
    let mut said = Vec::new();
    let mut clients = Vec::new();
    for path in ["/finds?name=ada", "/finds", "/finds?name=grace"] {
        let mut client = connect(server.local_addr(), path).await;
        said.push(next_text(&mut client).await);
        clients.push(client);
    }
    // What is shared on purpose is shared; what one session changes, no other sees.
    assert_eq!(said, ["Some(\"ada\") 13 0", "None 10 1", "Some(\"grace\") 15 2"]);
}

// ---- how many there are

static MADE: AtomicUsize = AtomicUsize::new(0);

struct Counted {
    number: usize,
    handshakes: AtomicUsize,
}

impl Default for Counted {
    fn default() -> Self {
        Counted { number: MADE.fetch_add(1, Ordering::Relaxed), handshakes: AtomicUsize::new(0) }
    }
}

impl Configurator for Counted {
    fn check_origin(&self, handshake: &Handshake, allowed: bool) -> bool {
        let handshakes = self.handshakes.fetch_add(1, Ordering::Relaxed);
        handshake.attributes().insert((self.number, handshakes));
        allowed
    }
}

#[server_endpoint("/first", configurator = Counted)]
struct First;

#[server_endpoint("/second", configurator = Counted, scope = singleton)]
struct Second;

fn counted(session: &Session) -> String {
    format!("{:?}", session.attributes().get::<(usize, usize)>().unwrap())
}

#[handlers]
impl First {
    #[on_open]
    fn open(&self, session: &Session) -> String {
        counted(session)
    }
}

#[handlers]
impl Second {
    #[on_open]
    fn open(&self, session: &Session) -> String {
        counted(session)
    }
}

#[tokio::test]
async fn each_endpoint_of_each_server_has_one_configurator() {
    let configs = || [ServerEndpointConfig::of::<First>(), ServerEndpointConfig::of::<Second>()];
    assert_eq!(only_these(configs()).check().problems(), []);
    assert_eq!(MADE.load(Ordering::Relaxed), 0, "a check makes none");
    let mut said = BTreeMap::<_, Vec<String>>::new();
    for round in 0..2 {
        let server = start(only_these(configs())).await;
        for path in ["/first", "/second", "/first", "/second", "/first"] {
            let mut client = connect(server.local_addr(), path).await;
            said.entry((round, path)).or_default().push(next_text(&mut client).await);
        }
        server.shutdown().await;
    }
    let expected = |number: usize, count: usize| -> Vec<_> {
        (0..count).map(|handshake| format!("({number}, {handshake})")).collect()
    };
    assert_eq!(said[&(0, "/first")], expected(0, 3));
    assert_eq!(said[&(0, "/second")], expected(1, 2));
    assert_eq!(said[&(1, "/first")], expected(2, 3));
    assert_eq!(said[&(1, "/second")], expected(3, 2));
    assert_eq!(MADE.load(Ordering::Relaxed), 4);
}

// ---- instances

/// Fills instances by what the handshake says, replaces some, and rejects others.
#[derive(Default)]
struct Fills(AtomicUsize);

impl Configurator for Fills {
    fn configure(&self, handshake: Option<&Handshake>, instance: &mut dyn Any) -> Result<()> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        let Some(handshake) = handshake else {
            // A singleton: there is no handshake.
            instance.downcast_mut::<Alone>().unwrap().0 = format!("call {call}");
            return Ok(());
        };
        match handshake.query() {
            Some("reject") => Err(Error::msg("not this one")),
            Some("panic") => panic!("not this one"),
            query => {
                let filled = Filled(format!("{query:?} {call}"));
                // Not one's own is none of one's business.
                let Some(instance) = instance.downcast_mut::<Filled>() else { return Ok(()) };
                *instance = filled;
                Ok(())
            }
        }
    }
}

#[server_endpoint("/filled", configurator = Fills)]
struct Filled(String);

#[server_endpoint("/alone", configurator = Fills, scope = singleton)]
struct Alone(String);

#[handlers]
impl Filled {
    #[on_open]
    fn open(&mut self) -> String {
        self.0.push('!');
        self.0.clone()
    }
}

#[handlers]
impl Alone {
    #[on_open]
    fn open(&self) -> String {
        self.0.clone()
    }
}

impl Endpoint for Filled {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        Ok(session.send(self.0.as_str()).await?)
    }
}

#[tokio::test]
async fn the_configurator_sees_each_new_instance() {
    let programmatic = ServerEndpointConfig::builder("/programmatic", || Filled("empty".to_owned()))
        .configurator(Fills::default())
        .build();
    let annotated = ServerEndpointConfig::of::<Filled>();
    let server = start(only_these([annotated, ServerEndpointConfig::of::<Alone>(), programmatic])).await;
    let address = server.local_addr();
    for (path, text) in [
        ("/filled?a", "Some(\"a\") 0!"),
        ("/filled", "None 1!"),
        ("/programmatic?b", "Some(\"b\") 0"),
        ("/programmatic?c", "Some(\"c\") 1"),
        // Once, when it was deployed.
        ("/alone?d", "call 0"),
        ("/alone", "call 0"),
    ] {
        let mut client = connect(address, path).await;
        assert_eq!(next_text(&mut client).await, text, "{path}");
    }
    for path in ["/filled?reject", "/filled?panic", "/programmatic?reject", "/programmatic?panic"] {
        let mut raw = Raw::upgraded(address, path).await;
        assert_eq!(raw.frame().await.unwrap().reason().0, 1011, "{path}");
    }
    let mut client = connect(address, "/filled").await;
    assert_eq!(next_text(&mut client).await, "None 4!", "nobody else suffered from it");
}

#[derive(Default)]
struct Rejects;

impl Configurator for Rejects {
    fn configure(&self, _: Option<&Handshake>, _: &mut dyn Any) -> Result<()> {
        Err(Error::msg("the stars stand wrong"))
    }
}

#[server_endpoint("/unmade", configurator = Rejects, scope = singleton)]
struct Unmade;

#[handlers]
impl Unmade {
    #[on_open]
    fn open(&self) {}
}

#[tokio::test]
async fn a_singleton_that_cannot_be_made_is_not_deployed() {
    let error = only_these([ServerEndpointConfig::of::<Unmade>()]).start().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("Unmade") && text.contains("the stars stand wrong") && text.contains(file!()),
        "{text}"
    );
}

// ---- panics and hangs

struct Panics(&'static str);

impl Panics {
    fn in_hook(&self, hook: &str) {
        assert_ne!(self.0, hook, "the secret of the house");
    }
}

impl Configurator for Panics {
    fn check_origin(&self, _: &Handshake, allowed: bool) -> bool {
        self.in_hook("check_origin");
        allowed
    }

    async fn check(&self, _: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        tokio::task::yield_now().await;
        self.in_hook("check");
        Ok(())
    }

    fn subprotocol(&self, _: &[Text], _: &[&str]) -> Option<Text> {
        self.in_hook("subprotocol");
        None
    }

    fn extensions(&self, _: &[Extension], _: &[Extension]) -> Vec<Extension> {
        self.in_hook("extensions");
        Vec::new()
    }

    fn modify_handshake(&self, _: &Handshake, _: &mut HeaderMap) {
        self.in_hook("modify_handshake");
    }
}

#[tokio::test]
async fn a_hook_that_panics_costs_its_own_handshake_only() {
    let logged = capture();
    for hook in ["check_origin", "check", "subprotocol", "extensions", "modify_handshake"] {
        let server =
            start(only_these([greeter("/panics", Panics(hook)), greeter("/fine", Panics(""))])).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        let answer = raw.ask(upgrade("/panics", &[])).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, "internal error\n"), "{hook}");
        // Not even the connection is lost.
        assert_eq!(raw.ask(upgrade("/fine", &[])).await.status, 101, "{hook}");
        assert_eq!(raw.text().await, "hello");
        let errors: Vec<_> =
            logged.loud().into_iter().filter(|line| line.level == tracing::Level::ERROR).collect();
        assert_eq!(errors.len(), 1, "{hook}: {errors:?}");
        assert!(errors[0].message.contains("the secret of the house"), "{errors:?}");
        logged.forget();
    }
}

struct Hangs(Arc<Notify>);

impl Configurator for Hangs {
    async fn check(&self, _: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_hook_that_hangs_has_its_time() {
    let entered = Arc::new(Notify::new());
    let exporter =
        only_these([greeter("/hangs", Hangs(Arc::clone(&entered))), ServerEndpointConfig::of::<Echo>()])
            .configure(|settings| settings.handshake_timeout = Duration::from_millis(300));
    let server = start(exporter).await;
    let mut hanging = Raw::connect(server.local_addr()).await;
    hanging.send(upgrade("/hangs", &[])).await;
    soon("the hook", entered.notified()).await;
    let mut other = connect(server.local_addr(), "/echo").await;
    says_back(&mut other, "meanwhile").await;
    let answer = hanging.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
}

/// Waits for a sign before it lets anybody in.
struct Waits {
    entered: UnboundedSender<()>,
    go: Arc<Notify>,
}

impl Waits {
    fn new() -> (Self, UnboundedReceiver<()>, Arc<Notify>) {
        let (entered, receiver) = unbounded_channel();
        let go = Arc::new(Notify::new());
        (Waits { entered, go: Arc::clone(&go) }, receiver, go)
    }
}

impl Configurator for Waits {
    async fn check(&self, _: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        self.entered.send(()).unwrap();
        self.go.notified().await;
        Ok(())
    }
}

#[tokio::test]
async fn who_is_checked_when_the_server_stops_gets_503() {
    let (waits, mut entered, go) = Waits::new();
    let server = start(only_these([greeter("/waits", waits), ServerEndpointConfig::of::<Echo>()])).await;
    let mut held = Raw::upgraded(server.local_addr(), "/echo").await;
    let mut waiting = Raw::connect(server.local_addr()).await;
    waiting.send(upgrade("/waits", &[])).await;
    soon("the hook", entered.recv()).await.unwrap();
    let stopping = tokio::spawn(server.shutdown());
    // When others are told to go, it has begun to stop.
    assert_eq!(held.frame().await.unwrap().reason().0, 1001);
    held.send(close(1001)).await;
    go.notify_one();
    assert_eq!(waiting.answer().await.unwrap().status, 503);
    soon("the shutdown", stopping).await.unwrap();
}

#[tokio::test]
async fn who_is_checked_when_the_endpoint_goes_gets_404() {
    let (waits, mut entered, go) = Waits::new();
    let server = start(only_these([greeter("/waits", waits)])).await;
    let mut waiting = Raw::connect(server.local_addr()).await;
    waiting.send(upgrade("/waits", &[])).await;
    soon("the hook", entered.recv()).await.unwrap();
    assert_eq!(server.undeploy("/waits"), Some(0));
    go.notify_one();
    assert_eq!(waiting.answer().await.unwrap().status, 404);
}

// ---- without any

/// Without a configurator a parameter that panics while it looks at the handshake is a 500 too.
struct Explosive;

impl FromContext for Explosive {
    fn admit(_: &Handshake) -> Result<(), Refusal> {
        panic!("boom");
    }

    fn from_context(_: Context<'_>) -> Result<Self> {
        Ok(Explosive)
    }
}

#[server_endpoint("/explosive")]
struct Mined;

#[handlers]
impl Mined {
    #[on_message]
    fn message(&self, _: String, _: Explosive) {}
}

#[tokio::test]
async fn a_parameter_that_panics_costs_its_own_handshake_only() {
    let server = start(only::<Mined>()).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(upgrade("/explosive", &[])).await.status, 500);
    assert_eq!(raw.ask(upgrade("/explosive", &[])).await.status, 500, "the connection goes on");
}

/// What is configured is there for every handler.
#[server_endpoint("/configured/{x}", subprotocols = ["a"], max_message_size = 1000)]
struct Configured;

#[handlers]
impl Configured {
    #[on_message]
    fn message(&self, _: String, config: &EndpointConfig, session: &Session) -> String {
        assert!(config.is::<Configured>() && !config.is::<Mined>());
        assert!(config.configurator::<Counted>().is_none());
        assert_eq!(session.config().path(), session.path());
        format!(
            "{} {} {:?} {} {}",
            config.path(),
            config.type_name(),
            config.subprotocols(),
            config.extensions().len(),
            config.max_message_size()
        )
    }
}

#[tokio::test]
async fn handlers_may_read_what_is_configured() {
    let server = start(only::<Configured>()).await;
    let mut raw = Raw::upgraded(server.local_addr(), "/configured/1").await;
    raw.send(text("?")).await;
    assert_eq!(raw.text().await, "/configured/{x} Configured [\"a\"] 0 1000");
}

//! Requests that the application's own service answers, and turns into sessions of endpoints that are not deployed.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    Configurator, Container, DeployError, Endpoint, PathParams, Refusal, ResponseBody, ServerEndpointConfig,
    ServerEndpointExporter,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tower_layer::layer_fn;
use tower_service::Service;

use super::support::{
    Echo, Raw, close, connect, next_text, only, only_these, says_back, soon, start, text, upgrade,
};

type Answering = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

/// The application's own service: a function.
#[derive(Clone)]
struct Front(Arc<dyn Fn(Container, Request<Incoming>) -> Answering + Send + Sync>);

impl Front {
    fn new<F>(answer: impl Fn(Container, Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<ResponseBody>, DeployError>> + Send + 'static,
    {
        Front(Arc::new(move |container, request| {
            let answering = answer(container, request);
            Box::pin(async move { answering.await.unwrap_or_else(|error| page(500, &error.to_string())) })
        }))
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let container = request.extensions().get::<Container>().unwrap().clone();
        let answering = (self.0)(container, request);
        Box::pin(async move { Ok(answering.await) })
    }
}

fn page(status: u16, text: &str) -> Response<ResponseBody> {
    let body = Full::from(text.to_owned()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A server of the echo endpoint, with a service behind it.
fn behind(front: Front) -> ServerEndpointExporter {
    only::<Echo>().fallback(front)
}

static MADE: AtomicUsize = AtomicUsize::new(0);

/// One for all tenants; it is at no path.
#[server_endpoint("/tenants/{tenant}", scope = singleton, subprotocols = ["t.v1"])]
struct Tenants {
    #[inject]
    greeting: Arc<String>,
    #[init(MADE.fetch_add(1, Ordering::Relaxed))]
    number: usize,
}

#[handlers]
impl Tenants {
    #[on_open]
    fn open(&self, #[path] tenant: u32, #[query] lang: Option<String>, session: &Session) -> String {
        let peer = session.handshake().peer_addr().is_some();
        format!("{} {tenant} of {} {lang:?} {:?} {peer}", self.greeting, self.number, session.subprotocol())
    }

    #[on_message]
    fn echo(&self, text: Text) -> Text {
        text
    }
}

fn tenants() -> Front {
    Front::new(|container, request| async move {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/front/") {
            Some(tenant) => {
                let params = PathParams::from([("tenant", tenant)]);
                container.upgrade(request, &ServerEndpointConfig::of::<Tenants>(), params).await
            }
            None => Ok(page(200, "a page")),
        }
    })
}

#[tokio::test]
async fn a_service_turns_requests_into_sessions() {
    let server = start(behind(tenants()).provide("welcome".to_owned())).await;
    let address = server.local_addr();
    assert_eq!(MADE.load(Ordering::Relaxed), 0, "it is made for the first request");
    let mut clients = Vec::new();
    for tenant in ["7", "8", "9"] {
        let mut raw = Raw::connect(address).await;
        let request = upgrade(&format!("/front/{tenant}?lang=eo"), &["Sec-WebSocket-Protocol: t.v1"]);
        let answer = raw.ask(request).await;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some("t.v1")));
        // One instance for all, as everywhere.
        let expected = format!("welcome {tenant} of 0 Some(\"eo\") Some(\"t.v1\") true");
        assert_eq!(raw.text().await, expected);
        raw.send(text("back")).await;
        assert_eq!(raw.text().await, "back");
        clients.push(raw);
    }
    // They are sessions like any others, and the endpoint is still at no path.
    assert_eq!(server.sessions().endpoint::<Tenants>().count(), 3);
    assert_eq!(server.container().endpoints().len(), 1);
    let stopping = tokio::spawn(server.shutdown());
    for mut raw in clients {
        assert_eq!(raw.frame().await.unwrap().reason().0, 1001);
        raw.send(close(1001)).await;
        raw.ended().await;
    }
    soon("the shutdown", stopping).await.unwrap();
}

/// The place that a connection has among those of its address is its session's.
#[tokio::test]
async fn who_is_upgraded_is_counted_once() {
    let exporter = behind(tenants()).provide("welcome".to_owned()).configure(|settings| {
        settings.proxy_protocol = true;
        settings.max_connections_per_address = 1;
    });
    let server = start(exporter).await;
    let come = async || {
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send("PROXY TCP4 192.0.2.1 203.0.113.1 4711 80\r\n").await;
        let status = raw.ask(upgrade("/front/7", &[])).await.status;
        (raw, status)
    };
    let (mut first, status) = come().await;
    assert_eq!(status, 101);
    assert_eq!(first.text().await, "welcome 7 of 0 None None true");
    assert_eq!(come().await.1, 503);
    first.send(close(1000)).await;
    first.ended().await;
    soon("a place", async { while come().await.1 != 101 {} }).await;
}

#[tokio::test]
async fn what_the_endpoint_refuses_is_a_response() {
    let server = start(behind(tenants()).provide("welcome".to_owned())).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.body, "a page");
    let table = [
        ("GET /front/7 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 426),
        ("POST /front/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(), 405),
        (upgrade("/front/7", &[]).replacen("Version: 13", "Version: 8", 1), 426),
        (upgrade("/front/7", &["Origin: https://evil.example"]), 403),
        (upgrade("/front/seven", &[]), 400),
    ];
    for (request, status) in table {
        assert_eq!(raw.ask(&request).await.status, status, "{request}");
    }
    assert_eq!(raw.ask(upgrade("/front/7", &[])).await.status, 101, "the connection is still good");
}

#[tokio::test]
async fn what_is_wrong_with_the_endpoint_is_an_error() {
    // Nobody provides the greeting.
    let server = start(behind(tenants())).await;
    let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/front/7", &[])).await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("Tenants.greeting"), "{}", answer.body);
    server.shutdown().await;

    let front = Front::new(|container, request| async move {
        let config = ServerEndpointConfig::builder("no slash", || Numbered(0)).subprotocols(["a b"]).build();
        container.upgrade(request, &config, PathParams::default()).await
    });
    let server = start(behind(front)).await;
    let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/front", &[])).await;
    assert!(answer.body.contains("2 problems"), "{}", answer.body);
}

/// A request that was made up, or taken by somebody else, has no connection to upgrade.
#[tokio::test]
async fn a_request_without_a_connection_is_an_error() {
    let server = start(only::<Echo>()).await;
    let handshake = upgrade("/x", &[]);
    let headers = handshake.lines().skip(1).filter_map(|line| line.split_once(": "));
    let request = headers.fold(Request::get("/x"), |request, (name, value)| request.header(name, value));
    let request = request.body(()).unwrap();
    let config = ServerEndpointConfig::builder("/", || Numbered(0)).build();
    let error = server.container().upgrade(request, &config, PathParams::default()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be upgraded"), "{error}");
}

/// An endpoint that is deployed is the one that requests are upgraded to.
#[tokio::test]
async fn a_deployed_singleton_is_the_same_one() {
    let front = Front::new(|container, request| async move {
        container.upgrade(request, &ServerEndpointConfig::of::<Same>(), PathParams::default()).await
    });
    let exporter = only::<Same>().fallback(front);
    let server = start(exporter).await;
    let mut said = Vec::new();
    for path in ["/same", "/elsewhere", "/same", "/else"] {
        let mut client = connect(server.local_addr(), path).await;
        said.push(next_text(&mut client).await);
    }
    assert_eq!(said, ["1", "2", "3", "4"]);
}

#[server_endpoint("/same", scope = singleton)]
struct Same {
    sessions: AtomicUsize,
}

#[handlers]
impl Same {
    #[on_open]
    fn open(&self) -> String {
        (self.sessions.fetch_add(1, Ordering::Relaxed) + 1).to_string()
    }
}

/// Says its number and the number of the configurator.
struct Numbered(usize);

impl Endpoint for Numbered {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let seen = session.config().configurator::<Counts>().map(|counts| counts.0.load(Ordering::Relaxed));
        Ok(session.send(format!("{} {seen:?}", self.0)).await?)
    }
}

struct Counts(AtomicUsize);

impl Configurator for Counts {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match handshake.query() {
            Some("full") => Err(Refusal::new(StatusCode::IM_A_TEAPOT, "short and stout")),
            _ => Ok(()),
        }
    }
}

/// A programmatic endpoint has its configurator and its factory; a configuration that is made for each request is one endpoint each time.
#[tokio::test]
async fn programmatic_endpoints_are_upgraded_to() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let kept =
        ServerEndpointConfig::builder("/kept", move || Numbered(count.fetch_add(1, Ordering::Relaxed)))
            .configurator(Counts(AtomicUsize::new(0)))
            .build();
    let front = Front::new(move |container, request| {
        let config = match request.uri().path() {
            "/kept" => kept.clone(),
            _ => ServerEndpointConfig::builder("/new", || Numbered(100))
                .configurator(Counts(AtomicUsize::new(0)))
                .build(),
        };
        async move { container.upgrade(request, &config, PathParams::default()).await }
    });
    let server = start(behind(front)).await;
    let address = server.local_addr();
    assert_eq!(Raw::connect(address).await.ask(upgrade("/kept?full", &[])).await.status, 418);
    for (path, said) in
        [("/kept", "0 Some(2)"), ("/new", "100 Some(1)"), ("/kept", "1 Some(3)"), ("/new", "100 Some(1)")]
    {
        let mut client = connect(address, path).await;
        assert_eq!(next_text(&mut client).await, said);
    }
}

/// In a layer around the endpoints a request may become a session of another endpoint than the one it was for.
#[tokio::test]
async fn a_layer_upgrades_to_another_endpoint() {
    let config = ServerEndpointConfig::builder("/other", || Numbered(5)).build();
    let layer = layer_fn(move |inner: endpoint_runtime::EndpointService| {
        let config = config.clone();
        Front::new(move |container, request| {
            let (mut inner, config) = (inner.clone(), config.clone());
            async move {
                if request.uri().query() == Some("other") {
                    return container.upgrade(request, &config, PathParams::default()).await;
                }
                let Ok(response) = inner.call(request).await;
                Ok(response)
            }
        })
    });
    let server = start(only::<Echo>().layer(layer)).await;
    let mut other = connect(server.local_addr(), "/echo?other").await;
    assert_eq!(next_text(&mut other).await, "5 None");
    let mut echo = connect(server.local_addr(), "/echo").await;
    says_back(&mut echo, "as always").await;
}

/// The service was asked before the server stopped, and upgrades afterwards. Where others take over the address it is not too late.
#[tokio::test]
async fn who_is_upgraded_while_the_server_stops_gets_503() {
    for (handed_over, code, status) in [(false, 1001, 503), (true, 1012, 101)] {
        let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (front_entered, front_go) = (Arc::clone(&entered), Arc::clone(&go));
        let front = Front::new(move |container, request| {
            let (entered, go) = (Arc::clone(&front_entered), Arc::clone(&front_go));
            async move {
                entered.notify_one();
                go.notified().await;
                let config = ServerEndpointConfig::builder("/x", || Numbered(0)).build();
                container.upgrade(request, &config, PathParams::default()).await
            }
        });
        let exporter = behind(front).configure(move |settings| settings.reuse_port = handed_over);
        let server = start(exporter).await;
        let mut held = Raw::upgraded(server.local_addr(), "/echo").await;
        let mut waiting = Raw::connect(server.local_addr()).await;
        waiting.send(upgrade("/x", &[])).await;
        soon("the service", entered.notified()).await;
        let stopping = tokio::spawn(server.shutdown());
        assert_eq!(held.frame().await.unwrap().reason().0, code);
        held.send(close(code)).await;
        go.notify_one();
        assert_eq!(waiting.answer().await.unwrap().status, status);
        if handed_over {
            while waiting.frame().await.unwrap().opcode != 8 {}
        }
        drop(waiting);
        soon("the shutdown", stopping).await.unwrap();
    }
}

/// What the server leaves in a request for its own use is in no session.
#[tokio::test]
async fn nothing_of_the_servers_own_stays_with_the_session() {
    let front = Front::new(|container, mut request| async move {
        request.extensions_mut().insert(Principal::new(7u8));
        let config = ServerEndpointConfig::builder("/keeps", || Keeps).build();
        container.upgrade(request, &config, PathParams::default()).await
    });
    let server = start(only_these([ServerEndpointConfig::of::<Echo>()]).fallback(front)).await;
    let mut client = connect(server.local_addr(), "/keeps").await;
    assert_eq!(next_text(&mut client).await, "1 true");
}

struct Keeps;

impl Endpoint for Keeps {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let extensions = session.handshake().extensions();
        let there = extensions.get::<Principal<u8>>().is_some();
        Ok(session.send(format!("{} {there}", extensions.len())).await?)
    }
}

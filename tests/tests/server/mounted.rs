//! The endpoints inside of another server: axum's, or a plain one of hyper's.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use endpoint_runtime::prelude::*;
use endpoint_runtime::{CloseCode, DeployError, MountedService, ServerEndpointExporter, Settings};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower_service::Service;

use super::support::{
    Client, Echo, Raw, Reporter, closed, connect, connect_with, next_text, says_back, soon, upgrade,
};

/// An exporter without listeners, of this endpoint alone.
fn only<E: 'static>() -> ServerEndpointExporter {
    endpoint_runtime::export_all().settings(Settings::default()).only(ServerEndpointConfig::is::<E>)
}

/// An exporter without listeners, of this configuration alone.
fn of(config: ServerEndpointConfig) -> ServerEndpointExporter {
    let path = config.path().to_owned();
    only::<Reporter>().endpoint(config).only(move |config| config.path() == path)
}

/// Serves the application on any free port for as long as the test runs.
async fn serve(app: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn page(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

async fn status(address: SocketAddr, request: impl AsRef<[u8]>) -> u16 {
    Raw::connect(address).await.ask(request).await.status
}

/// Says where it is, and who came from where.
#[server_endpoint("/mounted/{room}", idle_timeout = "1h")]
struct Room;

#[derive(Clone)]
struct Ticket(u32);

#[handlers]
impl Room {
    #[on_open]
    fn open(&self, #[path] room: String, who: Option<Principal<String>>, handshake: &Handshake) -> String {
        let ticket = handshake.extensions().get::<Ticket>().map_or(0, |ticket| ticket.0);
        let who = who.as_deref().map_or("nobody", String::as_str);
        let peer = handshake.peer_addr().map_or(0, |peer| peer.port());
        format!("{room} {who} {ticket} {peer} {} {}", handshake.is_secure(), handshake.path())
    }

    #[on_message]
    fn echo(&self, text: Text) -> Text {
        text
    }
}

fn port(client: &Client) -> u16 {
    client.get_ref().local_addr().unwrap().port()
}

#[tokio::test]
async fn routes_and_endpoints_are_one_application() {
    let endpoints = only::<Room>().into_router().await.unwrap();
    let app = axum::Router::new().route("/", get(|| async { "a page" })).merge(endpoints);
    let address = serve(app.fallback(|| async { (axum::http::StatusCode::NOT_FOUND, "nothing here") })).await;
    let mut client = connect(address, "/mounted/blue%20sky").await;
    assert_eq!(
        next_text(&mut client).await,
        format!("blue sky nobody 0 {} false /mounted/blue%20sky", port(&client))
    );
    says_back(&mut client, "hello").await;
    assert_eq!(Raw::connect(address).await.ask(page("/")).await.body, "a page");
    assert_eq!(Raw::connect(address).await.ask(page("/nothing")).await.body, "nothing here");
    assert_eq!(Raw::connect(address).await.ask(upgrade("/mounted/", &[])).await.body, "nothing here");
    assert_eq!(status(address, page("/mounted/blue")).await, 426);
    assert_eq!(status(address, upgrade("/mounted/%ff", &[])).await, 400);
    assert_eq!(status(address, upgrade("/mounted/blue", &["Origin: http://evil.example"])).await, 403);
}

#[tokio::test]
async fn a_prefix_is_taken_off_by_what_nests_them() {
    let mounted = only::<Room>().mount().await.unwrap();
    let app = axum::Router::new()
        .nest("/routes", mounted.service().into_router())
        .nest_service("/service", mounted.service());
    let address = serve(app).await;
    for prefix in ["/routes", "/service"] {
        let mut client = connect(address, &format!("{prefix}/mounted/blue")).await;
        assert!(next_text(&mut client).await.ends_with("/mounted/blue"));
        assert_eq!(mounted.sessions().all().iter().next().unwrap().path(), "/mounted/{room}");
        drop(client);
    }
    assert_eq!(status(address, upgrade("/mounted/blue", &[])).await, 404);
    assert_eq!(status(address, upgrade("/service/nothing", &[])).await, 404);
    // Only the service finds what is deployed later.
    let (late, _reports) = Reporter::at("/late");
    mounted.container().deploy(late).unwrap();
    assert_eq!(status(address, upgrade("/service/late", &[])).await, 101);
    assert_eq!(status(address, upgrade("/routes/late", &[])).await, 404);
}

#[tokio::test]
async fn what_layers_leave_in_the_request_reaches_the_handlers() {
    async fn admit(mut request: Request, next: Next) -> axum::response::Response {
        let name = request.headers().get("x-name").and_then(|name| name.to_str().ok()).map(str::to_owned);
        request.extensions_mut().insert(Ticket(7));
        if let Some(name) = name {
            request.extensions_mut().insert(Principal::new(name));
        }
        next.run(request).await
    }
    let endpoints = only::<Room>().into_router().await.unwrap();
    let address = serve(axum::Router::new().merge(endpoints).layer(from_fn(admit))).await;
    let mut ada = connect_with(address, "/mounted/blue", &[("x-name", "ada")]).await;
    let (text, port) = (next_text(&mut ada).await, port(&ada));
    assert_eq!(text, format!("blue ada 7 {port} false /mounted/blue"));
}

/// The word of a proxy that is trusted is taken here too, where the peer is known.
#[tokio::test]
async fn a_trusted_proxy_says_whose_connection_it_is() {
    let headers = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "https")];
    for (trusted, is_believed) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let exporter =
            only::<Room>().configure(move |settings| settings.trusted_proxies = vec![trusted.to_owned()]);
        let address = serve(exporter.into_router().await.unwrap()).await;
        let mut client = connect_with(address, "/mounted/blue", &headers).await;
        let text = next_text(&mut client).await;
        let from = if is_believed { 0 } else { port(&client) };
        assert_eq!(text, format!("blue nobody 0 {from} {is_believed} /mounted/blue"), "{trusted}");
    }
}

/// A router of axum's takes fewer templates beside each other than we do, and knows paths as they are sent.
#[tokio::test]
async fn all_templates_become_routes() {
    let paths =
        ["/a/{x}", "/a/{x}/c", "/a/{*rest}", "/a/b", "/{x}/d", "/b/{y}", "/café", "/:colon/*", "/{x}/{y}/z"];
    let mut exporter = only::<Reporter>().only(move |config| paths.contains(&config.path()));
    for path in paths {
        exporter = exporter.endpoint(Reporter::at(path).0);
    }
    let mounted = exporter.mount().await.unwrap();
    let address = serve(mounted.service().into_router()).await;
    let table = [
        ("/a/1", "/a/{x}"),
        ("/a/1/c", "/a/{x}/c"),
        ("/a/1/2", "/a/{*rest}"),
        ("/a/b", "/a/b"),
        ("/1/d", "/{x}/d"),
        ("/b/1", "/b/{y}"),
        ("/caf%C3%A9", "/café"),
        ("/:colon/*", "/:colon/*"),
        ("/1/2/z", "/{x}/{y}/z"),
    ];
    for (path, template) in table {
        let raw = Raw::upgraded(address, path).await;
        let sessions: Vec<_> =
            mounted.sessions().all().iter().map(|session| session.path().to_owned()).collect();
        assert!(sessions.iter().any(|path| path == template), "{path}: {sessions:?}");
        drop(raw);
    }
}

/// The clock is minded, and the application may send, as in a server of our own.
#[tokio::test]
async fn what_is_mounted_lives_by_itself() {
    let (config, mut reports) = Reporter::at("/alive");
    let mounted = of(config).mount().await.unwrap();
    let address = serve(mounted.service().into_router()).await;
    let mut client = connect(address, "/alive").await;
    let session = reports.opened().await;
    mounted.sessions().all().send("to everyone").await;
    assert_eq!(next_text(&mut client).await, "to everyone");
    session.set_idle_timeout(Duration::from_millis(50));
    closed(client).await;
    assert_eq!(reports.closed().await.code(), CloseCode::Abnormal);
}

#[tokio::test]
async fn a_shutdown_closes_the_sessions_and_refuses_handshakes() {
    let (config, mut reports) = Reporter::at("/stopped");
    let mounted = of(config).mount().await.unwrap();
    let address = serve(mounted.service().into_router()).await;
    let (container, mut readiness) = (mounted.container().clone(), mounted.readiness());
    assert!(container.is_ready());
    let client = connect(address, "/stopped").await;
    let stopping = tokio::spawn(mounted.shutdown());
    assert_eq!(closed(client).await, Some((1001, "the server is shutting down".to_owned())));
    soon("the end", stopping).await.unwrap();
    assert_eq!(reports.closed().await.code(), CloseCode::Away);
    assert!(!container.is_ready() && !*readiness.borrow_and_update());
    let answer = Raw::connect(address).await.ask(upgrade("/stopped", &[])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
}

#[tokio::test]
async fn sessions_are_closed_when_the_last_handle_is_gone() {
    let (config, mut reports) = Reporter::at("/gone");
    let mounted = of(config).mount().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = mounted.service().into_router();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut client = connect(address, "/gone").await;
    let sessions = mounted.sessions().clone();
    drop(mounted);
    says_back(&mut client, "the router has it yet").await;
    serving.abort();
    assert_eq!(closed(client).await.unwrap().0, 1001);
    assert_eq!(reports.closed().await.code(), CloseCode::Away);
    while sessions.count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn so_many_sessions_and_no_more() {
    let mounted = only::<Echo>().configure(|settings| settings.max_connections = 2).mount().await.unwrap();
    let address = serve(mounted.service().into_router()).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = connect(address, "/echo").await;
        says_back(&mut client, "hello").await;
        held.push(client);
    }
    assert_eq!(status(address, upgrade("/echo", &[])).await, 503);
}

/// Any server of hyper's will do, with whatever body its requests have; what it knows of the connection it says.
#[tokio::test]
async fn a_plain_service_takes_requests_with_any_body() {
    struct Nothing;
    let service = only::<Room>().into_service().await.unwrap().peer("192.0.2.1:77".parse().unwrap()).secure();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    // That of the connection goes when hyper has done its part.
    let _kept = service.clone();
    tokio::spawn(async move {
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let mut service: MountedService = service.clone();
            async move { service.call(request.map(|_| Nothing)).await }
        });
        http1::Builder::new().serve_connection(TokioIo::new(theirs), service).with_upgrades().await
    });
    let mut raw = Raw::over(ours);
    // Of the same origin it is only because the connection is encrypted.
    let answer = raw.ask(upgrade("/mounted/red", &["Origin: https://server.example"])).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(raw.text().await, "red nobody 0 77 true /mounted/red");
}

/// Somebody's own server that gives its connections to nobody.
#[tokio::test]
async fn a_connection_that_cannot_be_upgraded_is_told_so() {
    let mut service = only::<Echo>().into_service().await.unwrap();
    let request = http::Request::builder().uri("/echo").header("host", "x").header("connection", "upgrade");
    let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
    let request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==").body(()).unwrap();
    assert_eq!(service.call(request).await.unwrap().status(), 501);
}

#[tokio::test]
async fn what_is_for_listeners_is_a_problem() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let exporter = only::<Echo>()
        .bind("127.0.0.1:0")
        .tls(endpoint_runtime::Tls::pem(pair.cert.pem(), pair.signing_key.serialize_pem()))
        .fallback(axum::Router::new())
        .layer(tower_layer::layer_fn(|inner| inner));
    let error = exporter.mount().await.unwrap_err();
    let problems = error.downcast_ref::<DeployError>().unwrap().problems();
    let words = [
        "addresses (`.bind(..)`)",
        "certificate (`.tls(..)`)",
        "fallback (`.fallback(..)`)",
        "layers (`.layer(..)`)",
    ];
    assert_eq!(problems.len(), words.len(), "{error}");
    for (problem, words) in problems.iter().zip(words) {
        assert!(problem.to_string().contains(words), "{words} in {problem}");
    }
    let error = only::<Echo>().prefix("x").bind("127.0.0.1:0").into_router().await.unwrap_err();
    for words in ["`prefix`", "addresses (`.bind(..)`)"] {
        assert!(error.to_string().contains(words), "all at once: {words} in {error}");
    }
}

#[tokio::test]
async fn a_prefix_of_our_own_is_part_of_the_routes() {
    let address = serve(only::<Echo>().prefix("/ws").into_router().await.unwrap()).await;
    says_back(&mut connect(address, "/ws/echo").await, "hello").await;
    assert_eq!(status(address, upgrade("/echo", &[])).await, 404);
}

//! Handshakes over HTTP/2 (RFC 8441 5): what is accepted, in which words what is not, and what stands beside them on the same port.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use endpoint_runtime::prelude::*;
use endpoint_runtime::{Endpoint, ResponseBody, ServerEndpointConfig};
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message as Tungstenite;
use tower_layer::layer_fn;
use tower_service::Service;

use super::support::{Connection, Reporter, client, connect_to, exporter, request, soon, start, websocket};

/// Says what it knows of its handshake.
struct Facts;

impl Facts {
    #[track_caller]
    fn at(path: &str) -> ServerEndpointConfig {
        ServerEndpointConfig::builder(path, || Facts).build()
    }
}

impl Endpoint for Facts {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let handshake = session.handshake();
        let (peer, local) = (handshake.peer_addr().is_some(), handshake.local_addr().is_some());
        let facts = format!(
            "{:?} {} {} {} {} {peer} {local}",
            handshake.version(),
            handshake.uri(),
            handshake.url(),
            handshake.header("host").unwrap_or_default(),
            session.path_param("room").unwrap_or_default(),
        );
        Ok(session.send(facts).await?)
    }
}

#[tokio::test]
async fn a_handshake_looks_as_over_http1() {
    let server = start(exporter([Facts::at("/facts/{room}")])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let (mut socket, answer) = connection.connect(websocket("/facts/blue?x=1", &[])).await.ok().unwrap();
    let facts = "/facts/blue?x=1 ws://server.example/facts/blue?x=1 server.example blue true true";
    assert_eq!(socket.text().await, format!("HTTP/2.0 {facts}"));
    for absent in ["sec-websocket-accept", "connection", "upgrade", "content-length"] {
        assert_eq!(answer.header(absent), None);
    }
    let mut raw = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = "ws://server.example/facts/blue?x=1";
    let (mut old, _) = soon("HTTP/1.1", tokio_tungstenite::client_async(request, &mut raw)).await.unwrap();
    assert_eq!(
        soon("a text", old.next()).await.unwrap().unwrap().to_text().unwrap(),
        format!("HTTP/1.1 {facts}")
    );
}

#[tokio::test]
async fn the_subprotocol_is_agreed_on_as_ever() {
    let config = ServerEndpointConfig::builder("/chat", || Facts).subprotocols(["v2", "v1"]).build();
    let server = start(exporter([config])).await;
    let mut connection = Connection::open(server.local_addr()).await;
    for (offered, agreed) in [("v1, v2", Some("v1")), ("v3", None)] {
        let request = websocket("/chat", &[("sec-websocket-protocol", offered)]);
        let (_, answer) = connection.connect(request).await.ok().unwrap();
        assert_eq!(answer.header("sec-websocket-protocol"), agreed);
    }
}

#[tokio::test]
async fn refusals_have_their_status() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config]).configure(|settings| settings.max_headers = 20)).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let many: Vec<_> = (0..21).map(|index| (format!("x-{index}"), "y")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let large = "a".repeat(20_000);
    let broken = ("sec-websocket-extensions", "a; =");
    let version = ("sec-websocket-version", "8");
    let table = [
        (websocket("/nowhere", &[]), 404, "there is no endpoint at this path"),
        (websocket("/echo", &[("origin", "https://evil.example")]), 403, "this origin may not connect"),
        (
            request(Method::GET, "/echo", &[]),
            405,
            "this is a WebSocket endpoint: connect with ws:// or wss://",
        ),
        (
            connect_to("connect-udp", "/echo", &[]),
            501,
            "this server connects to no other protocol than websocket",
        ),
        (
            connect_to("websocket", "/echo", &[version]),
            400,
            "this server speaks version 13 of the WebSocket protocol",
        ),
        (
            websocket("/echo", &[("host", "other.example")]),
            400,
            "the request must name one host, in :authority",
        ),
        (websocket("/echo", &[broken]), 400, "Sec-WebSocket-Extensions: "),
        (websocket("/echo", &many), 431, "the request has too many header fields"),
        (websocket("/echo", &[("x-large", &large)]), 431, ""),
    ];
    for (request, status, reason) in table {
        let shown = format!("{request:?}");
        let answer = connection.connect(request).await.err().unwrap();
        assert_eq!(answer.status, status, "{shown}");
        assert!(answer.body.starts_with(reason), "{shown}: {answer:?}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("CONNECT"));
        let version = reason.contains("version 13").then_some("13");
        assert_eq!(answer.header("sec-websocket-version"), version);
        for absent in ["connection", "upgrade"] {
            assert_eq!(answer.header(absent), None, "RFC 9113 8.2.2");
        }
    }
    // None of them did any harm.
    connection.open_socket("/echo").await.says_back("and now in earnest").await;
    let same = websocket("/echo", &[("origin", "http://server.example")]);
    assert!(connection.connect(same).await.is_ok());
}

/// A page, the body that is posted, and what else came to it.
#[derive(Clone)]
struct Site;

impl Service<Request<Incoming>> for Site {
    type Response = Response<Full<Bytes>>;
    type Error = endpoint_runtime::BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        Box::pin(async move {
            let (status, body) = match request.uri().path() {
                "/" => (200, "a page".into()),
                "/echo" => (200, "a page at an endpoint".into()),
                "/post" => (200, request.into_body().collect().await?.to_bytes()),
                _ => (404, "no such page".into()),
            };
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = StatusCode::from_u16(status)?;
            Ok(response)
        })
    }
}

#[tokio::test]
async fn pages_and_sockets_share_a_connection() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config]).fallback(Site)).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut one = connection.open_socket("/echo").await;
    let mut other = connection.open_socket("/echo").await;
    let page = connection.get("/").await;
    assert_eq!((page.status, page.body.as_str()), (200, "a page"));
    assert_eq!(connection.get("/echo").await.body, "a page at an endpoint");
    one.says_back("one").await;
    let post = request(Method::POST, "/post", &[("content-length", "6")]);
    let (response, mut body) = connection.send(post, false).await.unwrap();
    other.says_back("other").await;
    body.send_data("posted".into(), true).unwrap();
    let (_, mut body) = soon("an answer", response).await.unwrap().into_parts();
    assert_eq!(soon("a body", body.data()).await.unwrap().unwrap(), "posted");
    one.says_back("one again").await;
    assert_eq!(server.sessions().count(), 2);
}

/// Knows a peer by a header, and turns away whoever is called Mallory.
#[derive(Clone)]
struct ByName<S>(S);

impl<S> Service<Request<Incoming>> for ByName<S>
where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>>,
    S::Future: Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        assert_eq!((request.version(), request.method()), (Version::HTTP_2, &Method::CONNECT));
        let name = request.headers().get("x-name").and_then(|name| name.to_str().ok()).unwrap_or_default();
        if name == "mallory" {
            let body = UnsyncBoxBody::new(Full::from("not you").map_err(|never| match never {}));
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            return Box::pin(async { Ok(response) });
        }
        let principal = Principal::new(name.to_owned());
        request.extensions_mut().insert(principal);
        Box::pin(self.0.call(request))
    }
}

/// Says who the peer is.
struct Who;

impl Endpoint for Who {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let who = session.handshake().principal::<String>().map(|who| who.to_string());
        Ok(session.send(who.unwrap_or_default()).await?)
    }
}

#[tokio::test]
async fn layers_see_the_handshake_and_may_refuse_it() {
    let config = ServerEndpointConfig::builder("/who", || Who).build();
    let server = start(exporter([config]).layer(layer_fn(ByName))).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let (mut ada, _) = connection.connect(websocket("/who", &[("x-name", "ada")])).await.ok().unwrap();
    assert_eq!(ada.text().await, "ada");
    let refused = connection.connect(websocket("/who", &[("x-name", "mallory")])).await.err().unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (418, "not you"));
}

/// What a service of the application's own upgrades is a session like any other.
#[tokio::test]
async fn the_application_upgrades_a_stream_itself() {
    #[derive(Clone)]
    struct Upgrades(ServerEndpointConfig);

    impl Service<Request<Incoming>> for Upgrades {
        type Response = Response<ResponseBody>;
        type Error = endpoint_runtime::BoxError;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Incoming>) -> Self::Future {
            let config = self.0.clone();
            Box::pin(async move {
                let container = request.extensions().get::<endpoint_runtime::Container>().cloned().unwrap();
                Ok(container.upgrade(request, &config, [("room", "own")].into()).await?)
            })
        }
    }

    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config]).fallback(Upgrades(Facts::at("/{room}")))).await;
    let mut connection = Connection::open(server.local_addr()).await;
    let mut socket = connection.open_socket("/somewhere").await;
    assert!(socket.text().await.starts_with("HTTP/2.0 /somewhere ws://server.example/somewhere"));
}

#[tokio::test]
async fn both_versions_share_a_port_of_any_kind() {
    let (config, _reports) = Reporter::at("/echo");
    let path = std::env::temp_dir().join(format!("endpoint-http2-{}.sock", std::process::id()));
    let exporter = exporter([config]).bind(format!("unix:{}", path.display()));
    let server = start(exporter).await;
    let mut new = Connection::open(server.local_addr()).await.open_socket("/echo").await;
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let url = "ws://server.example/echo";
    let (mut old, _) = soon("HTTP/1.1", tokio_tungstenite::client_async(url, stream)).await.unwrap();
    let unix = UnixStream::connect(&path).await.unwrap();
    let mut new_unix = Connection::over(unix, &client()).await.open_socket("/echo").await;
    let unix = UnixStream::connect(&path).await.unwrap();
    let (mut old_unix, _) = soon("HTTP/1.1", tokio_tungstenite::client_async(url, unix)).await.unwrap();
    for _ in 0..3 {
        new.says_back("new").await;
        new_unix.says_back("new, by a file").await;
        old.send(Tungstenite::text("old")).await.unwrap();
        assert_eq!(soon("a text", old.next()).await.unwrap().unwrap(), Tungstenite::text("old"));
        old_unix.send(Tungstenite::text("old, by a file")).await.unwrap();
        let said = soon("a text", old_unix.next()).await.unwrap().unwrap();
        assert_eq!(said, Tungstenite::text("old, by a file"));
    }
    assert_eq!(server.sessions().count(), 4);
}

/// The first bytes need not come together.
#[tokio::test]
async fn a_version_is_told_from_single_bytes() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config])).await;
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut raw = TcpStream::connect(server.local_addr()).await.unwrap();
    raw.set_nodelay(true).unwrap();
    for byte in request.as_bytes() {
        raw.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = String::new();
    soon("an answer", raw.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[tokio::test]
async fn http2_can_be_turned_off() {
    let (config, _reports) = Reporter::at("/echo");
    let server = start(exporter([config]).configure(|settings| settings.http2 = false)).await;
    let mut raw = TcpStream::connect(server.local_addr()).await.unwrap();
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // What is not understood is refused as HTTP/1.1, or not at all.
    let _ = soon("the end", raw.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let handshake = tokio_tungstenite::client_async("ws://server.example/echo", stream);
    assert!(soon("HTTP/1.1", handshake).await.is_ok());
}

//! What the tests share: servers, a client of HTTP/2 that says any frames, and patience.

mod endpoints;
mod socket;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use endpoint_runtime::{self as runtime, Server, ServerEndpointConfig, ServerEndpointExporter, Settings};
use h2::client::{Builder, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, PingPong, RecvStream, SendStream};
use http::{HeaderMap, Method, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) use self::endpoints::{Gate, Reporter};
pub(crate) use self::socket::{End, Frame, Socket, close, frame, text};

/// How long anything is waited for before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// An exporter of these endpoints alone, on any free port.
pub(crate) fn exporter(configs: impl IntoIterator<Item = ServerEndpointConfig>) -> ServerEndpointExporter {
    let mut exporter = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0");
    let mut places = Vec::new();
    for config in configs {
        places.push((config.path().to_owned(), config.place()));
        exporter = exporter.endpoint(config);
    }
    exporter.only(move |config| places.contains(&(config.path().to_owned(), config.place())))
}

/// Starts the server.
pub(crate) async fn start(exporter: ServerEndpointExporter) -> Server {
    soon("the start", exporter.start()).await.unwrap()
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header; several lines of it are a failure.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        let value = values.next();
        assert_eq!(values.next(), None, "two lines of {name}");
        value
    }
}

/// A client's connection.
pub(crate) struct Connection {
    requests: SendRequest<Bytes>,
    ping: Option<PingPong>,
    ended: Option<JoinHandle<Result<(), h2::Error>>>,
}

/// A client that has room for what comes on all its streams together, so that those it does not read stop no other.
pub(crate) fn client() -> Builder {
    let mut builder = Builder::new();
    builder.initial_connection_window_size(16 << 20);
    builder
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = soon("TCP", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, &client()).await
    }

    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        client: &Builder,
    ) -> Self {
        let (requests, mut connection) = soon("the preface", client.handshake(stream)).await.unwrap();
        let mut ping = connection.ping_pong().unwrap();
        let ended = tokio::spawn(connection);
        // The server's settings come before anything else.
        soon("a pong", ping.ping(Ping::opaque())).await.unwrap();
        assert!(requests.is_extended_connect_protocol_enabled());
        Connection { requests, ping: Some(ping), ended: Some(ended) }
    }

    /// The server has read all that was sent before.
    pub(crate) async fn ping(&mut self) -> Result<(), h2::Error> {
        let ping = self.ping.as_mut().unwrap();
        soon("a pong", ping.ping(Ping::opaque())).await.map(|_| ())
    }

    /// Another handle, for requests only.
    pub(crate) fn another(&self) -> Self {
        Connection { requests: self.requests.clone(), ping: None, ended: None }
    }

    /// Whether streams can still be opened.
    pub(crate) async fn is_open(&mut self) -> bool {
        soon("a stream", self.requests.clone().ready()).await.is_ok()
    }

    /// Asks for a page.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.request(Method::GET, path, &[]).await
    }

    pub(crate) async fn request(&mut self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = request(method, path, headers);
        let (response, _) = self.send(request, true).await.unwrap();
        answer(soon("an answer", response).await.unwrap()).await
    }

    /// Begins a stream.
    pub(crate) async fn send(
        &mut self,
        request: Request<()>,
        whole: bool,
    ) -> Result<(h2::client::ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut requests = soon("a stream", self.requests.clone().ready()).await?;
        requests.send_request(request, whole)
    }

    /// Asks for a WebSocket, in any words.
    pub(crate) async fn connect(&mut self, request: Request<()>) -> Result<(Socket, Answer), Answer> {
        let (response, send) = self.send(request, false).await.unwrap();
        let response = soon("the handshake", response).await.unwrap();
        if response.status() != 200 {
            return Err(answer(response).await);
        }
        let (head, receive) = response.into_parts();
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, body: String::new() };
        Ok((Socket::new(send, receive), answer))
    }

    /// A WebSocket at this path.
    pub(crate) async fn open_socket(&mut self, path: &str) -> Socket {
        match self.connect(websocket(path, &[])).await {
            Ok((socket, _)) => socket,
            Err(refused) => panic!("{refused:?}"),
        }
    }

    /// How the connection has ended.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        // As long as requests may come, it goes on.
        drop(self.requests);
        soon("the end of the connection", self.ended.unwrap()).await.unwrap()
    }

    /// How the connection ends while requests may still come.
    pub(crate) async fn ended_by_server(&mut self) -> Result<(), h2::Error> {
        soon("the end of the connection", self.ended.as_mut().unwrap()).await.unwrap()
    }

    /// Cuts it off, without a word.
    pub(crate) fn cut(self) {
        self.ended.unwrap().abort();
    }
}

async fn answer(response: http::Response<RecvStream>) -> Answer {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = soon("a body", body.data()).await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    let body = String::from_utf8(bytes).unwrap();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

/// A request to `server.example`.
pub(crate) fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(format!("http://server.example{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// A request for a WebSocket, with these headers too.
pub(crate) fn websocket(path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = connect_to("websocket", path, headers);
    request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    request
}

/// A request for any protocol.
pub(crate) fn connect_to(protocol: &'static str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = request(Method::CONNECT, path, headers);
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request
}

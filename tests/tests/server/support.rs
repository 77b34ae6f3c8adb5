//! What the tests share: servers of one endpoint, a client that says any bytes, and patience.

mod directory;
mod endpoints;
mod logged;
mod program;
mod raw;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_runtime::{self as runtime, Server, ServerEndpointConfig, ServerEndpointExporter, Settings};
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

pub(crate) use self::directory::Directory;
pub(crate) use self::endpoints::{Echo, Reporter, Reports};
pub(crate) use self::logged::capture;
pub(crate) use self::program::Program;
pub(crate) use self::raw::{Answer, Raw, binary, close, frame, text, upgrade};

/// How long anything is waited for before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A tungstenite client.
pub(crate) type Client = WebSocketStream<TcpStream>;

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// An exporter of everything that is registered here, with the default settings, on any free port.
pub(crate) fn exporter() -> ServerEndpointExporter {
    runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0")
}

/// An exporter of this annotated endpoint alone.
pub(crate) fn only<E: 'static>() -> ServerEndpointExporter {
    exporter().only(ServerEndpointConfig::is::<E>)
}

/// An exporter of these alone: an endpoint that is registered has the path of none of them.
pub(crate) fn only_these(configs: impl IntoIterator<Item = ServerEndpointConfig>) -> ServerEndpointExporter {
    let mut exporter = exporter();
    let mut places = Vec::new();
    for config in configs {
        places.push((config.path().to_owned(), config.place()));
        exporter = exporter.endpoint(config);
    }
    exporter.only(move |config| places.contains(&(config.path().to_owned(), config.place())))
}

/// Sets up logging that says nothing, so that `serve` does not write into the output of the tests.
pub(crate) fn log_nothing() {
    // It may be set up already.
    let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default());
}

/// Starts the server.
pub(crate) async fn start(exporter: ServerEndpointExporter) -> Server {
    soon("the start", exporter.start()).await.unwrap()
}

/// Opens a WebSocket by tungstenite, with more headers.
pub(crate) async fn connect_with(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Client {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    let stream = soon("TCP", TcpStream::connect(address)).await.unwrap();
    soon("the handshake", tokio_tungstenite::client_async(request, stream)).await.unwrap().0
}

/// Opens a WebSocket by tungstenite.
pub(crate) async fn connect(address: SocketAddr, path: &str) -> Client {
    connect_with(address, path, &[]).await
}

/// The next frame, `None` when the connection has ended, well or not.
pub(crate) async fn next(client: &mut Client) -> Option<Frame> {
    soon("a frame", client.next()).await.and_then(Result::ok)
}

/// The next message, which must be a text.
pub(crate) async fn next_text(client: &mut Client) -> String {
    match next(client).await {
        Some(Frame::Text(text)) => text.as_str().to_owned(),
        other => panic!("a text was expected, and {other:?} came"),
    }
}

/// Sends a text and expects it back: the server lives, and serves this client.
pub(crate) async fn says_back(client: &mut Client, text: &str) {
    soon("sending", client.send(Frame::text(text))).await.unwrap();
    assert_eq!(next_text(client).await, text);
}

/// Reads to the end of the connection, and closes it: the close frame on the way, if there was one.
pub(crate) async fn closed(mut client: Client) -> Option<(u16, String)> {
    let mut reason = None;
    while let Some(frame) = next(&mut client).await {
        if let Frame::Close(close) = frame {
            reason = Some(
                close.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string())),
            );
        }
    }
    reason
}

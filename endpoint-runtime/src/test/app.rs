//! [`App`]: the application under test.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::io::DuplexStream;

use super::peer::{Peer, Refused};
use crate::context::ApplicationContext;
use crate::exporter::ServerEndpointExporter;
use crate::server::{Server, ServerEndpointConfig};
use crate::session::Sessions;
use crate::settings::Settings;

/// Bytes that fit into the pipe between peer and server: what kernel buffers are to a socket.
const PIPE: usize = 64 * 1024;

/// An application that is going to be started in memory.
#[derive(Debug)]
#[must_use = "an application does nothing until it is started"]
pub struct App {
    exporter: ServerEndpointExporter,
}

impl App {
    pub(super) fn new() -> Self {
        App { exporter: crate::export_all().settings(Settings::default()).allow_empty() }
    }

    /// Provides a component, by its type.
    pub fn provide<T: Send + Sync + 'static>(self, component: T) -> Self {
        self.with(|exporter| exporter.provide(component))
    }

    /// Provides a component that is shared already; `T` may be a trait.
    pub fn provide_shared<T: ?Sized + Send + Sync + 'static>(self, component: Arc<T>) -> Self {
        self.with(|exporter| exporter.provide_shared(component))
    }

    /// Adds an endpoint.
    pub fn endpoint(self, config: ServerEndpointConfig) -> Self {
        self.with(|exporter| exporter.endpoint(config))
    }

    /// Deploys only the endpoint type `E`: the other endpoints of the test program, and what they need, stay out of it.
    pub fn only<E: 'static>(self) -> Self {
        self.with(|exporter| exporter.only(ServerEndpointConfig::is::<E>))
    }

    /// Changes settings.
    pub fn configure(self, change: impl Fn(&mut Settings) + Send + Sync + 'static) -> Self {
        self.with(|exporter| exporter.configure(change))
    }

    /// Anything else that an exporter can do.
    pub fn with(self, change: impl FnOnce(ServerEndpointExporter) -> ServerEndpointExporter) -> Self {
        App { exporter: change(self.exporter) }
    }

    /// Starts it.
    ///
    /// # Panics
    /// It cannot be deployed: the message lists all problems.
    pub async fn start(self) -> RunningApp {
        match self.exporter.start_in_memory().await {
            Ok(server) => RunningApp { server },
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// An application that runs in memory. It ends with the test.
#[derive(Debug)]
pub struct RunningApp {
    server: Server,
}

impl RunningApp {
    /// Opens a WebSocket at a path, with query string if one wants.
    ///
    /// ```
    /// # async fn f(app: endpoint_runtime::test::RunningApp) {
    /// let peer = app.connect("/chat/blue?nick=bo").header("accept-language", "eo").await.unwrap();
    /// let refused = app.connect("/nowhere").await.unwrap_err();
    /// assert_eq!(refused.status(), 404);
    /// # }
    /// ```
    pub fn connect(&self, path: &str) -> Connect<'_> {
        Connect { app: self, path: path.to_owned(), headers: Vec::new() }
    }

    /// A connection to send any bytes over: what comes is HTTP/1.1, and after an upgrade frames.
    pub fn connect_raw(&self) -> DuplexStream {
        self.connect_raw_with_buffer(PIPE)
    }

    /// [`connect_raw`](Self::connect_raw) through a pipe that holds so many bytes each way.
    pub fn connect_raw_with_buffer(&self, bytes: usize) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(bytes);
        self.server.serve_in_memory(theirs);
        ours
    }

    /// Every session.
    pub fn sessions(&self) -> &Sessions {
        self.server.sessions()
    }

    /// The components of the application.
    pub fn context(&self) -> &ApplicationContext {
        self.server.context()
    }

    /// Lets time pass, in a test that has paused it.
    ///
    /// # Panics
    /// Time is not paused: use `#[tokio::test(start_paused = true)]`.
    pub async fn advance(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    /// Stops gracefully, as a server does.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

/// A handshake that is going to be made.
#[derive(Debug)]
#[must_use = "await it to connect"]
pub struct Connect<'a> {
    app: &'a RunningApp,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Connect<'_> {
    /// Adds a header.
    ///
    /// # Panics
    /// This is not a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            panic!("`{name}: {value}` is not a header");
        };
        self.headers.push((name, value));
        self
    }

    /// Offers subprotocols, in order of preference.
    pub fn subprotocols(self, names: &[&str]) -> Self {
        self.header("sec-websocket-protocol", &names.join(", "))
    }

    /// Says which page it comes from, as a browser does.
    pub fn origin(self, origin: &str) -> Self {
        self.header("origin", origin)
    }
}

impl<'a> IntoFuture for Connect<'a> {
    type Output = Result<Peer, Refused>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Peer::open(self.app.connect_raw(), self.path, self.headers))
    }
}

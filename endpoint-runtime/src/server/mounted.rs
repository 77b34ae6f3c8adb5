//! [`Mounted`]: the endpoints inside of somebody else's server, as a tower service.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::uri::Scheme;
use http::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tower_service::Service;

use super::Server;
use super::body::ResponseBody;
use super::container::Container;
use super::door::Door;
use crate::context::ApplicationContext;
use crate::error::Refusal;
use crate::handshake;
use crate::session::{Ends, Sessions};

/// The endpoints of an exporter that was [mounted](crate::ServerEndpointExporter::mount): everything that a server is, but for listeners.
///
/// Its [`service`](Self::service) answers handshakes that come over the connections of another server: axum's, or any that is built on
/// hyper. What is not its own to see are those connections. So whoever stops the other server stops this too, by
/// [`shutdown`](Self::shutdown): hyper, and axum with it, forgets a connection when it becomes a WebSocket.
///
/// ```no_run
/// # use endpoint_runtime as runtime;
/// # async fn serve_until_told_to_stop(_: runtime::MountedService) {}
/// # async fn f() -> runtime::Result<()> {
/// let mounted = runtime::export_all().mount().await?;
/// serve_until_told_to_stop(mounted.service()).await;
/// mounted.shutdown().await;
/// # Ok(()) }
/// ```
///
/// When the last of the handle and the services is dropped without that, the same happens in the background, for as long as the tokio
/// runtime that it was mounted in runs. Sessions do not count, nor do connections: whoever accepts them keeps a service.
#[derive(Debug)]
pub struct Mounted(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    door: Arc<Door>,
    /// Until it is shut down. Its tasks, such as the one that minds the clock, run by themselves.
    server: Mutex<Option<Server>>,
    runtime: Handle,
}

impl Inner {
    fn take(&self) -> Option<Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(server) = self.take() {
            self.runtime.spawn(server.shutdown());
        }
    }
}

impl Mounted {
    /// Of a server without listeners. To be called inside of a tokio runtime.
    pub(crate) fn new(server: Server) -> Self {
        let door = Arc::clone(server.door());
        Mounted(Arc::new(Inner { door, server: Mutex::new(Some(server)), runtime: Handle::current() }))
    }

    /// The endpoints as a service. It may be cloned, and mounted in several places.
    pub fn service(&self) -> MountedService {
        MountedService { inner: Arc::clone(&self.0), peer: None, secure: false }
    }

    /// Every session.
    pub fn sessions(&self) -> &Sessions {
        self.0.door.sessions()
    }

    /// The server as the application inside of it knows it: endpoints may come and go.
    pub fn container(&self) -> &Container {
        self.0.door.container()
    }

    /// The components.
    pub fn context(&self) -> &ApplicationContext {
        self.0.door.context()
    }

    /// Whether it wants more connections, and when that changes: see [`Container::readiness`].
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.container().readiness()
    }

    /// Stops gracefully, as a [server](Server::shutdown) does: from now on handshakes get 503, sessions are closed with 1001 in rounds, every
    /// `#[on_close]` runs.
    pub async fn shutdown(self) {
        if let Some(server) = self.0.take() {
            server.shutdown().await;
        }
    }
}

/// The endpoints of a [`Mounted`] exporter, as a tower service for requests with any body.
///
/// A request is for the endpoint whose path it has, where it arrives: what stands around the service may have taken a prefix off, as
/// axum's `nest_service` does. No endpoint there is 404. What layers leave in the request's extensions reaches the handlers, such as a
/// [`Principal`](crate::Principal).
///
/// The connection must be one that can be upgraded: hyper's `with_upgrades`, as axum's `serve` has it.
#[derive(Clone)]
pub struct MountedService {
    inner: Arc<Inner>,
    peer: Option<SocketAddr>,
    secure: bool,
}

impl MountedService {
    /// The service for connections of this peer: what [`Handshake::peer_addr`](crate::Handshake::peer_addr) says. With the feature `axum`,
    /// axum's `ConnectInfo<SocketAddr>` says it too.
    #[must_use]
    pub fn peer(mut self, address: SocketAddr) -> Self {
        self.peer = Some(address);
        self
    }

    /// The service for connections that are encrypted: what [`Handshake::is_secure`](crate::Handshake::is_secure) says, and which page is of the
    /// same origin. It cannot be told from a request of HTTP/1.1, so say it where the server around this speaks TLS.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// The endpoints as routes, to be merged into a router or nested in one. Endpoints that are deployed later have none: for them, mount the
    /// service itself, by `nest_service` or as the fallback.
    #[cfg(feature = "axum")]
    pub fn into_router(self) -> axum::Router {
        let mounted = self.inner.door.deployments().mounted();
        let routes: Vec<_> = mounted.iter().map(|(template, _)| (template.normal_form(), template)).collect();
        // A router takes no variable beside a `{*rest}`, which matches the same requests.
        let is_covered = |form: &str| {
            let rests = routes.iter().filter_map(|(other, _)| other.strip_suffix("{*}"));
            rests.map(|start| format!("{start}{{}}")).any(|start| form.starts_with(&start))
        };
        routes
            .iter()
            .filter(|(form, _)| !is_covered(form))
            .fold(axum::Router::new().without_v07_checks(), |router, (_, template)| {
                router.route_service(&template.route(), self.clone())
            })
    }

    /// What is known of the connection.
    fn ends(&self, request: &Request<()>) -> Ends {
        #[cfg(feature = "axum")]
        let told = request.extensions().get::<axum::extract::ConnectInfo<SocketAddr>>().map(|info| info.0);
        #[cfg(not(feature = "axum"))]
        let told = None;
        // In HTTP/2 the scheme is stated.
        let secure = self.secure || request.uri().scheme() == Some(&Scheme::HTTPS);
        Ends { remote: self.peer.or(told), secure, ..Ends::default() }
    }

    async fn answer(self, mut request: Request<()>) -> Response<ResponseBody> {
        let door = Arc::clone(&self.inner.door);
        let mut ends = self.ends(&request);
        // Without an address it is not known to be a proxy.
        if ends.remote.is_some() {
            ends = match door.introduced(&mut request, ends) {
                Ok(ends) => ends,
                Err(refusal) => return door.refuse(request.uri().path(), refusal),
            };
        }
        let path = request.uri().path();
        let Some((deployed, params)) = door.deployments().find(path, |_| true) else {
            return door.refuse(path, handshake::not_found());
        };
        let params = match params {
            Ok(params) => params,
            Err(error) => return door.refuse(path, Refusal::bad_request(error.to_string())),
        };
        request.extensions_mut().insert(ends);
        let (head, ()) = request.into_parts();
        match Arc::clone(&door).upgrade(head, deployed, params).await {
            Some(response) => response,
            None => {
                tracing::error!(
                    "a handshake came over a connection that cannot be upgraded: see `MountedService`"
                );
                let refusal = Refusal::new(StatusCode::NOT_IMPLEMENTED, "this connection cannot be upgraded");
                door.refuse("", refusal)
            }
        }
    }
}

impl fmt::Debug for MountedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountedService")
            .field("peer", &self.peer)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

impl<B: Send + 'static> Service<Request<B>> for MountedService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // A handshake has no body.
        let answer = self.clone().answer(request.map(drop));
        Box::pin(async move { Ok(answer.await) })
    }
}

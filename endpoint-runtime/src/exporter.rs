//! The exporter: collects the annotated endpoints, checks everything, and serves them.
//!
//! Order: collect → validate → build the components → tell them → `before_listening` → mount → bind → ready. Everything is validated before
//! anything is started, all problems are reported at once, and a failure starts nothing, or undoes what was started (Jakarta WebSocket
//! 5.2.1, WSC-5.2.1-3: all or nothing).

mod check;
mod clustered;
mod components;
#[cfg(feature = "tls")]
mod encryption;
mod registration;
mod report;
mod signal;
mod start;
mod supervisor;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tower_layer::Layer;
use tower_service::Service;

pub use self::registration::Registration;
pub use self::report::Report;
#[cfg(feature = "json")]
use crate::cluster::resume::Carried;
use crate::cluster::{Engine, Rooms};
use crate::context::{ApplicationContext, Components, Observer};
use crate::error::{BoxError, Place, Result};
#[cfg(feature = "json")]
use crate::server::Publishing;
#[cfg(feature = "tls")]
use crate::server::Tls;
use crate::server::{
    Answer, EndpointService, Listen, Mounted, MountedService, Server, ServerEndpointConfig, boxed,
};
use crate::settings::{SetValue, Settings};

/// Exports the endpoints of this program, and serves them. Made by [`export_all`](crate::export_all).
///
/// ```no_run
/// use endpoint_runtime as runtime;
///
/// # async fn f() -> runtime::Result<()> {
/// runtime::export_all()
///     .bind("0.0.0.0:9000")
///     .on_ready(|server| println!("listening on {}", server.local_addr()))
///     .serve()
///     .await
/// # }
/// ```
#[must_use = "an exporter does nothing until it is served, started or checked"]
pub struct ServerEndpointExporter {
    /// Whether to collect what the annotations registered.
    registered: bool,
    explicit: Vec<ServerEndpointConfig>,
    only: Vec<Filter>,
    expected: Vec<String>,
    allow_empty: bool,
    components: Components,
    observers: Vec<Arc<dyn Observer>>,
    /// Called when all components stand, with the place where that was said.
    hooks: Vec<(Place, Hook)>,
    fallback: Option<Answer>,
    layers: Vec<AddLayer>,
    /// What the builder changes of the settings, in its order.
    changes: Vec<Change>,
    /// Where the builder says to listen; where the settings say it if this is empty.
    listens: Vec<Listen>,
    /// What listeners that do not say otherwise are encrypted by; what the settings say if this is `None`.
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    settings: Option<Settings>,
    /// What carries messages to other processes.
    engine: Option<Arc<dyn Engine>>,
    /// What it says of rooms, and where.
    rooms: Vec<(String, Rooms, Place)>,
    /// The attributes that go with a session that is resumed.
    #[cfg(feature = "json")]
    carried: Carried,
    /// Where messages are handed in, with the places where that was said.
    #[cfg(feature = "json")]
    publishing: Vec<(Place, Publishing)>,
    ready: Vec<Ready>,
}

type Filter = Box<dyn Fn(&ServerEndpointConfig) -> bool + Send + Sync>;
type Change = Box<dyn Fn(&mut Settings) + Send + Sync>;
type Ready = Box<dyn FnOnce(&Server) + Send>;
type Hook =
    Box<dyn FnOnce(ApplicationContext) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;
type AddLayer = Box<dyn FnOnce(Answer) -> Answer + Send + Sync>;

impl ServerEndpointExporter {
    /// An exporter of what the annotations registered.
    pub(crate) fn all() -> Self {
        ServerEndpointExporter {
            registered: true,
            explicit: Vec::new(),
            only: Vec::new(),
            expected: Vec::new(),
            allow_empty: false,
            components: Components::default(),
            observers: Vec::new(),
            hooks: Vec::new(),
            fallback: None,
            layers: Vec::new(),
            changes: Vec::new(),
            listens: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
            settings: None,
            engine: None,
            rooms: Vec::new(),
            #[cfg(feature = "json")]
            carried: Carried::default(),
            #[cfg(feature = "json")]
            publishing: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Adds an endpoint: a programmatic one, or an annotated type by [`ServerEndpointConfig::of`]. A type that is registered by its
    /// annotation too is deployed once.
    pub fn endpoint(mut self, config: ServerEndpointConfig) -> Self {
        self.explicit.push(config);
        self
    }

    /// Deploys only the endpoints for which this is true. This is what Jakarta's `ServerApplicationConfig` is for (DP-02, DP-03): the
    /// application looks at everything that was found and says what is deployed.
    ///
    /// The filter is asked about every endpoint, those that annotations have registered and those that were added by
    /// [`endpoint`](Self::endpoint), one by one; without any filter all of them are deployed. Several filters must all agree, so that each
    /// can take something away; a union of several selections is one filter with `||`. What is left out is not checked, and what it needs
    /// need not be provided; [`check`](Self::check) lists what is left. Endpoints that are deployed [while the server
    /// runs](crate::Container::deploy) are not asked about.
    ///
    /// ```standalone_crate
    /// use endpoint_runtime::prelude::*;
    ///
    /// #[server_endpoint("/public/news")]
    /// struct News;
    /// #[handlers]
    /// impl News {
    ///     #[on_open]
    ///     fn open(&self) {}
    /// }
    ///
    /// #[server_endpoint("/admin")]
    /// struct Admin;
    /// #[handlers]
    /// impl Admin {
    ///     #[on_open]
    ///     fn open(&self) {}
    /// }
    ///
    /// let exporter = endpoint_runtime::export_all()
    ///     .only(|endpoint| endpoint.path().starts_with("/public/") || endpoint.is::<Admin>())
    ///     .only(|endpoint| !endpoint.path().starts_with("/admin"));
    /// let report = exporter.check();
    /// let paths: Vec<_> = report.endpoints().iter().map(|endpoint| endpoint.path()).collect();
    /// assert_eq!(paths, ["/public/news"]);
    /// ```
    pub fn only(mut self, select: impl Fn(&ServerEndpointConfig) -> bool + Send + Sync + 'static) -> Self {
        self.only.push(Box::new(select));
        self
    }

    /// Makes it an error if there is no endpoint at one of these paths, as when the crate that declares it is not linked.
    pub fn expect_paths<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        self.expected.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Serves even if there is no endpoint at all.
    pub fn allow_empty(mut self) -> Self {
        self.allow_empty = true;
        self
    }

    /// Listens here: `127.0.0.1:8080`, `[::]:8080`, `localhost:0` for any free port, `unix:/run/app.sock`, `systemd:` for the sockets of the
    /// service manager; a [`Listen`] says more. The first call replaces what the settings say, further ones add listeners.
    pub fn bind(mut self, listen: impl Into<Listen>) -> Self {
        self.listens.push(listen.into());
        self
    }

    /// What all paths begin with: `/ws` serves the endpoint `/chat` at `/ws/chat`, and `/` at `/ws/`. Whatever names a path then names it with the prefix: filters,
    /// expected paths, the log, and [`Container::undeploy`](crate::Container::undeploy). The same as the [setting](Settings::prefix).
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.configure(move |settings| settings.prefix.clone_from(&prefix))
    }

    /// Speaks TLS on all TCP listeners that do not [say otherwise](Listen::plain). This replaces what the settings say about certificates
    /// (`tls_certificate` and so on).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// From which pages browsers may connect to endpoints that do not say it themselves: `https://example.com`, or `*` for any.
    pub fn origins<S: Into<String>>(self, origins: impl IntoIterator<Item = S>) -> Self {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        self.configure(move |settings| settings.origins = Some(origins.clone()))
    }

    /// Changes settings: this wins over `endpoint.toml` and the environment.
    pub fn configure(mut self, change: impl Fn(&mut Settings) + Send + Sync + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Uses these settings, and reads neither `endpoint.toml` nor the environment.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Sets a value of the application's own settings, as `endpoint.toml` and the environment may: see
    /// [`Settings::values`](crate::Settings::values).
    pub fn value(self, key: &str, value: impl Into<SetValue>) -> Self {
        let (key, value) = (key.to_owned(), value.into());
        self.configure(move |settings| settings.values.set(&key, value.clone()))
    }

    /// Lets any tower service answer the requests that are not for an endpoint: pages, health checks, a whole axum application.
    ///
    /// A plain request to an endpoint's own path goes there too; if the service answers 404 it gets 426.
    pub fn fallback<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.fallback = Some(boxed(service));
        self
    }

    /// Puts a tower layer around the endpoints: it sees each handshake once its path is found, may refuse it, and what it leaves in the
    /// request's extensions reaches the handlers, such as a [`Principal`](crate::Principal). Of several, the last is the outermost.
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<EndpointService> + Send + Sync + 'static,
        L::Service: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Incoming>>>::Future: Send + 'static,
        <L::Service as Service<Request<Incoming>>>::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.layers.push(Box::new(move |inner| boxed(layer.layer(EndpointService(inner)))));
        self
    }

    /// Called when all listeners are open, once.
    pub fn on_ready(mut self, act: impl FnOnce(&Server) + Send + 'static) -> Self {
        self.ready.push(Box::new(act));
        self
    }

    /// Looks for every deployment problem, without starting anything: for a unit test.
    ///
    /// ```standalone_crate
    /// # use endpoint_runtime as runtime;
    /// let report = runtime::export_all().allow_empty().check();
    /// assert!(report.problems().is_empty(), "{report}");
    /// ```
    pub fn check(&self) -> Report {
        self.plan().report()
    }

    /// Starts the server and returns its handle.
    ///
    /// # Errors
    /// [`DeployError`](crate::DeployError) with all problems, or with the component that could not be built, or the address that could not
    /// be bound. What was built until then is destroyed, in reverse, and nothing is open. So it is too if the future is dropped before it
    /// is done, but in the background.
    pub async fn start(self) -> Result<Server> {
        // In a box, as below: it is large, and made once.
        Box::pin(start::start(self)).await
    }

    /// Starts the server without any listener.
    #[cfg(feature = "test")]
    pub(crate) async fn start_in_memory(self) -> Result<Server> {
        Box::pin(start::start_in_memory(self)).await
    }

    /// Starts everything but listeners, for connections that another server accepts: see [`Mounted`].
    ///
    /// # Errors
    /// As [`start`](Self::start). What is for listeners is a problem too, and has its place in the other server: addresses, certificates, a fallback, layers.
    pub async fn mount(self) -> Result<Mounted> {
        Box::pin(start::mount(self)).await
    }

    /// The endpoints as a tower service: [`mount`](Self::mount) for whoever needs no handle. When the service and its clones are gone, the
    /// sessions are closed.
    ///
    /// # Errors
    /// As [`mount`](Self::mount).
    pub async fn into_service(self) -> Result<MountedService> {
        Ok(self.mount().await?.service())
    }

    /// The endpoints as routes of axum, to be merged into a router or nested in one. When the router and its clones are gone, the sessions are
    /// closed; to wait for that, [`mount`](Self::mount) and shut down.
    ///
    /// ```no_run
    /// # use endpoint_runtime as runtime;
    /// # async fn f() -> runtime::Result<()> {
    /// let app = axum::Router::new()
    ///     .route("/", axum::routing::get(|| async { "hello" }))
    ///     .merge(runtime::export_all().into_router().await?);
    /// # let _: axum::Router = app;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`mount`](Self::mount).
    #[cfg(feature = "axum")]
    pub async fn into_router(self) -> Result<axum::Router> {
        Ok(self.into_service().await?.into_router())
    }

    /// Starts the server, and stops it gracefully at Ctrl-C or SIGTERM; a second one ends it at once. If the program has set up no
    /// logging, the runtime's lines go to the standard error output.
    ///
    /// A service manager that wants to know (systemd's `Type=notify`) is told when the server is ready and when it stops.
    ///
    /// An exporter serves once:
    ///
    /// ```compile_fail,E0382
    /// # async fn f() -> endpoint_runtime::Result<()> {
    /// let exporter = endpoint_runtime::export_all();
    /// exporter.serve().await?;
    /// exporter.serve().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn serve(self) -> Result<()> {
        let mut signals = signal::Signals::listen();
        let Some(server) = self.start_unless(signals.next()).await? else { return Ok(()) };
        signals.next().await;
        let at_once = server.at_once();
        let mut stopping = std::pin::pin!(supervisor::stop(server));
        tokio::select! {
            () = stopping.as_mut() => return Ok(()),
            () = signals.next() => {}
        }
        tracing::warn!("told to stop once more: ending at once");
        at_once.cancel();
        // Those who are cut off have a moment, and whatever else there is to do has no more.
        let _ = tokio::time::timeout(2 * crate::server::LAST_MOMENT, stopping).await;
        Ok(())
    }

    /// Starts the server, and stops it gracefully when the future is done.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn serve_with_shutdown(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let mut shutdown = std::pin::pin!(shutdown);
        let Some(server) = self.start_unless(shutdown.as_mut()).await? else { return Ok(()) };
        shutdown.await;
        supervisor::stop(server).await;
        Ok(())
    }

    /// Starts the server, and says so; `None` if it is to stop before that.
    async fn start_unless(self, stop: impl Future<Output = ()>) -> Result<Option<Server>> {
        #[cfg(feature = "log")]
        signal::log_if_nobody_does();
        // Whoever asks while it starts does not want to wait for that.
        let Some(server) = Box::pin(start::start_until(self, stop)).await? else { return Ok(None) };
        supervisor::ready();
        Ok(Some(server))
    }
}

impl fmt::Debug for ServerEndpointExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEndpointExporter").field("explicit", &self.explicit).finish_non_exhaustive()
    }
}

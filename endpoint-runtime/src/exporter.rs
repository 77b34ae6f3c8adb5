//! The exporter: collects the annotated endpoints, checks everything, and serves them.
//!
//! Order: collect → validate → build the components → tell them → `before_listening` → mount → bind → ready. Everything is validated before
//! anything is started, all problems are reported at once, and a failure starts nothing, or undoes what was started (Jakarta WebSocket
//! 5.2.1, WSC-5.2.1-3: all or nothing).

mod check;
#[cfg(feature = "tls")]
mod encryption;
mod registration;
mod report;
mod signal;
mod start;
mod supervisor;

use std::borrow::Cow;
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
use crate::context::{ApplicationContext, ComponentConfig, Components, Lifecycle, Observer};
use crate::endpoint::short_name;
use crate::error::{BoxError, Place, Result};
use crate::handshake::BearerTokens;
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

    /// Provides a component, by its type.
    #[track_caller]
    pub fn provide<T: Send + Sync + 'static>(self, component: T) -> Self {
        self.provide_shared(Arc::new(component))
    }

    /// Provides a component that is shared already; `T` may be a trait: `provide_shared::<dyn Audit>(..)`. Of a trait there may be several.
    #[track_caller]
    pub fn provide_shared<T: ?Sized + Send + Sync + 'static>(self, component: Arc<T>) -> Self {
        let place = Place::caller();
        self.component(ComponentConfig::shared(component, place))
    }

    /// Provides one of several components of a type, by its name (Spring's `@Qualifier`).
    #[track_caller]
    pub fn provide_named<T: Send + Sync + 'static>(
        self,
        name: impl Into<Cow<'static, str>>,
        component: T,
    ) -> Self {
        let place = Place::caller();
        self.component(ComponentConfig::shared(Arc::new(component), place).named(name))
    }

    /// Provides a component that is told when the application starts and ends.
    #[track_caller]
    pub fn provide_managed<T: Lifecycle>(self, component: T) -> Self {
        let place = Place::caller();
        self.component(ComponentConfig::shared(Arc::new(component), place).lifecycle::<T>())
    }

    /// Provides a component that it takes code to make. It is made once, when the application starts, and before whatever needs it.
    ///
    /// What it needs itself shows only when it runs: it finds what is provided as a value, what an earlier `provide_with` or
    /// [`component`](Self::component) builds, and whatever else by `context.lazy::<T>().get().await`, which builds it there and then. A
    /// component whose needs are known and checked beforehand is declared by `#[provider]`, or by [`ComponentConfig::needs`].
    ///
    /// ```no_run
    /// # use endpoint_runtime::{Settings, prelude::*};
    /// # struct Database;
    /// # impl Database { async fn connect(_: std::sync::Arc<Settings>) -> Result<Self> { Ok(Database) } }
    /// # async fn f() -> Result<()> {
    /// endpoint_runtime::export_all()
    ///     .provide_with(|context| async move { Database::connect(context.get::<Settings>()?).await })
    ///     .serve()
    ///     .await
    /// # }
    /// ```
    #[track_caller]
    pub fn provide_with<T, F, Fut>(self, make: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let place = Place::caller();
        self.component(ComponentConfig::built(short_name::<T>(), place, make))
    }

    /// Adds a component that is configured by hand. It takes the place of one of the same type and name that an annotation has registered.
    pub fn component(mut self, config: ComponentConfig) -> Self {
        self.components.add(config);
        self
    }

    /// Tells an observer what happens to the application: an [`Observer`], or a closure `|event: &ApplicationEvent| ..`. Where nobody
    /// observes, a session costs nothing more.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Called when all components are built and told so, and before anything is opened; of several, in their order. If it fails the
    /// application does not start.
    ///
    /// ```no_run
    /// # use endpoint_runtime::prelude::*;
    /// # struct Database;
    /// # impl Database { async fn migrate(&self) -> Result<()> { Ok(()) } }
    /// # async fn f() -> Result<()> {
    /// endpoint_runtime::export_all()
    ///     .provide(Database)
    ///     .before_listening(|context| async move { context.get::<Database>()?.migrate().await })
    ///     .serve()
    ///     .await
    /// # }
    /// ```
    #[track_caller]
    pub fn before_listening<F, Fut>(mut self, act: F) -> Self
    where
        F: FnOnce(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.hooks.push((Place::caller(), Box::new(move |context| Box::pin(act(context)))));
        self
    }

    /// Accepts bearer tokens at every endpoint, and establishes whose they are. They are a component of the application: one that
    /// [provides](Self::provide) them does the same as this.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    /// use endpoint_runtime::{BearerTokens, export_all};
    ///
    /// struct User;
    /// # async fn look_up(_: String) -> Option<User> { None }
    ///
    /// let exporter = export_all().bearer(BearerTokens::new(|token: String| async move {
    ///     let user = look_up(token).await.ok_or_else(|| Refusal::unauthorized("this token is not valid"))?;
    ///     Ok(Principal::new(user).named("bo").role("admin"))
    /// }));
    /// ```
    pub fn bearer(self, tokens: BearerTokens) -> Self {
        self.provide(tokens)
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

    /// Takes messages for sessions by `POST` at this path, from whoever is in this role: for programs that speak HTTP and nothing else. With a
    /// [cluster](Self::cluster) they reach the sessions of all nodes.
    ///
    /// Who it is a bearer token says, in `Authorization` and nowhere else; so the application must have [bearer tokens](Self::bearer), or it is not
    /// deployed. The path is an exact one, behind the [prefix](crate::Settings::prefix), on all listeners. A
    /// [fallback](Self::fallback) is not asked about it, and an endpoint of the same path keeps its handshakes.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    /// use endpoint_runtime::{BearerTokens, export_all};
    ///
    /// let tokens = BearerTokens::new(|token: String| async move {
    ///     match token.as_str() {
    ///         "s3cret" => Ok(Principal::new(()).named("billing").role("publisher")),
    ///         _ => Err(Refusal::unauthorized("this token is not valid")),
    ///     }
    /// });
    /// let exporter = export_all().bearer(tokens).publishing("/publish", "publisher");
    /// ```
    ///
    /// ```sh
    /// curl -i http://localhost:8080/publish -H 'Authorization: Bearer s3cret' -H 'Content-Type: application/json' \
    ///     -d '{"room": "blue", "text": "your order is on its way", "id": "67e55044-10b1-426f-9247-bb680e5fe0c8"}'
    /// ```
    ///
    /// The body is a JSON object: one of `"room"`, `"user"`, `"session"` (an id) and `"all": true`; either `"text"`, or `"bytes"` in base64;
    /// and the [`"id"`](crate::Audience::id) of the message, if it may be sent again. The answer is one too:
    ///
    /// * `queued` and `missed`: the sessions of this process whose queue has the message, and those that were closing or too slow;
    /// * `elsewhere`: `"nowhere"` (there is no cluster), `"handed"` (the engine has it), `"failed"`, or `"unknown"`: it was not said in time;
    /// * `receivers`: how many nodes have it, or null where the engine does not know;
    /// * `position`: `["<epoch>", <offset>]` in the history of a recoverable room, otherwise null; `duplicate`: it had that place already;
    /// * `error`: what went wrong, if anything did.
    ///
    /// | status | |
    /// |---|---|
    /// | 202 | it is on its way |
    /// | 400 | the body is no such object |
    /// | 401, 403 | there is no token, or none that is accepted; its owner is not in the role |
    /// | 404 | there is no such session |
    /// | 405, 415 | not `POST`; not `application/json` |
    /// | 408 | the body took longer than [`handshake_timeout`](crate::Settings::handshake_timeout) |
    /// | 411, 413 | a body that does not say how large it is, or is larger than [`max_body_size`](crate::Settings::max_body_size); a message too large for the engine |
    /// | 503 | it has not crossed to other nodes, or nobody knows whether it has. If it has an id and its room is recoverable, it can be sent again |
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn publishing(mut self, path: impl Into<String>, role: impl Into<String>) -> Self {
        self.publishing.push((Place::caller(), Publishing::new(path.into(), role.into())));
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

    /// Makes this process a node of a cluster: [`Sessions`](crate::Sessions) are those of all processes that are given an engine of the same
    /// kind with the same server and prefix. Without this they are those of this process, and the same calls work.
    ///
    /// A session never moves; messages do. Two classes of them are told apart, by their room:
    ///
    /// | | volatile | recoverable |
    /// |---|---|---|
    /// | to a node with an interested session | at most once | at least once while the position is inside (size, ttl) |
    /// | to the client | at most once, in channel order | in channel order, effectively once by (epoch, offset); if continuity cannot be proved, exactly one `recovered=false` and no partial replay |
    /// | the engine is down | an error after the deadline (`cluster_deadline`); no unbounded buffer (`cluster_queue`); sessions of the same node still get it | an error; nothing is delivered that has no offset |
    /// | the engine has restarted without its data, or a replica was promoted | nothing to do | the epoch differs: `recovered=false` |
    ///
    /// What was acknowledged and then lost by the engine itself is always visible as a change of the epoch, never silent. Nothing else is
    /// promised: what must not be lost belongs into the application's database.
    ///
    /// The engine is started before the components are built. One that cannot be is a problem of the deployment.
    ///
    /// ```no_run
    /// use endpoint_runtime as runtime;
    /// use endpoint_runtime::cluster::Local;
    ///
    /// # async fn f() -> runtime::Result<()> {
    /// // Two servers of one process, as two nodes.
    /// let engine = Local::new();
    /// let one = runtime::export_all().bind("127.0.0.1:9000").cluster(engine.clone()).start().await?;
    /// let other = runtime::export_all().bind("127.0.0.1:9001").cluster(engine).start().await?;
    /// one.sessions().room("blue").send("to both").await;
    /// # drop(other);
    /// # Ok(()) }
    /// ```
    pub fn cluster(mut self, engine: impl Engine) -> Self {
        self.engine = Some(Arc::new(engine));
        self
    }

    /// Says what holds for rooms: that they are recoverable, that it is known who is present. `pattern` is a name, or the beginning of one and a
    /// `*`; of several that match, the longest holds. Endpoints say the same with `recover(..)` and `presence`; two who say different things of
    /// one pattern are a problem of the deployment.
    ///
    /// Recoverable rooms need an engine that keeps messages. Without any ([`cluster`](Self::cluster)) there is one in this process, so that
    /// the same holds for clients that were away, until the process ends.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use endpoint_runtime::cluster::Rooms;
    ///
    /// let exporter = endpoint_runtime::export_all()
    ///     .rooms("news/*", Rooms::recoverable(100, Duration::from_secs(300)))
    ///     .rooms("lobby", Rooms::plain().presence());
    /// ```
    #[track_caller]
    pub fn rooms(mut self, pattern: impl Into<String>, rooms: Rooms) -> Self {
        self.rooms.push((pattern.into(), rooms, Place::caller()));
        self
    }

    /// Carries attributes of the type `T` from a session to the one that resumes it, on whichever server: they are in its
    /// [`attributes`](crate::Session::attributes) before `#[on_open]` runs. The name is what servers of different versions of the program agree
    /// on; the value crosses as JSON. An attribute that changes is written down within a second; what changes without being
    /// [inserted](crate::Attributes::insert) again, as behind a lock, is written down from time to time and when the session ends.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Nickname(String);
    ///
    /// let exporter = endpoint_runtime::export_all().carry::<Nickname>("nickname");
    /// ```
    #[cfg(feature = "json")]
    pub fn carry<T>(mut self, name: impl Into<Cow<'static, str>>) -> Self
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.carried.add::<T>(name);
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

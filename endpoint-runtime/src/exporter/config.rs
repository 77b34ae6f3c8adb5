//! [`ServerEndpointConfig`]: one endpoint to be deployed, annotated or programmatic.

use std::any::{TypeId, type_name};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::connection::{self, Upgraded};
use crate::context::ApplicationContext;
use crate::endpoint::{
    Annotated, Endpoint, Handlers, Held, Need, Needs, Options, Place, Programmatic, Refusal, Scope,
    ServerDeclared,
};
use crate::error::Result;
use crate::session::Handshake;
use crate::settings::Overflow;

/// An endpoint to be deployed: path, options, and how its instances are made.
///
/// Annotated types register their own; a programmatic [`Endpoint`] is deployed by
/// [`exporter.endpoint(..)`](crate::ServerEndpointExporter::endpoint):
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{Endpoint, ServerEndpointConfig};
///
/// struct Quiet;
/// impl Endpoint for Quiet {}
///
/// let config = ServerEndpointConfig::builder("/quiet", || Quiet).subprotocols(["quiet.v1"]).build();
/// assert_eq!(config.path(), "/quiet");
/// ```
#[derive(Clone)]
pub struct ServerEndpointConfig {
    pub(crate) path: String,
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
    /// The package that declares it, if a macro said so.
    pub(crate) package: Option<&'static str>,
    pub(crate) place: Place,
    pub(crate) options: Options,
    pub(crate) launcher: Arc<dyn Launcher>,
}

impl ServerEndpointConfig {
    /// The annotated endpoint `E`, as it declares itself.
    pub fn of<E: Handlers + ServerDeclared>() -> Self {
        let declaration = E::DECLARATION;
        ServerEndpointConfig {
            path: declaration.path.to_owned(),
            type_id: TypeId::of::<E>(),
            type_name: declaration.type_name,
            package: Some(declaration.package),
            place: declaration.place,
            options: declaration.options(),
            launcher: Arc::new(AnnotatedLauncher::<E> { shared: None }),
        }
    }

    /// A programmatic endpoint at `path`; `factory` makes an instance for each connection.
    #[track_caller]
    pub fn builder<E, F>(path: impl Into<String>, factory: F) -> ServerEndpointConfigBuilder
    where
        E: Endpoint,
        F: Fn() -> E + Send + Sync + 'static,
    {
        ServerEndpointConfigBuilder(ServerEndpointConfig {
            path: path.into(),
            type_id: TypeId::of::<E>(),
            type_name: short_name::<E>(),
            package: None,
            place: Place::caller(),
            options: Options::default(),
            launcher: Arc::new(FactoryLauncher { factory: Arc::new(factory) }),
        })
    }

    /// The path template.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name of the endpoint's type.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Whether this is the endpoint type `E`.
    pub fn is<E: 'static>(&self) -> bool {
        self.type_id == TypeId::of::<E>()
    }

    /// The subprotocols it speaks.
    pub fn subprotocols(&self) -> &[String] {
        &self.options.subprotocols
    }

    /// Where it is declared.
    pub fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Debug for ServerEndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEndpointConfig")
            .field("path", &self.path)
            .field("type", &self.type_name)
            .field("place", &self.place.to_string())
            .finish_non_exhaustive()
    }
}

/// Options of a programmatic endpoint; what is not set comes from the [`Settings`](crate::Settings).
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerEndpointConfigBuilder(ServerEndpointConfig);

impl ServerEndpointConfigBuilder {
    /// The subprotocols it speaks.
    pub fn subprotocols<S: Into<String>>(mut self, subprotocols: impl IntoIterator<Item = S>) -> Self {
        self.0.options.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// The largest message it takes, bytes.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.0.options.max_message_size = Some(bytes);
        self
    }

    /// Closes sessions that are idle so long; `None`: never.
    pub fn idle_timeout(mut self, time: Option<Duration>) -> Self {
        self.0.options.idle_timeout = Some(time);
        self
    }

    /// Pings a peer that was silent so long; `None`: never.
    pub fn ping_interval(mut self, time: Option<Duration>) -> Self {
        self.0.options.ping_interval = Some(time);
        self
    }

    /// Bytes that may be queued for one slow peer.
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.0.options.send_buffer = Some(bytes);
        self
    }

    /// What happens when there are more.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.0.options.overflow = Some(overflow);
        self
    }

    /// From which pages browsers may connect: `https://example.com`, or `*` for any.
    pub fn origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.0.options.origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }

    /// The finished configuration.
    pub fn build(self) -> ServerEndpointConfig {
        self.0
    }
}

/// How an endpoint's connections are started. Called once for each connection; what it starts knows the type.
pub(crate) trait Launcher: Send + Sync {
    /// What the endpoint needs of the application.
    fn needs(&self, place: Place) -> Vec<Need>;

    /// Itself, ready to serve in one server: with the shared instance, if there is one. A configuration may be deployed in several
    /// servers, each with components of its own.
    fn prepare(&self, context: &ApplicationContext) -> Result<Arc<dyn Launcher>>;

    /// What the endpoint's parameters ask of a handshake.
    fn admit(&self, handshake: &Handshake) -> Result<(), Refusal>;

    /// How many instances there are, for people.
    fn scope(&self) -> &'static str {
        "connection"
    }

    /// Starts one connection as a task of its own, and returns.
    fn launch(&self, upgraded: Upgraded, tasks: &TaskTracker);
}

struct AnnotatedLauncher<E: Handlers> {
    /// The instance that all connections of one server share, if they do.
    shared: Option<Shared<E>>,
}

/// Connections take their share from under a lock: what is held need not be `Sync`.
type Shared<E> = Mutex<Held<E>>;

impl<E: Handlers + ServerDeclared> Launcher for AnnotatedLauncher<E> {
    fn needs(&self, place: Place) -> Vec<Need> {
        let mut needs = Needs::new(place);
        <E as ServerDeclared>::needs(&mut needs);
        <E as Handlers>::needs(&mut needs);
        needs.into_found()
    }

    fn prepare(&self, context: &ApplicationContext) -> Result<Arc<dyn Launcher>> {
        let shared = if <E::Scope as Scope<E>>::SHARED {
            Some(Mutex::new(Held::new(E::create(context)?)))
        } else {
            None
        };
        Ok(Arc::new(Self { shared }))
    }

    fn admit(&self, handshake: &Handshake) -> Result<(), Refusal> {
        E::admit(handshake)
    }

    fn scope(&self) -> &'static str {
        if <E::Scope as Scope<E>>::SHARED { "singleton" } else { "connection" }
    }

    fn launch(&self, upgraded: Upgraded, tasks: &TaskTracker) {
        let shared = self
            .shared
            .as_ref()
            .and_then(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner).share());
        let application = upgraded.session.application().clone();
        let make = move || match shared {
            Some(held) => Ok(Annotated(held)),
            None => E::create(&application).map(|instance| Annotated(Held::new(instance))),
        };
        tasks.spawn(connection::run::<Annotated<E>>(make, upgraded));
    }
}

struct FactoryLauncher<F> {
    factory: Arc<F>,
}

impl<E: Endpoint, F: Fn() -> E + Send + Sync + 'static> Launcher for FactoryLauncher<F> {
    fn needs(&self, _: Place) -> Vec<Need> {
        Vec::new()
    }

    fn prepare(&self, _: &ApplicationContext) -> Result<Arc<dyn Launcher>> {
        Ok(Arc::new(FactoryLauncher { factory: Arc::clone(&self.factory) }))
    }

    fn admit(&self, _: &Handshake) -> Result<(), Refusal> {
        Ok(())
    }

    fn launch(&self, upgraded: Upgraded, tasks: &TaskTracker) {
        let factory = Arc::clone(&self.factory);
        tasks.spawn(connection::run(move || Ok(Programmatic(factory())), upgraded));
    }
}

/// The last segment of a type's name, without its generics: what people call it.
fn short_name<E>() -> &'static str {
    let name = type_name::<E>();
    let end = name.find('<').unwrap_or(name.len());
    name[..end].rsplit("::").next().unwrap_or(name)
}

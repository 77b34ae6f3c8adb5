//! [`ServerEndpointConfig`]: one endpoint to be deployed, annotated or programmatic.

mod launcher;

use std::any::{TypeId, type_name};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::launcher::Launcher;
use self::launcher::{AnnotatedLauncher, FactoryLauncher};
use crate::cluster::{Rooms, Rule};
use crate::endpoint::{
    AnyConfigurator, Coders, Configurator, Endpoint, Handlers, ServerDeclared, short_name,
};
use crate::error::Place;
use crate::session::{Extension, Seeds};
use crate::settings::{Compression, Options, OverRate, Overflow, Rate, Recover};

/// An endpoint to be deployed: path, options, and how its instances are made (Jakarta's `ServerEndpointConfig`, SE-05 to SE-07).
///
/// Annotated types register their own; a programmatic [`Endpoint`] is deployed by
/// [`exporter.endpoint(..)`](crate::ServerEndpointExporter::endpoint), or by [`Container::deploy`](crate::Container::deploy) while the
/// server runs:
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
    pub(crate) full_name: &'static str,
    /// The package that declares it, if a macro said so.
    pub(crate) package: Option<&'static str>,
    pub(crate) place: Place,
    pub(crate) options: Options,
    pub(crate) coders: Coders,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) attributes: Seeds,
    /// One for all servers; that of an annotated type is made for each, by the launcher.
    pub(crate) configurator: Option<Arc<dyn AnyConfigurator>>,
    pub(crate) launcher: Arc<dyn Launcher>,
}

impl ServerEndpointConfig {
    /// The annotated endpoint `E`, as it declares itself.
    pub fn of<E: Handlers + ServerDeclared>() -> Self {
        let declaration = E::DECLARATION;
        ServerEndpointConfig {
            path: declaration.path.to_owned(),
            type_id: TypeId::of::<E>(),
            full_name: type_name::<E>(),
            type_name: declaration.type_name,
            package: Some(declaration.package),
            place: declaration.place,
            options: declaration.options(),
            coders: E::coders(),
            extensions: Vec::new(),
            attributes: Seeds::default(),
            configurator: None,
            launcher: Arc::new(AnnotatedLauncher::<E>::new()),
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
            full_name: type_name::<E>(),
            type_name: short_name::<E>(),
            package: None,
            place: Place::caller(),
            options: Options::default(),
            coders: Coders::none(),
            extensions: Vec::new(),
            attributes: Seeds::default(),
            configurator: None,
            launcher: Arc::new(FactoryLauncher::new(factory)),
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

    /// Whether a peer that speaks none of them is refused.
    pub fn requires_subprotocol(&self) -> bool {
        self.options.require_subprotocol
    }

    /// The roles of which a peer must be in one; everybody may connect if there are none.
    pub fn required_roles(&self) -> &[String] {
        &self.options.require
    }

    /// The extensions that the endpoint itself knows.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Where it is declared.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What it says of rooms.
    pub(crate) fn rooms(&self) -> Option<Rule> {
        let Options { recover, presence, .. } = &self.options;
        if recover.is_none() && !presence {
            return None;
        }
        let rooms =
            recover.as_ref().map_or_else(Rooms::plain, |kept| Rooms::recoverable(kept.size, kept.ttl));
        Some(Rule {
            pattern: recover.as_ref().map_or("*", |kept| &*kept.rooms).to_owned(),
            rooms: if *presence { rooms.presence() } else { rooms },
            by: self.type_name.to_owned(),
            place: self.place,
        })
    }

    /// Whether its clients may say where they were: in their sessions, or in rooms.
    #[cfg(feature = "json")]
    pub(crate) fn is_continued(&self) -> bool {
        self.options.resume.is_some() || self.options.recover.is_some()
    }

    /// The same endpoint, with something before its path.
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }

    /// Whether this and the other are one endpoint, which is deployed once however often it is named (Jakarta DP-06): the same annotated
    /// type, or a clone of the same configuration.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let annotated = self.package.is_some() && other.package.is_some();
        annotated && self.type_id == other.type_id
            || std::ptr::addr_eq(Arc::as_ptr(&self.launcher), Arc::as_ptr(&other.launcher))
    }

    /// Whether somebody else than the holders of `ours` clones can come with the same endpoint again.
    pub(crate) fn is_held_elsewhere(&self, ours: usize) -> bool {
        self.package.is_some() || Arc::strong_count(&self.launcher) > ours
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

    /// Refuses peers that speak none of the subprotocols, with 400.
    pub fn require_subprotocol(mut self) -> Self {
        self.0.options.require_subprotocol = true;
        self
    }

    /// Refuses peers that are in none of these roles ([`Identity`](crate::Identity)): with 401 those who have not said who they are, with 403 the
    /// others.
    pub fn require<S: Into<String>>(mut self, roles: impl IntoIterator<Item = S>) -> Self {
        self.0.options.require = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Extensions that the endpoint itself knows, to be agreed on with peers that offer them. They can say something about the
    /// connection and its messages, but not change the frames, which are the runtime's business.
    pub fn extensions(mut self, extensions: impl IntoIterator<Item = Extension>) -> Self {
        self.0.extensions = extensions.into_iter().collect();
        self
    }

    /// Takes part in the opening handshakes.
    pub fn configurator(mut self, configurator: impl Configurator) -> Self {
        self.0.configurator = Some(Arc::new(configurator));
        self
    }

    /// Puts a copy of `value` into the [`attributes`](crate::Session::attributes) of each new session, one value for each type (Jakarta's user
    /// properties of an `EndpointConfig`, SE-09). What all sessions are to share goes into an `Arc`.
    ///
    /// ```
    /// # use endpoint_runtime::{Endpoint, ServerEndpointConfig};
    /// # struct Quiet;
    /// # impl Endpoint for Quiet {}
    /// #[derive(Clone)]
    /// struct Theme(&'static str);
    ///
    /// let config = ServerEndpointConfig::builder("/quiet", || Quiet).attribute(Theme("dark")).build();
    /// ```
    pub fn attribute<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.0.attributes.add(value);
        self
    }

    /// The largest message it takes, bytes.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.0.options.max_message_size = Some(bytes);
        self
    }

    /// Closes sessions that are idle so long; `None`: never.
    pub fn idle_timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.0.options.idle_timeout = Some(time.into());
        self
    }

    /// Pings a peer that was silent so long; `None`: never.
    pub fn ping_interval(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.0.options.ping_interval = Some(time.into());
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

    /// Whether its messages are compressed.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.0.options.compression = Some(compression);
        self
    }

    /// From how many bytes on a message is compressed.
    pub fn compression_threshold(mut self, bytes: usize) -> Self {
        self.0.options.compression_threshold = Some(bytes);
        self
    }

    /// How many messages a second a session may receive; `None`: any number.
    pub fn message_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.0.options.message_rate = Some(rate.into());
        self
    }

    /// How many bytes of messages a second a session may receive; `None`: any number.
    pub fn byte_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.0.options.byte_rate = Some(rate.into());
        self
    }

    /// What becomes of a message that comes too soon for these.
    pub fn over_rate(mut self, over_rate: OverRate) -> Self {
        self.0.options.over_rate = Some(over_rate);
        self
    }

    /// For how long a session can be resumed when its connection is gone, by a client that asks for it: what `resume = ".."` says of an
    /// annotated endpoint. `None`: not at all.
    pub fn resume(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.0.options.resume = time.into();
        self
    }

    /// From which pages browsers may connect: `https://example.com`, or `*` for any.
    pub fn origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.0.options.origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Keeps the last `size` messages of these rooms, until `ttl` after the last one, for whoever was away: see
    /// [`Rooms::recoverable`](crate::cluster::Rooms::recoverable). `rooms` is a name, or the beginning of one and a `*`.
    pub fn recover(mut self, size: usize, ttl: Duration, rooms: impl Into<String>) -> Self {
        self.0.options.recover = Some(Recover { size, ttl, rooms: rooms.into().into() });
        self
    }

    /// Notes who is present in the rooms of [`recover`](Self::recover), or in all rooms if there is none.
    pub fn presence(mut self) -> Self {
        self.0.options.presence = true;
        self
    }

    /// Its decoders and encoders; the values that decoders make go to [message handlers](crate::Session::add_message_handler).
    pub fn coders(mut self, coders: Coders) -> Self {
        self.0.coders = coders;
        self
    }

    /// The finished configuration.
    pub fn build(self) -> ServerEndpointConfig {
        self.0
    }
}

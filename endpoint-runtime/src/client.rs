//! Clients: the same endpoints, connecting instead of being connected to.
//!
//! A [`Client`] is a set of options and a container for the sessions that are made with them. What is driven by a connection is what
//! a server drives (`connection`), with the roles exchanged: we mask, and the server closes TCP first.

mod backoff;
mod connecting;
mod container;
mod dial;
mod endpoint;
mod error;
mod handshake;
mod plan;
mod proxy;
mod reconnect;
mod target;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName};
use http::response::Parts;
use http::{HeaderMap, HeaderValue};

pub use self::backoff::Backoff;
pub use self::connecting::Connecting;
use self::container::Container;
pub use self::endpoint::ClientEndpoint;
use self::endpoint::ClientInstance;
pub use self::error::{ConnectError, ConnectStep};
use self::plan::Plan;
pub use self::proxy::Proxy;
use self::proxy::{basic, sensitive};
pub use self::reconnect::{Connection, Lost, ReconnectingClient};
#[cfg(feature = "tls")]
pub use self::tls::ClientTls;
use crate::context::{ApplicationContext, ComponentConfig, Components};
use crate::endpoint::Coders;
use crate::error::Place;
use crate::session::{Extension, Seeds, Session, Sessions};
use crate::settings::{Compression, Overflow, Settings};

/// How long a client that shuts down waits for its sessions.
const SHUTDOWN: Duration = Duration::from_secs(10);

#[cfg(not(feature = "tls"))]
const NO_TLS: &str = "`wss://` needs the feature `tls` of endpoint-runtime";

/// A client, with nothing set: see [`Client`].
pub fn client() -> Client {
    Client { container: Arc::new(Container::new()), options: Arc::new(Options::default()) }
}

/// Connects endpoints to servers (Jakarta's `WebSocketContainer`).
///
/// It is options and a container of sessions in one. Clones share the container; options that are set on a clone are its own. One
/// client serves for any number of connections, and none of it is tied to a runtime. It ends when the last clone and the last
/// session have gone.
///
/// ```no_run
/// # async fn f() -> endpoint_runtime::Result<()> {
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::Endpoint;
///
/// struct Listener { heard: Vec<String> }
///
/// impl Endpoint for Listener {
///     async fn on_message(&mut self, _: &Session, message: Message) -> Result<()> {
///         self.heard.extend(message.as_text().map(str::to_owned));
///         Ok(())
///     }
/// }
///
/// let client = endpoint_runtime::client().subprotocols(["chat.v2"]).bearer("token");
/// let session = client.connect(Listener { heard: Vec::new() }, "wss://host/chat/blue").await?;
/// session.send("hello").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a client does nothing until it connects"]
pub struct Client {
    container: Arc<Container>,
    options: Arc<Options>,
}

type BeforeRequest = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;
type AfterResponse = Arc<dyn Fn(Option<&Parts>) + Send + Sync>;

/// What is set for a client.
#[derive(Clone)]
struct Options {
    settings: Settings,
    subprotocols: Vec<String>,
    extensions: Vec<Extension>,
    headers: HeaderMap,
    before_request: Vec<BeforeRequest>,
    after_response: Vec<AfterResponse>,
    timeout: Duration,
    redirects: u32,
    proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    tls: ClientTls,
    components: Components,
    coders: Coders,
    attributes: Seeds,
    /// What was set and cannot be.
    problems: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            settings: Settings::default(),
            subprotocols: Vec::new(),
            extensions: Vec::new(),
            headers: HeaderMap::new(),
            before_request: Vec::new(),
            after_response: Vec::new(),
            timeout: Duration::from_secs(10),
            redirects: 0,
            proxy: None,
            #[cfg(feature = "tls")]
            tls: ClientTls::system(),
            components: Components::default(),
            coders: Coders::none(),
            attributes: Seeds::default(),
            problems: Vec::new(),
        }
    }
}

impl Options {
    fn application(&self, container: &Container) -> ApplicationContext {
        let mut components = self.components.clone();
        components.put(ComponentConfig::value(container.sessions.clone()));
        ApplicationContext::new(components, &self.settings, Vec::new(), container.sessions.node())
    }

    /// What keeps a client that is set up like this from connecting.
    fn problems(&self, secure: bool) -> Vec<String> {
        let mut problems = self.problems.clone();
        problems.extend(self.settings.problems().into_iter().map(|(key, text)| format!("`{key}`: {text}")));
        if let Some(Proxy { target: Err(why), .. }) = &self.proxy {
            problems.push(format!("the proxy: {why}"));
        }
        #[cfg(not(feature = "tls"))]
        if secure {
            problems.push(NO_TLS.to_owned());
        }
        let _ = secure;
        problems
    }

    /// The server has answered, or there was no answer.
    fn heard(&self, response: Option<&Parts>) {
        self.after_response.iter().for_each(|act| act(response));
    }
}

impl Client {
    // ---- connecting

    /// Connects an endpoint, and returns when the opening handshake is over: `on_open` runs beside the caller from then on.
    ///
    /// The URL is `ws://` or `wss://` (or `http`, `https`); a user and a password in it become basic authentication. The session goes
    /// on until it is closed, whether or not anybody holds it.
    ///
    /// # Errors
    /// See [`ConnectError`]. Nothing is tried again: for that there is [`reconnect`](Self::reconnect).
    pub fn connect<E, Via>(&self, endpoint: E, url: impl AsRef<str>) -> Connecting<Session>
    where
        E: ClientEndpoint<Via>,
    {
        Connecting::new(self.clone().connect_instance(endpoint.into_instance(), url.as_ref().to_owned()))
    }

    async fn connect_instance(self, instance: ClientInstance, url: String) -> Result<Session, ConnectError> {
        let ClientInstance { about, driver } = instance;
        let plan = Plan::new(&self.options, &self.container, about, &url)?;
        // A shutdown waits until this has noticed that there is one, or has become a session that it closes.
        let _under_way = self.container.tasks.token();
        let upgraded = plan.open().await?;
        let session = upgraded.session.clone();
        let running = plan.run(driver, upgraded, None);
        self.container.tasks.spawn(async move {
            running.await;
            // The container lives as long as its sessions.
            drop(plan);
        });
        Ok(session)
    }

    /// A client that connects again whenever the connection is lost.
    pub fn reconnect(self, backoff: Backoff) -> ReconnectingClient {
        ReconnectingClient::new(self, backoff)
    }

    /// Every session of this client and its clones: rooms and broadcasts work here as on a server.
    pub fn sessions(&self) -> &Sessions {
        &self.container.sessions
    }

    /// Closes every session of this client and its clones with 1001, waits until they have ended (ten seconds at most, then they are
    /// cut off), and connects no more.
    pub async fn shutdown(&self) {
        self.container.shut_down(SHUTDOWN).await;
    }

    // ---- the handshake

    /// The subprotocols to offer, the most wanted first. An annotation's own list goes before this one.
    pub fn subprotocols<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.with(|options| options.subprotocols = names.into_iter().map(Into::into).collect())
    }

    /// The extensions to offer, with their parameters, the most wanted first (RFC 6455 9.1; Jakarta CL-09). What the server agrees to is
    /// in [`Session::extensions`]. They can say something about the connection and its messages, but not change the frames, which are
    /// the runtime's business.
    pub fn extensions(self, extensions: impl IntoIterator<Item = Extension>) -> Self {
        self.with(|options| options.extensions = extensions.into_iter().collect())
    }

    /// A header of the request; one more line of it if it was given already.
    ///
    /// What the protocol itself is made of (`Upgrade`, `Connection`, `Sec-WebSocket-Key`, …) cannot be set.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        self.with(|options| {
            let header = (HeaderName::try_from(name.as_ref()), HeaderValue::from_bytes(value.as_ref()));
            if let (Ok(name), Ok(value)) = header {
                options.headers.append(name, value);
            } else {
                options.problems.push(format!("the header `{}` cannot be sent", name.as_ref()));
            }
        })
    }

    /// Says who we are by user and password (RFC 7617).
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        self.with(|options| drop(options.headers.insert(AUTHORIZATION, basic(user, password))))
    }

    /// Says who we are by a token (RFC 6750).
    pub fn bearer(self, token: &str) -> Self {
        self.with(|options| match sensitive(&format!("Bearer {token}")) {
            Some(value) => drop(options.headers.insert(AUTHORIZATION, value)),
            None => options.problems.push("the bearer token cannot stand in a header".to_owned()),
        })
    }

    /// Changes the headers of each request, last of all, before it is sent (Jakarta CL-10).
    pub fn before_request(self, act: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.with(|options| options.before_request.push(Arc::new(act)))
    }

    /// Sees each answer, whether it opens a WebSocket or not; `None`: there was none (Jakarta CL-11).
    pub fn after_response(self, act: impl Fn(Option<&Parts>) + Send + Sync + 'static) -> Self {
        self.with(|options| options.after_response.push(Arc::new(act)))
    }

    /// How long connecting may take in all: name, TCP, proxy, TLS, handshake, redirects. Default: 10 s.
    pub fn timeout(self, time: Duration) -> Self {
        self.with(|options| options.timeout = time)
    }

    /// How many redirects to follow. Default: none.
    ///
    /// Another origin is not told the `Authorization` and `Cookie` headers, nor shown a client certificate; what
    /// [`header`](Self::header) sends besides it does see. From `wss` none leads to `ws`.
    pub fn redirects(self, at_most: u32) -> Self {
        self.with(|options| options.redirects = at_most)
    }

    /// Connects through a proxy.
    pub fn proxy(self, proxy: Proxy) -> Self {
        self.with(|options| options.proxy = Some(proxy))
    }

    /// Whom to trust, and a certificate of our own. Default: whom the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: ClientTls) -> Self {
        self.with(|options| options.tls = tls)
    }

    // ---- the sessions; an annotation's own values go before these

    /// The largest message to take, bytes. Default: 65,536.
    pub fn max_message_size(self, bytes: usize) -> Self {
        self.with(|options| options.settings.max_message_size = bytes)
    }

    /// Closes sessions that are idle so long; `None`, the default: never.
    pub fn idle_timeout(self, time: impl Into<Option<Duration>>) -> Self {
        self.with(|options| options.settings.idle_timeout = time.into())
    }

    /// Pings a server that was silent so long; `None`: never. Default: 25 s.
    pub fn ping_interval(self, time: impl Into<Option<Duration>>) -> Self {
        self.with(|options| options.settings.ping_interval = time.into())
    }

    /// How long after a ping a silent server counts as dead. Default: 20 s.
    pub fn pong_timeout(self, time: Duration) -> Self {
        self.with(|options| options.settings.pong_timeout = time)
    }

    /// Bytes that may wait to be sent to a slow server. Default: 1 MiB.
    pub fn send_buffer(self, bytes: usize) -> Self {
        self.with(|options| options.settings.send_buffer = bytes)
    }

    /// How long a sender waits for room, and [`Connection::send`] for a connection. Default: 20 s.
    pub fn send_timeout(self, time: Duration) -> Self {
        self.with(|options| options.settings.send_timeout = time)
    }

    /// What becomes of a message for which there is no room. Default: [`Overflow::Disconnect`].
    pub fn overflow(self, overflow: Overflow) -> Self {
        self.with(|options| options.settings.overflow = overflow)
    }

    /// Whether messages are compressed, if the server can do it too (permessage-deflate). Default: [`Compression::On`].
    pub fn compression(self, compression: Compression) -> Self {
        self.with(|options| options.settings.compression = compression)
    }

    /// From how many bytes on a message is compressed. Default: 1 KiB.
    pub fn compression_threshold(self, bytes: usize) -> Self {
        self.with(|options| options.settings.compression_threshold = bytes)
    }

    /// How long a handler may go on when its session has ended. Default: 5 s.
    pub fn handler_grace(self, time: Duration) -> Self {
        self.with(|options| options.settings.handler_grace = time)
    }

    /// How long to wait for the server's answer to our close frame. Default: 5 s.
    pub fn close_timeout(self, time: Duration) -> Self {
        self.with(|options| options.settings.close_timeout = time)
    }

    /// Decoders and encoders for every endpoint of this client (Jakarta's `ClientEndpointConfig`, CL-08); an annotation's own list goes
    /// before this one. What decoders make goes to methods that take [`Decoded<T>`](crate::Decoded), and to
    /// [message handlers](Session::add_message_handler).
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    /// use endpoint_runtime::{Client, Coders, Encoder};
    ///
    /// struct Point { x: i32, y: i32 }
    ///
    /// #[derive(Default)]
    /// struct PointEncoder;
    ///
    /// impl Encoder for PointEncoder {
    ///     type Value = Point;
    ///     type Output = String;
    ///
    ///     async fn encode(&mut self, point: &Point, text: &mut String) -> Result<()> {
    ///         text.push_str(&format!("{},{}", point.x, point.y));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let client: Client = endpoint_runtime::client().coders(Coders::none().encoder::<PointEncoder>());
    /// ```
    pub fn coders(self, coders: Coders) -> Self {
        self.with(|options| options.coders = coders)
    }

    /// Puts a copy of `value` into the [`attributes`](Session::attributes) of each new session, before `on_open`: one value for each type
    /// (Jakarta's user properties of an `EndpointConfig`, SES-28 and CL-08). What all sessions are to share goes into an `Arc`.
    pub fn attribute<T: Clone + Send + Sync + 'static>(self, value: T) -> Self {
        self.with(|options| options.attributes.add(value))
    }

    // ---- components

    /// Provides a component, for [`Inject`](crate::Inject) parameters. An instance is the user's own, and what its fields hold too.
    #[track_caller]
    pub fn provide<T: Send + Sync + 'static>(self, component: T) -> Self {
        self.provide_shared(Arc::new(component))
    }

    /// Provides a component that is shared already; `T` may be a trait: `provide_shared::<dyn Audit>(..)`.
    #[track_caller]
    pub fn provide_shared<T: ?Sized + Send + Sync + 'static>(self, component: Arc<T>) -> Self {
        let place = Place::caller();
        self.with(|options| options.components.put(ComponentConfig::shared(component, place)))
    }

    /// Provides all components of an application, such as the server's beside this client. What was provided before goes. Its
    /// [`Sessions`] stay its own: an endpoint of this client has the client's.
    pub fn application(self, context: &ApplicationContext) -> Self {
        self.with(|options| options.components = Components::of(context))
    }

    fn with(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(Arc::make_mut(&mut self.options));
        self
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("sessions", self.sessions()).finish_non_exhaustive()
    }
}

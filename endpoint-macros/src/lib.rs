//! The attribute macros of `endpoint-runtime`: what the user writes becomes what the compiler sees.
//!
//! Depend on `endpoint-runtime`, which re-exports them with all that they need. The way through this crate: `parse` makes syntax of
//! tokens, `model` makes of it what the user means and collects every problem on the way, `render` makes Rust of that. A problem
//! never swallows the user's item, and a stand-in implementation keeps one mistake from becoming ten.

mod expand;
mod hint;
mod misplaced;
mod model;
mod parse;
mod problems;
mod render;
mod runtime;
// The file stands in the runtime too, which uses all of it.
#[allow(dead_code)]
mod template;

#[cfg(test)]
mod golden;

use proc_macro::TokenStream;

use crate::model::Side;
use crate::runtime::Runtime;

/// Makes a struct an endpoint of the server: a path at which connections are accepted, with one instance for each of them.
///
/// ```ignore
/// #[server_endpoint("/rooms/{room}", idle_timeout = "60s")]
/// struct Room {
///     #[inject]
///     theatre: Arc<Theatre>,
///     #[init(Vec::with_capacity(8))]
///     log: Vec<String>,
///     entered: bool,
/// }
/// ```
///
/// # Arguments
///
/// The path comes first: an absolute URI template of whole segments, in which `{name}` takes one segment and `{*name}`, as the
/// last one, all that are left. Methods take the values with `#[path] name: T`.
///
/// | argument | meaning |
/// |---|---|
/// | `subprotocols = ["chat.v2", "chat.v1"]` | the subprotocols that the endpoint speaks; the client's first choice among them wins |
/// | `require_subprotocol = true` | a client with which none of them can be agreed on is turned away with 400 |
/// | `decoders = [Csv, path::Board<8>]` | types that make values of messages, for `Decoded<T>` parameters; the first that will decode a message does |
/// | `encoders = [Csv]` | types that make messages of values, for `Encoded<T>` return values and `session.send_object(..)` |
/// | `configurator = Type` | a type with a say in every opening handshake of the endpoint |
/// | `scope = connection` or `singleton` | an instance for each connection (the default), or one for all, whose methods take `&self` |
/// | `max_message_size = 65_536` | bytes of a whole message; a longer one closes the session with 1009 |
/// | `idle_timeout = "60s"` | how long nothing may be sent either way; `"off"` for no limit |
/// | `ping_interval = "25s"` | how long the peer may be silent before it is pinged; `"off"` for never |
/// | `send_buffer = 1_048_576` | bytes that may be queued for one slow peer |
/// | `overflow = disconnect`, `wait`, `drop_newest` or `drop_oldest` | what becomes of a message beyond that |
/// | `compression = on`, `context` or `off` | whether messages are compressed, each by itself or with those before it in mind |
/// | `resume = "2m"` | for how long a session can be resumed when its connection is lost, by a client that asks for it; on whichever server, where there is a cluster |
/// | `origins = ["https://example.com"]` | which web pages may connect; the default is those of the same origin, `"*"` is any |
/// | `require = "admin"`, or `["admin", "editor"]` for one of several | the roles that a peer must be in; a stranger is turned away with 401, anybody else with 403 |
/// | `recover(size = 100, ttl = "5m", rooms = "chat/*")` | these rooms are recoverable: so many messages are kept, until so long after the last one, for whoever was away; all rooms without `rooms`, a name or the beginning of one and a `*` |
/// | `presence` | it is known everywhere who is present in the rooms of `recover`, or in all rooms if there is none |
/// | `crate = path` | where the runtime is, if it is not a dependency of this package by name |
///
/// What is left out comes from the settings of the server. Durations are written `"250ms"`, `"30s"`, `"5m"`, `"1h"`; sizes are numbers or
/// constant expressions.
///
/// # Fields
///
/// | field | its first value, in each instance |
/// |---|---|
/// | `#[inject] users: Arc<Users>` | a component of the application context, by its type: see [`macro@component`] for all types that there are |
/// | `#[inject("main")] db: Arc<Db>` | one of several components of the type, by its name |
/// | `#[value("chat.max_len")] longest: usize` | a setting of the application: `max_len` in the table `[chat]` of `endpoint.toml` |
/// | `#[value("chat.max_len", default = 100)] longest: usize` | the same, or the expression if there is no such setting |
/// | `#[init(Vec::with_capacity(8))] log: Vec<String>` | the expression |
/// | `entered: bool` | `Default::default()` |
///
/// A component or a setting that is missing, and a setting of another type, stop the start of the application, with the file and the line of the
/// field.
#[proc_macro_attribute]
pub fn server_endpoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::endpoint(Side::Server, arguments.into(), item.into(), Runtime::found).into()
}

/// Makes a struct an endpoint of a client: what an instance of it hears on the connection that it is given.
///
/// ```ignore
/// #[client_endpoint(subprotocols = ["chat.v2"])]
/// struct Listener {
///     heard: mpsc::Sender<String>,
/// }
///
/// #[handlers]
/// impl Listener {
///     #[on_message]
///     async fn hear(&mut self, text: String) -> Result<()> {
///         Ok(self.heard.send(text).await?)
///     }
/// }
///
/// let session = runtime::client().connect(Listener { heard }, "wss://host/chat/blue").await?;
/// ```
///
/// The instances are yours, so the fields are what you make them: nothing is injected, and nothing needs a `Default`.
///
/// # Arguments
///
/// | argument | meaning |
/// |---|---|
/// | `subprotocols = ["chat.v2", "chat.v1"]` | the subprotocols that are asked for, the preferred one first |
/// | `decoders = [Csv, path::Board<8>]` | types that make values of messages, for `Decoded<T>` parameters; the first that will decode a message does |
/// | `encoders = [Csv]` | types that make messages of values, for `Encoded<T>` return values and `session.send_object(..)` |
/// | `max_message_size = 65_536` | bytes of a whole message; a longer one closes the session with 1009 |
/// | `idle_timeout = "60s"` | how long nothing may be sent either way; `"off"` for no limit |
/// | `ping_interval = "25s"` | how long the peer may be silent before it is pinged; `"off"` for never |
/// | `send_buffer = 1_048_576` | bytes that may be queued for a slow peer |
/// | `overflow = disconnect`, `wait`, `drop_newest` or `drop_oldest` | what becomes of a message beyond that |
/// | `compression = on`, `context` or `off` | whether messages are compressed, each by itself or with those before it in mind |
/// | `crate = path` | where the runtime is, if it is not a dependency of this package by name |
///
/// What is left out comes from the settings of the client. Values are written as for [`macro@server_endpoint`].
#[proc_macro_attribute]
pub fn client_endpoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::endpoint(Side::Client, arguments.into(), item.into(), Runtime::found).into()
}

/// Makes methods of an endpoint, of a server or a client, its handlers: those with `#[on_open]`, `#[on_message]`, `#[on_close]` and `#[on_error]`.
///
/// ```ignore
/// #[handlers]
/// impl Room {
///     #[on_open]
///     async fn enter(&mut self, session: &Session, #[path] room: RoomId) -> Result<()> {
///         self.theatre.enter(room, session.clone()).await
///     }
///
///     #[on_message]
///     fn say(&mut self, Json(line): Json<Line>) -> Json<Line> {
///         self.log.push(line.text.clone());
///         Json(line)
///     }
/// }
/// ```
///
/// Methods may be `async` or not, take `&self`, `&mut self` or neither, and remain methods that can be called. Parameters come in any
/// order; their types say what they are: see the runtime's documentation. A `#[path] name: T` or `#[path("name")] other: T` is a
/// variable of the path, which a client endpoint has not; `#[query]` is one of the query string.
///
/// The one argument is `crate = path`, where the runtime is if it is not a dependency of this package by name.
#[proc_macro_attribute]
pub fn handlers(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::handlers(arguments.into(), &item.into(), Runtime::found).into()
}

/// In a [`macro@handlers`] block: the method is called when a connection has opened, before any message.
///
/// One for each endpoint. If it fails, the session closes with 1011.
#[proc_macro_attribute]
pub fn on_open(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::misplaced("on_open", "handlers", item.into()).into()
}

/// In a [`macro@handlers`] block: the method is called for each message of the kind that its parameter takes.
///
/// One for each kind: text, binary, ping, pong; text and binary messages whole, in parts or as streams.
///
/// `#[on_message(max_size = 1_000_000)]`: the largest message the method takes, in bytes, instead of the endpoint's `max_message_size`.
/// A longer one closes the session with 1009.
///
/// `#[on_message(require = "admin")]`, or `require = ["admin", "editor"]`: the role, or one of the roles, that the peer must be in when the
/// message comes. If it is in none the method is not called, and `#[on_error]` gets a `Forbidden`; the session stays open.
#[proc_macro_attribute]
pub fn on_message(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::misplaced("on_message", "handlers", item.into()).into()
}

/// In a [`macro@handlers`] block: the method is called when a session has ended, last of all.
///
/// One for each endpoint.
#[proc_macro_attribute]
pub fn on_close(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::misplaced("on_close", "handlers", item.into()).into()
}

/// In a [`macro@handlers`] block: the method is called with what failed.
///
/// One for each type of error, `&E`, and one for any, `&Error`, which is asked last.
#[proc_macro_attribute]
pub fn on_error(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::misplaced("on_error", "handlers", item.into()).into()
}

/// Makes a type a component: the application has one of it, makes it when it starts, and gives it to whoever asks for it.
///
/// ```ignore
/// #[component(as = [dyn Audit])]
/// struct Theatre {
///     #[inject]
///     db: Arc<Db>,
///     #[value("theatre.seats", default = 100)]
///     seats: usize,
///     #[init(Mutex::new(Vec::new()))]
///     sold: Mutex<Vec<u32>>,
///     evenings: AtomicU64,
/// }
/// ```
///
/// Nothing lists the components: each registers itself at link time, as endpoints do. What a component asks for is made before it, and what
/// nobody provides is told before anything is made, with the file and the line of the field.
///
/// # Arguments
///
/// | argument | meaning |
/// |---|---|
/// | `name = "main"` | its name, for those who ask for one of several of its type: `#[inject("main")]` |
/// | `as = [dyn Audit, dyn Clock]` | the traits as which it can be asked for too: `Arc<dyn Audit>`, and `Vec<Arc<dyn Audit>>` for all that there are |
/// | `lazy` | it is made when it is first asked for: by something that is made, or by `Lazy<T>` when that is used |
/// | `crate = path` | where the runtime is, if it is not a dependency of this package by name |
///
/// # Fields
///
/// | field | its value |
/// |---|---|
/// | `#[inject] db: Arc<Db>`, `Arc<dyn Audit>` | the component of that type, or of that trait |
/// | `#[inject("main")] db: Arc<Db>` | the one of that name |
/// | `#[inject] audit: Option<Arc<dyn Audit>>` | the same, if there is one |
/// | `#[inject] plugins: Vec<Arc<dyn Plugin>>` | all components of a trait |
/// | `#[inject] search: Lazy<Search>` | a component that is made when it is first used |
/// | `#[inject] context: ApplicationContext`, `Sessions`, `Container` | the application itself |
/// | `#[value("chat.max_len")] longest: usize` | a setting of the application, of any type that serde reads: `max_len` in the table `[chat]` of `endpoint.toml`, or the variable `ENDPOINT_CHAT__MAX_LEN` |
/// | `#[value("chat.max_len", default = 100)] longest: usize` | the same, or the expression if there is no such setting |
/// | `#[init(Vec::new())] log: Vec<String>` | the expression |
/// | `evenings: AtomicU64` | `Default::default()` |
///
/// # Constructors
///
/// What needs code to be made has a function for it, on whose `impl` block the attribute then stands, with the same arguments:
///
/// ```ignore
/// struct Users { .. }
///
/// #[component(name = "main")]
/// impl Users {
///     #[constructor]
///     async fn new(db: Arc<Db>, #[value("users.cache")] size: usize, #[inject("audit")] log: Arc<Log>) -> Result<Self> {
///         Ok(Users { .. })
///     }
/// }
/// ```
///
/// The function may be `async` or not, and return `Self`, `Arc<Self>`, or a `Result` of one of them; an error stops the start. Its parameters are
/// what fields with `#[inject]` may be, which needs no attribute here, and what `#[value(..)]` makes of settings. For components of types
/// that are not yours there is [`macro@provider`].
///
/// # Lifecycle
///
/// Nothing has to be said of what a component can do beyond that: if its type implements `Lifecycle`, its `after_properties_set` is awaited
/// before the server listens and its `destroy` when it has stopped; a `ContextAware` one receives the context; an `Observer` hears of the events of
/// the application.
#[proc_macro_attribute]
pub fn component(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::component(arguments.into(), item.into(), Runtime::found).into()
}

/// In a [`macro@component`] block: the function makes the component.
///
/// One for each component.
#[proc_macro_attribute]
pub fn constructor(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::misplaced("constructor", "component", item.into()).into()
}

/// Makes a function the maker of a component, whose type may be anybody's.
///
/// ```ignore
/// #[provider]
/// async fn database(config: Arc<DbConfig>) -> Result<Db> {
///     Ok(Db::connect(&config.url).await?)
/// }
///
/// #[provider(name = "audit")]
/// fn log(#[value("audit.file")] file: PathBuf) -> Result<Arc<dyn Log>> {
///     Ok(Arc::new(FileLog::open(file)?))
/// }
/// ```
///
/// The function may be `async` or not, and return `T`, `Arc<T>`, `Arc<dyn Trait>`, or a `Result` of one of them; it remains a function that can
/// be called. Arguments and parameters are those of a [`macro@component`] with a constructor.
#[proc_macro_attribute]
pub fn provider(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::provider(arguments.into(), &item.into(), Runtime::found).into()
}

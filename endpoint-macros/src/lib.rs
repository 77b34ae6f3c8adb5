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
/// | `origins = ["https://example.com"]` | which web pages may connect; the default is those of the same origin, `"*"` is any |
/// | `require = "admin"`, or `["admin", "editor"]` for one of several | the roles that a peer must be in; a stranger is turned away with 401, anybody else with 403 |
/// | `crate = path` | where the runtime is, if it is not a dependency of this package by name |
///
/// What is left out comes from the settings of the server. Durations are written `"250ms"`, `"30s"`, `"5m"`, `"1h"`; sizes are numbers or
/// constant expressions.
///
/// # Fields
///
/// `#[inject]` takes a component from the application context, `#[init(expression)]` evaluates the expression for each instance, and any
/// other field is `Default::default()`.
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
    misplaced::misplaced("on_open", item.into()).into()
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
    misplaced::misplaced("on_message", item.into()).into()
}

/// In a [`macro@handlers`] block: the method is called when a session has ended, last of all.
///
/// One for each endpoint.
#[proc_macro_attribute]
pub fn on_close(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::misplaced("on_close", item.into()).into()
}

/// In a [`macro@handlers`] block: the method is called with what failed.
///
/// One for each type of error, `&E`, and one for any, `&Error`, which is asked last.
#[proc_macro_attribute]
pub fn on_error(_: TokenStream, item: TokenStream) -> TokenStream {
    misplaced::misplaced("on_error", item.into()).into()
}

#![doc = include_str!("../docs/guide.md")]

// The macros name this crate by the name that its users know it by; here, that is this.
#[allow(unused_extern_crates)]
extern crate self as endpoint_runtime;

// The rooms, from top to bottom: each knows those below it, none knows those above.
//
//   exporter · server, client · connection · handshake · endpoint, context, session · access, ledger · message, path · wire
//
// Three share a floor: a session has message handlers, encoders and components, and these are handed the session. Beside all of them
// stand `settings`, which know paths, and `error`, which wraps what others fail with; above all of them `__private` and `test`.
#[doc(hidden)]
pub mod __private;
mod access;
#[cfg(feature = "client")]
mod client;
pub mod cluster;
mod connection;
mod context;
pub mod docs;
mod endpoint;
mod error;
mod exporter;
mod handshake;
mod ledger;
mod message;
mod path;
mod server;
mod session;
mod settings;
#[cfg(feature = "test")]
pub mod test;
mod wire;

pub use endpoint_macros::{
    client_endpoint, component, constructor, handlers, on_close, on_error, on_message, on_open, provider,
    server_endpoint,
};

pub use bytes::Bytes;
pub use http;

#[cfg(all(feature = "client", feature = "tls"))]
pub use crate::client::ClientTls;
#[cfg(feature = "client")]
pub use crate::client::{
    Backoff, Client, ClientEndpoint, ConnectError, ConnectStep, Connecting, Connection, Lost, Proxy,
    ReconnectingClient, client,
};
/// What [`Tls::config`] and [`ClientTls::config`] take a configuration of.
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

pub use crate::access::{Forbidden, Identity, Principal};
#[cfg(feature = "nats")]
pub use crate::cluster::Nats;
#[cfg(feature = "redis")]
pub use crate::cluster::Redis;
pub use crate::context::{
    ApplicationContext, ApplicationEvent, ComponentConfig, ContextAware, Inject, Injected, InjectedByName,
    Lazy, Lifecycle, Named, Needs, Observer,
};
pub use crate::endpoint::{
    Coders, Completion, Configurator, Context, Decoder, DecoderInput, Encoder, EncoderOutput, Endpoint,
    FromContext, IntoReply, Query, Replies, Reply,
};
pub use crate::error::{
    ArgumentError, BoxError, DeployError, Error, Panicked, Place, Problem, ProtocolError, Refusal, Result,
};
pub use crate::exporter::{Report, ServerEndpointExporter};
pub use crate::handshake::{BearerTokens, TokenVerifier};
pub use crate::ledger::Counters;
#[cfg(feature = "json")]
pub use crate::message::Json;
#[cfg(feature = "msgpack")]
pub use crate::message::MsgPack;
#[cfg(feature = "protobuf")]
pub use crate::message::Protobuf;
pub use crate::message::{
    BinaryReader, CloseCode, CloseReason, ClosedBy, DecodeError, Decoded, EncodeError, Encoded, Fragment,
    FragmentData, FromMessage, Incoming, IntoMessage, Kind, Message, Parsed, Ping, Pong, Text, TextReader,
    Uncompressed,
};
pub use crate::path::{BadEncoding, PathParams, Template, TemplateError};
#[cfg(feature = "tls")]
pub use crate::server::{ClientAuthorities, Tls};
pub use crate::server::{
    Container, EndpointService, Listen, Mounted, MountedService, ResponseBody, Server, ServerEndpointConfig,
    ServerEndpointConfigBuilder,
};
pub use crate::session::{
    AskError, Attributes, Audience, Batch, BinaryWriter, Delivery, EndpointConfig, Extension,
    HandlerConflict, Handshake, InvalidExtensions, InvalidSessionId, MessageHandlerId, Receipt, Resumed,
    SendError, Session, SessionId, Sessions, TextWriter, TrySendError,
};
pub use crate::settings::{
    Address, ClientCertificates, Compression, OverRate, Overflow, Rate, SetValue, Settings, SettingsError,
    ValueError, Values,
};

/// Everything that an endpoint's source usually needs.
pub mod prelude {
    #[cfg(feature = "client")]
    pub use crate::Backoff;
    #[cfg(feature = "json")]
    pub use crate::Json;
    #[cfg(feature = "msgpack")]
    pub use crate::MsgPack;
    #[cfg(feature = "nats")]
    pub use crate::Nats;
    #[cfg(feature = "protobuf")]
    pub use crate::Protobuf;
    #[cfg(feature = "redis")]
    pub use crate::Redis;
    pub use crate::{
        ApplicationContext, ApplicationEvent, BinaryReader, BinaryWriter, Bytes, CloseCode, CloseReason,
        Compression, Configurator, Container, ContextAware, DecodeError, Decoded, Decoder, Encoded, Encoder,
        Endpoint, EndpointConfig, Error, Fragment, FromContext, FromMessage, Handshake, Identity, Inject,
        IntoMessage, Lazy, Lifecycle, Message, Named, Observer, Overflow, Parsed, Ping, Pong, Principal,
        Query, Refusal, Replies, Result, ServerEndpointConfig, Session, SessionId, Sessions, Text,
        TextReader, TextWriter, Uncompressed, client_endpoint, component, constructor, handlers, on_close,
        on_error, on_message, on_open, provider, server_endpoint,
    };
}

/// Exports every endpoint that an annotation has registered in this program: the start of all.
///
/// ```no_run
/// # async fn f() -> endpoint_runtime::Result<()> {
/// endpoint_runtime::export_all().bind("127.0.0.1:9000").serve().await
/// # }
/// ```
pub fn export_all() -> ServerEndpointExporter {
    ServerEndpointExporter::all()
}

/// Links crates whose endpoints register themselves but that no other code names: without this they would not be part of the program.
///
/// ```
/// // In the program, at the top level of a module:
/// endpoint_runtime::link!(serde, tokio);
/// ```
#[macro_export]
macro_rules! link {
    ($($krate:ident),+ $(,)?) => {
        $(
            #[allow(unused_imports)]
            use ::$krate as _;
        )+
    };
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "macos",
    target_os = "windows",
    target_os = "android",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
)))]
compile_error!(
    "endpoints register themselves at link time, and on this system that would do nothing without a word of warning"
);

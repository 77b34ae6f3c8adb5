//! The user's type as the runtime sees it: what it declares, how it is made, and how an event reaches its methods.
//!
//! [`Declared`] is implemented by `#[server_endpoint]` and `#[client_endpoint]`, [`Handlers`] by `#[handlers]`; both are the business of
//! generated code alone. [`Endpoint`] is the same written by hand. What the connection runs is a [`Dispatch`], which both become.

mod argument;
mod coder;
mod configurator;
mod context;
mod declaration;
mod dispatch;
mod handshake_argument;
mod intake;
mod programmatic;
mod reception;
mod reply;
mod scope;

pub use self::argument::{
    Argument, Caught, FromContext, OnClose, OnError, OnMessage, OnOpen, RefArgument, Slot,
};
pub use self::coder::{Coders, Decoder, DecoderInput, Encoder, EncoderOutput};
pub(crate) use self::coder::{Decoders, Encoders, Undecoded};
pub use self::configurator::{AnyConfigurator, Configurator};
pub(crate) use self::configurator::{all_installed, first_supported};
pub use self::context::Context;
pub(crate) use self::declaration::short_name;
pub use self::declaration::{ClientDeclared, Declaration, Declared, Handlers, ServerDeclared};
pub(crate) use self::dispatch::{Annotated, Dispatch};
pub use self::handshake_argument::{Query, QueryArgument, SegmentArgument};
pub use self::intake::Intake;
pub(crate) use self::intake::{Form, has_size, message_of};
pub use self::programmatic::Endpoint;
pub(crate) use self::programmatic::Programmatic;
pub(crate) use self::reception::{Line, Native, Reception, Taker};
pub use self::reply::{Completion, IntoReply, Replies, Reply};
pub use self::scope::{Held, HeldExclusively, PerConnection, Scope, Singleton};

//! The user's type as the runtime sees it: what it declares, how it is made, and how an event reaches its methods.
//!
//! [`Declared`] is implemented by `#[server_endpoint]`, [`Handlers`] by `#[handlers]`; both are the business of generated code
//! alone. [`Endpoint`] is the same written by hand. What the connection runs is a [`Dispatch`], which both become.

mod argument;
mod context;
mod declaration;
mod dispatch;
mod handshake_argument;
mod needs;
mod programmatic;
mod refusal;
mod reply;
mod scope;

pub use self::argument::{
    Argument, Caught, Event, FromContext, OnClose, OnError, OnMessage, OnOpen, Owned, RefArgument, Slot, ViaContext,
    ViaEvent, ViaMessage, ViaSession,
};
pub use self::context::Context;
pub use self::declaration::{Declaration, Declared, Handlers, Options, Place};
pub(crate) use self::dispatch::{Annotated, Dispatch};
pub use self::handshake_argument::{
    Optional, Plain, Principal, Query, QueryArgument, SegmentArgument,
};
pub use self::needs::{Need, Needs};
pub use self::programmatic::Endpoint;
pub(crate) use self::programmatic::Programmatic;
pub use self::refusal::Refusal;
pub use self::reply::{Completion, IntoReply, Replies, Reply};
pub use self::scope::{Held, HeldExclusively, PerConnection, Scope, Singleton};

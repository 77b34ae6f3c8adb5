//! From syntax to what the user means: types that hold no mistake, so that rendering need not look for any.

mod attributes;
mod endpoint;
mod handlers;
mod options;
mod parameter;
mod value;

pub(crate) use self::endpoint::{Endpoint, Field, Initial};
pub(crate) use self::handlers::{Event, Handler, Handlers, Receiver, mentions};
pub(crate) use self::options::{Options, Scope, Side, Timeout};
pub(crate) use self::parameter::{Borrowed, Parameter, Source};

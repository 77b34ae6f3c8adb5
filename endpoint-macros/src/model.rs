//! From syntax to what the user means: types that hold no mistake, so that rendering need not look for any.

mod attributes;
mod block;
mod component;
mod endpoint;
mod field;
mod handlers;
mod maker;
mod options;
mod parameter;
mod recover;
mod setting;
mod value;
mod wanted;

pub(crate) use self::component::{Component, ComponentOptions};
pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::field::Field;
pub(crate) use self::handlers::{Event, Handler, Handlers, Receiver, mentions};
pub(crate) use self::maker::{Constructed, Maker, written};
pub(crate) use self::options::{Options, Scope, Side, Timeout};
pub(crate) use self::parameter::{Borrowed, Parameter, Source};
pub(crate) use self::recover::Recover;
pub(crate) use self::setting::Setting;
pub(crate) use self::wanted::{Initial, Wanted};

//! Parameters that come from the opening handshake: `#[path]`, `#[query]`, [`Query`].
//!
//! They are tried before the upgrade, so that a value that does not parse is a 400 and never a socket, and made again for each
//! call.

use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::{Context, FromContext};
use crate::error::{ArgumentError, Refusal, Result};
use crate::session::Handshake;

/// A value that must be there.
#[derive(Debug)]
pub enum Plain {}
/// A value that may be missing.
#[derive(Debug)]
pub enum Optional {}

/// A type that a `#[path]` parameter may have: `T: FromStr`, or an `Option` of it for a variable that the path may lack.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[path]` parameter",
    label = "cannot be read from a path segment",
    note = "a `#[path]` parameter is a `T` or `Option<T>` where `T: FromStr` and its error can be displayed"
)]
pub trait SegmentArgument<Way>: Sized {
    /// Reads the variable.
    fn read(name: &str, value: Option<&str>) -> Result<Self, ArgumentError>;

    /// Whether it can be had.
    fn admit(handshake: &Handshake, name: &'static str) -> Result<(), Refusal> {
        Self::read(name, handshake.path_param(name))
            .map(drop)
            .map_err(|error| Refusal::bad_request(error.to_string()))
    }

    /// The value for one call.
    fn take(context: Context<'_>, name: &'static str) -> Result<Self> {
        let handshake = context.handshake();
        Ok(Self::read(name, handshake.path_param(name))?)
    }
}

/// A type that a `#[query]` parameter may have: `T: FromStr`, or an `Option` of it for one that may be missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[query]` parameter",
    label = "cannot be read from the query string",
    note = "a `#[query]` parameter is a `T` or `Option<T>` where `T: FromStr` and its error can be displayed"
)]
pub trait QueryArgument<Way>: Sized {
    /// Reads the value.
    fn read(name: &str, value: Option<&str>) -> Result<Self, ArgumentError>;

    /// Whether it can be had.
    fn admit(handshake: &Handshake, name: &'static str) -> Result<(), Refusal> {
        Self::read(name, handshake.query_param(name).as_deref())
            .map(drop)
            .map_err(|error| Refusal::bad_request(error.to_string()))
    }

    /// The value for one call.
    fn take(context: Context<'_>, name: &'static str) -> Result<Self> {
        let handshake = context.handshake();
        Ok(Self::read(name, handshake.query_param(name).as_deref())?)
    }
}

fn required<T: FromStr<Err: Display>>(
    what: &str,
    name: &str,
    value: Option<&str>,
) -> Result<T, ArgumentError> {
    optional(name, value)?.ok_or_else(|| ArgumentError::new(name, format!("{what} is missing")))
}

fn optional<T: FromStr<Err: Display>>(name: &str, value: Option<&str>) -> Result<Option<T>, ArgumentError> {
    value.map(str::parse).transpose().map_err(|error| ArgumentError::new(name, format!("{error}")))
}

#[diagnostic::do_not_recommend]
impl<T: FromStr<Err: Display>> SegmentArgument<Plain> for T {
    fn read(name: &str, value: Option<&str>) -> Result<Self, ArgumentError> {
        required("the path variable", name, value)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromStr<Err: Display>> SegmentArgument<Optional> for Option<T> {
    fn read(name: &str, value: Option<&str>) -> Result<Self, ArgumentError> {
        optional(name, value)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromStr<Err: Display>> QueryArgument<Plain> for T {
    fn read(name: &str, value: Option<&str>) -> Result<Self, ArgumentError> {
        required("the query parameter", name, value)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromStr<Err: Display>> QueryArgument<Optional> for Option<T> {
    fn read(name: &str, value: Option<&str>) -> Result<Self, ArgumentError> {
        optional(name, value)
    }
}

/// The whole query string, read by serde.
///
/// ```
/// use endpoint_runtime::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// struct Options { lang: String, depth: Option<u8> }
///
/// #[server_endpoint("/tree")]
/// struct Tree;
///
/// #[handlers]
/// impl Tree {
///     #[on_open]
///     fn open(&self, Query(options): Query<Options>) -> String {
///         options.lang
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> Query<T> {
    fn read(handshake: &Handshake) -> Result<Self, ArgumentError> {
        let query = handshake.uri().query().unwrap_or_default();
        serde_urlencoded::from_str(query)
            .map(Query)
            .map_err(|error| ArgumentError::new("the query string", error.to_string()))
    }
}

impl<T: DeserializeOwned> FromContext for Query<T> {
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        Self::read(handshake).map(drop).map_err(|error| Refusal::bad_request(error.to_string()))
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        Ok(Self::read(context.handshake())?)
    }
}

//! What can go wrong: for a handler an [`Error`] and its parts, for an opening handshake a [`Refusal`], for a deployment its [`Problem`]s.

mod deploy;
mod place;
mod refusal;

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::io;

pub(crate) use self::deploy::list_problems;
pub use self::deploy::{DeployError, Problem};
pub use self::place::Place;
pub use self::refusal::Refusal;
use crate::access::Forbidden;
use crate::message::{DecodeError, EncodeError};
use crate::session::SendError;

/// A boxed error of any type.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// A result whose error is an [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a handler failed with, and what an `#[on_error]` method is told.
///
/// `?` turns any [`std::error::Error`] into one, so that handlers return [`Result<T>`](Result) and forget about it. Like other
/// catch-all errors this type does not implement [`std::error::Error`] itself; [`Error::as_std`] gives a view that does.
///
/// An `#[on_error]` method takes `&Error`, or `&E` for one type of error; the most specific one wins:
///
/// ```
/// use endpoint_runtime::Error;
///
/// let error = Error::from("x".parse::<u8>().unwrap_err());
/// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// ```
#[non_exhaustive]
pub enum Error {
    /// A message could not be turned into what the handler takes. The connection stays open.
    Decode(DecodeError),
    /// A value could not be turned into a message.
    Encode(EncodeError),
    /// A message could not be sent.
    Send(SendError),
    /// A parameter of a handler could not be made.
    Argument(ArgumentError),
    /// The peer may not have what it asked for. The connection stays open.
    Forbidden(Forbidden),
    /// The peer broke the protocol or a limit; the session closes with [`ProtocolError::code`].
    Protocol(ProtocolError),
    /// A handler panicked; the session closes with 1011.
    Panicked(Panicked),
    /// The application cannot be deployed or served.
    Deploy(DeployError),
    /// An error of the application's own.
    Other(BoxError),
}

impl Error {
    /// An error that is just a text.
    pub fn msg(text: impl Into<String>) -> Self {
        Error::Other(text.into().into())
    }

    /// The error as a [`std::error::Error`], with its source.
    pub fn as_std(&self) -> &(dyn StdError + Send + Sync + 'static) {
        match self {
            Error::Decode(error) => error,
            Error::Encode(error) => error,
            Error::Send(error) => error,
            Error::Argument(error) => error,
            Error::Forbidden(error) => error,
            Error::Protocol(error) => error,
            Error::Panicked(error) => error,
            Error::Deploy(error) => error,
            Error::Other(error) => &**error,
        }
    }

    /// The error as `E`, if that is what it is.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        (self.as_std() as &(dyn StdError + 'static)).downcast_ref::<E>()
    }

    /// The error in a box of its own.
    pub(crate) fn into_boxed(self) -> BoxError {
        match self {
            Error::Decode(error) => error.into(),
            Error::Encode(error) => error.into(),
            Error::Send(error) => error.into(),
            Error::Argument(error) => error.into(),
            Error::Forbidden(error) => error.into(),
            Error::Protocol(error) => error.into(),
            Error::Panicked(error) => error.into(),
            Error::Deploy(error) => error.into(),
            Error::Other(error) => error,
        }
    }

    /// A word for logs and metrics: which kind of error this is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Error::Decode(_) => "decode",
            Error::Encode(_) => "encode",
            Error::Send(_) => "send",
            Error::Argument(_) => "argument",
            Error::Forbidden(_) => "forbidden",
            Error::Protocol(_) => "protocol",
            Error::Panicked(_) => "panic",
            Error::Deploy(_) => "deploy",
            Error::Other(_) => "handler",
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        // The runtime's own errors keep their variants, whichever way they come.
        let mut slot = Some(error);
        let any: &mut dyn Any = &mut slot;
        macro_rules! own {
            ($($ty:ty => $variant:ident),*) => {
                $(if let Some(own) = any.downcast_mut::<Option<$ty>>().and_then(Option::take) {
                    return Error::$variant(own);
                })*
            };
        }
        // What a writer fails with says within how sending failed.
        if let Some(failed) = any.downcast_mut::<Option<io::Error>>().and_then(Option::take) {
            return match failed.downcast::<SendError>() {
                Ok(error) => Error::Send(error),
                Err(other) => Error::Other(Box::new(other)),
            };
        }
        own!(DecodeError => Decode, EncodeError => Encode, SendError => Send, ArgumentError => Argument,
             Forbidden => Forbidden, ProtocolError => Protocol, Panicked => Panicked, DeployError => Deploy);
        match slot {
            Some(error) => Error::Other(Box::new(error)),
            // Not reachable: the slot is emptied only where this function returns.
            None => Error::msg("an error without a value"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_std(), f)
    }
}

/// What `main` shows when it returns an error: the message and its causes, not a structure.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error: &dyn StdError = self.as_std();
        write!(f, "{error}")?;
        while let Some(source) = error.source() {
            write!(f, "\n  caused by: {source}")?;
            error = source;
        }
        Ok(())
    }
}

/// A parameter of a handler could not be made: a `#[path]` or `#[query]` value that does not parse, a missing principal.
///
/// Those that depend on the opening handshake are checked before the upgrade, and refuse it with 400 or 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentError {
    name: String,
    reason: String,
}

impl ArgumentError {
    /// The parameter called `name` cannot be made because of `reason`.
    pub fn new(name: impl Into<String>, reason: impl Into<String>) -> Self {
        ArgumentError { name: name.into(), reason: reason.into() }
    }

    /// The name of the parameter.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.name, self.reason)
    }
}

impl StdError for ArgumentError {}

/// The peer broke the protocol (RFC 6455 7.4.1: 1002, 1007) or a limit (1009).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError {
    pub(crate) code: crate::message::CloseCode,
    pub(crate) reason: String,
}

impl ProtocolError {
    /// The close code that the session ends with.
    pub fn code(&self) -> crate::message::CloseCode {
        self.code
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (close code {})", self.reason, u16::from(self.code))
    }
}

impl StdError for ProtocolError {}

/// A handler panicked with this message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    message: String,
}

impl Panicked {
    pub(crate) fn from_payload(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is not a text".to_owned());
        Panicked { message }
    }

    /// What it panicked with.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a handler panicked: {}", self.message)
    }
}

impl StdError for Panicked {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_errors_keep_their_variant() {
        let error = Error::from(ArgumentError::new("room", "not a number"));
        assert!(matches!(error, Error::Argument(_)));
        assert!(error.downcast_ref::<ArgumentError>().is_some());
        assert!(matches!(Error::from(std::io::Error::other("x")), Error::Other(_)));
    }

    #[test]
    fn debug_shows_the_causes() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let error = Error::from(Outer(std::io::Error::other("inner")));
        assert_eq!(format!("{error:?}"), "outer\n  caused by: inner");
    }
}

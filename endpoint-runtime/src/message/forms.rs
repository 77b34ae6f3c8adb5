//! Message forms that wrap another: [`Parsed`] texts, the primitives, [`Ping`] and [`Pong`].

use std::fmt::Display;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;

use bytes::Bytes;

use super::into_message::into_object;
use super::{DecodeError, EncodeError, FromMessage, Incoming, IntoMessage, Kind, Message, Text};
use crate::error::BoxError;

/// A text message read by [`FromStr`] and sent by [`Display`].
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use std::net::IpAddr;
///
/// #[server_endpoint("/is-loopback")]
/// struct Loopback;
///
/// #[handlers]
/// impl Loopback {
///     #[on_message]
///     fn check(&self, Parsed(address): Parsed<IpAddr>) -> bool {
///         address.is_loopback()
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parsed<T>(pub T);

impl<T> Deref for Parsed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Parsed<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: FromStr<Err: Into<BoxError>>> FromMessage for Parsed<T> {
    const KIND: Kind = Kind::Text;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        let text = message.into_text()?;
        text.parse().map(Parsed).map_err(|error| DecodeError::text(&text, error))
    }
}

impl<T: Display> IntoMessage for Parsed<T> {
    fn into_message(self) -> Result<Message, EncodeError> {
        Ok(Message::Text(Text::from(self.0.to_string())))
    }
}

macro_rules! primitives {
    ($($ty:ty),*) => {
        $(
            impl FromMessage for $ty {
                const KIND: Kind = Kind::Text;

                fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
                    Parsed::from_message(message).map(|parsed| parsed.0)
                }
            }

            impl IntoMessage for $ty {
                fn into_message(self) -> Result<Message, EncodeError> {
                    Parsed(self).into_message()
                }

                into_object!();
            }
        )*
    };
}

primitives!(char, bool, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);

/// A ping from the peer, to be looked at: the runtime has answered it already (RFC 6455 5.5.2, Jakarta P-24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping(Bytes);

/// A pong from the peer: the answer to [`Session::ping`](crate::Session::ping), or an unsolicited one (RFC 6455 5.5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong(Bytes);

macro_rules! control_frames {
    ($($ty:ident),*) => {
        $(
            impl $ty {
                /// What it carries: up to 125 bytes. A pong carries what the ping did.
                pub fn payload(&self) -> &Bytes {
                    &self.0
                }
            }

            impl FromMessage for $ty {
                const KIND: Kind = Kind::$ty;

                fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
                    match message {
                        Incoming::$ty(payload) => Ok($ty(Bytes::from(payload.into_owned()))),
                        other => Err(DecodeError::unexpected(&other, stringify!($ty))),
                    }
                }
            }
        )*
    };
}

control_frames!(Ping, Pong);

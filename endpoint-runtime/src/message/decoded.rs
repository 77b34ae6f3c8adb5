//! [`Decoded`] and [`Encoded`]: values that pass through the endpoint's coders.

use std::ops::{Deref, DerefMut};

use super::{DecodeError, FromMessage, Incoming, Kind, Made};

/// A value that one of the endpoint's decoders has made: see [`Decoder`](crate::Decoder).
///
/// An endpoint may have several methods with different `T`: the decoder that takes a message decides which of them gets it. That one of
/// the endpoint's decoders makes a `T` is checked when it is deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded<T>(pub T);

/// A value that a method returns, to be sent by the endpoint's encoder for its type: see [`Encoder`](crate::Encoder).
///
/// Without such an encoder a value that has a form of its own is sent in that form (Jakarta BAS-07), and any other is an
/// [`EncodeError`](crate::EncodeError) for `#[on_error]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded<T>(pub T);

macro_rules! wrappers {
    ($($ty:ident),*) => {
        $(
            impl<T> Deref for $ty<T> {
                type Target = T;

                fn deref(&self) -> &T {
                    &self.0
                }
            }

            impl<T> DerefMut for $ty<T> {
                fn deref_mut(&mut self) -> &mut T {
                    &mut self.0
                }
            }
        )*
    };
}

wrappers!(Decoded, Encoded);

impl<T: Send + 'static> FromMessage for Decoded<T> {
    const KIND: Kind = Kind::Decoded(Made::of::<T>());

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        const EXPECTED: &str = "what a decoder has made";
        match message {
            Incoming::Decoded(value) => value
                .downcast()
                .map(Decoded)
                .map_err(|other| DecodeError::unexpected(&Incoming::Decoded(other), EXPECTED)),
            other => Err(DecodeError::unexpected(&other, EXPECTED)),
        }
    }
}

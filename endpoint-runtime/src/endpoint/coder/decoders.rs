//! [`Decoders`]: the decoders of one connection, which its task uses one at a time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::forms::Input;
use super::{Coders, Decoder, ListedDecoder, Undecoded};
use crate::error::{Error, ProtocolError, Result};
use crate::message::{CloseCode, DecodeError, Made, Message, Value};
use crate::session::Session;

/// An instance of some decoder.
pub(super) trait AnyDecoder: Send {
    fn init(&mut self, session: &Session) -> Result<()>;
    fn will_decode(&self, message: &Undecoded) -> bool;
    fn decode(&mut self, message: Undecoded) -> Pin<Box<dyn Future<Output = Result<Value>> + Send + '_>>;
    fn destroy(&mut self);
}

/// Makes an instance of the decoder `D`.
pub(super) fn new_decoder<D: Decoder>() -> Box<dyn AnyDecoder> {
    Box::new(D::default())
}

impl<D: Decoder> AnyDecoder for D {
    fn init(&mut self, session: &Session) -> Result<()> {
        Decoder::init(self, session)
    }

    fn will_decode(&self, message: &Undecoded) -> bool {
        D::Input::peek(message).is_none_or(|input| Decoder::will_decode(self, input))
    }

    fn decode(&mut self, message: Undecoded) -> Pin<Box<dyn Future<Output = Result<Value>> + Send + '_>> {
        // Of a stream there is nothing to keep, and its errors are those of reading as well.
        let whole = if D::Input::FORM.is_stream() { None } else { message.whole() };
        Box::pin(async move {
            let input = D::Input::take(message)
                .ok_or_else(|| Error::msg("this decoder reads messages of another kind"))?;
            match Decoder::decode(self, input).await {
                Ok(value) => Ok(Value::new(value)),
                Err(error) => Err(about(whole, error)),
            }
        })
    }

    fn destroy(&mut self) {
        Decoder::destroy(self);
    }
}

/// The error of a decoder, with the message that it is about.
fn about(whole: Option<Message>, error: Error) -> Error {
    match (whole, error) {
        (_, Error::Decode(error)) => Error::Decode(error),
        (Some(message), error) => Error::Decode(DecodeError::of(message, error.into_boxed())),
        (None, error) => error,
    }
}

/// The decoders of one connection.
pub(crate) struct Decoders {
    instances: Vec<(ListedDecoder, Box<dyn AnyDecoder>)>,
    /// How many have been initialised.
    ready: usize,
}

impl Decoders {
    /// An instance of each.
    pub(crate) fn new(coders: &Coders) -> Self {
        let instances = coders.decoders().iter().map(|&decoder| (decoder, (decoder.make)())).collect();
        Decoders { instances, ready: 0 }
    }

    /// Brings them into service; stops at the first that fails.
    pub(crate) fn init(&mut self, session: &Session) -> Result<()> {
        for (_, decoder) in &mut self.instances {
            decoder.init(session)?;
            self.ready += 1;
        }
        Ok(())
    }

    /// What the first decoder makes of the message that will decode it and whose value is taken. `limit` says how large the message for
    /// such a value may be, bytes, or that nobody takes it.
    pub(crate) async fn decode(
        &mut self,
        message: Undecoded,
        limit: impl Fn(Made) -> Option<usize>,
    ) -> Result<Value> {
        for (kind, decoder) in &mut self.instances {
            if kind.reads.native() != message.native() {
                continue;
            }
            let Some(limit) = limit(kind.makes) else { continue };
            if decoder.will_decode(&message) {
                check_size(&message, limit)?;
                return decoder.decode(message).await;
            }
        }
        let message = message.whole().unwrap_or_else(|| Message::Binary(bytes::Bytes::new()));
        Err(DecodeError::of(message, "none of the endpoint's decoders will decode it").into())
    }

    /// Takes the last one that is in service out of it. `None` when all are.
    pub(crate) fn destroy_one(&mut self) -> Option<()> {
        self.ready = self.ready.checked_sub(1)?;
        self.instances[self.ready].1.destroy();
        Some(())
    }
}

/// The limit of a method counts even if the message could be received because another method's is larger.
fn check_size(message: &Undecoded, limit: usize) -> Result<()> {
    match message.whole() {
        Some(whole) if whole.as_bytes().len() > limit => Err(Error::Protocol(ProtocolError {
            code: CloseCode::Size,
            reason: format!("a message of this kind has at most {limit} bytes"),
        })),
        _ => Ok(()),
    }
}

impl fmt::Debug for Decoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.instances.iter().map(|(kind, _)| kind.name)).finish()
    }
}

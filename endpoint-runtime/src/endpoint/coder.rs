//! Decoders and encoders of an endpoint: the user's own forms of messages.

use std::future::Future;

use crate::error::Result;
use crate::message::{BinaryReader, Bytes, Text, TextReader};
use crate::session::Session;

/// What a [`Decoder`] decodes: [`Text`], [`Bytes`], [`TextReader`] or [`BinaryReader`].
pub trait DecoderInput: Send + 'static {}
impl DecoderInput for Text {}
impl DecoderInput for Bytes {}
impl DecoderInput for TextReader {}
impl DecoderInput for BinaryReader {}

/// What an [`Encoder`] writes to.
pub trait EncoderOutput: Send + 'static {}
impl EncoderOutput for String {}
impl EncoderOutput for Vec<u8> {}

/// Makes values of messages.
pub trait Decoder: Default + Send + 'static {
    /// What it decodes.
    type Input: DecoderInput;
    /// What it makes.
    type Value: Send + 'static;

    /// Before the first message.
    fn init(&mut self, session: &Session) -> Result<()> {
        let _ = session;
        Ok(())
    }

    /// Whether it takes this message.
    fn will_decode(&self, input: &Self::Input) -> bool {
        let _ = input;
        true
    }

    /// Makes the value.
    fn decode(&mut self, input: Self::Input) -> impl Future<Output = Result<Self::Value>> + Send;

    /// After the last message.
    fn destroy(&mut self) {}
}

/// Makes messages of values.
pub trait Encoder: Default + Send + 'static {
    /// What it encodes.
    type Value: Send + Sync + 'static;
    /// What it writes to.
    type Output: EncoderOutput;

    /// Before the first message.
    fn init(&mut self, session: &Session) -> Result<()> {
        let _ = session;
        Ok(())
    }

    /// Writes the message.
    fn encode(
        &mut self,
        value: &Self::Value,
        output: &mut Self::Output,
    ) -> impl Future<Output = Result<()>> + Send;

    /// After the last message.
    fn destroy(&mut self) {}
}

/// The coders that an endpoint lists.
#[derive(Clone, Debug)]
pub struct Coders(());

impl Coders {
    /// None.
    pub fn none() -> Self {
        Coders(())
    }

    /// And a decoder.
    pub fn decoder<D: Decoder>(self) -> Self {
        self
    }

    /// And an encoder.
    pub fn encoder<E: Encoder>(self) -> Self {
        self
    }
}

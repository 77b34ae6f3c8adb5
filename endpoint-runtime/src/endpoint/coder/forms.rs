//! The forms that coders know: what a decoder reads ([`DecoderInput`]), and what an encoder writes ([`EncoderOutput`]).

use std::future::Future;
use std::io;

use bytes::Bytes;

use crate::endpoint::Native;
use crate::message::{BinaryReader, EncodeError, Incoming, Message, Text, TextReader};
use crate::session::{BinaryWriter, SendError, Session, TextWriter};

/// In which form a decoder reads a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputForm {
    Text,
    Binary,
    TextStream,
    BinaryStream,
}

impl InputForm {
    /// Of which kind of message it is a form.
    pub(crate) fn native(self) -> Native {
        match self {
            InputForm::Text | InputForm::TextStream => Native::Text,
            InputForm::Binary | InputForm::BinaryStream => Native::Binary,
        }
    }

    /// As it arrives, not as a whole.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, InputForm::TextStream | InputForm::BinaryStream)
    }
}

/// A message on its way to a decoder.
#[derive(Debug)]
pub enum Undecoded {
    Text(Text),
    Binary(Bytes),
    TextStream(TextReader),
    BinaryStream(BinaryReader),
}

impl Undecoded {
    /// The message, unless it is one that decoders do not get.
    pub(crate) fn new(message: Incoming<'_>) -> Option<Self> {
        Some(match message {
            Incoming::Text(text) => Undecoded::Text(Text::from(text)),
            Incoming::Binary(bytes) => Undecoded::Binary(Bytes::from(bytes.into_owned())),
            Incoming::TextStream(reader) => Undecoded::TextStream(reader),
            Incoming::BinaryStream(reader) => Undecoded::BinaryStream(reader),
            _ => return None,
        })
    }

    /// Which kind of message it is.
    pub(crate) fn native(&self) -> Native {
        match self {
            Undecoded::Text(_) | Undecoded::TextStream(_) => Native::Text,
            Undecoded::Binary(_) | Undecoded::BinaryStream(_) => Native::Binary,
        }
    }

    /// The message itself, if it is there as a whole: what an error about it keeps.
    pub(super) fn whole(&self) -> Option<Message> {
        match self {
            Undecoded::Text(text) => Some(Message::Text(text.clone())),
            Undecoded::Binary(bytes) => Some(Message::Binary(bytes.clone())),
            Undecoded::TextStream(_) | Undecoded::BinaryStream(_) => None,
        }
    }
}

/// What a [`Decoder`](crate::Decoder) reads: [`Text`], [`Bytes`], [`TextReader`] or [`BinaryReader`].
#[diagnostic::on_unimplemented(
    message = "a decoder cannot read `{Self}`",
    label = "not a form of a message",
    note = "a decoder's `Input` is `Text`, `Bytes`, `TextReader` or `BinaryReader`"
)]
pub trait DecoderInput: Input {}

/// Seals [`DecoderInput`].
pub trait Input: Send + Sized + 'static {
    const FORM: InputForm;

    /// The message as it would be taken, without taking it; not for streams.
    fn peek(message: &Undecoded) -> Option<&Self>;

    /// The message, if it can be had in this form.
    fn take(message: Undecoded) -> Option<Self>;
}

macro_rules! inputs {
    ($($ty:ty: $form:ident, |$peeked:ident| $peek:expr, $($pattern:pat => $taken:expr),+;)*) => {
        $(
            impl DecoderInput for $ty {}

            impl Input for $ty {
                const FORM: InputForm = InputForm::$form;

                fn peek($peeked: &Undecoded) -> Option<&Self> {
                    $peek
                }

                fn take(message: Undecoded) -> Option<Self> {
                    match message {
                        $($pattern => Some($taken),)+
                        _ => None,
                    }
                }
            }
        )*
    };
}

// A decoder of streams that stands behind one of whole messages gets a whole message too, and reads it as a stream.
inputs! {
    Text: Text, |message| if let Undecoded::Text(text) = message { Some(text) } else { None },
        Undecoded::Text(text) => text;
    Bytes: Binary, |message| if let Undecoded::Binary(bytes) = message { Some(bytes) } else { None },
        Undecoded::Binary(bytes) => bytes;
    TextReader: TextStream, |_message| None,
        Undecoded::TextStream(reader) => reader, Undecoded::Text(text) => TextReader::of(text);
    BinaryReader: BinaryStream, |_message| None,
        Undecoded::BinaryStream(reader) => reader, Undecoded::Binary(bytes) => BinaryReader::of(bytes);
}

/// What an [`Encoder`](crate::Encoder) writes: `String`, `Vec<u8>`, [`TextWriter`] or [`BinaryWriter`].
#[diagnostic::on_unimplemented(
    message = "an encoder cannot write `{Self}`",
    label = "not a form of a message",
    note = "an encoder's `Output` is `String`, `Vec<u8>`, `TextWriter` or `BinaryWriter`"
)]
pub trait EncoderOutput: Output {}

/// Seals [`EncoderOutput`].
pub trait Output: Send + Sized + 'static {
    /// An empty message of the session.
    fn begin(session: &Session) -> Self;

    /// The message, unless it is under way already.
    fn finish(self) -> impl Future<Output = Result<Option<Message>, SendError>> + Send;
}

impl EncoderOutput for String {}

impl Output for String {
    fn begin(_: &Session) -> Self {
        String::new()
    }

    async fn finish(self) -> Result<Option<Message>, SendError> {
        Ok(Some(Message::Text(self.into())))
    }
}

impl EncoderOutput for Vec<u8> {}

impl Output for Vec<u8> {
    fn begin(_: &Session) -> Self {
        Vec::new()
    }

    async fn finish(self) -> Result<Option<Message>, SendError> {
        Ok(Some(Message::Binary(self.into())))
    }
}

impl EncoderOutput for TextWriter {}

impl Output for TextWriter {
    fn begin(session: &Session) -> Self {
        session.text_writer()
    }

    async fn finish(self) -> Result<Option<Message>, SendError> {
        sent(TextWriter::finish(self).await)
    }
}

impl EncoderOutput for BinaryWriter {}

impl Output for BinaryWriter {
    fn begin(session: &Session) -> Self {
        session.binary_writer()
    }

    async fn finish(self) -> Result<Option<Message>, SendError> {
        sent(BinaryWriter::finish(self).await)
    }
}

/// How a writer has ended: inside its error is that of sending.
fn sent(finished: io::Result<()>) -> Result<Option<Message>, SendError> {
    match finished {
        Ok(()) => Ok(None),
        Err(error) => Err(unsent(error)),
    }
}

/// What a writer's error means to who sends: that of sending, or that what was written is no message.
pub(super) fn unsent(error: io::Error) -> SendError {
    error.downcast().unwrap_or_else(|error| EncodeError::new(error).into())
}

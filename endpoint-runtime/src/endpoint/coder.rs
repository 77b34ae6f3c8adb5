//! Coders: what turns messages into values of the application's types, and back ([`Decoder`], [`Encoder`]).
//!
//! An endpoint lists their types ([`Coders`]); each connection has one instance of each, which may keep state. Decoders belong to the
//! connection's task, encoders to the session, where any task may send.

mod decoders;
mod encoders;
mod forms;

use std::any::type_name;
use std::fmt;
use std::future::Future;

pub(crate) use self::decoders::Decoders;
use self::decoders::{AnyDecoder, new_decoder};
pub(crate) use self::encoders::Encoders;
use self::encoders::{AnyEncoder, new_encoder};
use self::forms::Input as _;
pub use self::forms::{DecoderInput, EncoderOutput};
pub(crate) use self::forms::{InputForm, Undecoded};
use crate::error::Result;
use crate::message::Made;
use crate::session::Session;

/// Makes values of one type from messages, for methods that take [`Decoded<T>`](crate::Decoded) (Jakarta's `Decoder`, CD-01…CD-09).
///
/// An endpoint lists its decoders; a message goes to the first one of its kind, text or binary, that will decode it and whose value
/// some method takes. Each connection has an instance of its own, and never runs it twice at once.
///
/// What it reads is its `Input`: [`Text`](crate::Text) or [`Bytes`](crate::Bytes), which is the whole message, or
/// [`TextReader`](crate::TextReader) or [`BinaryReader`](crate::BinaryReader), which is the message as it arrives.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::Decoder;
///
/// struct Point { x: i32, y: i32 }
///
/// /// `3,4`
/// #[derive(Default)]
/// struct PointDecoder;
///
/// impl Decoder for PointDecoder {
///     type Input = Text;
///     type Value = Point;
///
///     fn will_decode(&self, text: &Text) -> bool {
///         text.contains(',')
///     }
///
///     async fn decode(&mut self, text: Text) -> Result<Point> {
///         let (x, y) = text.split_once(',').ok_or_else(|| Error::msg("`x,y` was expected"))?;
///         Ok(Point { x: x.parse()?, y: y.parse()? })
///     }
/// }
/// ```
///
/// The same from a binary message:
///
/// ```
/// # use endpoint_runtime::prelude::*;
/// # use endpoint_runtime::Decoder;
/// # struct Point { x: i32, y: i32 }
/// #[derive(Default)]
/// struct PackedPointDecoder;
///
/// impl Decoder for PackedPointDecoder {
///     type Input = Bytes;
///     type Value = Point;
///
///     async fn decode(&mut self, bytes: Bytes) -> Result<Point> {
///         let numbers: [u8; 8] = bytes.as_ref().try_into()?;
///         let [a, b, c, d, rest @ ..] = numbers;
///         Ok(Point { x: i32::from_be_bytes([a, b, c, d]), y: i32::from_be_bytes(rest) })
///     }
/// }
/// ```
///
/// As a stream, for messages that need not lie in memory as a whole: a text one,
///
/// ```
/// # use endpoint_runtime::prelude::*;
/// # use endpoint_runtime::Decoder;
/// use tokio::io::AsyncBufReadExt;
///
/// struct Lines(u64);
///
/// #[derive(Default)]
/// struct LineCounter;
///
/// impl Decoder for LineCounter {
///     type Input = TextReader;
///     type Value = Lines;
///
///     async fn decode(&mut self, text: TextReader) -> Result<Lines> {
///         let mut lines = text.lines();
///         let mut count = 0;
///         while lines.next_line().await?.is_some() {
///             count += 1;
///         }
///         Ok(Lines(count))
///     }
/// }
/// ```
///
/// and a binary one:
///
/// ```
/// # use endpoint_runtime::prelude::*;
/// # use endpoint_runtime::Decoder;
/// struct Checksum(u32);
///
/// #[derive(Default)]
/// struct Summer;
///
/// impl Decoder for Summer {
///     type Input = BinaryReader;
///     type Value = Checksum;
///
///     async fn decode(&mut self, mut body: BinaryReader) -> Result<Checksum> {
///         let mut sum = 0u32;
///         while let Some(chunk) = body.chunk().await? {
///             sum = chunk.iter().fold(sum, |sum, &byte| sum.rotate_left(1) ^ u32::from(byte));
///         }
///         Ok(Checksum(sum))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decoder",
    label = "does not implement `Decoder`",
    note = "a decoder is a type of its own: `impl Decoder for {Self} {{ type Input = Text; type Value = …; async fn decode(…) }}`"
)]
pub trait Decoder: Default + Send + 'static {
    /// What it reads: `Text`, `Bytes`, `TextReader` or `BinaryReader`.
    type Input: DecoderInput;
    /// What it makes: the `T` of `Decoded<T>`.
    type Value: Send + 'static;

    /// Called once, before the session is opened.
    ///
    /// # Errors
    /// Go to `#[on_error]`, and the session closes with 1011.
    fn init(&mut self, session: &Session) -> Result<()> {
        let _ = session;
        Ok(())
    }

    /// Whether it is the one for this message; if not, the next decoder is asked. Only for messages that are there as a whole: a
    /// stream cannot be looked at without being read, so its decoder is always the one.
    fn will_decode(&self, input: &Self::Input) -> bool {
        let _ = input;
        true
    }

    /// Makes the value. The method that takes it is called afterwards.
    ///
    /// # Errors
    /// Go to `#[on_error]`, those about a whole message as [`DecodeError`](crate::DecodeError) with the message in it; the session stays open.
    fn decode(&mut self, input: Self::Input) -> impl Future<Output = Result<Self::Value>> + Send;

    /// Called once, after `#[on_close]`.
    fn destroy(&mut self) {}
}

/// Makes messages of values of one type, for [`Session::send_object`] and for methods that return
/// [`Encoded<T>`](crate::Encoded) (Jakarta's `Encoder`, CD-10…CD-12).
///
/// An endpoint lists its encoders; a value goes to the first one for its type. One for a type that has a form of its own (numbers,
/// `bool`, `char`, `String`, `Text`, `Vec<u8>`, `Bytes`) replaces that form wherever a method returns such a value. Each connection has
/// an instance of its own, and never runs it twice at once.
///
/// What it writes is its `Output`, which is empty when it begins: a `String` or a `Vec<u8>`, which becomes a text or a binary message; or a
/// [`TextWriter`](crate::TextWriter) or [`BinaryWriter`](crate::BinaryWriter), whose message is on its way while it is written, and which
/// the runtime finishes.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::Encoder;
/// use std::fmt::Write;
///
/// struct Point { x: i32, y: i32 }
///
/// /// `3,4`
/// #[derive(Default)]
/// struct PointEncoder;
///
/// impl Encoder for PointEncoder {
///     type Value = Point;
///     type Output = String;
///
///     async fn encode(&mut self, point: &Point, text: &mut String) -> Result<()> {
///         Ok(write!(text, "{},{}", point.x, point.y)?)
///     }
/// }
///
/// async fn send(session: &Session) -> Result<()> {
///     session.send_object(Point { x: 3, y: 4 }).await?;
///     Ok(())
/// }
/// ```
///
/// The same as a binary message:
///
/// ```
/// # use endpoint_runtime::prelude::*;
/// # use endpoint_runtime::Encoder;
/// # struct Point { x: i32, y: i32 }
/// #[derive(Default)]
/// struct PackedPointEncoder;
///
/// impl Encoder for PackedPointEncoder {
///     type Value = Point;
///     type Output = Vec<u8>;
///
///     async fn encode(&mut self, point: &Point, bytes: &mut Vec<u8>) -> Result<()> {
///         bytes.extend(point.x.to_be_bytes());
///         bytes.extend(point.y.to_be_bytes());
///         Ok(())
///     }
/// }
/// ```
///
/// As a stream, for values whose message need not lie in memory as a whole: a text one,
///
/// ```
/// # use endpoint_runtime::prelude::*;
/// # use endpoint_runtime::{Encoder, TextWriter};
/// use tokio::io::AsyncWriteExt;
///
/// struct Countdown(u32);
///
/// #[derive(Default)]
/// struct CountdownEncoder;
///
/// impl Encoder for CountdownEncoder {
///     type Value = Countdown;
///     type Output = TextWriter;
///
///     async fn encode(&mut self, countdown: &Countdown, text: &mut TextWriter) -> Result<()> {
///         for number in (0..countdown.0).rev() {
///             text.write_all(format!("{number}\n").as_bytes()).await?;
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// and a binary one:
///
/// ```
/// # use endpoint_runtime::prelude::*;
/// # use endpoint_runtime::{BinaryWriter, Encoder};
/// use std::path::PathBuf;
///
/// struct Download(PathBuf);
///
/// #[derive(Default)]
/// struct FileEncoder;
///
/// impl Encoder for FileEncoder {
///     type Value = Download;
///     type Output = BinaryWriter;
///
///     async fn encode(&mut self, download: &Download, body: &mut BinaryWriter) -> Result<()> {
///         let mut file = tokio::fs::File::open(&download.0).await?;
///         tokio::io::copy(&mut file, body).await?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an encoder",
    label = "does not implement `Encoder`",
    note = "an encoder is a type of its own: `impl Encoder for {Self} {{ type Value = …; type Output = String; async fn encode(…) }}`"
)]
pub trait Encoder: Default + Send + 'static {
    /// What it encodes.
    type Value: Send + Sync + 'static;
    /// What it writes: `String`, `Vec<u8>`, `TextWriter` or `BinaryWriter`.
    type Output: EncoderOutput;

    /// Called once, before the session is opened.
    ///
    /// # Errors
    /// Go to `#[on_error]`, and the session closes with 1011.
    fn init(&mut self, session: &Session) -> Result<()> {
        let _ = session;
        Ok(())
    }

    /// Writes the value.
    ///
    /// # Errors
    /// Go to who sends; of what a method has returned, to `#[on_error]`. The session stays open, and nothing is sent, unless a
    /// writer has sent a part of the message already.
    fn encode(
        &mut self,
        value: &Self::Value,
        output: &mut Self::Output,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Called once, after `#[on_close]`.
    fn destroy(&mut self) {}
}

/// The coders of an endpoint, in their order: the types, of which each connection makes its own instances.
///
/// An annotated endpoint lists them in `#[server_endpoint("/path", decoders = [..], encoders = [..])]`; this is for endpoints written by hand,
/// and for a client's options.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{Coders, Decoded, Decoder, Endpoint, ServerEndpointConfig};
///
/// #[derive(Default)]
/// struct Shout;
///
/// struct Loud(String);
///
/// impl Decoder for Shout {
///     type Input = Text;
///     type Value = Loud;
///
///     async fn decode(&mut self, text: Text) -> Result<Loud> {
///         Ok(Loud(text.to_uppercase()))
///     }
/// }
///
/// struct Hall;
///
/// impl Endpoint for Hall {
///     async fn on_open(&mut self, session: &Session) -> Result<()> {
///         session.add_message_handler(|Decoded(loud): Decoded<Loud>| async move { loud.0 })?;
///         Ok(())
///     }
/// }
///
/// let config =
///     ServerEndpointConfig::builder("/hall", || Hall).coders(Coders::none().decoder::<Shout>()).build();
/// assert_eq!(config.path(), "/hall");
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Coders {
    decoders: Vec<ListedDecoder>,
    encoders: Vec<ListedEncoder>,
}

impl Coders {
    /// None at all.
    pub const fn none() -> Self {
        Coders { decoders: Vec::new(), encoders: Vec::new() }
    }

    /// And a decoder, behind those there are.
    pub fn decoder<D: Decoder>(mut self) -> Self {
        self.decoders.push(ListedDecoder {
            name: type_name::<D>(),
            makes: Made::of::<D::Value>(),
            reads: D::Input::FORM,
            make: new_decoder::<D>,
        });
        self
    }

    /// And an encoder, behind those there are.
    pub fn encoder<E: Encoder>(mut self) -> Self {
        self.encoders.push(ListedEncoder {
            name: type_name::<E>(),
            takes: Made::of::<E::Value>(),
            make: new_encoder::<E>,
        });
        self
    }

    /// And those, behind these.
    #[cfg(feature = "client")]
    pub(crate) fn and(mut self, others: &Coders) -> Self {
        self.decoders.extend_from_slice(&others.decoders);
        self.encoders.extend_from_slice(&others.encoders);
        self
    }

    pub(crate) fn decoders(&self) -> &[ListedDecoder] {
        &self.decoders
    }

    pub(crate) fn encoders(&self) -> &[ListedEncoder] {
        &self.encoders
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.decoders.is_empty() && self.encoders.is_empty()
    }
}

impl fmt::Debug for Coders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coders")
            .field("decoders", &self.decoders.iter().map(|decoder| decoder.name).collect::<Vec<_>>())
            .field("encoders", &self.encoders.iter().map(|encoder| encoder.name).collect::<Vec<_>>())
            .finish()
    }
}

/// One decoder of an endpoint: the type, not an instance.
#[derive(Clone, Copy)]
pub(crate) struct ListedDecoder {
    pub(crate) name: &'static str,
    pub(crate) makes: Made,
    pub(crate) reads: InputForm,
    make: fn() -> Box<dyn AnyDecoder>,
}

/// One encoder of an endpoint: the type, not an instance.
#[derive(Clone, Copy)]
pub(crate) struct ListedEncoder {
    pub(crate) name: &'static str,
    pub(crate) takes: Made,
    make: fn() -> Box<dyn AnyEncoder>,
}

//! Groups F, J and K: coders of one's own, their lives, and what becomes of those that throw.
//!
//! The four [decoders](TextDecoder) and four [encoders](TextEncoder) that are here, one for each form of a message, are those of the other
//! groups too: all of them are about a [`Note`].

mod lives;
mod own_forms;
mod throwing;

use std::io;
use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, Coders, Decoder, Encoder, Endpoint, ServerEndpointConfig};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::far::{Far, Frame};
use crate::told::Told;

/// What decoders make and encoders take.
pub(crate) struct Note(pub(crate) String);

/// What a coder has to tell, if somebody listens.
#[derive(Default)]
struct Voice(Option<Arc<Told>>);

impl Voice {
    fn find(&mut self, session: &Session) {
        self.0 = session.application().find::<Told>();
    }

    fn tell(&self, what: &str) {
        if let Some(told) = &self.0 {
            told.tell(what);
        }
    }
}

/// What coders fail with: an error of their own, or one of reading and writing.
fn checked(text: &str) -> Result<()> {
    match text {
        "throw" => Err(Error::msg("thrown by a coder")),
        "io" => Err(io::Error::other("no disk").into()),
        _ => Ok(()),
    }
}

macro_rules! decoders {
    ($($name:ident: $input:ty, |$message:ident| $read:expr;)*) => {
        $(
            #[derive(Default)]
            pub(crate) struct $name(Voice);

            impl Decoder for $name {
                type Input = $input;
                type Value = Note;

                fn init(&mut self, session: &Session) -> Result<()> {
                    self.0.find(session);
                    self.0.tell("decoder init");
                    Ok(())
                }

                fn will_decode(&self, _: &$input) -> bool {
                    self.0.tell("will decode");
                    true
                }

                async fn decode(&mut self, #[allow(unused_mut)] mut $message: $input) -> Result<Note> {
                    let text: String = $read;
                    self.0.tell("decode");
                    checked(&text)?;
                    Ok(Note(text))
                }

                fn destroy(&mut self) {
                    self.0.tell("decoder destroy");
                }
            }
        )*
    };
}

decoders! {
    TextDecoder: Text, |message| message.into();
    BytesDecoder: Bytes, |message| String::from_utf8(message.into())?;
    TextStreamDecoder: TextReader, |message| {
        let mut text = String::new();
        message.read_to_string(&mut text).await?;
        text
    };
    BinaryStreamDecoder: BinaryReader, |message| {
        let mut bytes = Vec::new();
        while let Some(chunk) = message.chunk().await? {
            bytes.extend(chunk);
        }
        String::from_utf8(bytes)?
    };
}

macro_rules! encoders {
    ($($name:ident: $output:ty, |$text:ident, $message:ident| $write:expr;)*) => {
        $(
            #[derive(Default)]
            pub(crate) struct $name(Voice);

            impl Encoder for $name {
                type Value = Note;
                type Output = $output;

                fn init(&mut self, session: &Session) -> Result<()> {
                    self.0.find(session);
                    self.0.tell("encoder init");
                    Ok(())
                }

                async fn encode(&mut self, Note($text): &Note, $message: &mut $output) -> Result<()> {
                    self.0.tell("encode");
                    checked($text)?;
                    $write;
                    Ok(())
                }

                fn destroy(&mut self) {
                    self.0.tell("encoder destroy");
                }
            }
        )*
    };
}

encoders! {
    TextEncoder: String, |text, message| message.push_str(text);
    BytesEncoder: Vec<u8>, |text, message| message.extend(text.as_bytes());
    TextStreamEncoder: TextWriter, |text, message| message.write_all(text.as_bytes()).await?;
    BinaryStreamEncoder: BinaryWriter, |text, message| message.write_all(text.as_bytes()).await?;
}

// ---- endpoints with one decoder and one encoder

/// Gives a note back: as what the method returns, by `send_object`, or by `post_object`, as its text begins.
async fn answer(session: &Session, note: Note) -> Result<Option<Encoded<Note>>> {
    let (how, text) = note.0.split_once(':').unwrap_or(("", &note.0));
    let note = Note(text.to_owned());
    match how {
        "return" => return Ok(Some(Encoded(note))),
        "send" => session.send_object(note).await?,
        "post" => session.post_object(note).await?,
        other => return Err(Error::msg(format!("there is no way `{other}`"))),
    }
    Ok(None)
}

/// What `on_error` tells the far end.
fn account(error: &Error) -> String {
    let kept = error.downcast_ref::<DecodeError>().map(|error| error.message().clone());
    let io = if error.downcast_ref::<io::Error>().is_some() { " (io)" } else { "" };
    match kept {
        Some(message) => format!("error: {error}{io}, of {message:?}"),
        None => format!("error: {error}{io}"),
    }
}

fn tell(session: &Session, what: &str) {
    if let Some(told) = session.application().find::<Told>() {
        told.tell(what);
    }
}

/// An endpoint without annotations: its coders come from its configuration, or from the client's.
struct ByHand;

impl Endpoint for ByHand {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let this = session.clone();
        session.add_message_handler(move |Decoded(note): Decoded<Note>| {
            let session = this.clone();
            async move { answer(&session, note).await }
        })?;
        Ok(())
    }

    async fn on_error(&mut self, session: &Session, error: &Error) -> Result<()> {
        Ok(session.send(account(error)).await?)
    }

    async fn on_close(&mut self, session: &Session, _: &CloseReason) {
        tell(session, "close");
    }
}

/// An endpoint, on the server or the client, whose coders are all of one form.
struct Book {
    name: String,
    is_text: bool,
    is_stream: bool,
    open: Box<dyn FnOnce(Told) -> BoxFuture<'static, Far>>,
}

impl Book {
    fn new<F: Future<Output = Far> + Send + 'static>(
        name: String,
        form: (bool, bool),
        open: impl FnOnce(Told) -> F + 'static,
    ) -> Self {
        let (is_text, is_stream) = form;
        Book { name, is_text, is_stream, open: Box::new(move |told| open(told).boxed()) }
    }
}

/// The endpoint `ByHand` with these coders, on the server and on the client.
fn by_hand(form: &str, (is_text, is_stream): (bool, bool), coders: fn() -> Coders) -> [Book; 2] {
    let name = |side| format!("{form}, by hand, on the {side}");
    let on_server = move |told| async move {
        let config = ServerEndpointConfig::builder("/notes", || ByHand).coders(coders()).build();
        Far::of(runtime::test::app().provide(told).only::<ByHand>().endpoint(config), "/notes").await
    };
    let on_client = move |told| async move {
        let client = runtime::client().provide(told).coders(coders());
        Far::of_client(client, ByHand).await.0
    };
    [
        Book::new(name("server"), (is_text, is_stream), on_server),
        Book::new(name("client"), (is_text, is_stream), on_client),
    ]
}

/// Declares the four kinds of books for lists of coders, and `fn $books()` that gives them all.
macro_rules! books {
    ($books:ident: $($row:ident $form:expr, [$($decoder:ident),*], $encoder:ident;)*) => {
        $(
            mod $row {
                use super::*;

                #[server_endpoint("/notes", decoders = [$($decoder),*], encoders = [$encoder])]
                pub(super) struct Server;

                #[handlers]
                impl Server {
                    #[on_message]
                    async fn note(&self, Decoded(note): Decoded<Note>, session: &Session) -> Result<Option<Encoded<Note>>> {
                        answer(session, note).await
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        account(error)
                    }

                    #[on_close]
                    fn close(&self, session: &Session) {
                        tell(session, "close");
                    }
                }

                #[client_endpoint(decoders = [$($decoder),*], encoders = [$encoder])]
                pub(super) struct Client;

                #[handlers]
                impl Client {
                    #[on_message]
                    async fn note(&self, Decoded(note): Decoded<Note>, session: &Session) -> Result<Option<Encoded<Note>>> {
                        answer(session, note).await
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        account(error)
                    }

                    #[on_close]
                    fn close(&self, session: &Session) {
                        tell(session, "close");
                    }
                }

                pub(super) fn coders() -> Coders {
                    Coders::none()$(.decoder::<$decoder>())*.encoder::<$encoder>()
                }
            }
        )*

        fn $books() -> Vec<Book> {
            let mut books = Vec::new();
            $(
                let name = |side| format!("{}, annotated, on the {side}", stringify!($row));
                books.push(Book::new(name("server"), $form, |told| async move {
                    Far::of(runtime::test::app().provide(told).only::<$row::Server>(), "/notes").await
                }));
                books.push(Book::new(name("client"), $form, |told| async move {
                    Far::of_client(runtime::client().provide(told), $row::Client).await.0
                }));
                books.extend(by_hand(stringify!($row), $form, $row::coders));
            )*
            books
        }
    };
}
use books;

const TEXT: (bool, bool) = (true, false);
const BINARY: (bool, bool) = (false, false);
const TEXT_STREAM: (bool, bool) = (true, true);
const BINARY_STREAM: (bool, bool) = (false, true);

books! { every_book:
    text TEXT, [TextDecoder], TextEncoder;
    bytes BINARY, [BytesDecoder], BytesEncoder;
    text_stream TEXT_STREAM, [TextStreamDecoder], TextStreamEncoder;
    binary_stream BINARY_STREAM, [BinaryStreamDecoder], BinaryStreamEncoder;
}

/// A message of text, or of bytes.
fn framed(is_text: bool, text: &str) -> Frame {
    if is_text { Frame::text(text) } else { Frame::binary(text.as_bytes().to_vec()) }
}

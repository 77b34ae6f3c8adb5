//! Every form that a parameter may have.

#![deny(warnings)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Context, Incoming, Kind, Refusal};
use serde::Deserialize;

struct Theatre;
struct User;

#[derive(Deserialize)]
struct Options {
    depth: Option<u8>,
}

struct Language(String);

impl FromContext for Language {
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        handshake.header("accept-language").map(|_| ()).ok_or_else(|| Refusal::bad_request("say a language"))
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        Ok(Language(context.handshake().header("accept-language").unwrap_or("en").to_owned()))
    }
}

struct Move(u8);

impl FromMessage for Move {
    const KIND: Kind = Kind::Text;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        let text = message.into_text()?;
        text.parse().map(Move).map_err(|error| DecodeError::text(&text, error))
    }
}

macro_rules! texts {
    ($($name:ident $path:literal: $pattern:pat => $ty:ty,)*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_message]
                fn text(&self, $pattern: $ty) {}
            }
        )*
    };
}

texts! {
    Chars "/char": _ => char,
    Bools "/bool": _ => bool,
    U8s "/u8": _ => u8,
    I128s "/i128": _ => i128,
    F64s "/f64": _ => f64,
    Strings "/string": _text => String,
    StringRefs "/string-ref": _text => &String,
    Texts "/text": _text => Text,
    TextRefs "/text-ref": _text => &Text,
    Strs "/str": _text => &str,
    ParsedAddresses "/parsed": Parsed(_address) => Parsed<std::net::IpAddr>,
    Jsons "/json": Json(_value) => Json<Vec<Option<u8>>>,
    Messages "/message": _message => Message,
    MessageRefs "/message-ref": _message => &Message,
    Moves "/move": Move(_to) => Move,
    MoveRefs "/move-ref": Move(_to) => &Move,
    Vecs "/vec": _bytes => Vec<u8>,
    AllBytes "/bytes": _bytes => Bytes,
    Slices "/slice": _bytes => &[u8],
    Pongs "/pong": _pong => Pong,
    Pings "/ping": _ping => Ping,
    PingRefs "/ping-ref": _ping => &Ping,
    TextParts "/text-part": _part => Fragment<Text>,
    TextPartRefs "/text-part-ref": _part => &Fragment<Text>,
    BinaryParts "/binary-part": Fragment { data: _, last: _ } => Fragment<Bytes>,
    TextReaders "/text-reader": mut _reader => TextReader,
    BinaryReaders "/binary-reader": _reader => BinaryReader,
}

#[server_endpoint("/all/{room}/{seat}/{*rest}")]
#[derive(Default)]
struct All {
    entered: bool,
}

#[handlers]
impl All {
    #[on_open]
    async fn open(
        &mut self,
        session: &Session,
        again: Session,
        #[path] room: String,
        #[path("seat")] number: u32,
        #[path] rest: Option<String>,
        #[query] lang: Option<String>,
        #[query("page")] _page: u64,
        Query(options): Query<Options>,
        handshake: &Handshake,
    ) -> Result<()> {
        self.entered = true;
        session.send(format!("{room} {number} {rest:?} {lang:?} {:?}", options.depth)).await?;
        again.send(handshake.uri().path().to_owned()).await?;
        Ok(())
    }

    #[on_message]
    async fn text(
        &mut self,
        principal: Principal<User>,
        text: &str,
        stranger: Option<Principal<User>>,
        Inject(theatre): Inject<Theatre>,
        session: &Session,
    ) -> Result<String> {
        session.send("heard").await?;
        let _: (&User, bool, Arc<Theatre>) = (&principal, stranger.is_none(), theatre);
        Ok(text.to_owned())
    }

    #[on_message]
    async fn bytes(&self, bytes: &[u8], application: ApplicationContext, context: &ApplicationContext) -> usize {
        std::future::ready(()).await;
        let _ = (application, context.get::<Theatre>());
        bytes.len()
    }

    #[on_message]
    async fn pong(mut pong: Pong, Language(language): Language, sessions: &Sessions, all: Sessions) {
        std::future::ready(()).await;
        pong = pong.clone();
        let _ = (pong.payload(), language, sessions, all);
    }

    #[on_close]
    fn close<'a>(&'a mut self, reason: &'a CloseReason, own: CloseReason, language: &'a Language) {
        let _ = (reason, own, &language.0, self.entered);
    }

    #[on_error]
    async fn json(&self, error: &DecodeError, r#type: Language, session: &Session) -> Result<()> {
        session.send(format!("{error} {}", r#type.0)).await?;
        Ok(())
    }

    #[on_error]
    fn io(error: &std::io::Error, #[path] room: String) -> String {
        format!("{room}: {error}")
    }

    #[on_error]
    fn any(&self, sessions: &Sessions, error: &Error, handshake: &Handshake, context: &ApplicationContext) {
        let _ = (sessions, error, handshake, context);
    }
}

fn main() {}

//! What a handler may take, in every handler that may take it; and what of it is decided before the upgrade.

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{self as runtime, Context, Incoming, Kind, Refusal};
use serde::Deserialize;

use crate::support::{Raw, TEXT, Told, diary, frame};

/// The application's own message.
struct Move(u8);

impl FromMessage for Move {
    const KIND: Kind = Kind::Text;

    fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
        let text = message.into_text()?;
        match text.strip_prefix("forward ").map(str::parse) {
            Some(Ok(steps)) => Ok(Move(steps)),
            _ => Err(DecodeError::text(&text, "`forward N` was expected")),
        }
    }
}

#[derive(Deserialize)]
struct Point {
    x: i32,
    y: Option<i32>,
}

macro_rules! messages {
    ($($name:ident $path:literal: $pattern:pat => $ty:ty, $said:expr; $($sent:expr => $expected:expr),+;)*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            #[allow(clippy::ptr_arg)] // `&String` is one of the forms.
            impl $name {
                #[on_message]
                async fn message(&self, session: &Session, $pattern: $ty, sessions: Sessions) -> Result<String> {
                    let said = $said;
                    // The value outlives a wait.
                    tokio::task::yield_now().await;
                    assert_eq!((sessions.count(), session.is_open()), (1, true));
                    Ok(said)
                }

                #[on_error]
                fn error(&self, error: &DecodeError) -> String {
                    format!("error: {}", String::from_utf8_lossy(error.message().as_bytes()))
                }
            }
        )*

        /// Each form of a message parameter takes what it should, and what it cannot take is an error with the message in it.
        #[tokio::test(start_paused = true)]
        async fn every_message_form_is_taken() {
            $({
                let app = runtime::test::app().only::<$name>().start().await;
                let mut peer = app.connect($path).await.unwrap();
                $(
                    peer.send($sent).await.unwrap();
                    assert_eq!(peer.text().await, $expected, "{}", $path);
                )+
            })*
        }
    };
}

messages! {
    Strings "/takes/string": text => String, text; "ä" => "ä", "" => "";
    StringRefs "/takes/string-ref": text => &String, text.clone(); "a" => "a";
    Strs "/takes/str": text => &str, text.to_owned(); "ä" => "ä", "" => "";
    Texts "/takes/text": text => Text, text.clone().to_string(); "a" => "a";
    TextRefs "/takes/text-ref": text => &Text, text.to_string(); "a" => "a";
    Chars "/takes/char": value => char, value.to_string(); "ß" => "ß", "ab" => "error: ab", "" => "error: ";
    Bools "/takes/bool": value => bool, (!value).to_string(); "true" => "false", "yes" => "error: yes";
    U8s "/takes/u8": value => u8, value.to_string(); "255" => "255", "256" => "error: 256", "-1" => "error: -1";
    I64s "/takes/i64": value => i64, value.to_string(); "-9" => "-9", "1.5" => "error: 1.5";
    U128s "/takes/u128": value => u128, value.to_string(); "340282366920938463463374607431768211455" => "340282366920938463463374607431768211455";
    F32s "/takes/f32": value => f32, value.to_string(); "1.5" => "1.5", "x" => "error: x";
    F64s "/takes/f64": value => f64, value.to_string(); "1e3" => "1000", "NaN" => "NaN";
    Addresses "/takes/parsed": Parsed(value) => Parsed<std::net::IpAddr>, value.is_loopback().to_string(); "::1" => "true", "1.2" => "error: 1.2";
    Jsons "/takes/json": Json(point) => Json<Point>, format!("{} {:?}", point.x, point.y); r#"{"x":1}"# => "1 None", r#"{"x":1,"y":2}"# => "1 Some(2)", "{" => "error: {";
    JsonRefs "/takes/json-ref": point => &Json<Point>, point.x.to_string(); r#"{"x":1}"# => "1";
    Moves "/takes/own": Move(steps) => Move, steps.to_string(); "forward 3" => "3", "back" => "error: back";
    MoveRefs "/takes/own-ref": movement => &Move, movement.0.to_string(); "forward 3" => "3";
    AllBytes "/takes/bytes": bytes => Bytes, format!("{bytes:?}"); b"ab" => "b\"ab\"", b"" => "b\"\"";
    BytesRefs "/takes/bytes-ref": bytes => &Bytes, format!("{bytes:?}"); b"ab" => "b\"ab\"";
    Vecs "/takes/vec": bytes => Vec<u8>, format!("{bytes:?}"); b"\x00\xff" => "[0, 255]";
    Slices "/takes/slice": bytes => &[u8], format!("{bytes:?}"); b"\x00\xff" => "[0, 255]";
    Messages "/takes/message": message => Message, format!("{:?} {}", message.as_text(), message.as_bytes().len()); "ab" => "Some(\"ab\") 2", b"abc" => "None 3";
    MessageRefs "/takes/message-ref": message => &Message, message.as_bytes().len().to_string(); "ab" => "2", b"abc" => "3";
}

#[server_endpoint("/takes/pong")]
struct Pongs;

#[handlers]
impl Pongs {
    #[on_message]
    fn pong(&self, pong: &Pong) -> Bytes {
        pong.payload().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_is_taken() {
    let app = runtime::test::app().only::<Pongs>().start().await;
    let mut peer = app.connect("/takes/pong").await.unwrap();
    peer.pong("abc").await.unwrap();
    assert_eq!(&peer.binary().await[..], b"abc");
}

/// A message that came in pieces is taken like one that did not: what is borrowed is borrowed from elsewhere.
#[tokio::test(start_paused = true)]
async fn a_borrowed_message_may_have_come_in_fragments() {
    let app = runtime::test::app().only::<Strs>().start().await;
    let mut raw = Raw::open(&app, "/takes/str").await;
    raw.write(&[frame(0x01, b"one "), frame(0x80, b"two"), frame(TEXT, b"three")].concat()).await;
    assert_eq!(raw.text().await, "one two");
    assert_eq!(raw.text().await, "three");
}

struct Theatre(&'static str);

trait Audit: Send + Sync {
    fn name(&self) -> &'static str;
}

struct FileAudit;

impl Audit for FileAudit {
    fn name(&self) -> &'static str {
        "file"
    }
}

/// The application's own parameter.
struct Language(String);

impl FromContext for Language {
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        match handshake.header("accept-language") {
            Some("xx") => Err(Refusal::bad_request("nobody speaks that")),
            _ => Ok(()),
        }
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        Ok(Language(context.handshake().header("accept-language").unwrap_or("en").to_owned()))
    }
}

#[derive(Deserialize)]
struct Options {
    lang: String,
    page: Option<u8>,
}

macro_rules! everything {
    ($($handler:ident: $event:ident, $($extra:ident: $ty:ty)?;)*) => {
        #[server_endpoint("/everything/{room}/{seat}/{*rest}", subprotocols = ["v2"])]
        struct Everything {
            #[inject]
            told: Arc<Told>,
            #[inject]
            theatre: Arc<Theatre>,
            #[inject]
            audit: Option<Arc<dyn Audit>>,
            #[inject]
            nothing: Option<Arc<String>>,
            #[inject]
            sessions: Sessions,
            #[inject]
            context: ApplicationContext,
        }

        #[handlers]
        impl Everything {
            $(
                #[$event]
                #[allow(clippy::too_many_arguments)] // That is what is tested.
                async fn $handler(
                    &mut self,
                    #[path] room: String,
                    #[path("seat")] number: u32,
                    #[path] rest: Option<String>,
                    $($extra: $ty,)?
                    session: &Session,
                    owned: Session,
                    #[query] lang: String,
                    #[query("page")] page: Option<u8>,
                    #[query] missing: Option<String>,
                    Query(options): Query<Options>,
                    handshake: &Handshake,
                    principal: Option<Principal<String>>,
                    Inject(theatre): Inject<Theatre>,
                    audit: Inject<dyn Audit>,
                    application: ApplicationContext,
                    application_ref: &ApplicationContext,
                    sessions: Sessions,
                    sessions_ref: &Sessions,
                    Language(language): Language,
                ) {
                    assert_eq!((room.as_str(), number, rest.as_deref()), ("blue room", 7, Some("a/b c")));
                    assert_eq!((lang.as_str(), page, missing), ("ä b", Some(3), None));
                    assert_eq!((options.lang.as_str(), options.page), ("ä b", Some(3)));
                    assert_eq!(*session, owned);
                    assert_eq!(handshake.uri().query(), Some("lang=%C3%A4+b&page=3"));
                    assert_eq!(handshake.header("Accept-Language"), Some("eo"));
                    assert_eq!(handshake.subprotocol(), Some("v2"));
                    assert_eq!((handshake.peer_addr(), handshake.is_secure()), (None, false));
                    assert!(principal.is_none());
                    assert_eq!((theatre.0, audit.name()), ("globe", "file"));
                    assert_eq!(application.get::<Theatre>().unwrap().0, "globe");
                    assert!(application_ref.get::<String>().is_err());
                    assert_eq!(sessions.count(), sessions_ref.count());
                    assert_eq!(language, "eo");
                    assert_eq!((self.theatre.0, self.audit.as_ref().unwrap().name()), ("globe", "file"));
                    assert!(self.nothing.is_none() && self.context.get::<Theatre>().is_ok());
                    assert_eq!(self.sessions.count(), sessions.count());
                    $(let _ = $extra;)?
                    self.told.tell(stringify!($handler));
                }
            )*
        }
    };
}

everything! {
    open: on_open, ;
    text: on_message, message: u8;
    bytes: on_message, message: &[u8];
    pong: on_message, message: Pong;
    close: on_close, reason: &CloseReason;
    decode_error: on_error, error: &DecodeError;
    any_error: on_error, error: &Error;
}

async fn everything() -> (RunningApp, crate::support::Heard) {
    let (told, heard) = diary();
    let app = runtime::test::app()
        .only::<Everything>()
        .provide(told)
        .provide(Theatre("globe"))
        .provide_shared::<dyn Audit>(Arc::new(FileAudit))
        .start()
        .await;
    (app, heard)
}

const EVERYTHING: &str = "/everything/blue%20room/7/a/b%20c?lang=%C3%A4+b&page=3";

#[tokio::test(start_paused = true)]
async fn every_parameter_is_there_in_every_handler() {
    let (app, mut heard) = everything().await;
    let connect = app.connect(EVERYTHING).header("accept-language", "eo").subprotocols(&["v3", "v2"]);
    let mut peer = connect.await.unwrap();
    assert_eq!(peer.subprotocol(), Some("v2"));
    heard.expect("open").await;
    peer.send("1").await.unwrap();
    heard.expect("text").await;
    peer.send(b"1").await.unwrap();
    heard.expect("bytes").await;
    peer.pong("").await.unwrap();
    heard.expect("pong").await;
    peer.send("one").await.unwrap();
    heard.expect("decode_error").await;
    // Over the limit: an error of another type, and the end.
    peer.send("1".repeat(100_000)).await.unwrap();
    heard.expect("any_error").await;
    heard.expect("close").await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_parse_is_refused_before_the_upgrade() {
    let table = [
        ("/everything/a/x/r?lang=en", 400, "seat"),
        ("/everything/a/-1/r?lang=en", 400, "seat"),
        ("/everything/a/4294967296/r?lang=en", 400, "seat"),
        ("/everything/a/7/r", 400, "lang"),
        ("/everything/a/7/r?page=3", 400, "lang"),
        ("/everything/a/7/r?lang=en&page=x", 400, "page"),
        ("/everything/a/7/r?lang=en&page=256", 400, "page"),
        ("/everything/%ff/7/r?lang=en", 400, ""),
        ("/everything/a", 404, ""),
    ];
    let (app, mut heard) = everything().await;
    for (path, status, names) in table {
        let refused = app.connect(path).await.unwrap_err();
        assert_eq!(refused.status(), status, "{path}: {refused}");
        assert!(refused.reason().contains(names), "{path}: {refused}");
    }
    let refused = app.connect(EVERYTHING).header("accept-language", "xx").await.unwrap_err();
    assert_eq!((refused.status(), refused.reason()), (400, "nobody speaks that"));
    assert_eq!((heard.so_far(), app.sessions().count()), (vec![], 0));
}

#[server_endpoint("/members-only")]
struct MembersOnly;

#[handlers]
impl MembersOnly {
    #[on_message]
    fn text(&self, _text: &str, who: Principal<String>) -> String {
        who.to_string()
    }
}

#[server_endpoint("/welcome")]
struct Welcome;

#[handlers]
impl Welcome {
    #[on_open]
    fn open(&self, who: Option<Principal<String>>) -> String {
        who.map_or_else(|| "stranger".to_owned(), |who| who.to_string())
    }

    #[on_message]
    async fn language(&self, _text: &str, language: &Language) -> String {
        language.0.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_refused_where_a_principal_is_asked_for() {
    let app = runtime::test::app().only::<MembersOnly>().start().await;
    assert_eq!(app.connect("/members-only").await.unwrap_err().status(), 401);
    let app = runtime::test::app().only::<Welcome>().start().await;
    let mut peer = app.connect("/welcome").header("accept-language", "eo").await.unwrap();
    assert_eq!(peer.text().await, "stranger");
    peer.send("").await.unwrap();
    assert_eq!(peer.text().await, "eo");
}

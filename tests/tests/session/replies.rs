//! What a handler returns, and what becomes of it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, EncodeError};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::time::Instant;

use crate::support::{Raw, TEXT, Told, diary, frame, settle};

#[derive(Serialize)]
struct Answer {
    sum: i64,
}

/// The application's own message.
struct Shout(&'static str);

impl IntoMessage for Shout {
    fn into_message(self) -> Result<Message, EncodeError> {
        Ok(Message::Text(self.0.to_uppercase().into()))
    }
}

macro_rules! returns {
    ($($name:ident $path:literal: $ty:ty = $value:expr => $expected:expr;)*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_open]
                async fn open(&self) -> $ty {
                    $value
                }

                #[on_message]
                fn text(&self, _text: &str) -> $ty {
                    $value
                }

                #[on_message]
                async fn bytes(&self, _bytes: Bytes) -> $ty {
                    $value
                }

                #[on_message]
                fn pong(&self, _pong: Pong) -> Result<Option<$ty>> {
                    Ok(Some($value))
                }
            }
        )*

        /// In each place where a value may be returned, it is sent.
        #[tokio::test(start_paused = true)]
        async fn every_message_form_is_sent() {
            $({
                let app = runtime::test::app().only::<$name>().start().await;
                let mut peer = app.connect($path).await.unwrap();
                assert_eq!(peer.message().await, Some($expected), "{} from on_open", $path);
                peer.send("").await.unwrap();
                assert_eq!(peer.message().await, Some($expected), "{} from text", $path);
                peer.send(b"").await.unwrap();
                assert_eq!(peer.message().await, Some($expected), "{} from bytes", $path);
                peer.pong("").await.unwrap();
                assert_eq!(peer.message().await, Some($expected), "{} from pong", $path);
            })*
        }
    };
}

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

fn binary(bytes: &'static [u8]) -> Message {
    Message::Binary(Bytes::from_static(bytes))
}

returns! {
    Strings "/returns/string": String = "a".to_owned() => text("a");
    Strs "/returns/str": &'static str = "b" => text("b");
    Texts "/returns/text": Text = Text::from("c") => text("c");
    Cows "/returns/cow": Cow<'static, str> = "d".into() => text("d");
    Chars "/returns/char": char = 'ß' => text("ß");
    Bools "/returns/bool": bool = true => text("true");
    Signed "/returns/i128": i128 = -170 => text("-170");
    Unsigned "/returns/u8": u8 = 255 => text("255");
    Floats "/returns/f64": f64 = 1.5 => text("1.5");
    Formatted "/returns/parsed": Parsed<std::net::Ipv4Addr> = Parsed([127, 0, 0, 1].into()) => text("127.0.0.1");
    Jsons "/returns/json": Json<Answer> = Json(Answer { sum: 3 }) => text("{\"sum\":3}");
    Shouts "/returns/own": Shout = Shout("hey") => text("HEY");
    AllBytes "/returns/bytes": Bytes = Bytes::from_static(&[1]) => binary(&[1]);
    Vecs "/returns/vec": Vec<u8> = vec![2, 3] => binary(&[2, 3]);
    Slices "/returns/slice": &'static [u8] = &[4] => binary(&[4]);
    Arrays "/returns/array": [u8; 2] = [5, 6] => binary(&[5, 6]);
    TextMessages "/returns/text-message": Message = text("e") => text("e");
    BinaryMessages "/returns/binary-message": Message = binary(&[7]) => binary(&[7]);
    Options "/returns/option": Option<&'static str> = Some("f") => text("f");
    Results "/returns/result": Result<&'static str> = Ok("g") => text("g");
    OtherResults "/returns/io": io::Result<Option<u8>> = Ok(Some(1)) => text("1");
    Streams "/returns/stream": Replies<stream::Iter<std::iter::Once<u8>>> = Replies(stream::iter(std::iter::once(9))) => text("9");
    Empty "/returns/empty": String = String::new() => text("");
}

#[server_endpoint("/returns/nothing")]
struct Nothings;

#[handlers]
impl Nothings {
    #[on_open]
    fn open(&self) {}

    #[on_message]
    async fn text(&self, text: String) -> Result<Option<String>> {
        match text.as_str() {
            "none" => Ok(None),
            "fail" => Err(io::Error::other("failed"))?,
            _ => Ok(Some(text)),
        }
    }

    #[on_message]
    async fn bytes(&self, _bytes: Bytes) {}

    #[on_error]
    fn error(&self, error: &io::Error) -> Result<String> {
        Ok(format!("error: {error}"))
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_nothing() {
    let app = runtime::test::app().only::<Nothings>().start().await;
    let mut peer = app.connect("/returns/nothing").await.unwrap();
    peer.send(b"").await.unwrap();
    peer.send("none").await.unwrap();
    peer.send("fail").await.unwrap();
    peer.send("some").await.unwrap();
    assert_eq!(peer.text().await, "error: failed");
    assert_eq!(peer.text().await, "some");
    peer.expect_nothing_for(Duration::from_secs(1)).await;
}

/// How many items a stream was asked for, and whether it is gone.
#[derive(Default)]
struct Asked {
    items: AtomicUsize,
    dropped: AtomicUsize,
}

/// Counts up to a bound that no test reaches: a stream that met no backpressure would come to an end, not hang the test.
fn endless(asked: Arc<Asked>) -> impl Stream<Item = String> + Send + 'static {
    struct OnDrop(Arc<Asked>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
    let guard = OnDrop(asked);
    stream::iter(0..200_000).map(move |number| {
        guard.0.items.fetch_add(1, Ordering::SeqCst);
        format!("{number:0100}")
    })
}

macro_rules! streams {
    ($name:ident $path:literal, $overflow:ident) => {
        #[server_endpoint($path, send_buffer = 1000, overflow = $overflow)]
        struct $name {
            #[inject]
            told: Arc<Told>,
            #[inject]
            asked: Arc<Asked>,
        }

        #[handlers]
        impl $name {
            #[on_message]
            async fn text(
                &self,
                text: &str,
            ) -> Result<Replies<impl Stream<Item = Result<String>> + Send + use<>>> {
                let asked = Arc::clone(&self.asked);
                let stream = match text {
                    "endless" => endless(asked).map(Ok).boxed(),
                    "pending" => stream::iter([Ok("one".to_owned())]).chain(stream::pending()).boxed(),
                    "fails" => {
                        stream::iter([Ok("one".to_owned()), Err(Error::msg("two")), Ok("three".to_owned())])
                            .boxed()
                    }
                    "refused" => return Err(Error::msg("refused")),
                    count => {
                        let count: u32 = count.parse()?;
                        stream::iter(0..count).map(|number| Ok(number.to_string())).boxed()
                    }
                };
                Ok(Replies(stream))
            }

            #[on_error]
            fn error(&self, error: &Error) {
                self.told.tell(format!("error {error}"));
            }

            #[on_close]
            fn close(&self, reason: &CloseReason) {
                let gone = self.asked.dropped.load(Ordering::SeqCst);
                self.told.tell(format!("close {} {gone}", u16::from(reason.code())));
            }
        }
    };
}

streams!(ByDisconnect "/replies", disconnect);
streams!(ByDropping "/replies-drop", drop_newest);

#[tokio::test(start_paused = true)]
async fn a_stream_is_sent_item_by_item_and_before_the_next_message() {
    let (told, mut heard) = diary();
    let app =
        runtime::test::app().only::<ByDisconnect>().provide(told).provide(Asked::default()).start().await;
    let mut peer = app.connect("/replies").await.unwrap();
    for sends in ["3", "0", "2", "fails", "refused", "1"] {
        peer.send(sends).await.unwrap();
    }
    for expected in ["0", "1", "2", "0", "1", "one", "0"] {
        assert_eq!(peer.text().await, expected);
    }
    heard.expect("error two").await;
    heard.expect("error refused").await;
    peer.expect_nothing_for(Duration::from_secs(1)).await;
    peer.send("20000").await.unwrap();
    for expected in 0..20_000 {
        assert_eq!(peer.text().await, expected.to_string());
    }
}

async fn an_endless_stream_meets_backpressure<E: 'static>(path: &str) {
    for leaves in [false, true] {
        let (told, mut heard) = diary();
        let asked = Arc::new(Asked::default());
        let app =
            runtime::test::app().only::<E>().provide(told).provide_shared(Arc::clone(&asked)).start().await;
        let mut raw = Raw::open_narrow(&app, path, 4000).await;
        raw.write(&frame(TEXT, b"endless")).await;
        settle().await;
        let before = asked.items.load(Ordering::SeqCst);
        // The pipe, what is being written, the queue, and one.
        assert!(before > 0 && before < 2000, "{before} items were asked for by a peer that reads none");
        for number in 0..5000 {
            assert_eq!(raw.text().await, format!("{number:0100}"));
        }
        settle().await;
        let after = asked.items.load(Ordering::SeqCst);
        assert!((5000..7000).contains(&after), "{after}");
        // The session is alive beside it.
        raw.write(&frame(0x89, b"alive?")).await;
        let mut seen = 0;
        while raw.frame().await.unwrap() != (0x8a, b"alive?".to_vec()) {
            seen += 1;
            assert!(seen < 4000);
        }
        assert_eq!(asked.dropped.load(Ordering::SeqCst), 0);
        let begin = Instant::now();
        if leaves {
            drop(raw);
            heard.expect("close 1006 1").await;
        } else {
            let mut socket = raw;
            socket.write(&crate::support::close_frame(1000, "")).await;
            assert_eq!(socket.close_code().await.0, 1000);
            heard.expect("close 1000 1").await;
        }
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_meets_backpressure_and_ends_with_its_peer() {
    an_endless_stream_meets_backpressure::<ByDisconnect>("/replies").await;
}

/// What `overflow` drops is not what a stream waits with: it would run for ever, and its peer would see none of it.
#[tokio::test(start_paused = true)]
async fn an_endless_stream_meets_backpressure_under_drop_newest_too() {
    an_endless_stream_meets_backpressure::<ByDropping>("/replies-drop").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_is_cancelled_with_its_session() {
    let (told, mut heard) = diary();
    let app =
        runtime::test::app().only::<ByDisconnect>().provide(told).provide(Asked::default()).start().await;
    let mut peer = app.connect("/replies").await.unwrap();
    peer.send("pending").await.unwrap();
    assert_eq!(peer.text().await, "one");
    let begin = Instant::now();
    peer.close(1000, "").await.unwrap();
    heard.expect("close 1000 0").await;
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

#[server_endpoint("/replies/borrowed")]
#[derive(Default)]
struct Borrowed {
    said: String,
}

#[handlers]
impl Borrowed {
    #[on_message]
    async fn text<'a>(&'a mut self, text: &str) -> &'a str {
        self.said.push_str(text);
        &self.said
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_returned_may_be_borrowed_from_the_instance() {
    let app = runtime::test::app().only::<Borrowed>().start().await;
    let mut peer = app.connect("/replies/borrowed").await.unwrap();
    for expected in ["a", "aa", "aaa"] {
        peer.send("a").await.unwrap();
        assert_eq!(peer.text().await, expected);
    }
}

//! Group I: the matrix of return values, on the server and on the client.

use std::borrow::Cow;
use std::vec::IntoIter;

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Iter};

use crate::coders::{BinaryStreamEncoder, BytesEncoder, Note, TextEncoder, TextStreamEncoder};
use crate::far::{Far, Frame, same};
use crate::table::table;

/// Asks for each value, of a method that is not async and of one that is, and for something else behind it: what is not expected would
/// come before that.
async fn give(mut far: Far, expected: Vec<Vec<Frame>>) {
    for is_async in [false, true] {
        for (which, frames) in expected.iter().enumerate() {
            let which = which.to_string();
            let after = format!("value {which}, async: {is_async}");
            far.send(if is_async { Frame::Pong(which.into()) } else { Frame::text(which) }).await;
            for frame in frames {
                same(&far.message().await, frame, &after);
            }
            far.send(Frame::binary("")).await;
            same(&far.message().await, &Frame::text("that was all"), &after);
        }
    }
}

fn index(pong: &Pong) -> usize {
    std::str::from_utf8(pong.payload()).unwrap().parse().unwrap()
}

/// Declares an endpoint on the server and one on the client whose methods return the values of the row.
macro_rules! returns {
    ($($row:ident: $returns:ty $(, by $encoder:ident)?; $values:expr => $expected:expr;)*) => {
        $(
            mod $row {
                use super::*;

                #[server_endpoint("/values" $(, encoders = [$encoder])?)]
                pub(super) struct Server;

                #[handlers]
                impl Server {
                    #[on_message]
                    fn value(&self, which: usize) -> $returns {
                        $values.into_iter().nth(which).unwrap()
                    }

                    #[on_message]
                    async fn later(&self, pong: Pong) -> $returns {
                        $values.into_iter().nth(index(&pong)).unwrap()
                    }

                    #[on_message]
                    fn end(&self, _: Bytes) -> &'static str {
                        "that was all"
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        format!("error: {error}")
                    }
                }

                #[client_endpoint $((encoders = [$encoder]))?]
                pub(super) struct Client;

                #[handlers]
                impl Client {
                    #[on_message]
                    fn value(&self, which: usize) -> $returns {
                        $values.into_iter().nth(which).unwrap()
                    }

                    #[on_message]
                    async fn later(&self, pong: Pong) -> $returns {
                        $values.into_iter().nth(index(&pong)).unwrap()
                    }

                    #[on_message]
                    fn end(&self, _: Bytes) -> &'static str {
                        "that was all"
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        format!("error: {error}")
                    }
                }
            }
        )*

        fn on_server() -> Vec<(&'static str, BoxFuture<'static, ()>)> {
            vec![$(
                (stringify!($row), async {
                    give(Far::of_server::<$row::Server>("/values").await, $expected).await;
                }.boxed()),
            )*]
        }

        fn on_client() -> Vec<(&'static str, BoxFuture<'static, ()>)> {
            vec![$(
                (stringify!($row), async {
                    let (far, _session) = Far::of_client(runtime::client(), $row::Client).await;
                    give(far, $expected).await;
                }.boxed()),
            )*]
        }
    };
}

/// One text for each value.
fn texts(texts: &[&str]) -> Vec<Vec<Frame>> {
    texts.iter().map(|&text| vec![Frame::text(text)]).collect()
}

fn binary(messages: &[&'static [u8]]) -> Vec<Vec<Frame>> {
    messages.iter().map(|&bytes| vec![Frame::binary(bytes)]).collect()
}

fn a_note() -> [Note; 1] {
    [Note("a note".to_owned())]
}

returns! {
    unit: (); [(), ()] => vec![vec![], vec![]];
    string: String; [String::new(), "Größe".to_owned()] => texts(&["", "Größe"]);
    static_str: &'static str; ["", "a text"] => texts(&["", "a text"]);
    shared_text: Text; [Text::from("a text")] => texts(&["a text"]);
    cow: Cow<'static, str>; [Cow::from("borrowed"), Cow::from("owned".to_owned())] => texts(&["borrowed", "owned"]);
    character: char; ['x', 'ä', '😀', '\0'] => texts(&["x", "ä", "😀", "\0"]);
    boolean: bool; [true, false] => texts(&["true", "false"]);
    int8: i8; [0, i8::MIN, i8::MAX] => texts(&["0", "-128", "127"]);
    int16: i16; [0, i16::MIN, i16::MAX] => texts(&["0", "-32768", "32767"]);
    int32: i32; [0, i32::MIN, i32::MAX] => texts(&["0", "-2147483648", "2147483647"]);
    int64: i64; [0, i64::MIN, i64::MAX] => texts(&["0", "-9223372036854775808", "9223372036854775807"]);
    uint8: u8; [0, u8::MAX] => texts(&["0", "255"]);
    uint16: u16; [0, u16::MAX] => texts(&["0", "65535"]);
    uint32: u32; [0, u32::MAX] => texts(&["0", "4294967295"]);
    uint64: u64; [0, u64::MAX] => texts(&["0", "18446744073709551615"]);
    float32: f32; [0.0, -1.5, 0.1, f32::NAN, f32::INFINITY] => texts(&["0", "-1.5", "0.1", "NaN", "inf"]);
    float64: f64; [0.0, -1.5, 0.1 + 0.2, f64::NAN, f64::NEG_INFINITY]
        => texts(&["0", "-1.5", "0.30000000000000004", "NaN", "-inf"]);
    json: Json<(i32, &'static str)>; [Json((1, "a")), Json((-2, "\"ä\""))] => texts(&[r#"[1,"a"]"#, r#"[-2,"\"ä\""]"#]);
    bytes: Bytes; [Bytes::new(), Bytes::from_static(&[0, 255])] => binary(&[b"", &[0, 255]]);
    vector: Vec<u8>; [vec![], vec![0, 255]] => binary(&[b"", &[0, 255]]);
    static_bytes: &'static [u8]; [&b""[..], &[0, 255]] => binary(&[b"", &[0, 255]]);
    array: [u8; 2]; [[0, 255]] => binary(&[&[0, 255]]);
    message: Message; [Message::Text("text".into()), Message::Binary(vec![1, 2].into())]
        => vec![vec![Frame::text("text")], vec![Frame::binary(vec![1, 2])]];
    encoded_as_text: Encoded<Note>, by TextEncoder; a_note().map(Encoded) => texts(&["a note"]);
    encoded_as_bytes: Encoded<Note>, by BytesEncoder; a_note().map(Encoded) => binary(&[b"a note"]);
    encoded_as_text_stream: Encoded<Note>, by TextStreamEncoder; a_note().map(Encoded) => texts(&["a note"]);
    encoded_as_binary_stream: Encoded<Note>, by BinaryStreamEncoder; a_note().map(Encoded) => binary(&[b"a note"]);
    encoded_without_need: Encoded<u8>, by TextEncoder; [Encoded(7)] => texts(&["7"]);
    encoded_by_nobody: Encoded<Note>; a_note().map(Encoded) => texts(&[
        "error: cannot encode the message: no encoder for `jakarta::coders::Note`: the endpoint lists no encoders",
    ]);
    option: Option<u8>; [None, Some(7)] => vec![vec![], vec![Frame::text("7")]];
    encoded_option: Option<Encoded<Note>>, by TextEncoder; [None, Some(Encoded(Note("a note".to_owned())))]
        => vec![vec![], vec![Frame::text("a note")]];
    result: Result<u8>; [Ok(7), Err(Error::msg("not today"))] => texts(&["7", "error: not today"]);
    result_of_option: Result<Option<Vec<u8>>, std::fmt::Error>; [Ok(None), Ok(Some(vec![1])), Err(std::fmt::Error)] => vec![
        vec![],
        vec![Frame::binary(vec![1])],
        vec![Frame::text("error: an error occurred when formatting an argument")],
    ];
    replies: Replies<Iter<IntoIter<u8>>>; [Replies(stream::iter(vec![])), Replies(stream::iter(vec![1, 2, 3]))]
        => vec![vec![], ["1", "2", "3"].map(Frame::text).to_vec()];
    replies_that_fail: Replies<Iter<IntoIter<Result<Bytes>>>>;
        [Replies(stream::iter(vec![Ok(Bytes::from_static(b"one")), Err(Error::msg("no more")), Ok(Bytes::new())]))]
        => vec![vec![Frame::binary("one"), Frame::text("error: no more")]];
    encoded_replies: Replies<Iter<IntoIter<Encoded<Note>>>>, by BytesEncoder;
        [Replies(stream::iter(a_note().map(Encoded).into_iter().collect::<Vec<_>>()))] => binary(&[b"a note"]);
    text_fragment: Fragment<Text>; [Fragment::new("whole", true)] => texts(&["whole"]);
    binary_fragment: Fragment<Bytes>; [Fragment::new(vec![1, 2], true)] => binary(&[&[1, 2]]);
    text_fragments: Replies<Iter<IntoIter<Fragment<Text>>>>;
        [Replies(stream::iter(vec![Fragment::new("in ", false), Fragment::new("", false), Fragment::new("parts", true)]))]
        => texts(&["in parts"]);
    binary_fragments: Replies<Iter<IntoIter<Fragment<Bytes>>>>;
        [Replies(stream::iter(vec![Fragment::new(vec![1], false), Fragment::new(vec![2], true)]))] => binary(&[&[1, 2]]);
}

/// OR-01 to OR-06, OR-08, OR-10.
#[tokio::test]
async fn a_server_sends_what_its_methods_return() {
    table(on_server()).await;
}

#[tokio::test]
async fn a_client_sends_what_its_methods_return() {
    table(on_client()).await;
}

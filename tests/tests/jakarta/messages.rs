//! Groups G and H: the matrix of message parameters, on the server and on the client.

mod limits;
mod numbers;
mod parts;

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;

use crate::coders::{BinaryStreamDecoder, BytesDecoder, Note, TextDecoder, TextStreamDecoder};
use crate::far::{Far, Frame, frames, same};
use crate::table::table;

/// One row under its name.
type Cell = (String, BoxFuture<'static, ()>);

/// Messages to be sent, each in one frame or several, and what must come back for each.
type Samples = Vec<(Vec<Frame>, Frame)>;

async fn all_match(mut far: Far, samples: Samples) {
    for (sent, expected) in samples {
        let mut after = String::from("after");
        for frame in sent {
            after = format!("{after} {}", crate::far::shown(&frame));
            far.send(frame).await;
        }
        same(&far.message().await, &expected, after);
    }
}

/// What becomes of errors: the peer is told.
fn told(error: &Error) -> String {
    match error.downcast_ref::<DecodeError>() {
        Some(error) => format!("not decoded: {:?}", error.message()),
        None => format!("error: {error}"),
    }
}

/// What stands in the path that the far end asks for.
fn is_here(place: &str) -> Result<()> {
    if place == "blue" { Ok(()) } else { Err(Error::msg(format!("this is not {place}"))) }
}

/// Declares an endpoint for each cell of the matrix: the message alone, with the session, which then sends the answer, with a variable
/// of the path, and with both; on the server, and as far as a client has these, on the client.
macro_rules! matrix {
    ($($row:ident: $($asyncness:ident)? [$($message:tt)+] $(by $decoder:ident)? => $reply:ty, |$value:pat_param| $echo:expr, $samples:expr;)*) => {
        $(
            pub(super) mod $row {
                use super::*;

                #[server_endpoint("/echo" $(, decoders = [$decoder])?)]
                pub(in super::super) struct Plain;

                #[handlers]
                impl Plain {
                    #[on_message]
                    $($asyncness)? fn echo(&self, value: $($message)+) -> $reply {
                        let $value = value;
                        $echo
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        told(error)
                    }
                }

                #[server_endpoint("/echo" $(, decoders = [$decoder])?)]
                pub(in super::super) struct WithSession;

                #[handlers]
                impl WithSession {
                    #[on_message]
                    $($asyncness)? fn echo(session: &Session, value: $($message)+) {
                        let $value = value;
                        let reply: $reply = $echo;
                        drop(session.post(reply));
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        told(error)
                    }
                }

                #[server_endpoint("/echo/{place}" $(, decoders = [$decoder])?)]
                pub(in super::super) struct WithPath;

                #[handlers]
                impl WithPath {
                    #[on_message]
                    $($asyncness)? fn echo(&mut self, #[path] place: String, value: $($message)+) -> Result<$reply> {
                        is_here(&place)?;
                        let $value = value;
                        Ok($echo)
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        told(error)
                    }
                }

                #[server_endpoint("/echo/{place}" $(, decoders = [$decoder])?)]
                pub(in super::super) struct WithBoth;

                #[handlers]
                impl WithBoth {
                    #[on_message]
                    $($asyncness)? fn echo(&self, value: $($message)+, session: Session, #[path("place")] here: String) -> Result<()> {
                        is_here(&here)?;
                        let $value = value;
                        let reply: $reply = $echo;
                        drop(session.post(reply));
                        Ok(())
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        told(error)
                    }
                }

                #[client_endpoint $((decoders = [$decoder]))?]
                pub(in super::super) struct ClientPlain;

                #[handlers]
                impl ClientPlain {
                    #[on_message]
                    $($asyncness)? fn echo(&self, value: $($message)+) -> $reply {
                        let $value = value;
                        $echo
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        told(error)
                    }
                }

                #[client_endpoint $((decoders = [$decoder]))?]
                pub(in super::super) struct ClientWithSession;

                #[handlers]
                impl ClientWithSession {
                    #[on_message]
                    $($asyncness)? fn echo(&mut self, session: &Session, value: $($message)+) {
                        let $value = value;
                        let reply: $reply = $echo;
                        drop(session.post(reply));
                    }

                    #[on_error]
                    fn error(&self, error: &Error) -> String {
                        told(error)
                    }
                }
            }
        )*

        fn server_cells() -> Vec<Cell> {
            vec![$(
                on_server::<$row::Plain>(concat!(stringify!($row), " alone"), "/echo", $samples),
                on_server::<$row::WithSession>(concat!(stringify!($row), " + session"), "/echo", $samples),
                on_server::<$row::WithPath>(concat!(stringify!($row), " + path"), "/echo/blue", $samples),
                on_server::<$row::WithBoth>(concat!(stringify!($row), " + session + path"), "/echo/blue", $samples),
            )*]
        }

        fn client_cells() -> Vec<Cell> {
            vec![$(
                on_client(concat!(stringify!($row), " alone"), $row::ClientPlain, $samples),
                on_client(concat!(stringify!($row), " + session"), $row::ClientWithSession, $samples),
            )*]
        }
    };
}

fn on_server<E: 'static>(name: &str, path: &'static str, samples: Samples) -> Cell {
    (name.to_owned(), async move { all_match(Far::of_server::<E>(path).await, samples).await }.boxed())
}

fn on_client<V: 'static>(name: &str, endpoint: impl runtime::ClientEndpoint<V>, samples: Samples) -> Cell {
    let run = async move {
        let (far, _session) = Far::of_client(runtime::client(), endpoint).await;
        all_match(far, samples).await;
    };
    (name.to_owned(), run.boxed())
}

/// Texts that come back as they are.
fn texts(texts: &[&str]) -> Samples {
    texts.iter().map(|&text| (vec![Frame::text(text)], Frame::text(text))).collect()
}

/// Any text: none, one, not only ASCII, a long one, and one in three frames.
fn any_text() -> Samples {
    let mut samples = texts(&["", "echo", "Größe 😀 \0", &"long ".repeat(12_000)]);
    samples.push((frames(true, &[b"three ", b"", b"frames"]), Frame::text("three frames")));
    samples
}

/// Any bytes: none, all there are, many, and some in three frames.
fn any_bytes() -> Samples {
    let wholes = [vec![], (0..=255).collect(), vec![7; 60_000]];
    let mut samples: Samples =
        wholes.into_iter().map(|bytes| (vec![Frame::binary(bytes.clone())], Frame::binary(bytes))).collect();
    samples.push((frames(false, &[&[0, 1], &[2], &[3]]), Frame::binary(vec![0, 1, 2, 3])));
    samples
}

/// What is not there as a whole may be larger than any message.
fn endless(mut samples: Samples, large: Frame) -> Samples {
    samples.push((vec![large.clone()], large));
    samples
}

/// Notes that a decoder reads in one form; they come back as text.
fn notes(is_text: bool) -> Samples {
    let framed =
        |text: &str| if is_text { Frame::text(text) } else { Frame::binary(text.as_bytes().to_vec()) };
    let mut samples: Samples =
        ["", "a note", "Größe"].into_iter().map(|text| (vec![framed(text)], Frame::text(text))).collect();
    samples.push((frames(is_text, &[b"in ", b"two"]), Frame::text("in two")));
    samples
}

async fn whole_text(mut reader: TextReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    text
}

async fn whole_binary(mut reader: BinaryReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.unwrap();
    bytes
}

matrix! {
    string: [String] => String, |text| text, any_text();
    borrowed_str: [&str] => String, |text| text.to_owned(), any_text();
    shared_text: async [Text] => Text, |text| text, any_text();
    character: [char] => char, |value| value, texts(&["x", "ä", "😀", "\0", " "]);
    boolean: [bool] => bool, |value| value, texts(&["true", "false"]);
    int8: [i8] => i8, |value| value, texts(&["0", "127", "-128"]);
    int16: [i16] => i16, |value| value, texts(&["0", "32767", "-32768"]);
    int32: async [i32] => i32, |value| value, texts(&["0", "2147483647", "-2147483648"]);
    int64: [i64] => i64, |value| value, texts(&["0", "9223372036854775807", "-9223372036854775808"]);
    uint8: [u8] => u8, |value| value, texts(&["0", "255"]);
    uint16: [u16] => u16, |value| value, texts(&["0", "65535"]);
    uint32: [u32] => u32, |value| value, texts(&["0", "4294967295"]);
    uint64: async [u64] => u64, |value| value, texts(&["0", "18446744073709551615"]);
    float32: [f32] => f32, |value| value, texts(&["0", "-0", "1.5", "-0.1", "NaN", "inf", "-inf"]);
    float64: [f64] => f64, |value| value, texts(&["0", "-0", "1.5", "-0.1", "0.30000000000000004", "NaN", "inf"]);
    json: [Json<(i32, String)>] => Json<(i32, String)>, |json| json, texts(&[r#"[1,"a"]"#, r#"[-2,"\"ä"]"#]);
    text_reader: async [TextReader] => String, |reader| whole_text(reader).await,
        endless(any_text(), Frame::text("streamed ".repeat(30_000)));
    decoded_from_text: [Decoded<Note>] by TextDecoder => String, |Decoded(note)| note.0, notes(true);
    decoded_from_text_stream: [Decoded<Note>] by TextStreamDecoder => String, |Decoded(note)| note.0,
        endless(notes(true), Frame::text("streamed ".repeat(30_000)));
    bytes: [Bytes] => Bytes, |bytes| bytes, any_bytes();
    vector: async [Vec<u8>] => Vec<u8>, |bytes| bytes, any_bytes();
    borrowed_bytes: [&[u8]] => Vec<u8>, |bytes| bytes.to_vec(), any_bytes();
    binary_reader: async [BinaryReader] => Vec<u8>, |reader| whole_binary(reader).await,
        endless(any_bytes(), Frame::binary(vec![9; 200_000]));
    decoded_from_bytes: [Decoded<Note>] by BytesDecoder => String, |Decoded(note)| note.0, notes(false);
    decoded_from_binary_stream: [Decoded<Note>] by BinaryStreamDecoder => String, |Decoded(note)| note.0, notes(false);
    message: [Message] => Message, |message| message, [any_text(), any_bytes()].concat();
    pong: [Pong] => Bytes, |pong| pong.payload().clone(), vec![
        (vec![Frame::Pong("unsolicited".into())], Frame::binary("unsolicited")),
        (vec![Frame::Pong(vec![1; 125].into())], Frame::binary(vec![1; 125])),
        (vec![Frame::Pong("".into())], Frame::binary("")),
    ];
    ping: [Ping] => Bytes, |ping| ping.payload().clone(), vec![
        (vec![Frame::Ping("there?".into())], Frame::binary("there?")),
        (vec![Frame::Ping("".into())], Frame::binary("")),
    ];
}

/// Group G (OM-01 to OM-15, CD-13).
#[tokio::test]
async fn a_server_takes_every_message_beside_every_parameter() {
    table(server_cells()).await;
}

/// Group H (OM-01 to OM-14).
#[tokio::test]
async fn a_client_takes_every_message_beside_every_parameter() {
    table(client_cells()).await;
}

/// A value of the path that is not the expected one is noticed: the cells with a path can fail.
#[tokio::test]
async fn the_path_counts() {
    let mut far = Far::of_server::<string::WithBoth>("/echo/red").await;
    far.text("echo").await;
    assert_eq!(far.message().await, Frame::text("error: this is not red"));
}

//! Groups D and E: every way to send, from the server and from the client.
//!
//! Each row is an act of a session, done by a task of its own and in a handler; how it ends; and all that comes of it at the peer.

mod after_close;
mod control;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{BoxError, Encoder};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::peers::{Came, Pair, Place, SIDES, binary, closed, on_both_sides, text};
use crate::table::each;
use crate::told::soon;

/// A value that an encoder knows, one whose encoder fails, and one that has none.
struct Bean(&'static str);
struct Bad;
struct Stranger;

#[derive(Default)]
struct BeanEncoder;

impl Encoder for BeanEncoder {
    type Value = Bean;
    type Output = String;

    async fn encode(&mut self, bean: &Bean, output: &mut String) -> Result<()> {
        output.push_str("bean ");
        output.push_str(bean.0);
        Ok(())
    }
}

#[derive(Default)]
struct BadEncoder;

impl Encoder for BadEncoder {
    type Value = Bad;
    type Output = Vec<u8>;

    async fn encode(&mut self, _: &Bad, output: &mut Vec<u8>) -> Result<()> {
        output.push(1);
        Err(Error::msg("the encoder says no"))
    }
}

on_both_sides! {
    /// Takes no text and no binary messages: those are for handlers that are added.
    sender at "/sending" [encoders = [BeanEncoder, BadEncoder]] {
        #[on_message]
        fn pong(&self, pong: Pong) {
            self.told.tell(format_args!("pong {:?}", pong.payload()));
        }

        #[on_close]
        fn close(&self, reason: &CloseReason) {
            self.told.tell(format_args!("close {reason}"));
        }

        #[on_error]
        fn error(&self, error: &Error) {
            self.told.tell(format_args!("error {error}"));
        }
    }
}

type Acting = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// One way to send.
#[derive(Clone)]
struct Row {
    name: String,
    act: Arc<dyn Fn(Session) -> Acting + Send + Sync>,
    /// How it ends; an error says this.
    outcome: Result<(), &'static str>,
    /// All that comes at the peer.
    came: Vec<Came>,
}

macro_rules! rows {
    ($($name:expr, |$session:ident| { $($act:tt)* } => $outcome:expr, [$($came:expr),*];)*) => {
        vec![$(Row {
            name: $name.to_string(),
            act: Arc::new(|$session: Session| Box::pin(async move {
                $($act)*;
                Ok(())
            })),
            outcome: $outcome,
            came: vec![$($came),*],
        }),*]
    };
}
use rows;

/// The types that Jakarta calls primitives, and those that are like them: each arrives as text.
macro_rules! primitives {
    ($($value:expr => $text:literal),* $(,)?) => {
        [
            $(rows! {
                concat!("send ", stringify!($value)),
                    |session| { session.send($value).await? } => Ok(()), [text($text)];
                concat!("send_object ", stringify!($value)),
                    |session| { session.send_object($value).await? } => Ok(()), [text($text)];
                concat!("post ", stringify!($value)),
                    |session| { session.post($value).await? } => Ok(()), [text($text)];
                concat!("post_object ", stringify!($value)),
                    |session| { session.post_object($value).await? } => Ok(()), [text($text)];
            }),*
        ]
        .concat()
    };
}

fn primitives() -> Vec<Row> {
    primitives! {
        true => "true",
        false => "false",
        i8::MIN => "-128",
        u8::MAX => "255",
        'ß' => "ß",
        1.5_f64 => "1.5",
        -0.25_f32 => "-0.25",
        i32::MIN => "-2147483648",
        i64::MIN => "-9223372036854775808",
        i16::MIN => "-32768",
        u16::MAX => "65535",
        u32::MAX => "4294967295",
        u64::MAX => "18446744073709551615",
        u128::MAX => "340282366920938463463374607431768211455",
        i128::MIN => "-170141183460469231731687303715884105728",
        7_usize => "7",
        -7_isize => "-7",
    }
}

/// Group D: who sends waits until it is done.
fn blocking() -> Vec<Row> {
    rows! {
        "text", |session| { session.send("héllo").await? } => Ok(()), [text("héllo")];
        "an empty text", |session| { session.send("").await? } => Ok(()), [text("")];
        "a text that is owned", |session| { session.send(String::from("x")).await? } => Ok(()), [text("x")];
        "binary", |session| { session.send(vec![0, 1, 255]).await? } => Ok(()), [binary([0, 1, 255])];
        "bytes", |session| { session.send(Bytes::from_static(b"x")).await? } => Ok(()), [binary("x")];
        "empty binary", |session| { session.send(Vec::<u8>::new()).await? } => Ok(()), [binary("")];
        "a text until the kernel has it", |session| { session.send_and_flush("x").await? } => Ok(()), [text("x")];
        "binary until the kernel has it", |session| { session.send_and_flush(vec![1]).await? } => Ok(()), [binary([1])];
        "a text without waiting", |session| { session.try_send("x")? } => Ok(()), [text("x")];
        "binary without waiting", |session| { session.try_send(vec![1])? } => Ok(()), [binary([1])];

        "text in fragments", |session| {
            session.send_fragment(Fragment::new("one ", false)).await?;
            session.send_fragment(Fragment::new("two ", false)).await?;
            session.send_fragment(Fragment::new("three", true)).await?
        } => Ok(()), [text("one two three").in_frames(3)];
        "text in fragments, the last one empty", |session| {
            session.send_fragment(Fragment::new("one", false)).await?;
            session.send_fragment(Fragment::new("", true)).await?
        } => Ok(()), [text("one").in_frames(2)];
        "text in a fragment that is the last", |session| {
            session.send_fragment(Fragment::new("one", true)).await?
        } => Ok(()), [text("one")];
        "binary in fragments", |session| {
            session.send_fragment(Fragment::new(Bytes::from_static(b"one "), false)).await?;
            session.send_fragment(Fragment::new(Bytes::from_static(b"two"), true)).await?
        } => Ok(()), [binary("one two").in_frames(2)];
        "a fragment of the other kind", |session| {
            session.send_fragment(Fragment::new("one", false)).await?;
            let refused = session.send_fragment(Fragment::new(Bytes::from_static(b"two"), true)).await;
            session.send_fragment(Fragment::new("two", true)).await?;
            refused?
        } => Err("a text message is open"), [text("onetwo").in_frames(2)];
        "a message behind one in fragments", |session| {
            session.send_fragment(Fragment::new("one ", false)).await?;
            session.send("behind").await?;
            session.send_fragment(Fragment::new("two", true)).await?
        } => Ok(()), [text("one two").in_frames(2), text("behind")];

        "text_writer", |session| {
            let mut writer = session.text_writer();
            writer.write_all("hé".as_bytes()).await?;
            writer.finish().await?
        } => Ok(()), [text("hé")];
        "text_writer, several writes", |session| {
            let mut writer = session.text_writer();
            for byte in "héllo".bytes() {
                writer.write_all(&[byte]).await?;
            }
            writer.shutdown().await?
        } => Ok(()), [text("héllo")];
        "text_writer, flushed between", |session| {
            let mut writer = session.text_writer();
            writer.write_all(b"one ").await?;
            writer.flush().await?;
            writer.write_all(b"two").await?;
            writer.finish().await?
        } => Ok(()), [text("one two").in_frames(2)];
        "text_writer without writes", |session| { session.text_writer().finish().await? } => Ok(()), [];
        "text_writer, an empty write", |session| {
            let mut writer = session.text_writer();
            assert_eq!(writer.write(b"").await?, 0);
            writer.finish().await?
        } => Ok(()), [text("")];
        "text_writer that is dropped", |session| {
            session.text_writer().write_all(b"never").await?
        } => Ok(()), [];
        "text_writer, what is no text", |session| {
            session.text_writer().write_all(b"\xff").await?
        } => Err("must be UTF-8"), [];
        "binary_writer", |session| {
            let mut writer = session.binary_writer();
            writer.write_all(&[0, 255]).await?;
            writer.finish().await?
        } => Ok(()), [binary([0, 255])];
        "binary_writer, several writes", |session| {
            let mut writer = session.binary_writer();
            for byte in 0..10 {
                writer.write_all(&[byte]).await?;
            }
            writer.shutdown().await?
        } => Ok(()), [binary((0..10).collect::<Vec<u8>>())];
        "binary_writer, flushed between", |session| {
            let mut writer = session.binary_writer();
            writer.write_all(&[1]).await?;
            writer.flush().await?;
            writer.write_all(&[2]).await?;
            writer.finish().await?
        } => Ok(()), [binary([1, 2]).in_frames(2)];
        "binary_writer without writes", |session| { session.binary_writer().finish().await? } => Ok(()), [];
        "binary_writer, an empty write", |session| {
            let mut writer = session.binary_writer();
            assert_eq!(writer.write(b"").await?, 0);
            writer.finish().await?
        } => Ok(()), [binary("")];
        "binary_writer that is dropped", |session| {
            session.binary_writer().write_all(b"never").await?
        } => Ok(()), [];

        "an object with an encoder", |session| { session.send_object(Bean("tea")).await? } => Ok(()), [text("bean tea")];
        "an object whose encoder fails", |session| { session.send_object(Bad).await? } => Err("the encoder says no"), [];
        "an object without an encoder", |session| { session.send_object(Stranger).await? } => Err("no encoder for"), [];
        "a text as an object", |session| { session.send_object(String::from("x")).await? } => Ok(()), [text("x")];
        "bytes as an object", |session| { session.send_object(vec![1_u8]).await? } => Ok(()), [binary([1])];
        "the session goes on after an encoder failed", |session| {
            assert!(session.send_object(Bad).await.is_err());
            session.send_object(Bean("tea")).await?
        } => Ok(()), [text("bean tea")];

        "a batch", |session| {
            session.batch(|batch| { batch.send("one").send(vec![2]).send("three"); }).await?
        } => Ok(()), [text("one"), binary([2]), text("three")];
        "a batch, flushed", |session| {
            session.batch(|batch| { batch.send("one").send("two"); }).await?;
            session.flush().await?
        } => Ok(()), [text("one"), text("two")];
        "a batch of nothing", |session| { session.batch(|_| {}).await? } => Ok(()), [];
        "a batch with a value that cannot be encoded", |session| {
            session.batch(|batch| { batch.send("one").send(unencodable()).send("three"); }).await?
        } => Err("nobody can write this"), [];
        "a batch between others", |session| {
            session.send("first").await?;
            session.batch(|batch| { batch.send("one").send("two"); }).await?;
            session.send("last").await?
        } => Ok(()), [text("first"), text("one"), text("two"), text("last")];
        "a flush of nothing", |session| { session.flush().await? } => Ok(()), [];

        "a value that cannot be encoded", |session| { session.send(unencodable()).await? } => Err("nobody can write this"), [];
        "such a value without waiting", |session| { session.try_send(unencodable())? } => Err("nobody can write this"), [];
    }
}

/// Group E: who sends gets a receipt, which says how it went to whoever awaits it, wherever that is.
fn posting() -> Vec<Row> {
    rows! {
        "text", |session| { session.post("héllo").await? } => Ok(()), [text("héllo")];
        "an empty text", |session| { session.post("").await? } => Ok(()), [text("")];
        "binary", |session| { session.post(vec![0, 255]).await? } => Ok(()), [binary([0, 255])];
        "empty binary", |session| { session.post(Bytes::new()).await? } => Ok(()), [binary("")];
        "an object with an encoder", |session| { session.post_object(Bean("tea")).await? } => Ok(()), [text("bean tea")];
        "an object whose encoder fails", |session| { session.post_object(Bad).await? } => Err("the encoder says no"), [];
        "an object without an encoder", |session| { session.post_object(Stranger).await? } => Err("no encoder for"), [];
        "a value that cannot be encoded", |session| { session.post(unencodable()).await? } => Err("nobody can write this"), [];
        "a receipt that is awaited elsewhere", |session| {
            tokio::spawn(session.post("x")).await??
        } => Ok(()), [text("x")];
        "a failure that is awaited elsewhere", |session| {
            tokio::spawn(session.post_object(Bad)).await??
        } => Err("the encoder says no"), [];
        "receipts of many", |session| {
            let receipts = [session.post("one"), session.post("two"), session.post(vec![3])];
            for receipt in receipts {
                receipt.await?;
            }
        } => Ok(()), [text("one"), text("two"), binary([3])];
        "receipts that nobody awaits", |session| {
            drop(session.post("one"));
            drop(session.post_object(Bean("tea")));
            session.flush().await?
        } => Ok(()), [text("one"), text("bean tea")];
        "posted, flushed, and the receipt", |session| {
            let receipt = session.post("one");
            session.flush().await?;
            receipt.await?
        } => Ok(()), [text("one")];
        "posted among others", |session| {
            session.send("one").await?;
            let receipt = session.post_object(2_u8);
            session.send("three").await?;
            receipt.await?
        } => Ok(()), [text("one"), text("2"), text("three")];
    }
}

fn unencodable() -> impl IntoMessage {
    struct Unencodable;
    impl IntoMessage for Unencodable {
        fn into_message(self) -> Result<Message, endpoint_runtime::EncodeError> {
            Err(endpoint_runtime::EncodeError::new("nobody can write this"))
        }
    }
    Unencodable
}

/// Where a session acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whence {
    ATask,
    AHandler,
}

/// Rows on both sides, from everywhere.
fn everywhere(rows: Vec<Row>) -> impl Iterator<Item = (String, (Place, Whence, Row))> {
    rows.into_iter().flat_map(|row| {
        let places = SIDES.into_iter().flat_map(|side| [(side, Whence::ATask), (side, Whence::AHandler)]);
        places.map(move |(side, whence)| {
            (format!("{} ({side:?}, from {whence:?})", row.name), (side, whence, row.clone()))
        })
    })
}

/// Acts; and then closes, so that one sees all that came of it.
async fn act((side, whence, row): (Place, Whence, Row)) {
    let Pair { session, mut peer, stage: _stage } = Pair::open(side, sender::BOTH).await;
    let outcome = match whence {
        Whence::ATask => (row.act)(session.clone()).await,
        Whence::AHandler => {
            let (done, mut outcome) = mpsc::unbounded_channel();
            let this = session.clone();
            session
                .add_message_handler(move |_: String| {
                    let (acting, done) = ((row.act)(this.clone()), done.clone());
                    async move { done.send(acting.await).unwrap() }
                })
                .unwrap();
            peer.text("go").await;
            soon("the handler", outcome.recv()).await.unwrap()
        }
    };
    session.close(CloseReason::new(4000, "done")).await.unwrap();
    match (outcome, row.outcome) {
        (Ok(()), Ok(())) => {}
        (Err(error), Err(expected)) if error.to_string().contains(expected) => {}
        (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
    }
    let came = peer.rest().await;
    let mut expected = row.came;
    expected.push(closed(4000, "done"));
    assert_eq!(came, expected);
}

#[test]
fn blocking_sends() {
    each(everywhere(blocking()), act);
}

#[test]
fn posts() {
    each(everywhere(posting()), act);
}

#[test]
fn primitives_are_text() {
    each(everywhere(primitives()), act);
}

//! Our client, let loose on a foreign server (`tests/foreign`).
//!
//! `caller NAME [CHECK...]` runs the checks against the server at `$SERVER_URL`, but for those that are named as beyond that server. A
//! check is a line, `ok` or `FAIL`, and the exit status is 1 when one failed. Every server offers the same paths:
//!
//! | path | the server |
//! |---|---|
//! | `/echo` | says everything back; it agrees on compression |
//! | `/fragments` | sends a text back as one message, a fragment for each word; of bytes, one for each half |
//! | `/halves` | sends `first, ` as a fragment at once, and `last` as the end of that message when it is told anything |
//! | `/pings` | pings with what it is told, and then says `pong ` and what came back |
//! | `/subprotocols` | speaks `chat.v2` and `chat.v1`, and says which was agreed on |
//! | `/close` | closes with the code and text that it is told (`4001 enough`; `none` for no code) |
//! | `/closing`, `/witness` | tells those at the second with what code and text those at the first closed (`1005` for none) |
//! | `/header` | says the value of the request's `X-Asked` |
//! | `/private` | is there for `Ada` with the password `lovelace`; others get 401 |
//! | `/rooms/{room}` | says which room |
//! | `/idle` | closes with 1001 when it has heard nothing for half a second |

#![forbid(unsafe_code)]

use std::fmt::Debug;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use endpoint_runtime as runtime;
use endpoint_runtime::{Backoff, Client, ConnectError, Connection, Fragment};
use runtime::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// For one check.
const PATIENCE: Duration = Duration::from_secs(30);
const SIZES: [usize; 7] = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];

// ---- the endpoints, which hand over what they hear

#[derive(Debug, PartialEq)]
enum Heard {
    Message(Message),
    Pong(Bytes),
    Part(Fragment<Text>),
    Bytes(Fragment<Bytes>),
    /// A message that was read as a stream, and whether it came in more than one piece.
    Stream(Message, bool),
    Closed(CloseReason),
}

type Ear = UnboundedSender<Heard>;

/// Takes messages as a whole.
#[client_endpoint(max_message_size = 4_194_304, send_buffer = 16_777_216)]
struct Whole(Ear);

#[handlers]
impl Whole {
    #[on_message]
    fn message(&self, message: Message) -> Result<()> {
        Ok(self.0.send(Heard::Message(message))?)
    }

    #[on_message]
    fn pong(&self, pong: Pong) -> Result<()> {
        Ok(self.0.send(Heard::Pong(pong.payload().clone()))?)
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) -> Result<()> {
        Ok(self.0.send(Heard::Closed(reason.clone()))?)
    }
}

/// Takes messages in parts.
#[client_endpoint]
struct Parts(Ear);

#[handlers]
impl Parts {
    #[on_message]
    fn text(&self, part: Fragment<Text>) -> Result<()> {
        Ok(self.0.send(Heard::Part(part))?)
    }

    #[on_message]
    fn binary(&self, part: Fragment<Bytes>) -> Result<()> {
        Ok(self.0.send(Heard::Bytes(part))?)
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) -> Result<()> {
        Ok(self.0.send(Heard::Closed(reason.clone()))?)
    }
}

/// Takes messages as streams.
#[client_endpoint]
struct Streams(Ear);

#[handlers]
impl Streams {
    #[on_message]
    async fn text(&self, mut reader: TextReader) -> Result<()> {
        let (mut message, mut pieces) = (String::new(), 0);
        while let Some(chunk) = reader.chunk().await? {
            message.push_str(&chunk);
            pieces += 1;
        }
        Ok(self.0.send(Heard::Stream(message.into_message()?, pieces > 1))?)
    }

    #[on_message]
    async fn binary(&self, mut reader: BinaryReader) -> Result<()> {
        let (mut message, mut pieces) = (Vec::new(), 0);
        while let Some(chunk) = reader.chunk().await? {
            message.extend_from_slice(&chunk);
            pieces += 1;
        }
        Ok(self.0.send(Heard::Stream(message.into_message()?, pieces > 1))?)
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) -> Result<()> {
        Ok(self.0.send(Heard::Closed(reason.clone()))?)
    }
}

// ---- a connection that is checked

struct Peer {
    session: Session,
    heard: UnboundedReceiver<Heard>,
}

impl Peer {
    /// Connects one of the endpoints above.
    async fn open<E, Via>(
        client: &Client,
        endpoint: impl FnOnce(Ear) -> E,
        path: &str,
    ) -> Result<Self, ConnectError>
    where
        E: runtime::ClientEndpoint<Via>,
    {
        let (ear, heard) = unbounded_channel();
        let session = client.connect(endpoint(ear), url(path)).await?;
        Ok(Peer { session, heard })
    }

    async fn to(path: &str) -> Result<Self> {
        Ok(Self::open(&runtime::client(), Whole, path).await?)
    }

    async fn hear(&mut self) -> Result<Heard> {
        self.heard.recv().await.ok_or_else(|| Error::msg("the endpoint has gone"))
    }

    async fn expect(&mut self, expected: Heard) -> Result<()> {
        equal(self.hear().await?, expected)
    }

    async fn expect_message(&mut self, message: impl IntoMessage) -> Result<()> {
        self.expect(Heard::Message(message.into_message()?)).await
    }

    /// The end of the session: the peer's code and text.
    async fn expect_close(&mut self, code: u16, text: &str) -> Result<()> {
        match self.hear().await? {
            Heard::Closed(reason) => equal((u16::from(reason.code()), reason.text()), (code, text)),
            other => equal(other, Heard::Closed(CloseReason::new(code, text.to_owned()))),
        }
    }

    async fn close(mut self) -> Result<()> {
        self.session.close(CloseReason::normal()).await?;
        self.expect_close(1000, "").await
    }
}

fn url(path: &str) -> String {
    std::env::var("SERVER_URL").unwrap_or_default() + path
}

fn equal<T: PartialEq + Debug>(found: T, expected: T) -> Result<()> {
    let brief = |value: &T| format!("{value:?}").chars().take(120).collect::<String>();
    if found == expected {
        return Ok(());
    }
    Err(Error::msg(format!("expected {}, found {}", brief(&expected), brief(&found))))
}

fn bytes_of(size: usize) -> Vec<u8> {
    (0..size).map(|index| index as u8).collect()
}

// ---- the checks

async fn echoes(message: impl IntoMessage) -> Result<()> {
    let message = message.into_message()?;
    let mut peer = Peer::to("/echo").await?;
    peer.session.send(message.clone()).await?;
    peer.expect(Heard::Message(message)).await?;
    peer.close().await
}

/// Messages of all sizes, alike and not, and parts, on one connection.
async fn compressed(compression: Compression) -> Result<()> {
    let client = runtime::client().compression(compression);
    let mut peer = Peer::open(&client, Whole, "/echo").await?;
    let agreed: Vec<_> = peer.session.extensions().iter().map(runtime::Extension::name).collect();
    let expected: &[&str] = if compression == Compression::Off { &[] } else { &["permessage-deflate"] };
    equal(&agreed[..], expected)?;
    // Not compressible, and in every round the same.
    let noise: Vec<u8> =
        (0..100_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for round in 0..3 {
        for size in [0, 1, 125, 1_023, 1_024, 1_025, 65_536, 1 << 20] {
            let text = format!("{round}").repeat(size);
            peer.session.send(text.as_str()).await?;
            peer.expect_message(text).await?;
            let bytes = bytes_of(size);
            peer.session.send(bytes.clone()).await?;
            peer.expect_message(bytes).await?;
        }
        for message in [&noise[..2_000], &noise[..], &noise[..2_000]] {
            peer.session.send(message).await?;
            peer.expect_message(message).await?;
        }
        peer.session.send(Uncompressed("as it is ".repeat(1_000))).await?;
        peer.expect_message("as it is ".repeat(1_000)).await?;
        let text = "Grüße, Καλημέρα, 你好, 👩‍🚀 ".repeat(2_000);
        let mut writer = peer.session.text_writer();
        for part in text.as_bytes().chunks(1_007) {
            writer.write_all(part).await?;
        }
        writer.finish().await?;
        peer.expect_message(text).await?;
    }
    peer.close().await
}

async fn pipeline() -> Result<()> {
    let mut peer = Peer::to("/echo").await?;
    let messages: Vec<String> =
        (0..200).map(|number| format!("{number}: {}", "x".repeat(number * 37 % 2_000))).collect();
    for message in &messages {
        peer.session.send(message.clone()).await?;
    }
    for message in messages {
        peer.expect_message(message).await?;
    }
    peer.close().await
}

async fn fragments_out() -> Result<()> {
    let mut peer = Peer::to("/echo").await?;
    for (part, last) in [("one ", false), ("", false), ("zwei-ü ", false), ("три ", false), ("四", true)]
    {
        peer.session.send_fragment(Fragment::new(part, last)).await?;
    }
    peer.expect_message("one zwei-ü три 四").await?;
    for (part, last) in [(vec![0; 126], false), (vec![], false), (vec![255; 70_000], true)] {
        peer.session.send_fragment(Fragment::new(part, last)).await?;
    }
    peer.expect_message([vec![0; 126], vec![255; 70_000]].concat()).await?;
    peer.close().await
}

async fn ping_between_fragments() -> Result<()> {
    let mut peer = Peer::to("/echo").await?;
    peer.session.send_fragment(Fragment::new("first, ", false)).await?;
    peer.session.ping("in between").await?;
    peer.expect(Heard::Pong(Bytes::from("in between"))).await?;
    peer.session.send_fragment(Fragment::new("last", true)).await?;
    peer.expect_message("first, last").await?;
    peer.close().await
}

async fn fragments_in() -> Result<()> {
    let mut peer = Peer::to("/fragments").await?;
    peer.session.send("one zwei-ü три 四").await?;
    peer.expect_message("onezwei-üтри四").await?;
    peer.session.send(bytes_of(140_000)).await?;
    peer.expect_message(bytes_of(140_000)).await?;
    peer.close().await
}

/// The first part is there while the server waits to be told before it sends the last.
async fn parts_in(compression: Compression) -> Result<()> {
    let client = runtime::client().compression(compression);
    let mut peer = Peer::open(&client, Parts, "/halves").await?;
    peer.expect(Heard::Part(Fragment::new("first, ", false))).await?;
    peer.session.send("go on").await?;
    // The end of the message need not come with its last part.
    let mut text = String::new();
    loop {
        match peer.hear().await? {
            Heard::Part(part) => {
                text.push_str(&part.data);
                if part.last {
                    break;
                }
            }
            other => return equal(other, Heard::Part(Fragment::new("last", true))),
        }
    }
    equal(text.as_str(), "last")?;
    peer.close().await
}

async fn binary_parts_in() -> Result<()> {
    let mut peer = Peer::open(&runtime::client(), Parts, "/fragments").await?;
    peer.session.send(bytes_of(140_000)).await?;
    let mut parts = Vec::new();
    while parts.last().is_none_or(|part: &Fragment<Bytes>| !part.last) {
        match peer.hear().await? {
            Heard::Bytes(part) => parts.push(part),
            other => return equal(other, Heard::Bytes(Fragment::default())),
        }
    }
    equal(parts.len() > 1, true)?;
    equal(parts.into_iter().flat_map(|part| part.data).collect::<Vec<u8>>(), bytes_of(140_000))?;
    peer.close().await
}

/// Out by a writer, in by a reader.
async fn streams() -> Result<()> {
    let mut peer = Peer::open(&runtime::client(), Streams, "/echo").await?;
    let text = "Grüße, Καλημέρα, 你好, 👩‍🚀 ".repeat(20_000);
    let mut writer = peer.session.text_writer();
    for part in text.as_bytes().chunks(10_007) {
        writer.write_all(part).await?;
    }
    writer.finish().await?;
    peer.expect(Heard::Stream(text.into_message()?, true)).await?;
    let bytes = bytes_of(3_000_000);
    let mut writer = peer.session.binary_writer();
    for part in bytes.chunks(10_007) {
        writer.write_all(part).await?;
    }
    writer.finish().await?;
    peer.expect(Heard::Stream(bytes.into_message()?, true)).await?;
    peer.close().await
}

async fn our_ping() -> Result<()> {
    let mut peer = Peer::to("/echo").await?;
    for payload in ["are you there", "", &"p".repeat(125)] {
        peer.session.ping(payload).await?;
        peer.expect(Heard::Pong(Bytes::from(payload.to_owned()))).await?;
    }
    peer.close().await
}

async fn their_ping() -> Result<()> {
    let mut peer = Peer::to("/pings").await?;
    for payload in ["are you there", "again"] {
        peer.session.send(payload).await?;
        peer.expect_message(format!("pong {payload}")).await?;
    }
    peer.close().await
}

async fn subprotocol(offered: &[&str], chosen: &[Option<&str>]) -> Result<()> {
    let client = runtime::client().subprotocols(offered.iter().copied());
    let mut peer = Peer::open(&client, Whole, "/subprotocols").await?;
    let found = peer.session.subprotocol().map(str::to_owned);
    if !chosen.contains(&found.as_deref()) {
        return Err(Error::msg(format!("{found:?} was chosen")));
    }
    peer.expect_message(found.unwrap_or_else(|| "none".to_owned())).await?;
    peer.close().await
}

async fn they_close(order: &str, code: u16, text: &str) -> Result<()> {
    let mut peer = Peer::to("/close").await?;
    peer.session.send(order).await?;
    peer.expect_close(code, text).await
}

async fn we_close(reason: CloseReason, told: &str) -> Result<()> {
    let mut witness = Peer::to("/witness").await?;
    witness.expect_message("open").await?;
    let peer = Peer::to("/closing").await?;
    peer.session.close(reason).await?;
    witness.expect_message(told).await?;
    witness.close().await
}

async fn header() -> Result<()> {
    let client = runtime::client().header("X-Asked", "politely");
    let mut peer = Peer::open(&client, Whole, "/header").await?;
    peer.expect_message("politely").await?;
    peer.close().await
}

async fn path_parameter() -> Result<()> {
    let mut peer = Peer::to("/rooms/blue").await?;
    peer.expect_message("blue").await?;
    peer.close().await
}

async fn refused(client: Client, path: &str, status: u16) -> Result<()> {
    match Peer::open(&client, Whole, path).await {
        Ok(_) => Err(Error::msg("the handshake was accepted")),
        Err(error) => match error.status() {
            Some(found) => equal(found.as_u16(), status),
            None => Err(error.into()),
        },
    }
}

async fn password() -> Result<()> {
    let client = runtime::client().basic_auth("Ada", "lovelace");
    let mut peer = Peer::open(&client, Whole, "/private").await?;
    peer.session.send("let me in").await?;
    peer.expect_message("let me in").await?;
    peer.close().await
}

async fn idle() -> Result<()> {
    let mut peer = Peer::to("/idle").await?;
    match peer.hear().await? {
        Heard::Closed(reason) => equal(u16::from(reason.code()), 1001),
        other => equal(other, Heard::Closed(CloseReason::away(""))),
    }
}

/// A connection that the server ends with this code is made again, and can be used.
async fn reconnects(code: u16) -> Result<()> {
    let (ear, mut heard) = unbounded_channel();
    let (hook, mut again) = unbounded_channel();
    let connection: Connection = runtime::client()
        .reconnect(Backoff::default().initial(Duration::from_millis(50)))
        .on_reconnect(move |session| {
            let hook = hook.clone();
            async move {
                session.ping("again").await?;
                Ok(hook.send(())?)
            }
        })
        .connect(Whole(ear), url("/close"))
        .await?;
    connection.send(format!("{code} restart")).await?;
    again.recv().await;
    match heard.recv().await {
        Some(Heard::Closed(reason)) => equal(reason.to_string(), format!("{code} restart"))?,
        other => equal(other, Some(Heard::Closed(CloseReason::new(code, "restart"))))?,
    }
    equal(heard.recv().await, Some(Heard::Pong(Bytes::from("again"))))?;
    connection.send("4000 enough").await?;
    equal(u16::from(connection.closed().await.code()), 4000)
}

type Check = Pin<Box<dyn Future<Output = Result<()>>>>;

fn checks() -> Vec<(String, Check)> {
    let mut checks: Vec<(String, Check)> = Vec::new();
    let mut check = |name: String, future: Check| checks.push((name, future));
    for size in SIZES {
        check(format!("text of {size} bytes"), Box::pin(echoes("t".repeat(size))));
        check(format!("binary of {size} bytes"), Box::pin(echoes(bytes_of(size))));
    }
    for (offered, chosen) in [
        (&["chat.v2"][..], &[Some("chat.v2")][..]),
        // Servers differ in whose order counts.
        (&["chat.v1", "chat.v2"], &[Some("chat.v1"), Some("chat.v2")]),
        (&["unheard.of", "chat.v1"], &[Some("chat.v1")]),
        (&["unheard.of"], &[None]),
        (&[], &[None]),
    ] {
        check(format!("subprotocol of {offered:?}"), Box::pin(subprotocol(offered, chosen)));
    }
    for (order, code, text) in [
        ("1000 done", 1000, "done"),
        ("1001 leaving", 1001, "leaving"),
        ("1011 broken", 1011, "broken"),
        ("3000 registered", 3000, "registered"),
        ("4999 grün", 4999, "grün"),
        ("none", 1005, ""),
    ] {
        check(format!("the server closes with {order}"), Box::pin(they_close(order, code, text)));
    }
    for (reason, told) in [
        (CloseReason::normal(), "1000"),
        (CloseReason::new(CloseCode::Away, "leaving"), "1001 leaving"),
        (CloseReason::new(3000, "registered"), "3000 registered"),
        (CloseReason::new(4999, "grün"), "4999 grün"),
        (CloseReason::new(CloseCode::Status, ""), "1005"),
    ] {
        check(format!("we close with {told}"), Box::pin(we_close(reason, told)));
    }
    for code in [1001, 1012] {
        check(format!("connected again after {code}"), Box::pin(reconnects(code)));
    }
    for (name, future) in [
        ("text beyond ASCII", Box::pin(echoes("Grüße, Καλημέρα, 你好, 👩‍🚀, \u{0}, \u{10ffff}")) as Check),
        ("200 messages at once", Box::pin(pipeline())),
        ("compression", Box::pin(compressed(Compression::On))),
        ("compression in context", Box::pin(compressed(Compression::Context))),
        ("no compression", Box::pin(compressed(Compression::Off))),
        ("fragments sent", Box::pin(fragments_out())),
        ("ping between fragments", Box::pin(ping_between_fragments())),
        ("fragments received as a whole", Box::pin(fragments_in())),
        ("fragments received one by one", Box::pin(parts_in(Compression::Off))),
        ("compressed fragments received one by one", Box::pin(parts_in(Compression::On))),
        ("bytes received in parts", Box::pin(binary_parts_in())),
        ("streams both ways", Box::pin(streams())),
        ("our pings", Box::pin(our_ping())),
        ("their pings", Box::pin(their_ping())),
        ("header of the request", Box::pin(header())),
        ("variable of the path", Box::pin(path_parameter())),
        ("unknown path", Box::pin(refused(runtime::client(), "/nowhere", 404))),
        ("no password", Box::pin(refused(runtime::client(), "/private", 401))),
        ("wrong password", Box::pin(refused(runtime::client().basic_auth("Ada", "byron"), "/private", 401))),
        ("right password", Box::pin(password())),
        ("closed for idleness", Box::pin(idle())),
    ] {
        check(name.to_owned(), future);
    }
    checks
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(server) = arguments.next() else {
        eprintln!("usage: SERVER_URL=ws://HOST:PORT caller NAME [CHECK...]");
        return ExitCode::from(64);
    };
    let mut beyond: Vec<String> = arguments.collect();
    let mut failed = false;
    for (name, check) in checks() {
        if let Some(index) = beyond.iter().position(|unfit| *unfit == name) {
            beyond.remove(index);
            continue;
        }
        let outcome = tokio::time::timeout(PATIENCE, check).await;
        match outcome.unwrap_or_else(|_| Err(Error::msg("no end within the time"))) {
            Ok(()) => println!("ok   to {server}: {name}"),
            Err(error) => {
                failed = true;
                println!("FAIL to {server}: {name}: {error}");
            }
        }
    }
    for name in &beyond {
        failed = true;
        println!("FAIL to {server}: no check is called \"{name}\"");
    }
    ExitCode::from(u8::from(failed))
}

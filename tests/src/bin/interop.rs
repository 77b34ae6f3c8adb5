//! The server that foreign clients are let loose on, for all that plain echoing lacks (`tests/foreign`).
//!
//! It listens on `127.0.0.1:$PORT`. What an endpoint sees that the other side cannot, it says in text: the clients check that.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

use endpoint_runtime as runtime;
use endpoint_runtime::{Encoder, Fragment};
use runtime::prelude::*;

/// Says of each part that it is there, before the next one need be sent.
#[server_endpoint("/parts")]
struct Parts;

#[handlers]
impl Parts {
    #[on_message]
    fn text(&self, part: Fragment<Text>) -> String {
        format!("{} {}", if part.last { "last" } else { "part" }, part.data)
    }

    #[on_message]
    fn binary(&self, part: Fragment<Bytes>) -> String {
        format!("{} of {} bytes", if part.last { "last" } else { "part" }, part.data.len())
    }
}

/// Sends a text as one message, a fragment for each of its words; of bytes, a fragment for each.
#[server_endpoint("/fragments")]
struct Fragments;

#[handlers]
impl Fragments {
    #[on_message]
    async fn text(&self, session: &Session, text: String) -> Result<()> {
        let words: Vec<&str> = text.split(' ').collect();
        for (index, word) in words.iter().enumerate() {
            session.send_fragment(Fragment::new(Text::from(*word), index + 1 == words.len())).await?;
        }
        Ok(())
    }

    #[on_message]
    async fn binary(&self, session: &Session, bytes: Bytes) -> Result<()> {
        for index in 0..bytes.len() {
            let byte = bytes.slice(index..=index);
            session.send_fragment(Fragment::new(byte, index + 1 == bytes.len())).await?;
        }
        Ok(())
    }
}

/// Says messages of any length back while they arrive.
#[server_endpoint("/streams")]
struct Streams;

#[handlers]
impl Streams {
    #[on_message]
    async fn text(&self, session: &Session, mut reader: TextReader) -> Result<()> {
        let mut writer = session.text_writer();
        tokio::io::copy_buf(&mut reader, &mut writer).await?;
        Ok(writer.finish().await?)
    }

    #[on_message]
    async fn binary(&self, session: &Session, mut reader: BinaryReader) -> Result<()> {
        let mut writer = session.binary_writer();
        tokio::io::copy_buf(&mut reader, &mut writer).await?;
        Ok(writer.finish().await?)
    }
}

/// Says everything back, each message compressed by itself.
#[server_endpoint("/compressed", max_message_size = 4_194_304, send_buffer = 16_777_216)]
struct Compressed;

#[handlers]
impl Compressed {
    #[on_message]
    fn message(&self, message: Message) -> Message {
        message
    }
}

/// The same with what was said before in mind.
#[server_endpoint(
    "/compressed/context",
    compression = context,
    max_message_size = 4_194_304,
    send_buffer = 16_777_216
)]
struct InContext;

#[handlers]
impl InContext {
    #[on_message]
    fn message(&self, message: Message) -> Message {
        message
    }
}

/// Says which subprotocol was agreed on.
#[server_endpoint("/subprotocols", subprotocols = ["chat.v2", "chat.v1"])]
struct Subprotocols;

#[handlers]
impl Subprotocols {
    #[on_open]
    fn open(&self, session: &Session) -> String {
        session.subprotocol().unwrap_or("none").to_owned()
    }
}

/// Pings with what it is told, and says what pings and pongs came.
#[server_endpoint("/pings")]
struct Pings;

#[handlers]
impl Pings {
    #[on_message]
    async fn text(&self, session: &Session, payload: String) -> Result<()> {
        Ok(session.ping(payload).await?)
    }

    #[on_message]
    fn ping(&self, ping: Ping) -> String {
        format!("ping {}", String::from_utf8_lossy(ping.payload()))
    }

    #[on_message]
    fn pong(&self, pong: Pong) -> String {
        format!("pong {}", String::from_utf8_lossy(pong.payload()))
    }
}

/// Closes as it is told: `4001 enough` is a code and a text, and nothing at all is no code.
#[server_endpoint("/close")]
struct Close;

#[handlers]
impl Close {
    #[on_message]
    async fn close(&self, session: &Session, order: String) -> Result<()> {
        let reason = match order.split_once(' ') {
            Some((code, text)) => CloseReason::new(code.parse::<u16>()?, text),
            None => CloseReason::new(CloseCode::Status, ""),
        };
        Ok(session.close(reason).await?)
    }
}

/// Tells the witnesses how its sessions ended.
#[server_endpoint("/closing")]
struct Closing;

#[handlers]
impl Closing {
    #[on_close]
    async fn close(&self, sessions: Sessions, reason: &CloseReason) {
        sessions.endpoint::<Witness>().send(reason.to_string()).await;
    }
}

/// See [`Closing`]. It says when it is all ears.
#[server_endpoint("/witness")]
struct Witness;

#[handlers]
impl Witness {
    #[on_open]
    fn open(&self) -> &'static str {
        "open"
    }
}

/// Where something is.
struct Point {
    x: i32,
    y: i32,
}

/// `(3, 4)`
#[derive(Default)]
struct PointEncoder;

impl Encoder for PointEncoder {
    type Value = Point;
    type Output = String;

    async fn encode(&mut self, point: &Point, text: &mut String) -> Result<()> {
        Ok(write!(text, "({}, {})", point.x, point.y)?)
    }
}

/// Sends an object of its own type.
#[server_endpoint("/objects/{x}/{y}", encoders = [PointEncoder])]
struct Objects;

#[handlers]
impl Objects {
    #[on_open]
    async fn open(&self, session: &Session, #[path] x: i32, #[path] y: i32) -> Result<()> {
        Ok(session.send_object(Point { x, y }).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = std::env::var("PORT")?;
    runtime::export_all().bind(format!("127.0.0.1:{port}")).serve().await
}

//! A message of any length in little memory, both ways: the server and the client of `tests/memory`.
//!
//! `streamed` serves on `127.0.0.1:$PORT`. `streamed BYTES LIMIT` is the client of the server at `$SERVER_URL`: it writes one message of so
//! many bytes by `binary_writer`, reads another by `BinaryReader`, and fails if a byte was wrong or if either process ever held more
//! than LIMIT bytes of memory. Linux only, since the kernel tells how much that was.

#![forbid(unsafe_code)]

use std::io;
use std::time::Instant;

use endpoint_runtime as runtime;
use runtime::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The bytes of every message, over and over. Its length divides no power of two: a part in the wrong place is noticed.
struct Pattern(Vec<u8>);

impl Pattern {
    const LENGTH: usize = 65_521;

    fn new() -> Self {
        Pattern((0..Self::LENGTH).map(|index| (index * index / 7) as u8).collect())
    }

    /// Writes a message of so many bytes.
    async fn pour(&self, session: &Session, bytes: u64) -> io::Result<()> {
        let mut writer = session.binary_writer();
        let mut left = bytes;
        while left > 0 {
            let part = left.min(Self::LENGTH as u64) as usize;
            writer.write_all(&self.0[..part]).await?;
            left -= part as u64;
        }
        writer.finish().await
    }

    /// Reads a message to its end: how many bytes it had, if all of them were right.
    async fn swallow(&self, mut reader: BinaryReader) -> Result<u64> {
        let mut read = 0;
        while let Some(chunk) = reader.chunk().await? {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let at = (read % Self::LENGTH as u64) as usize;
                let expected = &self.0[at..(at + rest.len()).min(Self::LENGTH)];
                let (part, more) = rest.split_at(expected.len());
                if part != expected {
                    return Err(Error::msg(format!("a wrong byte behind {read} right ones")));
                }
                read += part.len() as u64;
                rest = more;
            }
        }
        Ok(read)
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::new()
    }
}

/// The most memory that this process has ever held, in bytes.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or_else(|| Error::msg("no VmHWM"))?;
    Ok(kibibytes.parse::<u64>()? * 1024)
}

/// Says how many bytes a message had.
#[server_endpoint("/swallow")]
struct Swallow {
    pattern: Pattern,
}

#[handlers]
impl Swallow {
    #[on_message]
    async fn swallow(&self, reader: BinaryReader) -> Result<u64> {
        self.pattern.swallow(reader).await
    }

    #[on_error]
    async fn error(&self, session: &Session, error: &Error) -> Result<()> {
        Ok(session.close(CloseReason::error(error.to_string())).await?)
    }
}

/// Sends a message of so many bytes.
#[server_endpoint("/pour/{bytes}")]
struct Pour {
    pattern: Pattern,
}

#[handlers]
impl Pour {
    #[on_open]
    async fn pour(&self, session: &Session, #[path] bytes: u64) -> Result<()> {
        Ok(self.pattern.pour(session, bytes).await?)
    }
}

/// Says how much memory the server has held at most.
#[server_endpoint("/peak")]
struct Peak;

#[handlers]
impl Peak {
    #[on_open]
    fn open(&self) -> Result<u64> {
        peak()
    }
}

/// The client's: hands over the number that it is told, or the length of the message that it was sent.
#[client_endpoint]
struct Number {
    told: UnboundedSender<Result<u64>>,
    pattern: Pattern,
}

#[handlers]
impl Number {
    #[on_message]
    fn number(&self, number: u64) -> Result<()> {
        Ok(self.told.send(Ok(number))?)
    }

    #[on_message]
    async fn swallow(&self, reader: BinaryReader) -> Result<()> {
        Ok(self.told.send(self.pattern.swallow(reader).await)?)
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        // Nobody listens any more when all went well.
        let _ = self.told.send(Err(Error::msg(format!("closed: {reason}"))));
    }
}

/// What the server says at this path, after so many bytes were poured into it.
async fn ask(server: &str, path: &str, bytes: u64) -> Result<u64> {
    let (told, mut tells) = unbounded_channel();
    let number = Number { told, pattern: Pattern::new() };
    let session = runtime::client().connect(number, format!("{server}{path}")).await?;
    Pattern::new().pour(&session, bytes).await?;
    tells.recv().await.ok_or_else(|| Error::msg("the endpoint has gone"))?
}

async fn measure(bytes: u64, limit: u64) -> Result<()> {
    const MIB: f64 = 1_048_576.0;
    let server = std::env::var("SERVER_URL")?;
    let mut failed = false;
    let mut check = |name: &str, right: bool, detail: String| {
        failed |= !right;
        println!("{} {name}: {detail}", if right { "ok  " } else { "FAIL" });
    };
    for (name, path, poured) in [
        ("client to server", "/swallow".to_owned(), bytes),
        ("server to client", format!("/pour/{bytes}"), 0),
    ] {
        let began = Instant::now();
        let read = ask(&server, &path, poured).await?;
        let seconds = began.elapsed().as_secs_f64();
        check(name, read == bytes, format!("{:.1} MiB in {seconds:.1} s", read as f64 / MIB));
    }
    let (ours, theirs) = (peak()?, ask(&server, "/peak", 0).await?);
    for (name, peak) in [("memory of the client", ours), ("memory of the server", theirs)] {
        let detail = format!("{:.1} MiB at most, {:.0} allowed", peak as f64 / MIB, limit as f64 / MIB);
        check(name, peak <= limit, detail);
    }
    if failed { Err(Error::msg("not as it should be")) } else { Ok(()) }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            let port = std::env::var("PORT")?;
            runtime::export_all().bind(format!("127.0.0.1:{port}")).serve().await
        }
        [bytes, limit] => measure(bytes.parse()?, limit.parse()?).await,
        _ => Err(Error::msg("usage: streamed [BYTES LIMIT]")),
    }
}

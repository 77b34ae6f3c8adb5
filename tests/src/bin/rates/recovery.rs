//! Clients that come back: each has missed 50 messages of a room, and all say so at once.

use std::time::{Duration, Instant};

use endpoint_runtime::cluster::{Channel, Engine, Redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::library::Library;
use crate::node::KEPT;
use crate::process::Process;
use crate::socket::{connect, frame};
use crate::{Result, quantile};

const PATH: &str = "/kept/kept?resume=1";
const MISSED: usize = 50;
/// How many connect, or read, at the same time.
const AT_A_TIME: usize = 256;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub(crate) struct Recovery {
    /// In a second.
    pub(crate) rate: f64,
    /// Milliseconds until all but one of a hundred have everything.
    pub(crate) p99: f64,
}

/// So many clients of one room, whose connections are there already.
pub(crate) async fn storm(node: &Process, engine: &Redis, clients: usize) -> Result<Recovery> {
    let top = engine.history(&Channel::room(KEPT), 0, 0).await?.top;
    let at = top.offset.checked_sub(MISSED as u64).ok_or("there is no history")?;
    let first = format!("\u{1}{{\"resume\":null,\"at\":{{\"{KEPT}\":[\"{}\",{at}]}}}}", top.epoch.0);
    let first = frame(1, first.as_bytes());
    let mut streams = Vec::with_capacity(clients);
    while streams.len() < clients {
        let port = node.port;
        let some: JoinSet<_> =
            (0..AT_A_TIME.min(clients - streams.len())).map(|_| connect(port, PATH)).collect();
        streams.extend(some.join_all().await.into_iter().collect::<Result<Vec<_>>>()?);
    }
    let began = Instant::now();
    let mut recoveries: JoinSet<_> =
        streams.into_iter().map(|stream| recovered(stream, first.clone(), began)).collect();
    let mut took = Vec::with_capacity(clients);
    let all = async {
        while let Some(recovery) = recoveries.join_next().await {
            took.push(recovery??);
        }
        Result::<()>::Ok(())
    };
    match timeout(PATIENCE, all).await {
        Ok(done) => done?,
        Err(_) => return Err(format!("{} of {clients} clients have recovered", took.len()).into()),
    }
    Ok(Recovery { rate: clients as f64 / quantile(&mut took, 1.0), p99: quantile(&mut took, 0.99) * 1e3 })
}

/// Says where it is, reads until it has all, and says how many seconds that took.
async fn recovered(mut stream: TcpStream, first: Vec<u8>, began: Instant) -> Result<f64> {
    const END: &[u8] = b"\"recovered\":[\"kept\",true]}";
    const LOST: &[u8] = b"\"recovered\":[\"kept\",false";
    stream.write_all(&first).await?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    let mut looked = 0;
    while !contains(&bytes[looked..], END) {
        // It may end in what comes next.
        looked = bytes.len().saturating_sub(END.len());
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err("the server has closed the connection".into());
        }
        if contains(&bytes[looked..], LOST) {
            return Err("what was missed cannot be had".into());
        }
    }
    let messages = bytes.windows(2).filter(|head| *head == [0x82, 100]).count();
    if messages < MISSED {
        return Err(format!("{messages} of {MISSED} messages").into());
    }
    Ok(began.elapsed().as_secs_f64())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Reads of a history, many at the same time: how many a second.
async fn reads<F: Future<Output = Result<usize>> + Send + 'static>(
    count: usize,
    read: impl Fn() -> F,
) -> Result<Recovery> {
    let (began, mut took, mut under_way) = (Instant::now(), Vec::with_capacity(count), JoinSet::new());
    let mut begun = 0;
    while took.len() < count {
        while begun < count && under_way.len() < 64 {
            let read = read();
            under_way.spawn(async move {
                let began = Instant::now();
                (read.await, began.elapsed())
            });
            begun += 1;
        }
        if let Some(done) = under_way.join_next().await {
            let (messages, time) = done?;
            if messages? != MISSED {
                return Err("not all messages".into());
            }
            took.push(time.as_secs_f64() * 1e3);
        }
    }
    Ok(Recovery { rate: count as f64 / began.elapsed().as_secs_f64(), p99: quantile(&mut took, 0.99) })
}

/// By the engine: each read with the proof that nothing is missing.
pub(crate) async fn engine_reads(engine: &std::sync::Arc<Redis>, count: usize) -> Result<Recovery> {
    let room = Channel::room(KEPT);
    let at = engine.history(&room, 0, 0).await?.top.offset - MISSED as u64;
    reads(count, || {
        let (engine, room) = (std::sync::Arc::clone(engine), room.clone());
        async move { Ok(engine.history(&room, at, 300).await?.messages.len()) }
    })
    .await
}

/// By the client library: a range of a stream.
pub(crate) async fn raw_reads(library: &Library, count: usize) -> Result<Recovery> {
    reads(count, || {
        let library = library.clone();
        async move { library.history(MISSED).await }
    })
    .await
}

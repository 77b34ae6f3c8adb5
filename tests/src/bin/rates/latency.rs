//! How long a message is on its way, sent at fixed times whatever becomes of those before (an open loop): from the instant when it was to be sent.

use std::io::{Read, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use endpoint_runtime::Bytes;
use tokio::runtime::Handle;

use crate::library::Library;
use crate::node::VOLATILE;
use crate::process::Process;
use crate::socket::{self, FRAME};
use crate::{Result, SIZE, quantile};

const INTERVAL: Duration = Duration::from_millis(1);
const CHANNEL: &str = "latency";
const MESSAGES: usize = 2200;
/// Those that are not counted, since they are the first.
const FIRST: usize = 200;

/// In microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Calls `send` with each message when it is time, on a thread that does nothing else, and says when the first was to be sent.
fn schedule(mut send: impl FnMut(Bytes) + Send + 'static) -> Instant {
    let start = Instant::now() + Duration::from_millis(20);
    thread::spawn(move || {
        for number in 0..MESSAGES {
            let at = start + INTERVAL * number as u32;
            thread::sleep(at.saturating_duration_since(Instant::now()));
            let mut message = vec![b'x'; SIZE];
            message[..8].copy_from_slice(&(number as u64).to_be_bytes());
            send(message.into());
        }
    });
    start
}

fn number(message: &[u8]) -> Option<usize> {
    Some(u64::from_be_bytes(message.get(..8)?.try_into().ok()?) as usize)
}

fn evaluated(start: Instant, arrivals: &[(usize, Instant)]) -> Result<Latency> {
    if arrivals.len() < MESSAGES {
        return Err(format!("{} of {MESSAGES} have arrived", arrivals.len()).into());
    }
    let counted = arrivals.iter().filter(|(number, _)| *number >= FIRST);
    let late = |(number, at): &(usize, Instant)| {
        at.saturating_duration_since(start + INTERVAL * *number as u32).as_secs_f64() * 1e6
    };
    let mut all: Vec<f64> = counted.map(late).collect();
    Ok(Latency { p50: quantile(&mut all, 0.5), p99: quantile(&mut all, 0.99) })
}

/// From a client of one process to a client of another.
pub(crate) async fn between(from: &Process, to: &Process) -> Result<Latency> {
    let (from, to) = (from.port, to.port);
    tokio::task::spawn_blocking(move || {
        let mut receiver = socket::open(to, &format!("/{VOLATILE}"))?;
        let mut sender = socket::open(from, "/elsewhere")?;
        let start = schedule(move |message| {
            // It shows in what arrives.
            let _ = sender.write_all(&socket::frame(2, &message));
        });
        let (mut arrivals, mut held) = (Vec::with_capacity(MESSAGES), Vec::new());
        let mut buffer = vec![0; 64 * 1024];
        while arrivals.len() < MESSAGES {
            let read = receiver.read(&mut buffer)?;
            let now = Instant::now();
            held.extend_from_slice(&buffer[..read]);
            let whole = held.len() / FRAME * FRAME;
            if read == 0 {
                return Err("the server has closed the connection".into());
            }
            arrivals
                .extend(held[..whole].chunks(FRAME).filter_map(|frame| Some((number(&frame[2..])?, now))));
            held.drain(..whole);
        }
        evaluated(start, &arrivals)
    })
    .await?
}

/// By the client library, from one connection of this process to another.
pub(crate) async fn raw(url: &str) -> Result<Latency> {
    let (arrived, arrivals) = mpsc::channel();
    let heard = move |message: &[u8]| {
        if let Some(number) = number(message) {
            let _ = arrived.send((number, Instant::now()));
        }
    };
    let subscription = Library::subscribe(url, CHANNEL, heard).await?;
    let (library, runtime) = (Arc::new(Library::connect(url, CHANNEL).await?), Handle::current());
    let sender = Arc::clone(&library);
    let start = schedule(move |message| {
        let library = Arc::clone(&sender);
        runtime.spawn(async move { library.publish(message).await.map_err(|error| eprintln!("{error}")) });
    });
    tokio::task::spawn_blocking(move || {
        let patience = Duration::from_secs(5);
        let arrivals: Vec<_> = (0..MESSAGES).map_while(|_| arrivals.recv_timeout(patience).ok()).collect();
        // Without it, what has not been written would not be.
        drop((library, subscription));
        evaluated(start, &arrivals)
    })
    .await?
}

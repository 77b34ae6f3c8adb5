//! How many messages of 100 bytes cross from one process to another in a second, and how long both ran for each.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::node::{KEPT, Kind, VOLATILE};
use crate::process::{self, Process};
use crate::socket::{self, FRAME};
use crate::{Result, STEP};

/// How many messages are on their way at most, so that nobody has to drop any.
const UNDERWAY: usize = 4 * STEP;
const PATIENCE: Duration = Duration::from_secs(20);

/// Two processes, and whoever looks what arrives at the second.
pub(crate) struct Pair {
    pub(crate) from: Process,
    pub(crate) to: Process,
    arrivals: Option<[TcpStream; 2]>,
}

#[derive(Clone, Copy)]
pub(crate) struct Throughput {
    /// Messages in a second.
    pub(crate) rate: f64,
    /// Microseconds of both processes for each message, and of the engine's server.
    pub(crate) cpu: f64,
    pub(crate) engine: f64,
}

impl Pair {
    pub(crate) async fn start(kind: Kind, url: &str) -> Result<Self> {
        let (from, to) = (Process::start(kind, "from", url).await?, Process::start(kind, "to", url).await?);
        let arrivals = match kind {
            Kind::Raw => None,
            _ => Some([member(to.port, VOLATILE).await?, member(to.port, KEPT).await?]),
        };
        Ok(Pair { from, to, arrivals })
    }

    /// Lets so many messages cross.
    pub(crate) async fn run(&mut self, room: &str, messages: usize, engine: u32) -> Result<Throughput> {
        let messages = messages.next_multiple_of(STEP);
        let which = if room == KEPT { "kept" } else { "volatile" };
        let cpu = |pair: &Pair| Ok::<_, crate::Failure>(pair.from.cpu()? + pair.to.cpu()?);
        let (began, used, engine_used) = (Instant::now(), cpu(self)?, process::cpu(engine)?);
        let mut sent = UNDERWAY.min(messages);
        self.from.tell(&format!("{which} {sent}")).await?;
        let mut arrived = 0;
        while arrived < messages {
            let step = timeout(PATIENCE, self.step(room));
            step.await.map_err(|_| format!("{arrived} of {sent} messages have arrived"))??;
            arrived += STEP;
            if sent < messages {
                self.from.tell(&format!("{which} {STEP}")).await?;
                sent += STEP;
            }
        }
        let took = began.elapsed().as_secs_f64();
        let each = |used: Duration| used.as_secs_f64() * 1e6 / messages as f64;
        Ok(Throughput {
            rate: messages as f64 / took,
            cpu: each(cpu(self)? - used),
            engine: each(process::cpu(engine)? - engine_used),
        })
    }

    /// Waits until so many have arrived.
    async fn step(&mut self, room: &str) -> Result<()> {
        let Some(arrivals) = &mut self.arrivals else {
            self.to.line().await?;
            return Ok(());
        };
        let mut left = STEP * FRAME;
        let mut buffer = vec![0; 256 * 1024];
        let stream = &mut arrivals[usize::from(room == KEPT)];
        while left > 0 {
            let most = left.min(buffer.len());
            let read = stream.read(&mut buffer[..most]).await?;
            if read == 0 {
                return Err("the server has closed the connection".into());
            }
            left -= read;
        }
        Ok(())
    }
}

async fn member(port: u16, room: &'static str) -> Result<TcpStream> {
    let stream = tokio::task::spawn_blocking(move || socket::open(port, &format!("/{room}"))).await??;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream)?)
}

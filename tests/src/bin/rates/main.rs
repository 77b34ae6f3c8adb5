//! What a cluster costs beside its engine's client library alone: latency, throughput, processor time, memory, recoveries (`tests/rates`).
//!
//! `rates [SECTION...]`, in a release build: `latency`, `throughput`, `recovery`, `memory`, `engine`, and `nats` for the first two with that
//! engine; all of them by default. It starts servers of its own, and processes that messages cross between, and prints a table. What is
//! compared is measured in turns, several times, since it is not alone on its machine; a ratio is the median of those of each turn.
//!
//! What is "raw" is the library alone: for latency within this process, from one connection to another, with no WebSocket on either side; for
//! throughput from one process to another, where messages are counted and not delivered. "by hand" is a server without a cluster whose application calls the client library itself: the least that it takes to do the same.

#![forbid(unsafe_code)]

mod engine;
mod latency;
mod library;
mod machine;
mod node;
mod process;
mod recovery;
mod socket;
mod table;
mod throughput;

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::cluster::{Arrival, Channel, Engine, EngineError, Receiver, Redis};
use endpoint_tests::nats_server::NatsServer;
use endpoint_tests::redis_server::RedisServer;
use tokio::process::Command;

use self::library::Library;
use self::machine::{Awake, Machine};
use self::node::{KEPT, Kind, VOLATILE};
use self::table::{Goal, HEAD, Row};
use self::throughput::Pair;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

/// How long messages are, bytes.
const SIZE: usize = 100;
/// After how many messages who receives them says so.
const STEP: usize = 4096;
/// How often everything is measured.
const ROUNDS: usize = 5;

const SECTIONS: [&str; 6] = ["latency", "throughput", "recovery", "memory", "engine", "nats"];

/// The value below which this part of them lies.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// What is measured in turns.
struct Bench {
    url: String,
    /// The process of the engine's server.
    server: u32,
    ours: Pair,
    by_hand: Pair,
    raw: Pair,
    rows: Vec<Row>,
}

impl Bench {
    async fn start(url: String, server: u32) -> Result<Self> {
        Ok(Bench {
            ours: Pair::start(Kind::Ours, &url).await?,
            by_hand: Pair::start(Kind::ByHand, &url).await?,
            raw: Pair::start(Kind::Raw, &url).await?,
            url,
            server,
            rows: Vec::new(),
        })
    }

    fn row(&mut self, what: &str, ours: &[f64], raw: &[f64], goal: Goal) {
        let row = Row { what: what.to_owned(), ours: ours.to_vec(), raw: raw.to_vec(), goal };
        eprintln!("{row}");
        self.rows.push(row);
    }

    async fn latency(&mut self, engine: &str, goals: bool) -> Result<()> {
        let _awake = Awake::new()?;
        let (mut ours, mut by_hand, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raw.push(latency::raw(&self.url).await?);
            ours.push(latency::between(&self.ours.from, &self.ours.to).await?);
            by_hand.push(latency::between(&self.by_hand.from, &self.by_hand.to).await?);
        }
        let goal = |goal| if goals { goal } else { Goal::None };
        for (name, limit, of) in
            [("p50", 600.0, (|one| one.p50) as fn(&latency::Latency) -> f64), ("p99", 5000.0, |one| one.p99)]
        {
            let all = |latencies: &[latency::Latency]| latencies.iter().map(of).collect::<Vec<_>>();
            let (ours, by_hand, raw) = (all(&ours), all(&by_hand), all(&raw));
            let what = format!("{engine}: latency at 1,000/s, {name}, us");
            self.row(&what, &ours, &[], goal(Goal::AtMost(limit)));
            self.row(&format!("{what}, beside the library alone"), &ours, &raw, goal(Goal::AtMostTimes(1.5)));
            self.row(&format!("{what}, beside by hand"), &ours, &by_hand, goal(Goal::AtMostTimes(1.5)));
        }
        Ok(())
    }

    async fn throughput(&mut self, engine: &str, room: &str, messages: usize, goals: bool) -> Result<()> {
        let goal = |goal| if goals { goal } else { Goal::None };
        let (mut ours, mut by_hand, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raw.push(self.raw.run(room, messages, self.server).await?);
            ours.push(self.ours.run(room, messages, self.server).await?);
            if room == VOLATILE {
                by_hand.push(self.by_hand.run(room, messages, self.server).await?);
            }
        }
        let rate = |all: &[throughput::Throughput]| all.iter().map(|one| one.rate).collect::<Vec<_>>();
        let cpu = |all: &[throughput::Throughput]| all.iter().map(|one| one.cpu).collect::<Vec<_>>();
        let of_engine = |all: &[throughput::Throughput]| all.iter().map(|one| one.engine).collect::<Vec<_>>();
        let added =
            |raw: &[f64]| cpu(&ours).iter().zip(raw).map(|(ours, raw)| ours - raw).collect::<Vec<_>>();
        let what = format!("{engine}: {}", if room == KEPT { "recoverable" } else { "volatile" });
        self.row(&format!("{what}, messages/s"), &rate(&ours), &rate(&raw), goal(Goal::AtLeastTimes(0.6)));
        self.row(&format!("{what}, CPU of both processes, us/message"), &cpu(&ours), &cpu(&raw), Goal::None);
        self.row(
            &format!("{what}, CPU added to the library, us/message"),
            &added(&cpu(&raw)),
            &[],
            goal(Goal::AtMost(2.0)),
        );
        self.row(
            &format!("{what}, CPU of the server, us/message"),
            &of_engine(&ours),
            &of_engine(&raw),
            Goal::None,
        );
        if !by_hand.is_empty() {
            let by_hand_cpu = cpu(&by_hand);
            self.row(
                &format!("{what}, messages/s, beside by hand"),
                &rate(&ours),
                &rate(&by_hand),
                Goal::None,
            );
            self.row(&format!("{what}, CPU, beside by hand"), &cpu(&ours), &by_hand_cpu, Goal::None);
        }
        Ok(())
    }

    async fn recovery(&mut self) -> Result<()> {
        let engine = Arc::new(Redis::connect(&self.url).await?);
        engine.start(Arc::new(Deaf)).await?;
        engine.subscribe(&[Channel::Control]).await?;
        let library = Library::connect(&self.url, "reading").await?;
        // There has to be a history.
        self.ours.run(KEPT, STEP, self.server).await?;
        self.raw.run(KEPT, STEP, self.server).await?;
        let (mut ours, mut raw, mut storms) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            raw.push(recovery::raw_reads(&library, 5000).await?);
            ours.push(recovery::engine_reads(&engine, 5000).await?);
            storms.push(recovery::storm(&self.ours.to, &engine, 8000).await?);
        }
        let rate = |all: &[recovery::Recovery]| all.iter().map(|one| one.rate).collect::<Vec<_>>();
        let p99 = |all: &[recovery::Recovery]| all.iter().map(|one| one.p99).collect::<Vec<_>>();
        let least = Goal::AtLeast(5000.0);
        self.row("Redis: readings of 50 messages a second, 64 at a time", &rate(&ours), &rate(&raw), least);
        self.row("Redis: the same, p99, ms", &p99(&ours), &p99(&raw), Goal::None);
        self.row(
            "Redis: recoveries/s of 8,000 clients of a room, to their sockets",
            &rate(&storms),
            &[],
            least,
        );
        self.row("Redis: the same, p99, ms", &p99(&storms), &[], Goal::AtMost(2000.0));
        engine.stop().await?;
        Ok(())
    }

    async fn engine(&mut self) -> Result<()> {
        let (mut publish, mut delivery, mut append) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            let engine = engine::measure(&self.url, self.server, 100_000).await?;
            publish.push(engine.publish);
            delivery.push(engine.delivery);
            append.push(engine.append);
        }
        self.row("Redis: CPU of the server for a message published, us", &[], &publish, Goal::None);
        self.row("Redis: CPU of the server for a delivery to a node, us", &[], &delivery, Goal::None);
        self.row("Redis: CPU of the server for a message appended, us", &[], &append, Goal::None);
        Ok(())
    }

    /// What another program measures, since it counts what is allocated, which takes time: lines of a name, a figure and a goal.
    async fn memory(&mut self) -> Result<()> {
        let program = std::env::current_exe()?.with_file_name("crowded");
        let output = Command::new(program).kill_on_drop(true).output().await?;
        let text = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let [what, figure, goal] = fields[..] else { return Err(line.into()) };
            let goal = goal.parse().map_or(Goal::None, Goal::AtMost);
            self.row(what, &[figure.parse()?], &[], goal);
        }
        Ok(())
    }
}

/// Nothing is done with what arrives.
struct Deaf;

impl Receiver for Deaf {
    fn receive(&self, _: Arrival) {}
    fn lost(&self, _: &EngineError) {}
    fn back(&self) {}
    fn missed(&self, _: &[Channel]) {}
}

async fn measure(sections: &[String]) -> Result<()> {
    let wanted = |section: &str| sections.is_empty() || sections.iter().any(|wanted| wanted == section);
    if let Some(unknown) = sections.iter().find(|section| !SECTIONS.contains(&section.as_str())) {
        return Err(format!("what is {unknown}? There are {}", SECTIONS.join(", ")).into());
    }
    let machine = Machine::now();
    let redis = RedisServer::start().await;
    let mut bench = Bench::start(redis.url(), redis.process().ok_or("no server")?).await?;
    if wanted("latency") {
        bench.latency("Redis", true).await?;
    }
    if wanted("throughput") {
        bench.throughput("Redis", VOLATILE, 150_000, true).await?;
        bench.throughput("Redis", KEPT, 50_000, true).await?;
    }
    if wanted("recovery") {
        bench.recovery().await?;
    }
    if wanted("engine") {
        bench.engine().await?;
    }
    if wanted("memory") {
        bench.memory().await?;
    }
    let mut rows = bench.rows;
    drop(redis);
    if wanted("nats") {
        let nats = NatsServer::start().await;
        let mut bench = Bench::start(nats.url(), nats.process().ok_or("no server")?).await?;
        // The goals are Redis's. The library of NATS says nothing of what becomes of a message, and so does next to nothing for it.
        bench.latency("NATS", false).await?;
        bench.throughput("NATS", VOLATILE, 300_000, false).await?;
        rows.extend(bench.rows);
    }
    println!("{machine}\n\n{HEAD}");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, kind, role, url] = &arguments[..]
        && command == "node"
    {
        return node::run(kind.parse()?, role == "to", url).await;
    }
    // Whatever hangs, it ends.
    tokio::time::timeout(Duration::from_secs(300), measure(&arguments)).await?
}

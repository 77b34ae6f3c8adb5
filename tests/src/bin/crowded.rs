//! What 100,000 sessions in a room, each of another user, cost a cluster beside none: memory, and the time until an engine that was restarted
//! knows all of them again (`tests/rates`).
//!
//! Each line is what, how much, and how much it may be, with tabs between. Server and clients share the process; the connections are
//! pipes in memory, since a machine does not have as many ports.

#![forbid(unsafe_code)]

use std::alloc::System;
use std::time::{Duration, Instant};

use endpoint_runtime as runtime;
use endpoint_tests::redis_server::RedisServer;
use runtime::cluster::{Cluster, Redis};
use runtime::prelude::*;
use runtime::test::{App, RunningApp};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::sleep;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SESSIONS: usize = 100_000;
/// How many user names are tried after a restart.
const TRIED: usize = 100;
const REQUEST: &[u8] =
    b"GET /seat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[server_endpoint("/seat", scope = singleton)]
struct Seat;

#[handlers]
impl Seat {
    #[on_message]
    fn text(&self, text: &str) {
        assert!(text.len() < 126);
    }
}

fn app() -> App {
    runtime::test::app().configure(|settings| {
        settings.max_connections = 2 * SESSIONS;
        settings.max_connections_per_address = 0;
    })
}

/// How many bytes are allocated.
fn held() -> f64 {
    let stats = HEAP.stats();
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// The same, as soon as what is over has given back what it had: less than a byte for each session comes back by then.
async fn held_at_rest() -> f64 {
    loop {
        let before = held();
        sleep(Duration::from_millis(200)).await;
        if before - held() < SESSIONS as f64 {
            return held();
        }
    }
}

async fn connect(app: &RunningApp) -> Result<DuplexStream, Failure> {
    let mut stream = app.connect_raw_with_buffer(1024);
    stream.write_all(REQUEST).await?;
    let (mut head, mut length) = ([0; 512], 0);
    while !head[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut head[length..]).await?;
        if read == 0 {
            return Err("no handshake".into());
        }
        length += read;
    }
    Ok(stream)
}

/// A node, its clients, and what joining a room and having a user cost each of its sessions, bytes.
struct Crowd {
    app: RunningApp,
    clients: Vec<DuplexStream>,
    session: f64,
    room: f64,
    user: f64,
    /// Seconds until all users were reached from everywhere.
    subscribed: f64,
}

async fn crowd(app: App) -> Result<Crowd, Failure> {
    let app = app.start().await;
    let before = held_at_rest().await;
    let mut clients = Vec::with_capacity(SESSIONS);
    while clients.len() < SESSIONS {
        clients.push(connect(&app).await?);
    }
    let each = |from: f64| (held() - from) / SESSIONS as f64;
    let session = each(before);
    let before = held();
    app.sessions().all().local().iter().for_each(|session| assert!(session.join("hall")));
    let room = each(before);
    let (before, began) = (held(), Instant::now());
    for (number, session) in app.sessions().all().local().iter().enumerate() {
        session.set_user(&number.to_string());
    }
    for session in app.sessions().all().local().iter() {
        session.reachable().await;
    }
    let subscribed = began.elapsed().as_secs_f64();
    Ok(Crowd { app, clients, session, room, user: each(before), subscribed })
}

fn line(what: &str, figure: f64, goal: &str) {
    println!("{what}\t{figure}\t{goal}");
}

/// Sees that what is sent to users has a node that it goes to.
async fn reached(from: &RunningApp) -> Result<(), Failure> {
    for number in (0..SESSIONS).step_by(SESSIONS / TRIED) {
        let delivery = from.sessions().user(&number.to_string()).send("hello").await;
        let runtime::cluster::Crossing::Handed { receivers: Some(1), .. } = delivery.elsewhere() else {
            return Err(format!("{number}: {delivery}").into());
        };
    }
    Ok(())
}

/// The bytes that the server has in use.
async fn used(server: &RedisServer) -> Result<f64, Failure> {
    let info = server.command(&["INFO", "memory"]).await?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).ok_or("no used_memory")?;
    Ok(used.trim().parse()?)
}

/// Waits until a node has a way to the others, or has none.
async fn connected(node: &RunningApp, is: bool) -> Result<(), Failure> {
    let cluster = node.context().get::<Cluster>().map_err(|error| format!("{error}"))?;
    cluster.watch().wait_for(|state| state.is_connected() == is).await?;
    Ok(())
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let alone = crowd(app()).await?;
    let (session, room, user) = (alone.session, alone.room, alone.user);
    drop(alone.clients);
    alone.app.shutdown().await;

    let mut server = RedisServer::start().await;
    let engine = Redis::connect(&server.url()).await?;
    let other = app().with(|exporter| exporter.cluster(engine)).start().await;
    connected(&other, true).await?;
    let (engine, before) = (Redis::connect(&server.url()).await?, used(&server).await?);
    let crowd = crowd(app().with(|exporter| exporter.cluster(engine))).await?;
    let subscription = (used(&server).await? - before) / SESSIONS as f64;
    reached(&other).await?;
    line("a session without room and user, bytes on its node (without a cluster)", session, "-");
    line("a room and a user add without a cluster, bytes", room + user, "-");
    line("a room adds for the cluster, bytes on all nodes", crowd.room - room, "200");
    line("a user of its own adds for the cluster, bytes on all nodes", crowd.user - user, "-");
    let added = crowd.session + crowd.room + crowd.user - session - room - user;
    line("a session in a room and of its own user adds, bytes on all nodes", added, "200");
    line("Redis: a subscription, bytes of the server", subscription, "-");
    line("Redis: 100,000 users are subscribed to, seconds", crowd.subscribed, "-");

    server.kill().await;
    connected(&crowd.app, false).await?;
    server.start_again().await;
    let began = Instant::now();
    connected(&crowd.app, true).await?;
    let back = began.elapsed().as_secs_f64();
    connected(&other, true).await?;
    reached(&other).await?;
    line("Redis: 100,000 users are back after a restart, seconds", back, "2");
    server.kill().await;
    // So many connections need not be closed one by one.
    std::process::exit(0);
}

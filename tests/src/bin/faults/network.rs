//! Faults of the way between a node and the engine: cables are cut, both ways or one, for a while or again and again, or let nothing through
//! for so long that the engine hangs up.

use std::time::{Duration, Instant};

use endpoint_tests::cut_proxy::Cut;
use endpoint_tests::redis_server::RedisServer;
use tokio::time::sleep;

use crate::Pace;
use crate::scene::{Busy, Check, Scene};

const DETECTED: Duration = Duration::from_secs(6);
const HEALED: Duration = Duration::from_secs(2);
/// How long a cable is cut that is cut once.
const CUT: Duration = Duration::from_secs(20);
const PER_SECOND: u32 = 500;

pub(crate) async fn subscriber_cut(_: Pace) -> Vec<Check> {
    cut(Cut::Both).await
}

pub(crate) async fn one_way(_: Pace) -> Vec<Check> {
    cut(Cut::ToClient).await
}

/// The node that has the listeners is cut off.
async fn cut(how: Cut) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let busy = scene.busy(PER_SECOND).await;
    busy.scene.cables[1].cut(how);
    let began = Instant::now();
    busy.scene.nodes[1].until("state", |state| state["connected"] == false).await;
    let detected = began.elapsed();
    sleep(CUT.saturating_sub(detected)).await;
    busy.scene.cables[1].heal();
    let healed = Instant::now();
    let (volatile, kept) = busy.first_after(healed).await;
    let done = busy.end(Duration::from_secs(3)).await;
    let mut checks = done.checks(true);
    checks.push(Check::within("detected", Some(detected), DETECTED));
    checks.push(Check::within("volatile: first after it is healed", volatile, HEALED));
    checks.push(Check::within("kept: first after it is healed", kept, HEALED));
    checks
}

/// The node that publishes is cut off.
pub(crate) async fn publisher_cut(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let busy = scene.busy(200).await;
    busy.scene.cables[0].cut(Cut::Both);
    sleep(CUT).await;
    busy.scene.cables[0].heal();
    let healed = Instant::now();
    let (_, kept) = busy.first_after(healed).await;
    let done = busy.end(Duration::from_secs(3)).await;
    let mut checks = done.checks(true);
    checks.push(Check::figure("retries that were there already", done.kept.repeated));
    let p99 = Some(done.kept.percentile(990));
    checks.push(Check::within("an answer, p99", p99, Duration::from_millis(1050)));
    checks.push(Check::within("kept: first after it is healed", kept, HEALED));
    checks
}

/// The cable of the node with the listeners is cut and healed every second, and nobody is told.
pub(crate) async fn flapping(pace: Pace) -> Vec<Check> {
    flap(pace, |scene| scene.cables[1].cut(Cut::Both)).await
}

/// The same, but what is connected is so no more, and what wants to connect cannot.
pub(crate) async fn resetting(pace: Pace) -> Vec<Check> {
    let reset = |scene: &Scene| {
        scene.cables[1].cut(Cut::Refuse);
        scene.cables[1].close();
    };
    flap(pace, reset).await
}

async fn flap(pace: Pace, cut: impl Fn(&Scene)) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let busy = scene.busy(PER_SECOND).await;
    let (subscribed, connected) = (subscribed(&busy).await, connected(&busy).await);
    let (cpu, began) = (busy.scene.nodes[1].cpu(), Instant::now());
    let times = if pace.quick { 20 } else { 30 };
    for _ in 0..times {
        cut(&busy.scene);
        sleep(Duration::from_secs(1)).await;
        busy.scene.cables[1].heal();
        sleep(Duration::from_secs(1)).await;
    }
    let healed = Instant::now();
    let used = (busy.scene.nodes[1].cpu() - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let subscribed = self::subscribed(&busy).await - subscribed;
    // Each question is a connection of its own.
    let links = (self::connected(&busy).await - connected).saturating_sub(2) / 2;
    let (_, kept) = busy.first_after(healed).await;
    let done = busy.end(Duration::from_secs(3)).await;
    let mut checks = done.checks(true);
    checks.push(Check::figure("new links, of two connections each", links));
    checks.push(Check::at_most("links for each cut", links.div_ceil(times), 2));
    checks.push(Check::at_most("commands that subscribe, one each", subscribed, links));
    checks.push(Check::at_most("CPU of the node, percent", (used * 100.0) as usize, 50).of_time());
    checks.push(Check::within("kept: first after the last one", kept, HEALED));
    checks
}

async fn subscribed(busy: &Busy) -> usize {
    let told = busy.scene.redis.command(&["INFO", "commandstats"]).await.unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("cmdstat_subscribe:calls=")).unwrap_or("0");
    line.split(',').next().unwrap().parse().unwrap()
}

async fn connected(busy: &Busy) -> usize {
    busy.scene.redis.figure("stats", "total_connections_received").await
}

/// Nothing gets to the node for a moment, and too much waits for it: the engine hangs up.
pub(crate) async fn too_slow(_: Pace) -> Vec<Check> {
    let redis = RedisServer::start().await;
    let limit = "pubsub 262144 0 0";
    redis.command(&["CONFIG", "SET", "client-output-buffer-limit", limit]).await.unwrap();
    let busy = Scene::of(redis, 2).await.busy(PER_SECOND).await;
    let listening = async || {
        let clients = busy.scene.redis.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).await.unwrap();
        clients.lines().filter(|line| line.starts_with("id=")).count()
    };
    let before = listening().await;
    busy.scene.cables[1].cut(Cut::ToClient);
    // More than the sockets between hold, too.
    let began = Instant::now();
    busy.scene.nodes[0].ask("burst room:kept/busy large 0 2000 8192").await;
    while listening().await == before && began.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(10)).await;
    }
    let (dropped, took) = (before - listening().await, began.elapsed());
    busy.scene.cables[1].heal();
    let healed = Instant::now();
    let (volatile, kept) = busy.first_after(healed).await;
    let done = busy.end(Duration::from_secs(3)).await;
    let account = crate::listener::Account::of(&done.knowing.events());
    let large = account.received.iter().filter(|text| text.starts_with("large ")).count();
    let mut checks = vec![
        Check::exactly("connections that the engine has dropped", dropped, 1),
        Check::figure("after", format!("{:.1} s", took.as_secs_f64())),
        Check::exactly("kept: large ones received", large, 2000),
    ];
    checks.extend(done.checks(true));
    checks.push(Check::within("volatile: first after it is healed", volatile, HEALED));
    checks.push(Check::within("kept: first after it is healed", kept, HEALED));
    checks
}

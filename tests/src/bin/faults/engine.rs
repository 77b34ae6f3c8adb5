//! Faults of the engine: it is killed, restarted, without its data, replaced; and what it cannot do.

use std::ops::Range;
use std::time::{Duration, Instant};

use endpoint_tests::cut_proxy::{Cut, CutProxy};
use endpoint_tests::nats_server::NatsServer;
use endpoint_tests::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use crate::Pace;
use crate::listener::{Account, Event, Listener, Memory};
use crate::node::{Node, PATIENCE};
use crate::publisher::Publisher;
use crate::scene::{Busy, Check, Scene};

/// How soon something is delivered once the engine accepts connections again.
const BACK: Duration = Duration::from_secs(1);
const PER_SECOND: u32 = 1000;

/// How soon the others of three agree on another leader, and the room takes messages again.
const ANOTHER_LEADER: Duration = Duration::from_secs(8);

pub(crate) async fn killed(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::that_keeps().await, 2).await;
    let mut busy = scene.busy(PER_SECOND).await;
    sleep(Duration::from_secs(2)).await;
    busy.scene.redis.kill().await;
    sleep(Duration::from_secs(2)).await;
    back(busy, true).await
}

pub(crate) async fn restarted(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::that_keeps().await, 2).await;
    let mut busy = scene.busy(PER_SECOND).await;
    sleep(Duration::from_secs(2)).await;
    busy.scene.redis.shut_down().await;
    back(busy, true).await
}

pub(crate) async fn forgotten(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let mut busy = scene.busy(PER_SECOND).await;
    sleep(Duration::from_secs(2)).await;
    busy.scene.redis.kill().await;
    busy.scene.redis.forget();
    sleep(Duration::from_millis(500)).await;
    back(busy, false).await
}

async fn back(mut busy: Busy, keeps: bool) -> Vec<Check> {
    busy.scene.redis.start_again().await;
    let open = Instant::now();
    let (volatile, kept) = busy.first_after(open).await;
    let done = busy.end(Duration::from_secs(3)).await;
    let mut checks = done.checks(keeps);
    if !keeps {
        let told = Account::of(&done.knowing.events()).told;
        checks.push(Check::exactly("kept: told once that something is missing", told, 1));
    }
    checks.push(Check::within("volatile: first after the port is open", volatile, BACK));
    checks.push(Check::within("kept: first after the port is open", kept, BACK));
    checks
}

/// It is down for long.
pub(crate) async fn down(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::that_keeps().await, 2).await;
    let away = 30;
    let listener = Listener::plain(&scene.nodes[1], "/plain/busy").await;
    let local = Listener::plain(&scene.nodes[0], "/plain/busy").await;
    let publisher = Publisher::start(&scene.nodes[0], "room:plain/busy", "loose", 200, false).await;
    listener.until("messages", |events| events.len() > 200).await;
    let mut scene = scene;
    let before = scene.nodes[0].memory();
    scene.redis.kill().await;
    sleep(Duration::from_secs(away)).await;
    let grown = scene.nodes[0].memory().saturating_sub(before);
    let heard = local.messages();
    scene.redis.start_again().await;
    let open = Instant::now();
    listener
        .until("messages again", |events| matches!(events.last(), Some(Event::Text { at, .. }) if *at > open))
        .await;
    let first = listener.first_after(open).map(|at| at - open);
    let published = publisher.stop().await;
    vec![
        Check::within(
            "an answer while it is down, p99",
            Some(published.percentile(990)),
            Duration::from_millis(1050),
        ),
        Check::at_most("memory of the publishing node grows, KiB", grown as usize / 1024, 20 * 1024),
        Check::at_least("messages to sessions of the same node", heard, 200 * away as usize * 9 / 10)
            .of_time(),
        Check::within("first after the port is open", first, BACK),
        Check::figure("failed", published.failed()),
    ]
}

/// A replica that has not all yet takes over.
pub(crate) async fn promoted(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let replica = RedisServer::start().await;
    let lag = CutProxy::to(scene.redis.address()).await;
    replica.follow_at(lag.address()).await;
    let knowing = Listener::wire(&scene.nodes[1], "/kept/busy", Memory::default()).await;
    let first = scene.nodes[0].ask("burst room:kept/busy before 0 300 20").await;
    sleep(Duration::from_millis(500)).await;
    lag.cut(Cut::Both);
    let second = scene.nodes[0].ask("burst room:kept/busy lagging 0 300 20").await;
    knowing.until_text("lagging 299 xxxxxxxx").await;
    let mut scene = scene;
    scene.redis.kill().await;
    replica.promote().await;
    for cable in &scene.cables {
        cable.redirect(replica.address());
        cable.close();
    }
    let publisher = Publisher::start(&scene.nodes[0], "room:kept/busy", "after", 500, true).await;
    sleep(Duration::from_secs(5)).await;
    let published = publisher.stop().await;
    knowing.settled(Duration::from_secs(2)).await;
    let account = Account::of(&knowing.events());
    let taken = first["handed"].as_u64().unwrap() + second["handed"].as_u64().unwrap();
    vec![
        Check::exactly("taken before, of which the replica has half", taken as usize, 600),
        Check::at_least("taken after", published.acked.len(), 1000),
        Check::zero("swallowed of those", published.lost(&account.received)),
        Check::zero("duplicates", account.duplicates),
        Check::zero("out of order", account.disorder),
        Check::zero("silent gaps", account.silent_gaps),
        Check::exactly("told once that something is missing", account.told, 1),
    ]
}

/// All channels of a large node come back at once.
pub(crate) async fn many_channels(pace: Pace) -> Vec<Check> {
    let count = if pace.quick { 20_000 } else { 100_000 };
    let mut scene = Scene::of(RedisServer::start().await, 2).await;
    let listener = Listener::plain(&scene.nodes[1], &format!("/plain/many?rooms={count}")).await;
    scene.redis.kill().await;
    scene.redis.start_again().await;
    let open = Instant::now();
    // Each in its turn is asked for from now on, until the last one is there: by others, to whom the server tells how many it knows.
    let all = loop {
        if scene.redis.figure("stats", "pubsub_channels").await >= count {
            break Some(open.elapsed());
        }
        if open.elapsed() > Duration::from_secs(20) {
            break None;
        }
        sleep(Duration::from_millis(5)).await;
    };
    let node = scene.nodes[1].until("state", |state| state["connected"] == true);
    node.await;
    let connected = open.elapsed();
    scene.nodes[0].until("state", |state| state["connected"] == true).await;
    // And each of some of them is heard.
    let mut deaf = 0;
    for number in (0..count).step_by(997) {
        let text = format!("to {number}");
        scene.nodes[0].ask(&format!("send room:many/{number} {text}")).await;
        deaf += usize::from(!listener.hears(&text).await);
    }
    vec![
        Check::figure("channels", count),
        Check::within("all subscribed after the port is open", all, Duration::from_secs(2)),
        Check::within("the node says that it is connected", Some(connected), Duration::from_secs(3)),
        Check::zero("not heard of a sample", deaf),
    ]
}

/// More is missed than the history holds.
pub(crate) async fn beyond(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let mut checks = Vec::new();
    for (kept, missed, whole) in
        [("short", 10_u64, true), ("short", 11, false), ("short", 60, false), ("brief", 3, false)]
    {
        let room = format!("{kept}/{missed}");
        let path = format!("/{room}");
        let memory = {
            let listener = Listener::wire(&scene.nodes[0], &path, Memory::default()).await;
            scene.nodes[0].ask(&format!("burst room:{room} first 0 5 10")).await;
            listener.until_text("first 4 xx").await;
            listener.memory()
        };
        scene.nodes[0].ask(&format!("burst room:{room} missed 0 {missed} 10")).await;
        let memory = Memory { token: None, seen: 0, ..memory };
        if kept == "brief" {
            // It is kept for two seconds.
            sleep(Duration::from_millis(2500)).await;
        }
        let again = Listener::wire(&scene.nodes[1], &path, memory).await;
        again
            .until("its answer", |events| {
                events.iter().any(|event| matches!(event, Event::Recovered(_) | Event::Broken(_)))
            })
            .await;
        scene.nodes[0].ask(&format!("burst room:{room} last 0 1 10")).await;
        again.until_text("last 0 xxx").await;
        let account = Account::of(&again.events());
        let replayed = account.received.iter().filter(|text| text.starts_with("missed")).count();
        let said = again.has(|event| matches!(event, Event::Recovered(true)));
        let of = if kept == "short" { "history of 10" } else { "history of 2 s" };
        checks.push(Check::exactly(
            &format!("{missed} missed, {of}: said to be whole"),
            usize::from(said),
            whole.into(),
        ));
        let all = if whole { missed as usize } else { 0 };
        checks.push(Check::exactly(&format!("{missed} missed, {of}: replayed"), replayed, all));
        checks.push(Check::exactly(
            &format!("{missed} missed, {of}: times told"),
            account.told,
            usize::from(!whole),
        ));
    }
    checks
}

/// A message that the engine would not carry.
pub(crate) async fn too_large(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let before = scene.redis.figure("stats", "total_connections_received").await;
    let listener = Listener::plain(&scene.nodes[1], "/plain/busy").await;
    let here = Listener::plain(&scene.nodes[0], "/plain/busy").await;
    let bytes = 600 * 1024 * 1024;
    let volatile = scene.nodes[0].ask(&format!("large room:plain/busy {bytes}")).await;
    let kept = scene.nodes[0].ask(&format!("large room:kept/busy {bytes}")).await;
    scene.nodes[0].ask("send room:plain/busy after").await;
    listener.until_text("after").await;
    here.until_text("after").await;
    // Of the new connections one is the question's.
    let new = scene.redis.figure("stats", "total_connections_received").await - before - 1;
    vec![
        Check::exactly(
            "typed errors",
            [&volatile, &kept].iter().filter(|told| told["failed"] == "too large").count(),
            2,
        ),
        Check::zero("connections lost", new),
        Check::exactly("messages at sessions of the same node", here.messages(), 1),
    ]
}

/// What a node of the next version says, which nobody knows yet, and what nobody ever says.
pub(crate) async fn mixed_versions(_: Pace) -> Vec<Check> {
    // In front of an envelope stands one byte of the engine's; then there are version and kind.
    const VERSION: usize = 1;
    const KIND: usize = 2;
    const ORIGIN: Range<usize> = 21..29;
    const TIMES: usize = 100;
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let (one, other) = (&scene.nodes[0], &scene.nodes[1]);
    let listener = Listener::plain(other, "/plain/busy").await;
    // A message as it is, and what the nodes say to each other.
    let mut tap = Tap::of(&scene.redis).await;
    one.ask("send room:plain/busy genuine").await;
    let (room, message) = tap.next("plain/busy").await;
    let (control, beat) = tap.next("ctl").await;
    listener.until_text("genuine").await;
    let unreadable = async || counter(&other.ask("state").await, "unreadable");
    let before = unreadable().await;
    for (channel, genuine) in [(&room, &message), (&control, &beat)] {
        for (at, value) in [(VERSION, 2), (KIND, 99)] {
            let mut next = genuine.clone();
            next[at] = value;
            for _ in 0..TIMES {
                tap.publish(channel, &next).await;
            }
        }
    }
    other.until("state", |state| counter(state, "unreadable") - before >= 4 * TIMES).await;
    let counted = unreadable().await - before;
    // Bytes of any value, and envelopes that are cut off anywhere. What is still a heartbeat then is that of a node which is not there: one that
    // is could not be told from what it says itself.
    let mut strange = beat.clone();
    strange[ORIGIN].iter_mut().for_each(|byte| *byte = !*byte);
    let mut sent = 0;
    for (channel, genuine) in [(&room, &message), (&control, &strange)] {
        for at in 0..genuine.len() {
            tap.publish(channel, &genuine[..at]).await;
            for value in [0, 2, 99, 255] {
                let mut next = genuine.clone();
                next[at] = value;
                tap.publish(channel, &next).await;
            }
            sent += 5;
        }
    }
    let back = Listener::plain(one, "/plain/busy").await;
    one.ask("send room:plain/busy there").await;
    other.ask("send room:plain/busy back").await;
    let ways = usize::from(listener.hears("there").await) + usize::from(back.hears("back").await);
    sleep(Duration::from_secs(10)).await;
    let (who, nodes) = (one.ask("state").await["node"].clone(), other.ask("nodes").await);
    let is_known = nodes.as_array().is_some_and(|nodes| nodes.iter().any(|node| node["id"] == who));
    vec![
        Check::exactly("of a later version or kind: counted, dropped", counted, 4 * TIMES),
        Check::figure("that are none, or of others", sent),
        Check::exactly("ways in which sends work", ways, 2),
        Check::zero("panics", scene.nodes.iter().map(Node::panics).sum()),
        Check::exactly("the other node is known 10 s later", usize::from(is_known), 1),
    ]
}

fn counter(state: &Value, name: &str) -> usize {
    let counters = state["counters"].as_str().unwrap_or_default();
    let counter = counters.split_once(&format!("{name}: ")).map_or("", |(_, rest)| rest);
    counter.split([',', ' ']).next().and_then(|figure| figure.parse().ok()).unwrap_or_default()
}

/// Hears all that is published by anybody, and publishes what it likes.
struct Tap {
    link: MultiplexedConnection,
    heard: UnboundedReceiver<PushInfo>,
}

impl Tap {
    async fn of(redis: &RedisServer) -> Self {
        let info = redis::Client::open(redis.url()).unwrap().get_connection_info().clone();
        let resp3 = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = redis::Client::open(info.set_redis_settings(resp3)).unwrap();
        let (sender, heard) = unbounded_channel();
        let config = AsyncConnectionConfig::new().set_push_sender(sender);
        let mut link = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        link.psubscribe("*").await.unwrap();
        Tap { link, heard }
    }

    /// The next one of a channel whose name has this in it.
    async fn next(&mut self, name: &str) -> (String, Vec<u8>) {
        let next = async {
            loop {
                let push = self.heard.recv().await.unwrap();
                if push.kind == PushKind::PMessage {
                    let heard = redis::from_redis_value(redis::Value::Array(push.data)).unwrap();
                    let (_, channel, bytes): (String, String, Vec<u8>) = heard;
                    if channel.contains(name) && bytes.len() > 2 {
                        return (channel, bytes);
                    }
                }
            }
        };
        timeout(PATIENCE, next).await.expect("it is said from time to time")
    }

    async fn publish(&mut self, channel: &str, bytes: &[u8]) {
        redis::cmd("PUBLISH").arg(channel).arg(bytes).exec_async(&mut self.link).await.unwrap();
    }
}

/// The password changes, and back.
pub(crate) async fn refused(_: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let busy = scene.busy(100).await;
    busy.scene.redis.command(&["CONFIG", "SET", "requirepass", "other"]).await.unwrap();
    for cable in &busy.scene.cables {
        cable.close();
    }
    let began = Instant::now();
    busy.scene.nodes[1].until("state", |state| state["connected"] == false).await;
    let degraded = began.elapsed();
    sleep(Duration::from_secs(2)).await;
    // It is only asked with the password by whoever has it.
    let url = format!("redis://:other@{}", busy.scene.redis.address());
    let mut link = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", ""]).exec_async(&mut link).await.unwrap();
    let open = Instant::now();
    let (volatile, kept) = busy.first_after(open).await;
    let done = busy.end(Duration::from_secs(2)).await;
    let mut checks = done.checks(true);
    checks.push(Check::within("degraded", Some(degraded), Duration::from_secs(6)));
    checks.push(Check::within("volatile: back", volatile, Duration::from_secs(5)));
    checks.push(Check::within("kept: back", kept, Duration::from_secs(5)));
    checks
}

/// The other engine, which keeps nothing.
pub(crate) async fn nats_killed(_: Pace) -> Vec<Check> {
    let mut nats = NatsServer::start().await;
    let nodes = [Node::start(&nats.url(), &[]).await, Node::start(&nats.url(), &[]).await];
    for node in &nodes {
        node.knows(2).await;
    }
    let listener = Listener::plain(&nodes[1], "/plain/busy").await;
    let publisher = Publisher::start(&nodes[0], "room:plain/busy", "loose", 500, false).await;
    listener.until("messages", |events| events.len() > 500).await;
    nats.kill().await;
    sleep(Duration::from_secs(2)).await;
    nats.start_again().await;
    let open = Instant::now();
    listener
        .until("messages again", |events| matches!(events.last(), Some(Event::Text { at, .. }) if *at > open))
        .await;
    let first = listener.first_after(open).map(|at| at - open);
    sleep(Duration::from_secs(1)).await;
    let published = publisher.stop().await;
    listener.settled(Duration::from_secs(1)).await;
    let account = Account::of(&listener.events());
    vec![
        Check::zero("duplicates", account.duplicates),
        Check::zero("out of order", account.disorder),
        Check::within("first after the port is open", first, BACK),
        Check::figure("lost of acknowledged", published.lost(&account.received)),
    ]
}

/// The other engine, three servers of it that keep a room together. One is killed: the one that leads.
pub(crate) async fn leader_killed(pace: Pace) -> Vec<Check> {
    let mut servers = NatsServer::cluster(3).await;
    let urls: Vec<_> = servers.iter().map(NatsServer::url).collect();
    let node = async || Node::start(&urls.join(","), &["--history", "3"]).await;
    let nodes = [node().await, node().await];
    for node in &nodes {
        node.knows(2).await;
    }
    let volatile = Listener::plain(&nodes[1], "/plain/busy").await;
    let knowing = Listener::wire(&nodes[1], "/held/busy", Memory::default()).await;
    let loose = Publisher::start(&nodes[0], "room:plain/busy", "loose", 100, false).await;
    let kept = Publisher::start(&nodes[0], "room:held/busy", "kept", 100, true).await;
    for listener in [&volatile, &knowing] {
        listener.until("first messages", |events| events.len() > 100).await;
    }
    let [stream] = &servers[0].streams().await[..] else { panic!("one room, one stream") };
    let leader = NatsServer::leader(&servers, stream).await;
    let killed = Instant::now();
    servers[leader].kill().await;
    let mut after = 0;
    while nodes[0].ask(&format!("send room:held/busy after {after}")).await["handed"] != true {
        after += 1;
    }
    knowing.until_text(&format!("after {after}")).await;
    sleep(Duration::from_secs(2)).await;
    let (loose, kept) = tokio::join!(loose.stop(), kept.stop());
    for listener in [&volatile, &knowing] {
        listener.settled(Duration::from_secs(2)).await;
    }
    let (knows, hears) = (Account::of(&knowing.events()), Account::of(&volatile.events()));
    // Beside much else it is the machine that makes an election long.
    let another_leader = if pace.quick { 2 * ANOTHER_LEADER } else { ANOTHER_LEADER };
    vec![
        Check::figure("kept: acknowledged", kept.acked.len()),
        Check::figure("kept: of these, again", kept.repeated),
        Check::zero("kept: lost of acknowledged", kept.lost(&knows.received)),
        Check::zero("kept: duplicates", knows.duplicates),
        Check::zero("kept: out of order", knows.disorder),
        Check::zero("kept: silent gaps", knows.silent_gaps),
        Check::zero("kept: times told that something is missing", knows.told),
        Check::within("kept: nothing delivered for", knowing.longest_pause_after(killed), another_leader),
        Check::within("volatile: nothing delivered for", volatile.longest_pause_after(killed), BACK),
        Check::zero("volatile: duplicates", hears.duplicates),
        Check::zero("volatile: out of order", hears.disorder),
        Check::figure("volatile: lost of acknowledged", loose.lost(&hears.received)),
        Check::figure("failed: kept", kept.failed()),
        Check::zero("panics", nodes.iter().map(Node::panics).sum()),
    ]
}

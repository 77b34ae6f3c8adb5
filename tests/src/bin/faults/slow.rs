//! A node that is slow: its handlers block its threads. The others are none the slower for it.

use std::time::{Duration, Instant};

use endpoint_tests::redis_server::RedisServer;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use crate::Pace;
use crate::listener::{Account, Listener, Memory};
use crate::node::Node;
use crate::publisher::{Publisher, percentile};
use crate::scene::{Check, Scene};
use crate::storm::latencies;

/// How long a handler blocks a thread, milliseconds.
const BLOCKS: u64 = 100;

/// Clients that have handlers block, more than there are threads.
const BLOCKING: usize = 8;

/// The node is slow, and is not, for so long at a time: what else the machine has to do falls on both alike.
const WINDOW: Duration = Duration::from_secs(3);

pub(crate) async fn slow(pace: Pace) -> Vec<Check> {
    let scene = Scene::of(RedisServer::start().await, 3).await;
    let [from, slow, other] = &scene.nodes[..] else { panic!("three nodes") };
    let there = Listener::wire(slow, "/kept/busy", Memory::default()).await;
    let here = Listener::wire(other, "/kept/busy", Memory::default()).await;
    let (blocks, blocking) = watch::channel(false);
    let mut clients = Vec::new();
    for _ in 0..BLOCKING {
        clients.push(blocker(slow, blocking.clone()).await);
    }
    let publisher = Publisher::start(from, "room:kept/busy", "kept", 300, true).await;
    sleep(Duration::from_secs(1)).await;
    let mut windows = Vec::new();
    for _ in 0..if pace.quick { 3 } else { 8 } {
        for is_slow in [false, true] {
            blocks.send_replace(is_slow);
            // What was begun before ends first.
            sleep(Duration::from_millis(2 * BLOCKS)).await;
            let begun = Instant::now();
            sleep(WINDOW).await;
            windows.push((is_slow, begun, Instant::now()));
        }
    }
    blocks.send_replace(false);
    let published = publisher.stop().await;
    for listener in [&here, &there] {
        listener.settled(Duration::from_secs(2)).await;
    }
    let of = |listener: &Listener, wanted: bool| {
        let (events, mut all) = (listener.events(), Vec::new());
        for (_, from, to) in windows.iter().filter(|(is_slow, ..)| *is_slow == wanted) {
            all.extend(latencies(&published, &events, *from, *to));
        }
        all
    };
    let p99 = |listener, wanted| percentile(of(listener, wanted), 990);
    let (before, meanwhile) = (p99(&here, false), p99(&here, true));
    clients.iter().for_each(JoinHandle::abort);
    let (here, slow) = (Account::of(&here.events()), (Account::of(&there.events()), p99(&there, true)));
    vec![
        Check::figure("to the slow one meanwhile, p99, s", format!("{:.3}", slow.1.as_secs_f64())),
        Check::figure("to the other before, p99, ms", format!("{:.2}", before.as_secs_f64() * 1000.0)),
        // Below a millisecond it is noise.
        Check::within(
            "to the other meanwhile, p99",
            Some(meanwhile),
            before.mul_f64(1.1) + Duration::from_millis(1),
        ),
        Check::zero("lost", published.lost(&slow.0.received) + published.lost(&here.received)),
        Check::zero("duplicates", slow.0.duplicates + here.duplicates),
        Check::zero("silent gaps", slow.0.silent_gaps + here.silent_gaps),
        Check::zero("out of order", slow.0.disorder + here.disorder),
    ]
}

/// A client whose messages have a handler block, one after the other, while that is wanted.
async fn blocker(node: &Node, mut wanted: watch::Receiver<bool>) -> JoinHandle<()> {
    let mut link = node.connect("/plain/blocked").await;
    link.next().await.expect("a greeting").expect("a greeting");
    tokio::spawn(async move {
        while wanted.wait_for(|wanted| *wanted).await.is_ok() {
            if link.send(Message::text(format!("block {BLOCKS}"))).await.is_err()
                || link.next().await.is_none()
            {
                return;
            }
        }
    })
}

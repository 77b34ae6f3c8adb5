//! A storm: thousands of clients come back at once, and each has missed some messages.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use endpoint_tests::redis_server::RedisServer;
use futures_util::stream::{self, StreamExt};
use futures_util::{SinkExt, future};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::Pace;
use crate::listener::{Event, Listener, Memory, numbered};
use crate::node::{Link, PATIENCE};
use crate::publisher::{Published, Publisher, percentile};
use crate::scene::{Check, Scene};

/// What each has missed.
const MISSED: usize = 50;

/// Handshakes that are under way at a time, before the storm.
const HANDSHAKES: usize = 64;

/// How one of them fared.
struct Back {
    /// Since they all began.
    took: Duration,
    messages: usize,
    whole: bool,
}

/// Clients that have shaken hands name their places all at once. They have a thread of their own, as they would have machines of their own:
/// what is live is measured beside them.
pub(crate) async fn storm(pace: Pace) -> Vec<Check> {
    let clients = if pace.quick { 1_000 } else { 10_000 };
    let scene = Scene::of(RedisServer::start().await, 2).await;
    let memory = {
        let first = Listener::wire(&scene.nodes[0], "/kept/storm", Memory::default()).await;
        scene.nodes[0].ask("burst room:kept/storm first 0 1 20").await;
        first.until("a place", |events| events.iter().any(is_placed)).await;
        Memory { token: None, seen: 0, ..first.memory() }
    };
    scene.nodes[0].ask(&format!("burst room:kept/storm missed 0 {MISSED} 100")).await;
    let live = Listener::wire(&scene.nodes[1], "/kept/live", Memory::default()).await;
    let publisher = Publisher::start(&scene.nodes[0], "room:kept/live", "live", 100, true).await;
    let (begin, begun) = watch::channel(None);
    let (shaken, all_shaken) = oneshot::channel();
    let (done, all_done) = oneshot::channel();
    let address = scene.nodes[1].address;
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = done.send(runtime.block_on(crowd(address, clients, memory, shaken, begun)));
    });
    all_shaken.await.expect("the crowd comes");
    let calm = Instant::now();
    sleep(Duration::from_secs(3)).await;
    let (began, cpu) = (Instant::now(), scene.nodes[1].cpu());
    begin.send_replace(Some(began));
    let all = all_done.await.expect("the crowd goes on");
    let cpu = scene.nodes[1].cpu() - cpu;
    let ended = began + all.iter().map(|back| back.took).max().unwrap_or_default();
    let published = publisher.stop().await;
    live.settled(Duration::from_secs(1)).await;
    let events = live.events();
    let p99 = |from, to| percentile(latencies(&published, &events, from, to), 990);
    let whole = all.iter().filter(|back| back.whole && back.messages == MISSED).count();
    let each_second = (whole as f64 / (ended - began).as_secs_f64()) as usize;
    let each_second = match pace.quick {
        // The crowd takes more of the machine than the node does, and there may be others who want it.
        true => Check::figure("recoveries each second", each_second),
        false => Check::at_least("recoveries each second", each_second, 5_000).of_time(),
    };
    vec![
        Check::exactly("recovered, with all that was missed", whole, clients),
        each_second,
        Check::within(
            "a recovery, p99",
            Some(percentile(all.iter().map(|back| back.took).collect(), 990)),
            Duration::from_secs(2),
        ),
        Check::figure("CPU of the node for each, us", cpu.as_micros() as usize / clients),
        Check::figure("live before, p99, ms", millis(p99(calm, began))),
        Check::within("live meanwhile, p99", Some(p99(began, ended)), Duration::from_millis(50)),
    ]
}

fn is_placed(event: &Event) -> bool {
    matches!(event, Event::Text { place: Some(_), .. })
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

/// How long each of the messages took that were sent meanwhile.
pub(crate) fn latencies(
    published: &Published,
    events: &[Event],
    from: Instant,
    to: Instant,
) -> Vec<Duration> {
    let took = events.iter().filter_map(|event| {
        let Event::Text { text, at, .. } = event else { return None };
        let (name, number) = numbered(text)?;
        let sent = *published.sent.get(&number).filter(|_| name == published.name)?;
        (from..to).contains(&sent).then(|| at.saturating_duration_since(sent))
    });
    took.collect()
}

async fn crowd(
    address: SocketAddr,
    clients: usize,
    memory: Memory,
    shaken: oneshot::Sender<()>,
    begun: watch::Receiver<Option<Instant>>,
) -> Vec<Back> {
    let url = format!("ws://{address}/kept/storm?resume");
    let links = stream::iter(0..clients).map(|_| connect_async(&url)).buffer_unordered(HANDSHAKES);
    let links: Vec<Link> = links.map(|link| link.expect("a handshake").0).collect().await;
    let _ = shaken.send(());
    let first = memory.first();
    let all = links.into_iter().map(|link| {
        let (first, mut begun) = (first.clone(), begun.clone());
        tokio::spawn(async move {
            let began = begun.wait_for(Option::is_some).await.expect("it begins").expect("it has begun");
            back(link, first, began).await
        })
    });
    let all = future::join_all(all).await;
    // Only now do they leave.
    all.into_iter().map(|back| back.expect("it does not panic").0).collect()
}

/// One that names its place, and reads until it is told how that went.
async fn back(mut link: Link, first: String, began: Instant) -> (Back, Link) {
    let mut back = Back { took: PATIENCE, messages: 0, whole: false };
    let _ = link.send(Message::text(first)).await;
    let told = async {
        while let Some(Ok(message)) = link.next().await {
            // Much comes, so that it is not read more closely than needed.
            let Ok(text) = message.to_text() else { continue };
            back.messages += usize::from(text.starts_with("missed "));
            if text.starts_with("\u{1}{\"recovered\"") {
                back.whole = text.contains(",true]");
                return;
            }
        }
    };
    let _ = timeout(PATIENCE, told).await;
    back.took = began.elapsed();
    (back, link)
}

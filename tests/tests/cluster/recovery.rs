//! Recoverable rooms of servers that are nodes of one cluster: what gets lost on the way is found and delivered in its place.

use std::time::Duration;

use endpoint_runtime::Container;
use endpoint_runtime::cluster::{Capabilities, Cluster, Crossing, FeedCounters, Local, Rooms};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, Faults, Peer, RunningApp, SimEngine, SimNode};

use crate::calls::support::{Hall, all_texts, enter, still};

const KEEP: Rooms = Rooms::recoverable(100, Duration::from_secs(300));

fn app() -> App {
    endpoint_runtime::test::app()
        .with(|exporter| exporter.only(ServerEndpointConfig::is::<Hall>).rooms("kept*", KEEP))
}

async fn node(engine: impl endpoint_runtime::cluster::Engine) -> RunningApp {
    app().with(|exporter| exporter.cluster(engine)).start().await
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn without_an_engine_there_is_one_in_process() {
    let node = app().start().await;
    let mut peer = enter(&node, "/hall/kept").await;
    let delivery = node.sessions().room("kept").send("0").await;
    assert!(
        matches!(delivery.elsewhere(), Crossing::Handed { position: Some(place), .. } if place.offset == 1),
        "{delivery:?}"
    );
    assert_eq!(peer.text().await, "0");
    still(&mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn all_nodes_have_the_order_of_the_history() {
    let engine = Local::new();
    let nodes = [node(engine.clone()).await, node(engine).await];
    let mut peers = [enter(&nodes[0], "/hall/kept").await, enter(&nodes[1], "/hall/kept").await];
    let rooms = [nodes[0].sessions().room("kept"), nodes[1].sessions().room("kept")];
    for number in 0..100 {
        rooms[0].post(format!("a{number}"));
        rooms[1].post(format!("b{number}"));
    }
    let one = all_texts(&mut peers[0], 200).await;
    assert_eq!(one, all_texts(&mut peers[1], 200).await);
    for sender in ["a", "b"] {
        let of_sender: Vec<_> = one.iter().filter(|text| text.starts_with(sender)).cloned().collect();
        let sent: Vec<_> = (0..100).map(|number| format!("{sender}{number}")).collect();
        assert_eq!(of_sender, sent, "each sender's are in its order");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_on_the_way_is_delivered_in_its_place() {
    let engine = SimEngine::new(7);
    let nodes = [node(engine.clone()).await, node(engine.clone()).await];
    let mut peers = [enter(&nodes[0], "/hall/kept").await, enter(&nodes[1], "/hall/kept").await];
    engine.set_faults(Faults { loss: 0.3, duplication: 0.2, ..Faults::default() });
    let room = nodes[0].sessions().room("kept");
    for number in numbers(80) {
        assert!(room.send(number).await.elsewhere().error().is_none());
    }
    for peer in &mut peers {
        // The last ones, too, though nothing comes after them that would tell of a hole.
        assert_eq!(all_texts(peer, 80).await, numbers(80));
        still(peer).await;
    }
    let recovery = nodes[1].context().get::<Cluster>().unwrap().recovery();
    assert!(recovery.replayed > 0 && recovery.broken == 0, "{recovery:?}");
}

/// However answers and messages overtake each other on their way.
#[tokio::test(start_paused = true)]
async fn who_can_be_reached_gets_what_is_sent_from_then_on() {
    for seed in 0..30 {
        let engine = SimEngine::new(seed);
        let time = Duration::from_millis(50);
        engine.set_faults(Faults { latency: time, delay: 4 * time, ..Faults::default() });
        let node = node(engine).await;
        let mut peer = enter(&node, "/hall/kept").await;
        let delivery = node.sessions().room("kept").send("0").await;
        assert!(delivery.elsewhere().error().is_none(), "{delivery:?}");
        let text = tokio::time::timeout(Duration::from_secs(30), peer.text()).await;
        assert_eq!(text.as_deref(), Ok("0"), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_while_the_way_was_lost_comes_when_it_is_back() {
    let engine = SimEngine::new(8);
    let nodes = [node(engine.clone()).await, node(engine.clone()).await];
    let mut there = enter(&nodes[1], "/hall/kept").await;
    let room = nodes[0].sessions().room("kept");
    room.send("0").await;
    assert_eq!(there.text().await, "0");
    // The engine of the second is away.
    engine.set_faults(Faults { loss: 1.0, ..Faults::default() });
    for number in &numbers(10)[1..] {
        assert!(room.send(number.clone()).await.elsewhere().error().is_none());
    }
    engine.set_faults(Faults::default());
    assert_eq!(all_texts(&mut there, 9).await, numbers(10)[1..]);
}

#[tokio::test(start_paused = true)]
async fn a_new_epoch_is_no_silent_hole() {
    let engine = SimEngine::new(9);
    let node = node(engine.clone()).await;
    let mut peer = enter(&node, "/hall/kept").await;
    let room = node.sessions().room("kept");
    room.send("before").await;
    assert_eq!(peer.text().await, "before");
    engine.control().restart();
    engine.control().settle().await;
    assert!(room.send("after").await.elsewhere().error().is_none());
    assert_eq!(peer.text().await, "after");
    still(&mut peer).await;
    let recovery = node.context().get::<Cluster>().unwrap().recovery();
    assert_eq!(recovery.broken, 1, "{recovery:?}");
}

fn recovery(node: &RunningApp) -> FeedCounters {
    node.context().get::<Cluster>().unwrap().recovery()
}

async fn append(node: &RunningApp, range: std::ops::Range<usize>) {
    for number in range {
        let delivery = node.sessions().room("kept").send(number.to_string()).await;
        assert!(delivery.elsewhere().error().is_none(), "{delivery:?}");
    }
}

/// Two nodes over an engine, each with a member of a room of which so much is kept, and what is done to the second.
async fn two(engine: &SimEngine, size: usize) -> ([RunningApp; 2], [Peer; 2], SimNode) {
    let node = async |engine: SimEngine| {
        let keep = Rooms::recoverable(size, Duration::from_secs(300));
        endpoint_runtime::test::app()
            .with(|exporter| exporter.only(ServerEndpointConfig::is::<Hall>).rooms("kept*", keep))
            .with(|exporter| exporter.cluster(engine))
            .start()
            .await
    };
    let second = engine.clone();
    let control = second.control();
    let nodes = [node(engine.clone()).await, node(second).await];
    let peers = [enter(&nodes[0], "/hall/kept").await, enter(&nodes[1], "/hall/kept").await];
    (nodes, peers, control)
}

#[tokio::test(start_paused = true)]
async fn a_node_misses_nothing_as_long_as_it_is_kept() {
    let engine = SimEngine::new(11);
    let (nodes, [mut here, mut there], away) = two(&engine, 20_000).await;
    append(&nodes[0], 0..1).await;
    away.disconnect();
    let reading = tokio::spawn(async move { all_texts(&mut here, 10_001).await });
    append(&nodes[0], 1..10_000).await;
    away.reconnect();
    // And while it catches up.
    append(&nodes[0], 10_000..10_001).await;
    assert_eq!(all_texts(&mut there, 10_001).await, numbers(10_001));
    assert_eq!(reading.await.unwrap(), numbers(10_001));
    let counted = recovery(&nodes[1]);
    assert!(counted.broken == 0 && counted.reads < 60, "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_kept_is_not_told_in_part() {
    let engine = SimEngine::new(12);
    let (nodes, [_here, mut there], away) = two(&engine, 100).await;
    append(&nodes[0], 0..1).await;
    assert_eq!(there.text().await, "0");
    away.disconnect();
    append(&nodes[0], 1..102).await;
    away.reconnect();
    still(&mut there).await;
    assert_eq!(recovery(&nodes[1]).broken, 1);
    append(&nodes[0], 102..104).await;
    assert_eq!(all_texts(&mut there, 2).await, ["102", "103"]);
}

/// What was appended after the engine was there again, and before the node was, has been acknowledged, and is there.
#[tokio::test(start_paused = true)]
async fn a_new_epoch_is_delivered_from_its_beginning() {
    let engine = SimEngine::new(13);
    let (nodes, [mut here, mut there], away) = two(&engine, 20_000).await;
    append(&nodes[0], 0..3).await;
    assert_eq!((all_texts(&mut here, 3).await, all_texts(&mut there, 3).await), (numbers(3), numbers(3)));
    away.disconnect();
    engine.control().restart();
    append(&nodes[0], 3..1000).await;
    away.reconnect();
    append(&nodes[0], 1000..1001).await;
    for peer in [&mut here, &mut there] {
        assert_eq!(all_texts(peer, 998).await, numbers(1001)[3..]);
        still(peer).await;
    }
    assert_eq!((recovery(&nodes[0]).broken, recovery(&nodes[1]).broken), (1, 1));
}

/// Nobody can know whether the newest messages are among the data with which an engine comes back: so that is told. But what is there is delivered,
/// and nothing twice.
#[tokio::test(start_paused = true)]
async fn what_an_engine_comes_back_with_is_delivered() {
    for lost in [0, 3, 15] {
        let engine = SimEngine::new(14 + lost);
        let (nodes, [mut here, mut there], away) = two(&engine, 20_000).await;
        append(&nodes[0], 0..10).await;
        assert_eq!(
            (all_texts(&mut here, 10).await, all_texts(&mut there, 10).await),
            (numbers(10), numbers(10))
        );
        away.disconnect();
        append(&nodes[0], 10..20).await;
        assert_eq!(all_texts(&mut here, 10).await, numbers(20)[10..]);
        engine.control().take_over(lost);
        append(&nodes[0], 20..25).await;
        away.reconnect();
        assert_eq!(all_texts(&mut here, 5).await, numbers(25)[20..], "what it has seen is not told again");
        let kept = 20 - usize::try_from(lost).unwrap();
        let expected = [&numbers(kept.max(10))[10..], &numbers(25)[20..]].concat();
        assert_eq!(all_texts(&mut there, expected.len()).await, expected, "without {lost}");
        still(&mut there).await;
        assert_eq!((recovery(&nodes[0]).broken, recovery(&nodes[1]).broken), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_in_which_nothing_happens_ask_more_and_more_rarely() {
    const ROOMS: u64 = 500;
    let engine = SimEngine::new(17);
    let node = node(engine.clone()).await;
    let mut peer = enter(&node, "/hall/kept").await;
    let session = node.sessions().all().iter().next().unwrap();
    for room in 1..ROOMS {
        session.join(&format!("kept/{room}"));
    }
    assert!(session.reachable().await);
    // Who hears nothing for long answers pings meanwhile.
    let heard = tokio::spawn(async move { peer.text().await });
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = recovery(&node);
    // After 5, 10 and 20 seconds: by now it is the third time for some.
    tokio::time::sleep(Duration::from_secs(31)).await;
    let compared = recovery(&node).compared - before.compared;
    assert!((2 * ROOMS..=3 * ROOMS).contains(&compared), "{compared}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = recovery(&node);
    tokio::time::sleep(Duration::from_secs(480)).await;
    let after = recovery(&node);
    let rate = (after.compared - before.compared) as f64 / 480.0 / ROOMS as f64;
    assert!((1.0 / 50.0..1.0 / 38.0).contains(&rate), "each room every {} s", 1.0 / rate);
    assert_eq!(after.reads, before.reads, "nothing is read where nothing was missed");
    // What is lost then is found, though not as soon.
    engine.set_faults(Faults { loss: 1.0, ..Faults::default() });
    append(&node, 0..1).await;
    engine.set_faults(Faults::default());
    let begun = tokio::time::Instant::now();
    assert_eq!(heard.await.unwrap(), "0");
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
}

/// Its rooms are recoverable, and have presence, from the moment when it is deployed.
#[server_endpoint("/later", recover(size = 10, ttl = "1m", rooms = "later*"), presence)]
struct Later;

#[handlers]
impl Later {
    #[on_open]
    fn open(&self) {}
}

#[server_endpoint("/otherwise", recover(size = 20, ttl = "1m", rooms = "later*"))]
struct Otherwise;

#[handlers]
impl Otherwise {
    #[on_open]
    fn open(&self) {}
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_deployed_later_brings_its_rules() {
    let node = node(Local::new()).await;
    let mut early = enter(&node, "/hall/later").await;
    let container = node.context().get::<Container>().unwrap();
    let room = node.sessions().room("later");
    assert!(matches!(room.send("plain").await.elsewhere(), Crossing::Handed { position: None, .. }));
    assert_eq!(early.text().await, "plain");
    assert!(room.present(None, 10).await.is_err());

    container.deploy(ServerEndpointConfig::of::<Later>()).unwrap();
    container.deploy(ServerEndpointConfig::of::<Later>()).unwrap();
    let mut late = enter(&node, "/hall/later").await;
    let delivery = room.send("kept").await;
    assert!(matches!(delivery.elsewhere(), Crossing::Handed { position: Some(_), .. }), "{delivery:?}");
    assert_eq!((early.text().await, late.text().await), ("kept".to_owned(), "kept".to_owned()));
    while room.present(None, 10).await.unwrap().count < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It stays when the endpoint goes: its rooms are still there.
    container.undeploy("/later").unwrap();
    assert!(matches!(room.send("still").await.elsewhere(), Crossing::Handed { position: Some(_), .. }));
    let problem = container.deploy(ServerEndpointConfig::of::<Otherwise>()).unwrap_err().to_string();
    assert!(problem.contains("say different things of the rooms `later*`"), "{problem}");
    assert!(container.endpoints().len() == 1, "nothing has changed");
}

#[tokio::test]
async fn who_has_no_engine_cannot_get_one_later() {
    let node = endpoint_runtime::test::app()
        .with(|exporter| exporter.only(ServerEndpointConfig::is::<Hall>))
        .start()
        .await;
    let container = node.context().get::<Container>().unwrap();
    let problem = container.deploy(ServerEndpointConfig::of::<Later>()).unwrap_err().to_string();
    assert!(problem.contains("need an engine from the start of the server"), "{problem}");
    let plain = endpoint_runtime::test::app()
        .with(|exporter| exporter.only(ServerEndpointConfig::is::<Hall>))
        .with(|exporter| exporter.cluster(SimEngine::new(1).with_capabilities(Capabilities::default())))
        .start()
        .await;
    let container = plain.context().get::<Container>().unwrap();
    let problem = container.deploy(ServerEndpointConfig::of::<Later>()).unwrap_err().to_string();
    assert!(problem.contains("need a history, which the engine `sim` has not"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_delivered_that_has_no_place() {
    let engine = SimEngine::new(10);
    let node = node(engine.clone()).await;
    let mut peer = enter(&node, "/hall/kept").await;
    engine.set_faults(Faults { refusal: 1.0, ..Faults::default() });
    let delivery = node.sessions().room("kept").send("no place").await;
    assert!(delivery.elsewhere().error().is_some() && delivery.queued() == 0, "{delivery:?}");
    still(&mut peer).await;
}

#[tokio::test]
async fn an_engine_without_a_history_is_a_problem() {
    let none = SimEngine::new(1).with_capabilities(Capabilities::default());
    let exporter = endpoint_runtime::export_all()
        .only(ServerEndpointConfig::is::<Hall>)
        .cluster(none)
        .rooms("kept", KEEP.presence())
        .rooms("kept", Rooms::plain())
        .rooms("a*b", KEEP);
    let report = exporter.check();
    let texts: Vec<_> = report.problems().iter().map(ToString::to_string).collect();
    let has = |part: &str| texts.iter().any(|text| text.contains(part));
    assert!(has("say different things of the rooms `kept`"), "{texts:?}");
    assert!(has("`a*b` is no pattern"), "{texts:?}");
    assert!(has("rooms `kept` need a history, which the engine"), "{texts:?}");
    assert!(has("rooms `kept` need to keep who is present, which the engine"), "{texts:?}");
    assert!(report.problems().iter().all(|problem| !problem.places().is_empty()));
}

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};

use super::*;
use crate::cluster::envelope::{Envelope, Kind};
use crate::cluster::{
    Appended, Capabilities, Channel, EngineError, History, MessageId, Pending, Present, Published, Put,
    Receiver, Recorded, Retention,
};

/// What carries heartbeats between the tables of a test, unless it is cut.
#[derive(Default)]
struct Air {
    nodes: Mutex<HashMap<NodeId, Arc<Members>>>,
    cut: Mutex<Vec<NodeId>>,
    carried: AtomicU64,
}

/// One node's way to the air.
struct Mouth(Arc<Air>);

impl fmt::Debug for Mouth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mouth")
    }
}

fn unused<'a, T>() -> Pending<'a, T> {
    Box::pin(async { Err(EngineError::Unsupported("this")) })
}

impl Engine for Mouth {
    fn name(&self) -> &'static str {
        "air"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn max_message(&self) -> usize {
        1 << 20
    }

    fn start<'a>(&'a self, _: Arc<dyn Receiver>) -> Pending<'a, ()> {
        unused()
    }

    fn subscribe<'a>(&'a self, _: &'a [Channel]) -> Pending<'a, ()> {
        unused()
    }

    fn unsubscribe<'a>(&'a self, _: &'a [Channel]) -> Pending<'a, ()> {
        unused()
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        assert_eq!(*channel, Channel::Control);
        let envelope = Envelope::decode(message).unwrap();
        let cut = self.0.cut.lock().unwrap().clone();
        let nodes: Vec<_> =
            self.0.nodes.lock().unwrap().iter().map(|(id, node)| (*id, Arc::clone(node))).collect();
        for (id, node) in nodes {
            if cut.contains(&id) || cut.contains(&envelope.origin) {
                continue;
            }
            self.0.carried.fetch_add(1, Ordering::Relaxed);
            match envelope.kind {
                Kind::Heartbeat => assert!(node.heard(envelope.origin, Duration::ZERO, &envelope.payload)),
                Kind::Goodbye => node.departed(envelope.origin),
                other => panic!("{other:?}"),
            }
        }
        Box::pin(async { Ok(Published::default()) })
    }

    fn append<'a>(&'a self, _: &'a Channel, _: Bytes, _: MessageId, _: Retention) -> Pending<'a, Appended> {
        unused()
    }

    fn history<'a>(&'a self, _: &'a Channel, _: u64, _: usize) -> Pending<'a, History> {
        unused()
    }

    fn put<'a>(&'a self, _: &'a str, _: Bytes, _: Duration, _: Put) -> Pending<'a, bool> {
        unused()
    }

    fn take<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Bytes>> {
        unused()
    }

    fn enter<'a>(&'a self, _: &'a Channel, _: &'a [Recorded], _: Duration) -> Pending<'a, ()> {
        unused()
    }

    fn exit<'a>(&'a self, _: &'a Channel, _: &'a [String]) -> Pending<'a, ()> {
        unused()
    }

    fn present<'a>(&'a self, _: &'a Channel, _: Option<&'a str>, _: usize) -> Pending<'a, Present> {
        unused()
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        unused()
    }
}

impl Air {
    /// Lets go of the tables, which hold it.
    fn part(&self, node: NodeId) {
        self.nodes.lock().unwrap().remove(&node);
    }
}

/// What a node was told, and when.
#[derive(Clone)]
struct Diary {
    start: Instant,
    lines: Arc<Mutex<Vec<(f64, String)>>>,
}

impl Diary {
    fn write(&self, line: String) {
        let at = self.start.elapsed().as_secs_f64();
        self.lines.lock().unwrap().push((at, line));
    }

    fn take(&self) -> Vec<(f64, String)> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }

    /// What there is, without when.
    fn told(&self) -> Vec<String> {
        self.take().into_iter().map(|(_, line)| line).collect()
    }
}

impl Consequences for Diary {
    fn changed(&self, change: &Change) {
        self.write(match change {
            Change::Joined { name, .. } => format!("{name} joined"),
            Change::Left { name, how, .. } => format!("{name} left: {how:?}"),
        });
    }

    fn state(&self, state: ClusterState) {
        self.write(if state.is_connected() { "connected".to_owned() } else { "degraded".to_owned() });
    }

    fn away(&self) {
        self.write("away".to_owned());
    }
}

struct Running {
    members: Arc<Members>,
    diary: Diary,
    work: JoinHandle<()>,
}

fn start(air: &Arc<Air>, id: u64, name: &str) -> Running {
    let counts = Counts { sessions: id, users: 1, fill: 500, endpoints: vec![("app::Chat".into(), id)] };
    let engine = Arc::new(Mouth(Arc::clone(air)));
    let id = NodeId::new(id);
    let members = Arc::new(Members::new(engine, id, name.to_owned(), true, move || counts.clone()));
    air.nodes.lock().unwrap().insert(id, Arc::clone(&members));
    let diary = Diary { start: Instant::now(), lines: Arc::default() };
    let work = tokio::spawn(Arc::clone(&members).work(diary.clone()));
    Running { members, diary, work }
}

fn names(members: &Members) -> Vec<String> {
    members.nodes().into_iter().map(|node| node.name).collect()
}

#[tokio::test(start_paused = true)]
async fn nodes_know_each_other_and_what_they_have_to_do() {
    let air = Arc::new(Air::default());
    let [a, b] = [(10, "a"), (20, "b")].map(|(id, name)| start(&air, id, name));
    sleep(Duration::from_secs(1)).await;
    for node in [&a, &b] {
        assert_eq!(names(&node.members), ["a", "b"]);
    }
    assert_eq!(a.diary.told(), ["b joined"]);
    assert_eq!(a.members.others(), [NodeId::new(20)]);
    assert_eq!(a.members.sessions_elsewhere(), 20);
    assert_eq!(b.members.of_endpoint_elsewhere("app::Chat"), 10);
    assert_eq!(b.members.of_endpoint_elsewhere("app::Feed"), 0);
    let [own, other] = &a.members.nodes()[..] else { panic!() };
    assert_eq!((own.sessions, other.sessions, other.users, other.load), (10, 20, 1, 0.5));
    assert_eq!((own.last_seen, &*other.version), (Duration::ZERO, env!("CARGO_PKG_VERSION")));
    assert!(other.last_seen <= INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn a_node_beats_every_three_seconds() {
    let air = Arc::new(Air::default());
    let _alone = start(&air, 1, "a");
    sleep(Duration::from_secs(300)).await;
    let carried = air.carried.load(Ordering::Relaxed);
    assert!((100..=102).contains(&carried), "{carried}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_killed_is_noticed_within_ten_seconds() {
    let air = Arc::new(Air::default());
    let [a, b] = [(10, "a"), (20, "b")].map(|(id, name)| start(&air, id, name));
    sleep(Duration::from_secs(20)).await;
    assert_eq!(a.diary.told(), ["b joined"]);
    let killed = a.diary.start.elapsed().as_secs_f64();
    b.work.abort();
    air.part(NodeId::new(20));
    sleep(Duration::from_secs(10)).await;
    let told = a.diary.take();
    let [(at, line)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(line, "b left: Silence");
    assert!(at - killed > 6.0 && at - killed <= 10.0, "{}", at - killed);
    assert_eq!(names(&a.members), ["a"]);
    assert_eq!(a.members.sessions_elsewhere(), 0);
    assert_eq!(a.members.standing(NodeId::new(20)), Standing::Gone(Departure::Silence));
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_noticed_at_once_and_the_next_run_is_another_node() {
    let air = Arc::new(Air::default());
    let [a, b] = [(10, "a"), (20, "b")].map(|(id, name)| start(&air, id, name));
    sleep(Duration::from_secs(5)).await;
    a.diary.take();
    b.work.abort();
    b.members.say_goodbye().await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(a.diary.told(), ["b left: Goodbye"]);
    air.part(NodeId::new(20));
    let _again = start(&air, 21, "b");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(a.diary.told(), ["b joined"]);
    assert_eq!(a.members.others(), [NodeId::new(21)]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_off_is_degraded_and_all_are_there_again_afterwards() {
    let air = Arc::new(Air::default());
    let [a, b, c] = [(10, "a"), (20, "b"), (30, "c")].map(|(id, name)| start(&air, id, name));
    sleep(Duration::from_secs(5)).await;
    [&a, &b, &c].iter().for_each(|node| drop(node.diary.take()));
    let cut_at = c.diary.start.elapsed().as_secs_f64();
    // Nothing arrives, and nobody says so.
    air.cut.lock().unwrap().push(NodeId::new(30));
    sleep(Duration::from_secs(20)).await;
    assert_eq!(a.diary.told(), ["c left: Silence"]);
    let told = c.diary.take();
    let [(degraded, line)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(line, "degraded");
    assert!(degraded - cut_at <= 6.0, "{}", degraded - cut_at);
    // It cannot know what has become of the others, and says nothing of them.
    assert_eq!(names(&c.members), ["a", "b", "c"]);
    air.cut.lock().unwrap().clear();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(a.diary.told(), ["c joined"]);
    assert_eq!(c.diary.told(), ["connected"]);
    assert_eq!(names(&b.members), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_says_is_seen_and_told() {
    let air = Arc::new(Air::default());
    let a = start(&air, 10, "a");
    let mut state = a.members.watch();
    sleep(Duration::from_secs(1)).await;
    a.members.lost();
    assert!(!a.members.state().is_connected());
    assert!(!state.wait_for(|state| !state.is_connected()).await.unwrap().is_connected());
    sleep(Duration::from_secs(4)).await;
    a.members.back();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(a.diary.told(), ["degraded", "away", "connected"]);
    assert!(a.members.state().is_connected());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_stopped_kills_nobody_and_knows_that_it_was_away() {
    let air = Arc::new(Air::default());
    let [a, b] = [(10, "a"), (20, "b")].map(|(id, name)| start(&air, id, name));
    sleep(Duration::from_secs(5)).await;
    a.diary.take();
    // The clock of both goes on, and none of their tasks runs.
    advance(Duration::from_secs(15)).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(a.diary.told(), ["away"]);
    assert_eq!(names(&b.members), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_heartbeat_harm_nobody() {
    let air = Arc::new(Air::default());
    let a = start(&air, 10, "a");
    assert!(!a.members.heard(NodeId::new(7), Duration::ZERO, &Bytes::from_static(b"\x01")));
    assert_eq!(names(&a.members), ["a"]);
}

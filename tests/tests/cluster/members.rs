//! Nodes come and go, are killed and cut off: who is told what, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime::Settings;
use endpoint_runtime::cluster::{Cluster, Engine, Local};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Cut, RunningApp, SimEngine};
use tokio::time::{Instant, sleep, timeout};

#[server_endpoint("/seat")]
struct Seat;

#[handlers]
impl Seat {
    #[on_open]
    fn open(&self) -> &'static str {
        "open"
    }
}

/// What an application was told of the cluster.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, event: &ApplicationEvent) {
        let line = match event {
            ApplicationEvent::NodeJoined { name, .. } => format!("{name} joined"),
            ApplicationEvent::NodeLeft { name, goodbye: true, .. } => format!("{name} said goodbye"),
            ApplicationEvent::NodeLeft { name, .. } => format!("{name} is dead"),
            ApplicationEvent::ClusterChanged { state, .. } if state.is_connected() => "connected".to_owned(),
            ApplicationEvent::ClusterChanged { .. } => "degraded".to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// How long it takes until something is told.
    async fn time_until(&self, line: &str) -> Duration {
        let start = Instant::now();
        let told = async {
            while !self.0.lock().unwrap().iter().any(|told| told == line) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(60), told).await.unwrap_or_else(|_| panic!("{line}: {:?}", self.take()));
        start.elapsed()
    }
}

struct Node {
    app: RunningApp,
    diary: Diary,
}

impl Node {
    async fn start(engine: impl Engine, name: &str, change: fn(&mut Settings)) -> Self {
        let (diary, name) = (Diary::default(), name.to_owned());
        let told = diary.clone();
        let app = endpoint_runtime::test::app()
            .only::<Seat>()
            .configure(move |settings| {
                settings.node_name = Some(name.clone());
                // Who waits for nothing is not to see a ping.
                settings.ping_interval = None;
                change(settings);
            })
            .with(|exporter| {
                exporter.cluster(engine).observe(move |event: &ApplicationEvent| told.note(event))
            });
        Node { app: app.start().await, diary }
    }

    fn cluster(&self) -> Cluster {
        (*self.app.context().get::<Cluster>().unwrap()).clone()
    }

    fn container(&self) -> Container {
        (*self.app.context().get::<Container>().unwrap()).clone()
    }

    fn names(&self) -> Vec<String> {
        self.cluster().nodes().into_iter().map(|node| node.name).collect()
    }
}

async fn two(settings: fn(&mut Settings)) -> (Node, Node, endpoint_runtime::test::SimNode) {
    let engine = SimEngine::new(1);
    let other = engine.clone();
    let way = other.control();
    let (a, b) = (Node::start(engine, "a", |_| {}).await, Node::start(other, "b", settings).await);
    for (node, joined) in [(&a, "b joined"), (&b, "a joined")] {
        node.diary.time_until(joined).await;
        node.diary.take();
    }
    (a, b, way)
}

#[tokio::test(start_paused = true)]
async fn nodes_know_each_other_by_name_and_see_who_says_goodbye() {
    let engine = Local::new();
    let a = Node::start(engine.clone(), "a", |_| {}).await;
    let b = Node::start(engine.clone(), "b", |_| {}).await;
    b.diary.time_until("a joined").await;
    assert!(a.diary.time_until("b joined").await <= Duration::from_secs(4));
    assert_eq!((a.names(), b.names()), (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
    let ids: Vec<_> = a.cluster().nodes().iter().map(|node| node.id).collect();
    assert_eq!(ids, [a.cluster().node_id(), b.cluster().node_id()]);
    let _peer = b.app.connect("/seat").await.unwrap();
    sleep(Duration::from_secs(4)).await;
    let seen = &a.cluster().nodes()[1];
    assert_eq!((seen.sessions, seen.users), (1, 0));
    assert!(seen.last_seen <= Duration::from_secs(3));
    a.diary.take();
    b.app.shutdown().await;
    assert!(a.diary.time_until("b said goodbye").await <= Duration::from_millis(500));
    assert_eq!(a.names(), ["a"]);
    // Its next run is another node of the same name.
    let again = Node::start(engine, "b", |_| {}).await;
    a.diary.time_until("b joined").await;
    assert_eq!(a.cluster().nodes()[1].id, again.cluster().node_id());
    assert_eq!(a.diary.take(), ["b said goodbye", "b joined"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_is_dead_within_ten_seconds_and_back_when_it_is_heard() {
    let (a, b, way) = two(|_| {}).await;
    sleep(Duration::from_millis(700)).await;
    way.cut(Cut::Both);
    let noticed = a.diary.time_until("b is dead").await;
    assert!(noticed > Duration::from_secs(6) && noticed <= Duration::from_secs(10), "{noticed:?}");
    assert_eq!(a.names(), ["a"]);
    assert_eq!(b.diary.take(), ["degraded"]);
    way.heal();
    assert!(a.diary.time_until("b joined").await <= Duration::from_secs(4));
    b.diary.time_until("connected").await;
    assert_eq!((a.names(), b.names()), (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
    // The others were there all the time, as far as it could know.
    assert_eq!(b.diary.take(), ["connected"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_way_is_unready_after_five_seconds_until_there_is_one() {
    let (_a, b, way) = two(|_| {}).await;
    let mut readiness = b.container().readiness();
    assert!(*readiness.borrow_and_update());
    way.disconnect();
    b.diary.time_until("degraded").await;
    assert!(!b.cluster().state().is_connected());
    let lost = Instant::now();
    readiness.changed().await.unwrap();
    let waited = lost.elapsed();
    assert!(waited > Duration::from_secs(4) && waited <= Duration::from_secs(5), "{waited:?}");
    assert!(!b.container().is_ready());
    // Whoever is there stays, and whoever comes is served.
    let mut peer = b.app.connect("/seat").await.unwrap();
    assert_eq!(peer.text().await, "open");
    way.reconnect();
    readiness.wait_for(|ready| *ready).await.unwrap();
    assert!(b.cluster().state().is_connected());
}

#[tokio::test(start_paused = true)]
async fn a_short_loss_does_not_make_a_server_unready() {
    let (_a, b, way) = two(|_| {}).await;
    let mut readiness = b.container().readiness();
    readiness.mark_unchanged();
    for _ in 0..5 {
        way.disconnect();
        sleep(Duration::from_secs(4)).await;
        way.reconnect();
        sleep(Duration::from_secs(4)).await;
    }
    assert!(!readiness.has_changed().unwrap() && b.container().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_way_that_is_found_again_does_not_make_a_server_ready_that_stops() {
    let (_a, b, way) = two(|settings| settings.drain_delay = Duration::from_secs(60)).await;
    let mut readiness = b.container().readiness();
    way.disconnect();
    sleep(Duration::from_secs(7)).await;
    assert!(!*readiness.borrow_and_update());
    let app = b.app;
    let stopping = tokio::spawn(async move { app.shutdown().await });
    sleep(Duration::from_secs(1)).await;
    way.reconnect();
    sleep(Duration::from_secs(10)).await;
    assert!(!stopping.is_finished() && !*readiness.borrow_and_update());
    stopping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_may_stay_ready_without_a_way() {
    let (_a, b, way) = two(|settings| settings.ready_when_isolated = true).await;
    way.disconnect();
    sleep(Duration::from_secs(60)).await;
    assert!(b.container().is_ready());
}

#[tokio::test(start_paused = true)]
async fn sessions_may_be_closed_without_a_way() {
    let (a, b, way) = two(|settings| settings.close_when_isolated = Some(Duration::from_secs(30))).await;
    let mut peers = Vec::new();
    for node in [&a, &b] {
        let mut peer = node.app.connect("/seat").await.unwrap();
        assert_eq!(peer.text().await, "open");
        peers.push(peer);
    }
    way.disconnect();
    let lost = Instant::now();
    let reason = peers[1].closed().await;
    let waited = lost.elapsed();
    assert_eq!(reason.code(), CloseCode::Restart);
    assert!(waited >= Duration::from_secs(29) && waited < Duration::from_secs(32), "{waited:?}");
    peers[0].expect_nothing_for(Duration::from_secs(10)).await;
    // Whoever comes afterwards is not sent away for the same loss.
    let mut late = b.app.connect("/seat").await.unwrap();
    assert_eq!(late.text().await, "open");
    late.expect_nothing_for(Duration::from_secs(60)).await;
}

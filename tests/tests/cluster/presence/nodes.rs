//! Rooms with presence on several nodes: who is told what, and what is found when it is looked for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime::SessionId;
use endpoint_runtime::cluster::{Channel, Cluster, Engine, Local, PresentMember, Recorded, Redis};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, Cut, Peer, RunningApp, SimEngine};
use endpoint_tests::cut_proxy::{self, CutProxy};
use endpoint_tests::redis_server::RedisServer;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::calls::support::{Moody, acquainted};
use crate::suite::{self, PATIENCE};

/// Everybody sits at one table.
#[server_endpoint("/table/{user}", presence, resume = "2m")]
struct Table;

#[handlers]
impl Table {
    #[on_open]
    async fn open(&self, session: &Session, #[path] user: String) -> &'static str {
        session.set_user(&user);
        session.join("table");
        assert!(session.reachable().await, "nobody reaches it");
        "open"
    }
}

/// What an application was told of who comes and goes.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, event: &ApplicationEvent) {
        let name = |member: &PresentMember| member.user.clone().unwrap_or_else(|| "somebody".to_owned());
        self.0.lock().unwrap().push(match event {
            ApplicationEvent::Entered { room, member, .. } => format!("{room} +{}", name(member)),
            ApplicationEvent::Left { room, member, .. } => format!("{room} -{}", name(member)),
            ApplicationEvent::Crowded { room, entered, left, .. } => {
                format!("{room}: {entered} more have come, {left} more have left")
            }
            _ => return,
        });
    }

    /// All that it was told, sorted.
    fn told(&self) -> Vec<String> {
        let mut told = self.0.lock().unwrap().clone();
        told.sort();
        told
    }

    fn forget(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Waits until it has been told this, whatever else.
    async fn hears(&self, line: &str) {
        let told = async {
            while !self.told().iter().any(|told| told == line) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, told).await.is_ok(), "{:?} without {line}", self.told());
    }

    /// Waits until it has been told this, in any order, and nothing else.
    async fn is_told(&self, expected: &[&str]) {
        let told = async {
            while self.told() != expected {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, told).await.is_ok(), "{:?} instead of {expected:?}", self.told());
        self.forget();
    }
}

struct Node {
    app: RunningApp,
    diary: Diary,
}

fn app(diary: &Diary) -> App {
    let diary = diary.clone();
    endpoint_runtime::test::app()
        .only::<Table>()
        .configure(|settings| settings.ping_interval = None)
        .with(|exporter| exporter.observe(move |event: &ApplicationEvent| diary.note(event)))
}

impl Node {
    async fn start(engine: impl Engine) -> Self {
        let diary = Diary::default();
        Node { app: app(&diary).with(|exporter| exporter.cluster(engine)).start().await, diary }
    }

    async fn enter(&self, user: &str) -> Peer {
        let mut peer = self.app.connect(&format!("/table/{user}")).await.unwrap();
        assert_eq!(peer.text().await, "open");
        peer
    }

    /// A client that can be resumed; the token of the next time. `resumed` says what it is expected to be.
    async fn begin(&self, user: &str, token: &Value, resumed: bool) -> (Peer, Value) {
        let mut peer = self.app.connect(&format!("/table/{user}?resume=1")).await.unwrap();
        peer.send(format!("\u{1}{{\"resume\":{token}}}")).await.unwrap();
        let told: Value = serde_json::from_str(peer.text().await.strip_prefix('\u{1}').unwrap()).unwrap();
        assert_eq!(told["session"]["resumed"], resumed, "{told}");
        while peer.text().await != "open" {}
        (peer, told["session"]["token"].clone())
    }

    fn table(&self) -> endpoint_runtime::Audience {
        self.app.sessions().room("table")
    }

    /// Who is at the table, and on which page.
    async fn present(&self) -> Vec<String> {
        let page = self.table().present(None, 1000).await.unwrap();
        assert_eq!((page.count, page.next), (page.members.len() as u64, None));
        let mut names: Vec<_> = page.members.into_iter().map(|member| member.user.unwrap()).collect();
        names.sort();
        names
    }

    /// Waits until these are at the table, and says how long it took.
    async fn until_present(&self, expected: &[&str]) -> Duration {
        let began = Instant::now();
        let there = async {
            while self.present().await != expected {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, there).await.is_ok(), "{:?} instead of {expected:?}", self.present().await);
        began.elapsed()
    }
}

async fn two<E: Engine>([one, other]: [E; 2]) -> [Node; 2] {
    let [one, other] = [Node::start(one).await, Node::start(other).await];
    let apps = [one.app, other.app];
    acquainted(&apps).await;
    let [first, second] = apps;
    [Node { app: first, diary: one.diary }, Node { app: second, diary: other.diary }]
}

async fn who_comes_and_goes_is_told<E: Engine>(engines: [E; 2]) {
    let nodes = two(engines).await;
    let mut ann = nodes[0].enter("ann").await;
    nodes[0].diary.is_told(&["table +ann"]).await;
    let bo = nodes[1].enter("bo").await;
    for node in &nodes {
        node.diary.is_told(&["table +bo"]).await;
        node.until_present(&["ann", "bo"]).await;
    }
    // Whoever is called otherwise later is found by that name when his record is renewed; who leaves a room stays where else he is.
    nodes[1].app.sessions().user("bo").leave("table");
    for node in &nodes {
        node.diary.is_told(&["table -bo"]).await;
        node.until_present(&["ann"]).await;
    }
    assert_eq!(nodes[1].app.sessions().user("bo").count(), 1);
    nodes[1].app.sessions().user("bo").join("table");
    for node in &nodes {
        node.diary.is_told(&["table +bo"]).await;
    }
    ann.close(CloseCode::Normal, "").await.unwrap();
    for node in &nodes {
        node.diary.is_told(&["table -ann"]).await;
        node.until_present(&["bo"]).await;
    }
    drop(bo);
    nodes[1].diary.is_told(&["table -bo"]).await;
    nodes[0].until_present(&[]).await;
    assert!(nodes[0].diary.told().is_empty(), "it has nobody there any more");
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_is_told_and_found_on_all_nodes() {
    let engine = Local::new();
    who_comes_and_goes_is_told([engine.clone(), engine]).await;
}

#[tokio::test]
async fn who_comes_and_goes_is_told_and_found_on_all_nodes_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    who_comes_and_goes_is_told([connect().await, connect().await]).await;
}

/// Whoever wants presence and has no engine has one in this process.
#[tokio::test(start_paused = true)]
async fn one_server_alone_tells_who_comes_and_goes_too() {
    let diary = Diary::default();
    let node = Node { app: app(&diary).start().await, diary };
    let mut ann = node.enter("ann").await;
    let _bo = node.enter("bo").await;
    node.diary.is_told(&["table +ann", "table +bo"]).await;
    assert_eq!(node.present().await, ["ann", "bo"]);
    ann.close(CloseCode::Normal, "").await.unwrap();
    node.diary.is_told(&["table -ann"]).await;
    assert_eq!(node.present().await, ["bo"]);
    assert_eq!(node.table().local().present(None, 10).await.unwrap().count, 1);
}

#[tokio::test(start_paused = true)]
async fn who_was_on_a_node_that_dies_has_left_within_ten_seconds() {
    let engine = SimEngine::new(1);
    let other = engine.clone();
    let way = other.control();
    let nodes = two([engine, other]).await;
    let _ann = nodes[0].enter("ann").await;
    let _bo = nodes[1].enter("bo").await;
    nodes[0].diary.is_told(&["table +ann", "table +bo"]).await;
    sleep(Duration::from_millis(1234)).await;
    way.cut(Cut::Both);
    let gone = nodes[0].until_present(&["ann"]).await;
    assert!(gone > Duration::from_secs(5) && gone <= Duration::from_secs(10), "{gone:?}");
    nodes[0].diary.is_told(&["table -bo"]).await;
    // It was not dead at all: its people are there again without having to do anything.
    way.heal();
    nodes[0].until_present(&["ann", "bo"]).await;
    assert_eq!(nodes[1].app.sessions().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_on_a_node_that_dies_has_left_soon_over_redis() {
    let server = RedisServer::start().await;
    let proxy = CutProxy::to(server.address()).await;
    let engines = [
        Redis::connect(&server.url()).await.unwrap(),
        Redis::connect(&format!("redis://{}", proxy.address())).await.unwrap(),
    ];
    let nodes = two(engines).await;
    let _ann = nodes[0].enter("ann").await;
    let _bo = nodes[1].enter("bo").await;
    nodes[0].diary.is_told(&["table +ann", "table +bo"]).await;
    proxy.cut(cut_proxy::Cut::Both);
    let gone = nodes[0].until_present(&["ann"]).await;
    println!("gone after {gone:?}");
    // Ten seconds are promised; this machine may have other things to do.
    assert!(gone < Duration::from_secs(20), "{gone:?}");
    nodes[0].diary.is_told(&["table -bo"]).await;
    proxy.heal();
    nodes[0].until_present(&["ann", "bo"]).await;
}

/// The connection is lost, and the client is there again, on the other node or on the same one: nobody has left and nobody has come.
async fn nobody_flaps<E: Engine>(engines: [E; 2]) {
    let nodes = two(engines).await;
    let _here = [nodes[0].enter("ann").await, nodes[1].enter("bo").await];
    let (mut peer, mut token) = nodes[0].begin("cy", &Value::Null, false).await;
    nodes[0].until_present(&["ann", "bo", "cy"]).await;
    for node in &nodes {
        node.diary.hears("table +cy").await;
        node.diary.forget();
    }
    let mut before = newest(&nodes[0], "cy").await;
    for at in [1, 1, 0, 1] {
        drop(peer);
        (peer, token) = nodes[at].begin("cy", &token, true).await;
        let there = async {
            while newest(&nodes[at], "cy").await == before {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, there).await.unwrap();
        before = newest(&nodes[at], "cy").await;
        nodes[1 - at].until_present(&["ann", "bo", "cy"]).await;
    }
    // Whatever anybody is told next comes behind what should not have been told.
    let _di = [nodes[0].enter("di").await, nodes[1].enter("ed").await];
    for node in &nodes {
        node.diary.is_told(&["table +di", "table +ed"]).await;
    }
    drop(peer);
}

/// The last session that this person has at the table.
async fn newest(node: &Node, user: &str) -> SessionId {
    loop {
        let page = node.table().present(None, 1000).await.unwrap();
        let of_user = page.members.iter().filter(|member| member.user.as_deref() == Some(user));
        let ids: Vec<_> = of_user.map(|member| member.id).collect();
        if let [id] = ids[..] {
            return id;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_has_not_been_away() {
    let engine = Local::new();
    nobody_flaps([engine.clone(), engine]).await;
}

#[tokio::test]
async fn who_comes_back_has_not_been_away_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    nobody_flaps([connect().await, connect().await]).await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_back_has_left_after_fifteen_seconds() {
    let engine = Local::new();
    let nodes = two([engine.clone(), engine]).await;
    let _ann = nodes[0].enter("ann").await;
    let (peer, token) = nodes[1].begin("bo", &Value::Null, false).await;
    nodes[0].diary.is_told(&["table +ann", "table +bo"]).await;
    drop(peer);
    let began = Instant::now();
    nodes[0].diary.is_told(&["table -bo"]).await;
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(15) && waited < Duration::from_secs(17), "{waited:?}");
    assert_eq!(nodes[0].present().await, ["ann"]);
    // The session can be resumed yet, and comes as anybody does.
    let _bo = nodes[1].begin("bo", &token, true).await;
    nodes[0].diary.is_told(&["table +bo"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_way_that_was_lost_for_a_while_makes_nobody_leave() {
    let engine = SimEngine::new(1);
    let other = engine.clone();
    let way = other.control();
    let nodes = two([engine, other]).await;
    let _ann = nodes[0].enter("ann").await;
    let _bo = nodes[1].enter("bo").await;
    nodes[0].diary.is_told(&["table +ann", "table +bo"]).await;
    sleep(Duration::from_secs(1)).await;
    nodes[1].diary.forget();
    for _ in 0..3 {
        way.disconnect();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(nodes[0].present().await, ["ann", "bo"]);
        way.reconnect();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(nodes[1].present().await, ["ann", "bo"]);
    }
    for node in &nodes {
        assert!(node.diary.told().is_empty(), "{:?}", node.diary.told());
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_is_counted_and_not_named() {
    const CROWD: usize = 300;
    let local = Local::new();
    let weighed = Moody::of(&local);
    let nodes = two([Moody::of(&local), weighed.clone()]).await;
    let _ann = nodes[0].enter("ann").await;
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        crowd.push(nodes[1].enter(&format!("{number}")).await);
    }
    nodes[0].until_present(&nodes[0].present().await.iter().map(String::as_str).collect::<Vec<_>>()).await;
    sleep(Duration::from_secs(1)).await;
    nodes.iter().for_each(|node| node.diary.forget());
    weighed.forget_weight();
    nodes[1].app.sessions().all().local().leave("table");
    nodes[0].until_present(&["ann"]).await;
    sleep(Duration::from_secs(1)).await;
    for node in &nodes {
        let told = node.diary.told();
        let (left, crowded): (Vec<_>, Vec<_>) = told.iter().partition(|line| line.starts_with("table -"));
        let more = CROWD - left.len();
        assert!(left.len() < CROWD / 2, "{told:?}");
        assert_eq!(crowded, [&format!("table: 0 more have come, {more} more have left")], "{told:?}");
        node.diary.forget();
    }
    nodes[0].app.sessions().endpoint::<Table>().join("table");
    let all = async {
        while nodes[0].table().present(None, 1).await.unwrap().count < CROWD as u64 + 1 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, all).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let told = nodes[0].diary.told();
    let named = told.iter().filter(|line| line.starts_with("table +")).count();
    let crowded = format!("table: {} more have come, 0 more have left", CROWD - named);
    assert!(named < CROWD / 2 && told.contains(&crowded), "{told:?}");
    // What goes to other nodes is as large for a crowd as for fifty.
    let heaviest = weighed.heaviest_message();
    assert!(heaviest < 50 * 64 + 300, "{heaviest}");
}

/// So many who are somewhere on a node, without being anywhere: their records alone.
const MANY: u64 = 100_000;

async fn fill(engine: &impl Engine, node: &Node) {
    let id = node.app.context().get::<Cluster>().unwrap().node_id();
    let records: Vec<Recorded> = (0..MANY)
        .map(|number| Recorded {
            id: format!("{id}{:016x}", 1_000_000 + number),
            info: format!("user {number:06}").into(),
        })
        .collect();
    for batch in records.chunks(5_000) {
        engine.enter(&Channel::room("table"), batch, Duration::from_secs(3600)).await.unwrap();
    }
}

/// Looks through a few pages of it, and through all of it at once.
async fn is_shown_in_pages(node: &Node) {
    let table = node.table();
    let (mut after, mut seen) = (None, 0);
    for limit in [1, 50, 1000, usize::MAX] {
        let page = table.present(after, limit).await.unwrap();
        assert_eq!(page.members.len(), limit.min(1000));
        assert!(page.count > MANY);
        assert!(page.members.is_sorted_by_key(|member| member.id));
        assert!(page.members.iter().all(|member| after < Some(member.id)));
        seen += page.members.len();
        after = page.next;
        assert_eq!(after, page.members.last().map(|member| member.id));
    }
    assert_eq!(seen, 1 + 50 + 1000 + 1000);
}

#[tokio::test(start_paused = true)]
async fn a_room_of_a_hundred_thousand_goes_by_pages() {
    let local = Local::new();
    let weighed = Moody::of(&local);
    let nodes = two([weighed.clone(), Moody::of(&local)]).await;
    let _bo = nodes[1].enter("bo").await;
    nodes[0].until_present(&["bo"]).await;
    let outside = suite::Node::start(local).await;
    fill(&*outside.engine, &nodes[1]).await;
    weighed.forget_weight();
    is_shown_in_pages(&nodes[0]).await;
    // Who comes, goes, is asked for and renewed meanwhile ships no list of them either.
    let mut ann = nodes[0].enter("ann").await;
    nodes[0].diary.is_told(&["table +ann"]).await;
    sleep(Duration::from_secs(30)).await;
    ann.close(CloseCode::Normal, "").await.unwrap();
    nodes[0].diary.is_told(&["table -ann"]).await;
    // An id has 32 bytes, and these names eleven; a page is read one longer than it is shown.
    assert_eq!(weighed.heaviest_page(), 1001 * (32 + 11));
    assert!(weighed.heaviest_message() < 1_000, "{}", weighed.heaviest_message());
}

#[tokio::test]
async fn a_room_of_a_hundred_thousand_goes_by_pages_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    let nodes = two([connect().await, connect().await]).await;
    let _bo = nodes[1].enter("bo").await;
    nodes[0].until_present(&["bo"]).await;
    let outside = suite::Node::start(connect().await).await;
    fill(&*outside.engine, &nodes[1]).await;
    let sent = async || -> u64 {
        let stats = server.command(&["INFO", "stats"]).await.unwrap();
        let bytes = stats.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:")).unwrap();
        bytes.trim().parse().unwrap()
    };
    let before = sent().await;
    is_shown_in_pages(&nodes[0]).await;
    let bytes = sent().await - before;
    // Two thousand of them; all together they are five million bytes.
    assert!(bytes < 300_000, "{bytes}");
}

//! Every call of [`Sessions`] to every kind of audience, from both of two nodes, to all of them and to those of this process.

use std::collections::BTreeSet;

use endpoint_runtime::SessionId;
use endpoint_runtime::cluster::{Cluster, Crossing, Engine, Local, NodeId, Redis};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Cut, Peer, RunningApp, SimEngine};
use endpoint_tests::redis_server::RedisServer;
use futures_util::future::join_all;
use tokio::time::{Duration, sleep, timeout};

use super::support::{Annex, Hall, acquainted, enter, node};
use crate::suite::PATIENCE;

/// Who there is: the node, and where it comes in.
const PEOPLE: [(&str, usize, &str); 5] = [
    ("ann", 0, "/hall/blue?user=ann"),
    ("eve", 0, "/annex?user=bo"),
    ("bo", 1, "/hall/blue?user=bo"),
    ("cy", 1, "/hall/red?user=cy"),
    ("di", 1, "/annex?user=bo"),
];

type Pick = fn(&Sessions, &[Person]) -> endpoint_runtime::Audience;

/// Who is meant, and who that is.
const AUDIENCES: [(&str, Pick, &[&str]); 9] = [
    ("room", |sessions, _| sessions.room("blue"), &["ann", "bo"]),
    ("room of one node", |sessions, _| sessions.room("red"), &["cy"]),
    ("room of nobody", |sessions, _| sessions.room("void"), &[]),
    ("room but ann", |sessions, people| sessions.room("blue").except(&people[0].session), &["bo"]),
    ("user", |sessions, _| sessions.user("bo"), &["bo", "di", "eve"]),
    ("endpoint", |sessions, _| sessions.endpoint::<Hall>(), &["ann", "bo", "cy"]),
    ("other endpoint", |sessions, _| sessions.endpoint::<Annex>(), &["di", "eve"]),
    ("all", |sessions, _| sessions.all(), &["ann", "bo", "cy", "di", "eve"]),
    (
        "all but two",
        |sessions, people| sessions.all().except(&people[1].session).except(&people[2].session),
        &["ann", "cy", "di"],
    ),
];

struct Person {
    name: &'static str,
    node: usize,
    session: Session,
    peer: Peer,
    /// What it is to hear.
    expected: Vec<String>,
}

impl Person {
    fn id(&self) -> SessionId {
        *self.session.id()
    }
}

async fn come(nodes: &[RunningApp]) -> Vec<Person> {
    let mut people = Vec::new();
    for (name, at, path) in PEOPLE {
        let before: BTreeSet<SessionId> = nodes[at].sessions().all().iter().map(|one| *one.id()).collect();
        let peer = enter(&nodes[at], path).await;
        let session = nodes[at].sessions().all().iter().find(|one| !before.contains(one.id())).unwrap();
        people.push(Person { name, node: at, session, peer, expected: Vec::new() });
    }
    people
}

/// One row: an audience, as one node sees it.
struct Row {
    what: String,
    from: usize,
    local: bool,
    pick: Pick,
    members: &'static [&'static str],
}

impl Row {
    fn audience(&self, nodes: &[RunningApp], people: &[Person]) -> endpoint_runtime::Audience {
        let audience = (self.pick)(nodes[self.from].sessions(), people);
        if self.local { audience.local() } else { audience }
    }

    fn has(&self, person: &Person) -> bool {
        self.members.contains(&person.name) && (!self.local || person.node == self.from)
    }

    fn is_here(&self, person: &Person) -> bool {
        self.has(person) && person.node == self.from
    }

    fn ids(&self, people: &[Person]) -> Vec<SessionId> {
        let mut ids: Vec<_> = people.iter().filter(|one| self.has(one)).map(Person::id).collect();
        ids.sort_unstable();
        ids
    }
}

fn rows() -> Vec<Row> {
    let each = AUDIENCES.iter().flat_map(|audience| {
        [(0, false), (0, true), (1, false), (1, true)].map(|(from, local)| (audience, from, local))
    });
    let row =
        |(&(what, pick, members), from, local): (&(&str, Pick, &'static [&'static str]), usize, bool)| {
            let what = format!("{what} from {from}{}", if local { ", local" } else { "" });
            Row { what, from, local, pick, members }
        };
    each.map(row).collect()
}

async fn two<E: Engine>([one, other]: [E; 2]) -> Vec<RunningApp> {
    let nodes = vec![node(one).await, node(other).await];
    acquainted(&nodes).await;
    nodes
}

/// Who is in a room, on all nodes, at last.
async fn come_to_be(nodes: &[RunningApp], room: &str, ids: &[SessionId], what: &str) {
    let room = nodes[0].sessions().room(room);
    let settled = async {
        loop {
            let page = room.list(None, 100).await;
            let there: Vec<_> = page.sessions.iter().map(|listed| listed.id).collect();
            if there == ids {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, settled).await.is_ok(), "{what}: {:?}", room.list(None, 100).await);
}

async fn all_calls_reach_whom_they_are_for<E: Engine>(engines: [E; 2]) {
    let nodes = two(engines).await;
    let mut people = come(&nodes).await;
    for (number, row) in rows().iter().enumerate() {
        let audience = row.audience(&nodes, &people);
        let (ids, what) = (row.ids(&people), &row.what);
        let here = people.iter().filter(|person| row.is_here(person)).count();

        let sent = audience.send(format!("sent {what}")).await;
        let posted = audience.post(format!("posted {what}"));
        assert_eq!((sent.queued(), posted.queued()), (here, here), "{what}");
        assert_eq!((sent.missed(), posted.missed()), (0, 0), "{what}");
        match (sent.elsewhere(), posted.elsewhere()) {
            (Crossing::Nowhere, Crossing::Nowhere) if row.local => {}
            (Crossing::Handed { position: None, .. }, Crossing::Queued) if !row.local => {}
            others => panic!("{what}: {others:?}"),
        }
        for person in people.iter_mut().filter(|person| row.has(person)) {
            person.expected.extend(["sent", "posted"].map(|how| format!("{how} {what}")));
        }

        let count = audience.count_exact().await;
        assert_eq!((count.total, count.complete, &count.missing[..]), (ids.len(), true, &[][..]), "{what}");
        let page = audience.list(None, 100).await;
        assert!(page.complete && page.missing.is_empty() && page.next.is_none(), "{what}: {page:?}");
        assert_eq!(page.sessions.iter().map(|listed| listed.id).collect::<Vec<_>>(), ids, "{what}");
        let listed: BTreeSet<SessionId> = audience.iter().map(|session| *session.id()).collect();
        assert_eq!(listed.len(), here, "{what}: those of this process are what can be iterated over");

        let room = format!("new {number}");
        audience.join(&room);
        come_to_be(&nodes, &room, &ids, what).await;
        audience.leave(&room);
        come_to_be(&nodes, &room, &[], what).await;
    }
    // Whatever was said to too many would be there by now.
    sleep(Duration::from_millis(200)).await;
    for person in &mut people {
        let last = nodes[1 - person.node].sessions().session(person.session.id());
        assert_eq!(last.send("end").await.unwrap(), endpoint_runtime::cluster::Outcome::Delivered);
        let mut heard = Vec::new();
        loop {
            match person.peer.text().await {
                text if text == "end" => break,
                text => heard.push(text),
            }
        }
        heard.sort();
        person.expected.sort();
        assert_eq!(heard, person.expected, "{}", person.name);
    }
}

#[tokio::test(start_paused = true)]
async fn all_calls_are_for_all_nodes() {
    let engine = Local::new();
    all_calls_reach_whom_they_are_for([engine.clone(), engine]).await;
}

#[tokio::test(start_paused = true)]
async fn all_calls_are_for_all_nodes_over_a_slow_engine() {
    let engine = SimEngine::new(3);
    engine.set_faults(endpoint_runtime::test::Faults {
        delay: Duration::from_millis(20),
        latency: Duration::from_millis(5),
        ..Default::default()
    });
    all_calls_reach_whom_they_are_for([engine.clone(), engine]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_calls_are_for_all_nodes_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    all_calls_reach_whom_they_are_for([connect().await, connect().await]).await;
}

async fn closes_whom_it_is_for<E: Engine>(engines: [E; 2]) {
    let nodes = two(engines).await;
    for row in rows() {
        let mut people = come(&nodes).await;
        let expected = people.iter().filter(|person| row.has(person)).count();
        let reason = CloseReason::new(CloseCode::from(4321), row.what.clone());
        assert_eq!(row.audience(&nodes, &people).close(reason).await, expected, "{}", row.what);
        for person in &mut people {
            let member = nodes[1 - person.node].sessions().session(person.session.id());
            if row.has(person) {
                assert_eq!(person.peer.closed().await.text(), row.what, "{}", person.name);
            } else {
                assert!(member.info().await.unwrap().is_some(), "{}: {}", row.what, person.name);
            }
        }
        nodes[0].sessions().all().close(CloseReason::away("next")).await;
        let over = async {
            while nodes.iter().any(|node| !node.sessions().all().local().is_empty()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        drop(people);
        timeout(PATIENCE, over).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn closing_is_for_all_nodes() {
    let engine = Local::new();
    closes_whom_it_is_for([engine.clone(), engine]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_is_for_all_nodes_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    closes_whom_it_is_for([connect().await, connect().await]).await;
}

/// What is counted without asking: of all and of an endpoint, as the others have said; of the rest, those of this process.
#[tokio::test(start_paused = true)]
async fn counting_asks_nobody() {
    let engine = Local::new();
    let nodes = two([engine.clone(), engine]).await;
    let people = come(&nodes).await;
    sleep(Duration::from_millis(3100)).await;
    for (what, pick, _) in AUDIENCES {
        for (from, node) in nodes.iter().enumerate() {
            let audience = pick(node.sessions(), &people);
            let expected = match what {
                "endpoint" => 3,
                "other endpoint" => 2,
                "all" => 5,
                // Of those excepted only one is of each node, and of others it is not known that they are there.
                "all but two" => 4,
                _ => audience.iter().count(),
            };
            assert_eq!(audience.count(), expected, "{what} from {from}");
            assert_eq!(audience.is_empty(), expected == 0, "{what} from {from}");
            assert_eq!(audience.clone().local().count(), audience.iter().count(), "{what} from {from}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_got_where_it_is_and_reached_from_everywhere() {
    let engine = Local::new();
    let nodes = two([engine.clone(), engine]).await;
    for person in come(&nodes).await {
        let id = person.id();
        for (at, node) in nodes.iter().enumerate() {
            assert_eq!(node.sessions().get(&id).is_some(), at == person.node, "{}", person.name);
            let info = node.sessions().session(&id).info().await.unwrap().unwrap();
            assert_eq!((info.id, info.path.as_str()), (id, person.session.path()));
        }
    }
}

fn id_of(node: &RunningApp) -> NodeId {
    node.context().get::<Cluster>().unwrap().node_id()
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_is_named_as_missing() {
    let engine = SimEngine::new(1);
    let other = engine.clone();
    let way = other.control();
    let nodes = two([engine, other]).await;
    let people = come(&nodes).await;
    way.cut(Cut::Both);
    let rows = rows();
    // All at once: in ten seconds it would be dead, and nobody's sessions.
    let (nodes_of, people_of) = (&nodes, &people);
    let surveys = rows.iter().filter(|row| row.from == 0).map(|row| async move {
        let audience = row.audience(nodes_of, people_of);
        (row, audience.count_exact().await, audience.list(None, 100).await)
    });
    for (row, count, page) in join_all(surveys).await {
        let what = &row.what;
        let here: Vec<_> = people.iter().filter(|person| row.is_here(person)).map(Person::id).collect();
        let missing = if row.local { vec![] } else { vec![id_of(&nodes[1])] };
        assert_eq!((count.total, count.complete), (here.len(), missing.is_empty()), "{what}");
        assert_eq!(count.missing, missing, "{what}");
        let listed: BTreeSet<_> = page.sessions.iter().map(|listed| listed.id).collect();
        assert_eq!(listed, here.into_iter().collect(), "{what}");
        assert_eq!((page.complete, &page.missing), (missing.is_empty(), &missing), "{what}");
    }
    // Those who have answered are counted.
    let closed = nodes[0].sessions().room("blue").close(CloseReason::away("here")).await;
    assert_eq!(closed, 1);
    // Who has been away for too long is nobody's any more.
    sleep(Duration::from_secs(10)).await;
    let count = nodes[0].sessions().all().count_exact().await;
    assert_eq!((count.total, count.complete, count.missing), (1, true, vec![]));
    assert_eq!(nodes[0].sessions().all().count(), 1);
    way.heal();
    acquainted(&nodes).await;
    let count = nodes[0].sessions().all().count_exact().await;
    assert_eq!((count.total, count.complete), (4, true));
}

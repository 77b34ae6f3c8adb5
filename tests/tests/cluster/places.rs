//! Clients that say where they are in recoverable rooms, and go on from there on another node: what they have missed comes whole, or they are
//! told, once, that it does not. Over every engine that keeps a history.

use std::collections::BTreeMap;
use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Crossing, Engine, Local, Redis, Rooms};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Faults, Peer, RunningApp, SimEngine};
use endpoint_tests::cut_proxy::{Cut, CutProxy};
use endpoint_tests::redis_server::RedisServer;
use serde_json::{Value, json};

use crate::calls::support::{DEAF, LATE, Moody, WELL};

/// Its rooms are recoverable; its sessions are not resumed.
#[server_endpoint("/news/{room}", recover(size = 2000, ttl = "5m", rooms = "news/*"))]
struct News;

#[handlers]
impl News {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String) -> String {
        session.join(&format!("news/{room}"));
        assert!(session.reachable().await, "nobody reaches it");
        "open".to_owned()
    }
}

async fn node(engine: impl Engine) -> RunningApp {
    endpoint_runtime::test::app()
        .with(|exporter| exporter.only(ServerEndpointConfig::is::<News>))
        .with(|exporter| exporter.rooms("news/few*", Rooms::recoverable(5, Duration::from_secs(300))))
        .with(|exporter| exporter.cluster(engine))
        .start()
        .await
}

/// A place, as clients know it.
type Place = (String, u64);

/// What a client is told.
#[derive(Debug, PartialEq)]
enum Told {
    Session { token: Option<String>, resumed: bool, ttl: u64 },
    Joined(String, Place),
    Recovered { room: String, whole: bool, place: Option<Place> },
    Text(String, Option<(String, Place)>),
}

/// A client that speaks the wire form.
struct Client {
    peer: Peer,
    at: BTreeMap<String, Place>,
}

impl Client {
    /// It connects, says this first, and is told which session it has.
    async fn begin(node: &RunningApp, path: &str, first: &Value) -> (Self, Told) {
        let mut peer = node.connect(&format!("{path}?resume=1")).await.unwrap();
        peer.send(format!("\u{1}{first}")).await.unwrap();
        let mut client = Client { peer, at: BTreeMap::new() };
        let told = client.next().await;
        (client, told)
    }

    /// One that is new, in its room, and knows its place there.
    async fn new(node: &RunningApp, path: &str) -> (Self, Told) {
        let (mut client, session) = Client::begin(node, path, &json!({ "resume": null })).await;
        let mut open = false;
        while !open || client.at.is_empty() {
            open |= client.next().await == Told::Text("open".to_owned(), None);
        }
        (client, session)
    }

    /// One that says where it is.
    async fn at(node: &RunningApp, path: &str, at: &Value) -> Self {
        let (client, session) = Client::begin(node, path, &json!({ "resume": null, "at": at })).await;
        assert_eq!(session, Told::Session { token: None, resumed: false, ttl: 0 });
        client
    }

    async fn next(&mut self) -> Told {
        let text = self.peer.text().await;
        let Some(said) = text.strip_prefix('\u{1}') else { return Told::Text(text, None) };
        let said: Value = serde_json::from_str(said).unwrap();
        let place = |said: &Value, from: usize| -> Option<Place> {
            Some((said.get(from)?.as_str()?.to_owned(), said.get(from + 1)?.as_u64()?))
        };
        if let Some(session) = said.get("session") {
            return Told::Session {
                token: session["token"].as_str().map(str::to_owned),
                resumed: session["resumed"].as_bool().unwrap(),
                ttl: session["ttl"].as_u64().unwrap(),
            };
        }
        let (kind, said) = said.as_object().unwrap().iter().next().unwrap();
        let room = said[0].as_str().unwrap_or_default().to_owned();
        let at = place(said, if kind == "recovered" { 2 } else { 1 });
        self.at.extend(at.clone().map(|at| (room.clone(), at)));
        match (kind.as_str(), at) {
            ("recovered", place) => Told::Recovered { room, whole: said[1].as_bool().unwrap(), place },
            ("joined", Some(place)) => Told::Joined(room, place),
            ("at", Some(place)) => Told::Text(self.peer.text().await, Some((room, place))),
            other => panic!("{other:?}"),
        }
    }

    /// The next messages of a room, each with its place, which follow on each other.
    async fn texts(&mut self, room: &str, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        let mut before: Option<Place> = None;
        while texts.len() < count {
            let (text, of, place) = match self.next().await {
                Told::Text(text, Some((of, place))) => (text, of, place),
                told if told.is_opening() => continue,
                told => panic!("{told:?} after {texts:?}"),
            };
            assert_eq!(of, room);
            if let Some(before) = before.replace(place.clone()) {
                assert_eq!(place, (before.0, before.1 + 1), "a hole");
            }
            texts.push(text);
        }
        texts
    }

    /// What it has missed of its one room, so many messages, and that this is all. What is still on its way to the node comes behind that.
    async fn missed(&mut self, room: &str, count: usize) -> Vec<String> {
        let (mut texts, mut answers) = (Vec::new(), 0);
        while texts.len() < count || answers == 0 {
            match self.next().await {
                Told::Text(text, Some((of, place))) => {
                    assert_eq!((&*of, &place), (room, &self.at[room]));
                    texts.push((text, place));
                }
                Told::Recovered { whole: true, .. } => answers += 1,
                told if told.is_opening() => {}
                told => panic!("{told:?} after {texts:?}"),
            }
        }
        assert_eq!(answers, 1);
        assert!(
            texts.is_sorted_by(|(_, before), (_, next)| next.1 == before.1 + 1 && next.0 == before.0),
            "a hole in {texts:?}"
        );
        texts.into_iter().map(|(text, _)| text).collect()
    }

    /// Whether all that it has missed of its one room has come: said once, when its session opens or before.
    async fn whole(&mut self, room: &str) -> bool {
        loop {
            match self.next().await {
                Told::Recovered { room: of, whole, place } => {
                    assert_eq!(
                        (&*of, place.is_some()),
                        (room, !whole),
                        "where it goes on is said if it is not whole"
                    );
                    return whole;
                }
                told if told.is_opening() => {}
                told => panic!("{told:?}"),
            }
        }
    }
}

impl Told {
    /// What comes of opening the session and joining its room, in whatever order it does: what was missed may come before and after.
    fn is_opening(&self) -> bool {
        matches!(self, Told::Joined(..))
            || matches!(self, Told::Text(text, None) if text == "open" || text == "back")
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Sends to a room, each when the one before has its place.
async fn send(node: &RunningApp, room: &str, range: std::ops::Range<usize>) {
    for number in numbers(range) {
        let delivery = node.sessions().room(room).send(number).await;
        assert!(matches!(delivery.elsewhere(), Crossing::Handed { position: Some(_), .. }), "{delivery:?}");
    }
}

/// A client that says where it is, and nothing else.
async fn positions_only([one, other]: &[RunningApp; 2]) {
    let room = "news/blue";
    let (mut client, session) = Client::new(one, "/news/blue").await;
    assert_eq!(session, Told::Session { token: None, resumed: false, ttl: 0 }, "nothing resumes its session");
    assert_eq!(client.at[room].1, 0, "it knows its place before any message has come");
    let beginning = json!(client.at);
    send(other, room, 0..5).await;
    assert_eq!(client.texts(room, 5).await, numbers(0..5));
    let fifth = json!(client.at);
    drop(client);
    send(one, room, 5..30).await;
    // On the other node, on the same one again, and from the place before the first message.
    for (node, at, missed) in [(other, &fifth, 5..30), (one, &fifth, 5..30), (other, &beginning, 0..30)] {
        let mut client = Client::at(node, "/news/blue", at).await;
        assert_eq!(client.missed(room, missed.len()).await, numbers(missed));
        assert_eq!(client.at[room].1, 30);
    }
    // Who is there goes on with what comes.
    let mut client = Client::at(other, "/news/blue", &fifth).await;
    assert_eq!(client.missed(room, 25).await, numbers(5..30));
    send(one, room, 30..33).await;
    assert_eq!(client.texts(room, 3).await, numbers(30..33));
    // And if nothing was missed, that is said, too.
    let mut again = Client::at(one, "/news/blue", &json!(client.at)).await;
    assert!(again.whole(room).await);
}

/// What cannot be had is told once, with the place from which it goes on, and no part of it comes.
async fn not_whole([one, other]: &[RunningApp; 2]) {
    for (room, sent) in [("few", 20), ("many", 320)] {
        let (path, name) = (format!("/news/{room}"), format!("news/{room}"));
        let (mut client, _) = Client::new(one, &path).await;
        let beginning = client.at[&name].clone();
        send(one, &name, 0..sent).await;
        client.texts(&name, sent).await;
        let (epoch, mut top) = client.at[&name].clone();
        let places = [
            // Five are kept of the one, and of the other at most 300 are told again.
            json!([beginning.0, beginning.1]),
            // Forged: behind the newest, nowhere, in a history that there has never been.
            json!([epoch, top + 100]),
            json!([epoch, u64::MAX]),
            json!(["another", 1]),
            json!(["", 0]),
            json!(["\u{0}\u{7}\"", u64::MAX]),
        ];
        for (node, place) in [one, other].into_iter().cycle().zip(&places) {
            let mut lost = Client::at(node, &path, &json!({ &name: place })).await;
            assert!(!lost.whole(&name).await, "{place}");
            assert_eq!(lost.at[&name], (epoch.clone(), top), "{place}");
            send(one, &name, 0..1).await;
            assert_eq!(lost.texts(&name, 1).await, ["0"], "nothing of what was before: {place}");
            top += 1;
        }
        let mut lost = Client::at(other, &path, &json!({ &name: places[2] })).await;
        assert!(!lost.whole(&name).await);
        send(one, &name, 0..3).await;
        assert_eq!(lost.texts(&name, 3).await, numbers(0..3), "it goes on from there");
        // From the oldest place behind which all is kept, and few enough, nothing is missing. (Nodes may have more at hand for a moment.)
        let (kept, more) = if room == "few" { (5, 20) } else { (300, 1) };
        let newest = lost.at[&name].1;
        for (behind, whole) in [(newest - kept, true), (newest - kept - more, false)] {
            let mut client = Client::at(one, &path, &json!({ &name: [epoch, behind] })).await;
            if whole {
                client.missed(&name, usize::try_from(kept).unwrap()).await;
            } else {
                assert!(!client.whole(&name).await, "{behind}");
            }
        }
    }
}

/// Rooms that it names and is not let into are nobody's business; too many of them, or places that are none, close the connection.
async fn forged([one, other]: &[RunningApp; 2]) {
    send(one, "news/secret", 0..3).await;
    let mut stranger =
        Client::at(other, "/news/green", &json!({ "news/secret": ["", 0], "lobby": ["x", 7] })).await;
    let mut refused = Vec::new();
    while refused.len() < 2 {
        match stranger.next().await {
            Told::Recovered { room, whole: false, place: None } => refused.push(room),
            told if told.is_opening() => {}
            told => panic!("{told:?}"),
        }
    }
    refused.sort();
    assert_eq!(refused, ["lobby", "news/secret"]);
    send(one, "news/secret", 3..6).await;
    send(one, "news/green", 0..1).await;
    assert_eq!(stranger.texts("news/green", 1).await, ["0"], "and nothing of the other rooms");

    let rooms = |count: usize| -> Value {
        (0..count).map(|room| (format!("{room}"), json!(["e", 1]))).collect::<serde_json::Map<_, _>>().into()
    };
    let firsts = [
        (json!({ "resume": null, "at": rooms(10_000) }), CloseCode::Size),
        (json!({ "resume": null, "at": rooms(1_001) }), CloseCode::Policy),
        (json!({ "resume": null, "at": { "news/blue": ["e", -1] } }), CloseCode::Policy),
        (json!({ "resume": null, "at": { "news/blue": ["x".repeat(81), 1] } }), CloseCode::Policy),
    ];
    for (first, code) in firsts {
        let mut peer = one.connect("/news/blue?resume").await.unwrap();
        peer.send(format!("\u{1}{first}")).await.unwrap();
        assert_eq!(peer.closed().await.code(), code, "{:.60}", first.to_string());
    }
}

/// All of it, over two nodes.
async fn everything(nodes: [RunningApp; 2]) {
    positions_only(&nodes).await;
    not_whole(&nodes).await;
    forged(&nodes).await;
}

#[tokio::test]
async fn over_local() {
    let engine = Local::new();
    everything([node(engine.clone()).await, node(engine).await]).await;
}

#[tokio::test(start_paused = true)]
async fn over_an_engine_that_takes_its_time() {
    let engine = SimEngine::new(11);
    let nodes = [node(engine.clone()).await, node(engine.clone()).await];
    let (delay, latency) = (Duration::from_millis(20), Duration::from_millis(5));
    engine.set_faults(Faults { delay, latency, disorder: 0.2, duplication: 0.2, ..Faults::default() });
    everything(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_redis() {
    let server = RedisServer::start().await;
    let engine = async || Redis::connect(&server.url()).await.unwrap();
    everything([node(engine().await).await, node(engine().await).await]).await;
}

/// A node that is away while the server is restarted, with its data: its member is told once that something may be missing, and then gets all that is
/// there, whether it was sent before or after.
#[tokio::test(flavor = "multi_thread")]
async fn redis_comes_back_with_what_was_acknowledged() {
    let mut server = RedisServer::that_keeps().await;
    let proxy = CutProxy::to(server.address()).await;
    let behind = Redis::connect(&format!("redis://{}", proxy.address())).await.unwrap();
    let [one, other] = [node(Redis::connect(&server.url()).await.unwrap()).await, node(behind).await];
    let room = "news/kept";
    let (mut here, _) = Client::new(&one, "/news/kept").await;
    let (mut there, _) = Client::new(&other, "/news/kept").await;
    send(&one, room, 0..10).await;
    for client in [&mut here, &mut there] {
        assert_eq!(client.texts(room, 10).await, numbers(0..10));
    }
    proxy.cut(Cut::Refuse);
    proxy.close();
    send(&one, room, 10..400).await;
    assert_eq!(here.texts(room, 390).await, numbers(10..400));
    server.kill().await;
    server.start_again().await;
    let epoch = here.at[room].0.clone();
    // Until the node has found the server again.
    while one.sessions().room(room).send("400").await.elsewhere().error().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    send(&one, room, 401..410).await;
    proxy.heal();
    for (client, seen) in [(&mut here, 400), (&mut there, 10)] {
        let told = client.next().await;
        let Told::Recovered { whole: false, place: Some((new, offset)), .. } = &told else {
            panic!("{told:?}")
        };
        assert!(*new != epoch && *offset == seen as u64, "{told:?}");
        assert_eq!(client.texts(room, 410 - seen).await, numbers(seen..410));
        assert_eq!(client.at[room].1, 410, "offsets go on");
    }
    // Whoever is told of another epoch only when it comes back cannot know either.
    let mut late = Client::at(&other, "/news/kept", &json!({ room: [epoch, 390] })).await;
    assert!(!late.whole(room).await);
}

/// The session that a client goes on with begins in the rooms of the one before, on a node that has none of their members, while the room goes on.
#[tokio::test(flavor = "multi_thread")]
async fn many_come_back_at_once_while_the_room_goes_on() {
    const CLIENTS: usize = 50;
    let engine = Local::new();
    let nodes = [node(engine.clone()).await, node(engine).await];
    let room = "news/storm";
    let (mut first, _) = Client::new(&nodes[0], "/news/storm").await;
    send(&nodes[0], room, 0..1).await;
    first.texts(room, 1).await;
    let at = json!(first.at);
    send(&nodes[0], room, 1..101).await;
    let clients = async {
        let come = (0..CLIENTS).map(|number| {
            let (node, at) = (&nodes[number % 2], &at);
            async move {
                let mut client = Client::at(node, "/news/storm", at).await;
                let (mut texts, mut answers) = (Vec::new(), 0);
                while texts.len() < 200 {
                    match client.next().await {
                        Told::Text(text, Some(_)) => texts.push(text),
                        told if told.is_opening() => {}
                        Told::Recovered { whole: true, .. } => answers += 1,
                        told => panic!("{told:?}"),
                    }
                }
                assert_eq!((texts, answers), (numbers(1..201), 1));
            }
        });
        futures_util::future::join_all(come).await;
    };
    tokio::join!(clients, send(&nodes[1], room, 101..201));
}

/// A node reads what its room has missed, and before the answer comes everybody has left, and somebody comes who has it already.
#[tokio::test(start_paused = true)]
async fn what_is_read_for_those_who_have_left_is_not_told_to_who_has_come_since() {
    let hub = Local::new();
    let engine = Moody::of(&hub);
    let [one, other] = [node(engine.clone()).await, node(hub).await];
    let room = "news/gap";
    let (gone, _) = Client::new(&one, "/news/gap").await;
    let (mut seen, _) = Client::new(&other, "/news/gap").await;
    engine.becomes(DEAF);
    send(&other, room, 0..20).await;
    assert_eq!(seen.texts(room, 20).await, numbers(0..20));
    engine.becomes(LATE);
    while engine.unanswered() == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    engine.becomes(WELL);
    drop(gone);
    while engine.subscribed.lock().unwrap().contains(&Channel::Room(room.into())) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut back = Client::at(&one, "/news/gap", &json!(seen.at)).await;
    assert!(back.whole(room).await);
    engine.answer();
    while engine.unanswered() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    send(&other, room, 20..21).await;
    assert_eq!(back.texts(room, 1).await, ["20"]);
}

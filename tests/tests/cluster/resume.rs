//! Resuming sessions, as a client of the plain WebSocket protocol does it, over servers of one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use endpoint_runtime as runtime;
use futures_util::{SinkExt, StreamExt};
use runtime::cluster::{
    Appended, Arrival, Capabilities, Channel, Engine, EngineError, History, Local, MessageId, Pending,
    Present, Published, Put, Receiver, Recorded, Retention,
};
use runtime::prelude::*;
use runtime::test::{Peer, RunningApp};
use runtime::{AskError, BearerTokens, ServerEndpointExporter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite};

use crate::suite::PATIENCE;

#[derive(Clone, Serialize, Deserialize)]
struct Nickname(String);

/// What happens to the sessions, in its order.
struct Diary(UnboundedSender<String>);

#[server_endpoint("/seat/{row}", resume = "2m", send_buffer = 4096)]
struct Seat {
    #[inject]
    diary: Arc<Diary>,
}

#[handlers]
impl Seat {
    #[on_open]
    fn open(&self, session: &Session) -> String {
        let Some(resumed) = session.resumed() else { return "new".to_owned() };
        let mut rooms = resumed.rooms().to_vec();
        rooms.sort();
        let joined: Vec<_> = rooms.iter().filter(|room| session.rooms().contains(room)).collect();
        let nickname = session.attributes().get().map(|Nickname(name)| name);
        let _ = self.diary.0.send(format!("resumed {}", resumed.before()));
        format!(
            "back: rooms {joined:?}, nickname {nickname:?}, user {:?}, was open {}, replayed {}, lost {:?}",
            session.user(),
            resumed.was_open(),
            resumed.replayed(),
            resumed.lost(),
        )
    }

    #[on_message]
    async fn command(&self, text: String, session: &Session, sessions: &Sessions) -> Result<()> {
        match text.split_once(' ').unwrap_or((&text, "")) {
            ("join", room) => drop(session.join(room)),
            ("nick", name) => drop(session.attributes().insert(Nickname(name.to_owned()))),
            ("user", name) => session.set_user(name),
            ("say", text) => session.send(text).await?,
            ("all", text) => drop(sessions.endpoint::<Seat>().send(text).await),
            ("ask", _) => {
                let error = session.ask("?", Duration::from_secs(1)).await.expect_err("it asks itself");
                session.send(format!("{error}")).await?;
            }
            (_, all) => session.send(format!("not understood: {all}")).await?,
        }
        Ok(())
    }

    #[on_close]
    fn close(&self, session: &Session, reason: &CloseReason) {
        let _ = self.diary.0.send(format!("closed {} {reason}", session.id()));
    }
}

#[server_endpoint("/plain")]
struct Plain;

#[handlers]
impl Plain {
    #[on_message]
    fn echo(&self, text: String) -> String {
        text
    }
}

/// A server, and what happens there.
struct Node {
    app: RunningApp,
    diary: UnboundedReceiver<String>,
}

async fn node(engine: Option<Local>) -> Node {
    start(|exporter| match engine {
        Some(engine) => exporter.cluster(engine),
        None => exporter,
    })
    .await
}

async fn node_of(engine: impl Engine) -> Node {
    start(|exporter| exporter.cluster(engine)).await
}

async fn start(change: impl FnOnce(ServerEndpointExporter) -> ServerEndpointExporter) -> Node {
    let (diary, heard) = unbounded_channel();
    let bearer = BearerTokens::new(|name: String| async move { Ok(Principal::new(()).named(name)) });
    let app = runtime::test::app()
        .with(|exporter| exporter.only(|endpoint| endpoint.is::<Seat>() || endpoint.is::<Plain>()))
        .with(|exporter| exporter.carry::<Nickname>("nickname").bearer(bearer))
        .with(change)
        .provide(Diary(diary));
    Node { app: app.start().await, diary: heard }
}

impl Node {
    async fn next(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.diary.recv()).await.unwrap().unwrap()
    }

    async fn connect(&self, path: &str) -> Peer {
        self.app.connect(path).await.unwrap()
    }

    /// A client that says first what `first` is, and what it is told then.
    async fn begin(&self, first: &Value) -> (Peer, Told) {
        let mut peer = self.connect("/seat/a?resume").await;
        let told = say_first(&mut peer, first).await;
        (peer, told)
    }
}

#[derive(Debug, Deserialize)]
struct Told {
    token: String,
    resumed: bool,
    ttl: u64,
    #[serde(default, deserialize_with = "some")]
    lost: Option<Option<u64>>,
}

fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn control(value: &Value) -> String {
    format!("\u{1}{value}")
}

fn nothing() -> Value {
    json!({ "resume": null })
}

fn token(told: &Told, seen: u64) -> Value {
    json!({ "resume": told.token, "seen": seen })
}

async fn say_first(peer: &mut Peer, first: &Value) -> Told {
    peer.send(control(first)).await.unwrap();
    let text = peer.text().await;
    let value: Value = serde_json::from_str(text.strip_prefix('\u{1}').expect("a control message")).unwrap();
    serde_json::from_value(value["session"].clone()).unwrap()
}

/// Gives the session something to be carried over.
async fn settle(peer: &mut Peer) {
    assert_eq!(peer.text().await, "new");
    for command in ["join blue", "join green", "nick Bo", "user bo", "say done"] {
        peer.send(command).await.unwrap();
    }
    assert_eq!(peer.text().await, "done");
}

const BACK: &str = r#"back: rooms ["blue", "green"], nickname Some("Bo"), user Some("bo")"#;

#[tokio::test]
async fn a_session_goes_on_here_and_elsewhere() {
    let hub = Local::new();
    for (engine, elsewhere) in
        [(None, None), (Some(hub.clone()), None), (Some(hub.clone()), Some(hub.clone()))]
    {
        let mut one = node(engine).await;
        let other = match elsewhere {
            Some(engine) => Some(node(Some(engine)).await),
            None => None,
        };
        let (mut peer, told) = one.begin(&nothing()).await;
        assert!(!told.resumed && told.lost.is_none() && told.ttl == 120);
        settle(&mut peer).await;
        // Lost without a word.
        drop(peer);
        assert!(one.next().await.starts_with("closed "));
        let (mut peer, again) = other.as_ref().unwrap_or(&one).begin(&token(&told, 2)).await;
        assert!(again.resumed && again.lost == Some(Some(0)), "{again:?}");
        assert_ne!(again.token, told.token);
        assert_eq!(peer.text().await, format!("{BACK}, was open false, replayed 0, lost Some(0)"));
        let there = other.as_ref().unwrap_or(&one);
        there.app.sessions().room("green").send("to green").await;
        there.app.sessions().user("bo").send("to bo").await;
        assert_eq!((peer.text().await, peer.text().await), ("to green".to_owned(), "to bo".to_owned()));
        // The token was for once.
        let (_peer, told) = one.begin(&token(&told, 0)).await;
        assert!(!told.resumed);
    }
}

#[tokio::test]
async fn a_session_that_is_still_open_is_replaced() {
    let hub = Local::new();
    let (mut one, mut other) = (node(Some(hub.clone())).await, node(Some(hub)).await);
    let (mut first, told) = one.begin(&nothing()).await;
    settle(&mut first).await;
    let (mut second, told) = other.begin(&token(&told, 2)).await;
    assert_eq!(second.text().await, format!("{BACK}, was open true, replayed 0, lost Some(0)"));
    let reason = first.closed().await;
    assert_eq!((u16::from(reason.code()), reason.text()), (4009, "replaced"));
    let before = other.next().await;
    let closed = one.next().await;
    assert_eq!(closed, format!("closed {} 4009 replaced", before.strip_prefix("resumed ").unwrap()));
    // And back again, on the same server as the one before.
    let (mut third, _) = other.begin(&token(&told, 1)).await;
    assert!(third.text().await.contains("was open true"));
    assert_eq!(u16::from(second.closed().await.code()), 4009);
}

#[tokio::test]
async fn what_was_not_seen_is_sent_again_once_and_in_order() {
    let hub = Local::new();
    let (mut one, mut other) = (node(Some(hub.clone())).await, node(Some(hub)).await);
    let (mut peer, told) = one.begin(&nothing()).await;
    settle(&mut peer).await;
    for word in ["a", "\u{1}b", "c", "d"] {
        peer.send(format!("say {word}")).await.unwrap();
    }
    assert_eq!(peer.text().await, "a");
    assert_eq!((peer.text().await, peer.text().await), ("\u{1}{}".to_owned(), "\u{1}b".to_owned()));
    peer.send(control(&json!({ "seen": 2 }))).await.unwrap();
    assert_eq!((peer.text().await, peer.text().await), ("c".to_owned(), "d".to_owned()));
    // It says that it has seen four of six: "d" and "c" came too late.
    drop(peer);
    one.next().await;
    let (mut peer, told) = other.begin(&token(&told, 3)).await;
    assert_eq!(told.lost, Some(Some(0)));
    assert_eq!((peer.text().await, peer.text().await), ("\u{1}{}".to_owned(), "\u{1}b".to_owned()));
    assert_eq!((peer.text().await, peer.text().await), ("c".to_owned(), "d".to_owned()));
    assert!(peer.text().await.contains("replayed 3, lost Some(0)"));
    // From the last `session` on everything counts anew: three, and what on_open has said.
    drop(peer);
    other.next().await;
    let (mut peer, _) = one.begin(&token(&told, 3)).await;
    assert!(peer.text().await.contains("replayed 3"), "what on_open said is sent again");
    assert!(peer.text().await.contains("replayed 1, lost Some(0)"));
}

/// Over TCP a broadcast is written past the tasks of those who get it, except to whom it is kept for until they have seen it.
#[tokio::test]
async fn what_was_broadcast_over_tcp_and_not_seen_is_sent_again() {
    let (diary, mut heard) = unbounded_channel();
    let server = runtime::export_all()
        .settings(Default::default())
        .only(ServerEndpointConfig::is::<Seat>)
        .carry::<Nickname>("nickname")
        .provide(Diary(diary))
        .bind("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let url = format!("ws://{}/seat/a?resume", server.local_addr());
    let begin = async |first: Value| {
        let (mut link, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        link.send(tungstenite::Message::text(control(&first))).await.unwrap();
        link
    };
    let next = async |link: &mut WebSocketStream<MaybeTlsStream<TcpStream>>| {
        let message = tokio::time::timeout(PATIENCE, link.next()).await.unwrap().unwrap().unwrap();
        message.to_text().unwrap().to_owned()
    };
    let mut link = begin(nothing()).await;
    let told: Value = serde_json::from_str(next(&mut link).await.trim_start_matches('\u{1}')).unwrap();
    let told: Told = serde_json::from_value(told["session"].clone()).unwrap();
    assert_eq!(next(&mut link).await, "new");
    // One by one, so that the connection rests between them, and could share its socket.
    let plain = format!("ws://{}/seat/b", server.local_addr());
    let (mut other, _) = tokio_tungstenite::connect_async(plain).await.unwrap();
    for number in 0..5 {
        other.send(tungstenite::Message::text(format!("all to all {number}"))).await.unwrap();
        assert_eq!(next(&mut link).await, format!("to all {number}"));
    }
    drop(link);
    heard.recv().await.unwrap();
    // It has seen `new` and two of them.
    let mut link = begin(token(&told, 3)).await;
    assert!(next(&mut link).await.contains("\"resumed\":true"));
    for number in 2..5 {
        assert_eq!(next(&mut link).await, format!("to all {number}"));
    }
    assert!(next(&mut link).await.contains("replayed 3, lost Some(0)"));
    drop((link, other));
    server.shutdown().await;
}

#[tokio::test]
async fn of_more_than_is_kept_it_is_said_how_much_is_lost() {
    let mut one = node(None).await;
    let (mut peer, told) = one.begin(&nothing()).await;
    settle(&mut peer).await;
    let long = "x".repeat(1000);
    for _ in 0..10 {
        peer.send(format!("say {long}")).await.unwrap();
        assert_eq!(peer.text().await, long);
    }
    drop(peer);
    one.next().await;
    let (mut peer, told) = one.begin(&token(&told, 2)).await;
    // Four of 1016 bytes are 4064, and 4096 are kept.
    assert_eq!(told.lost, Some(Some(6)));
    for _ in 0..4 {
        assert_eq!(peer.text().await, long);
    }
    assert!(peer.text().await.contains("replayed 4, lost Some(6)"));
}

#[tokio::test]
async fn what_waits_in_the_queue_goes_with_the_session() {
    let hub = Local::new();
    let (mut one, other) = (node(Some(hub.clone())).await, node(Some(hub)).await);
    let (mut peer, told) = one.begin(&nothing()).await;
    settle(&mut peer).await;
    let session = one.app.sessions().all().iter().next().unwrap();
    // The peer reads nothing any more, and its side of the pipe fills up.
    while session.queued_bytes() == 0 {
        let _ = session.try_send("y".repeat(1000));
        tokio::task::yield_now().await;
    }
    session.try_send("the last").unwrap();
    drop(peer);
    one.next().await;
    let (mut peer, told) = other.begin(&token(&told, 2)).await;
    assert!(told.resumed);
    let mut last = String::new();
    loop {
        let text = peer.text().await;
        if text.starts_with("back") {
            break;
        }
        last = text;
    }
    assert_eq!(last, "the last");
}

#[tokio::test]
async fn of_two_who_come_at_once_one_goes_on() {
    let hub = Local::new();
    let mut nodes = [node(Some(hub.clone())).await, node(Some(hub.clone())).await, node(Some(hub)).await];
    let (mut peer, mut told) = nodes[0].begin(&nothing()).await;
    settle(&mut peer).await;
    for turn in 0..50 {
        let first = token(&told, 0);
        let (a, b) = tokio::join!(nodes[turn % 3].begin(&first), nodes[(turn + 1) % 3].begin(&first));
        assert!(a.1.resumed ^ b.1.resumed, "turn {turn}");
        let (winner, loser) = if a.1.resumed { (a, b) } else { (b, a) };
        (peer, told) = winner;
        drop(loser);
    }
    peer.send("say still here").await.unwrap();
    while peer.text().await != "still here" {}
    for node in &mut nodes {
        while node.diary.try_recv().is_ok() {}
    }
}

struct Nobody;

impl Receiver for Nobody {
    fn receive(&self, _: Arrival) {}
    fn lost(&self, _: &EngineError) {}
    fn back(&self) {}
    fn missed(&self, _: &[Channel]) {}
}

/// A record is what is fought for: one gets it, in ten thousand tries.
#[tokio::test]
async fn a_record_is_taken_once() {
    let engine = Local::new();
    let engines = [engine.clone(), engine.clone()];
    for engine in &engines {
        engine.start(Arc::new(Nobody)).await.unwrap();
    }
    for _ in 0..10_000 {
        let put = engines[0].put("s:x", Bytes::from_static(b"record"), PATIENCE, Put::New).await;
        assert!(put.unwrap());
        let (a, b) = tokio::join!(engines[0].take("s:x"), engines[1].take("s:x"));
        assert!(a.unwrap().is_some() ^ b.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_its_client_its_path_and_its_time() {
    let hub = Local::new();
    let (mut one, other) = (node(Some(hub.clone())).await, node(Some(hub)).await);
    let mut peer = one.app.connect("/seat/a?resume").header("authorization", "Bearer bo").await.unwrap();
    let told = say_first(&mut peer, &nothing()).await;
    assert_eq!(peer.text().await, "new");
    drop(peer);
    one.next().await;
    let forged = json!({ "resume": "AAAAAAAAAAAAAAAAAAAAAA" });
    let malformed = json!({ "resume": "no token" });
    let stolen = token(&told, 0);
    for (who, path, first) in [
        ("bo", "/seat/a?resume", &forged),
        ("bo", "/seat/a?resume", &malformed),
        ("eve", "/seat/a?resume", &stolen),
        ("bo", "/seat/b?resume", &stolen),
    ] {
        let mut peer =
            other.app.connect(path).header("authorization", &format!("Bearer {who}")).await.unwrap();
        assert!(!say_first(&mut peer, first).await.resumed, "{who} {path} {first}");
        assert_eq!(peer.text().await, "new");
    }
    let (_stranger, nobody) = other.begin(&stolen).await;
    assert!(!nobody.resumed);
    // None of that has cost the owner anything, who has almost two minutes yet.
    tokio::time::advance(Duration::from_secs(115)).await;
    let back = async |told: &Told| {
        let mut peer =
            other.app.connect("/seat/a?resume").header("authorization", "Bearer bo").await.unwrap();
        let again = say_first(&mut peer, &token(told, 1)).await;
        (peer, again)
    };
    let (peer, told) = back(&told).await;
    assert!(told.resumed);
    // It is open for longer than that, and then lost for longer.
    tokio::time::sleep(Duration::from_secs(300)).await;
    drop(peer);
    tokio::time::sleep(Duration::from_secs(121)).await;
    assert!(!back(&told).await.1.resumed);
}

#[tokio::test]
async fn a_session_that_was_closed_is_over() {
    let mut one = node(None).await;
    for code in [CloseCode::Normal, CloseCode::from(4000)] {
        let (mut peer, told) = one.begin(&nothing()).await;
        assert_eq!(peer.text().await, "new");
        peer.close(code, "").await.unwrap();
        one.next().await;
        assert!(!one.begin(&token(&told, 1)).await.1.resumed, "{code:?}");
    }
    // A page that goes away may be one that comes back.
    let (mut peer, told) = one.begin(&nothing()).await;
    peer.close(CloseCode::Away, "").await.unwrap();
    assert!(one.begin(&token(&told, 1)).await.1.resumed);
}

#[tokio::test]
async fn a_server_that_stops_leaves_its_sessions_to_the_others() {
    let hub = Local::new();
    let (one, other) = (node(Some(hub.clone())).await, node(Some(hub)).await);
    let (mut peer, told) = one.begin(&nothing()).await;
    settle(&mut peer).await;
    one.app.sessions().room("blue").send("before it stops").await;
    assert_eq!(peer.text().await, "before it stops");
    let Node { app, diary: _diary } = one;
    let (reason, ()) = tokio::join!(peer.closed(), app.shutdown());
    assert_eq!(reason.code(), CloseCode::Away);
    let (mut peer, _) = other.begin(&token(&told, 2)).await;
    assert_eq!(peer.text().await, "before it stops");
    assert_eq!(peer.text().await, format!("{BACK}, was open false, replayed 1, lost Some(0)"));
}

/// It does not answer, and nobody knows which messages its clients have not seen; all else is known.
#[test]
fn the_sessions_of_a_server_that_dies_go_on_elsewhere() {
    let hub = Local::new();
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (dying, living) = (runtime(), runtime());
    let (one, mut peer, told) = dying.block_on(async {
        let one = node(Some(hub.clone())).await;
        let (mut peer, told) = one.begin(&nothing()).await;
        settle(&mut peer).await;
        peer.send("say unseen").await.unwrap();
        // Changes are written down within a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        (one, peer, told)
    });
    dying.shutdown_background();
    living.block_on(async {
        let other = node(Some(hub)).await;
        let (mut peer, told) = other.begin(&token(&told, 2)).await;
        assert!(told.resumed && told.lost == Some(None), "{told:?}");
        assert_eq!(peer.text().await, format!("{BACK}, was open false, replayed 0, lost None"));
    });
    drop((one, &mut peer));
    living.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn what_a_client_says_first_is_what_it_has_to_say() {
    let mut one = node(None).await;
    for first in [
        "hello".to_owned(),
        String::new(),
        "{\"resume\":null}".to_owned(),
        "\u{1}".to_owned(),
        "\u{1}{}".to_owned(),
        "\u{1}{\"resume\"".to_owned(),
        "\u{1}{\"resume\":7}".to_owned(),
        "\u{1}{\"seen\":0}".to_owned(),
    ] {
        let mut peer = one.connect("/seat/a?resume").await;
        peer.send(first.as_str()).await.unwrap();
        let reason = peer.closed().await;
        assert_eq!(reason.code(), CloseCode::Policy, "{:?}", &first[..first.len().min(40)]);
        assert!(!reason.text().is_empty());
    }
    let mut peer = one.connect("/seat/a?resume").await;
    peer.send(Bytes::from_static(b"\x01{\"resume\":null}")).await.unwrap();
    assert_eq!(peer.closed().await.code(), CloseCode::Policy);
    // Who says nothing at all has as long as a handshake may take.
    let mut peer = one.connect("/seat/a?resume").await;
    let begin = tokio::time::Instant::now();
    assert_eq!(peer.closed().await.code(), CloseCode::Policy);
    assert_eq!(begin.elapsed().as_secs(), 10);
    // None of them was ever opened, and so none is closed.
    assert!(one.diary.try_recv().is_err());
    // Later it is told the same way.
    for wrong in [nothing(), json!({ "seen": 2 }), json!({ "unknown": 1 })] {
        let (mut peer, _) = one.begin(&nothing()).await;
        peer.send(control(&wrong)).await.unwrap();
        assert_eq!(peer.closed().await.code(), CloseCode::Policy, "{wrong}");
        assert!(one.next().await.contains(" 1008 "));
    }
}

#[tokio::test]
async fn who_does_not_ask_for_it_sees_nothing_of_it() {
    let one = node(None).await;
    for (path, speaks) in [("/seat/a", false), ("/seat/a?resumed=1", false), ("/seat/a?x=1&resume=yes", true)]
    {
        let mut peer = one.connect(path).await;
        if speaks {
            say_first(&mut peer, &nothing()).await;
        }
        assert_eq!(peer.text().await, "new", "{path}");
        peer.send("say \u{1}{}").await.unwrap();
        assert_eq!(peer.text().await, "\u{1}{}", "{path}");
        if speaks {
            assert_eq!(peer.text().await, "\u{1}{}", "the message behind its header");
            peer.send(control(&json!({}))).await.unwrap();
        }
        peer.send("\u{1}{\"seen\":99}").await.unwrap();
        let (header, message) = ("\u{1}{}", "not understood: ");
        let answer = peer.text().await;
        assert_eq!(answer, message, "{path} {header}");
    }
    let mut peer = one.connect("/plain?resume=1").await;
    peer.send(control(&nothing())).await.unwrap();
    assert_eq!(peer.text().await, control(&nothing()), "an endpoint that nobody can resume");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_asked_and_answers() {
    let mut one = node(None).await;
    let (mut peer, _) = one.begin(&nothing()).await;
    assert_eq!(peer.text().await, "new");
    let session = one.app.sessions().all().iter().next().unwrap();
    let ask = |question: &'static str| {
        let session = session.clone();
        tokio::spawn(async move { session.ask(question, Duration::from_secs(5)).await })
    };
    let (first, second) = (ask("one?"), ask("two?"));
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let header = peer.text().await;
        let header: Value = serde_json::from_str(header.strip_prefix('\u{1}').unwrap()).unwrap();
        numbers.push((header["ask"].as_u64().unwrap(), peer.text().await));
    }
    // The answers come in another order than the questions, with other messages between them.
    numbers.reverse();
    for (number, question) in &numbers {
        peer.send("say between").await.unwrap();
        peer.send(control(&json!({ "answer": number }))).await.unwrap();
        peer.send(format!("\u{1}{question}!")).await.unwrap();
        assert_eq!(peer.text().await, "between");
    }
    let text = |answer: Result<Message, AskError>| answer.unwrap().as_text().unwrap().to_owned();
    assert_eq!(text(first.await.unwrap()), "\u{1}one?!");
    assert_eq!(text(second.await.unwrap()), "\u{1}two?!");
    assert!(matches!(ask("anybody?").await.unwrap(), Err(AskError::Timeout)));
    // An answer that comes too late is no fault.
    peer.send(control(&json!({ "answer": 3 }))).await.unwrap();
    peer.send("too late").await.unwrap();
    peer.send("ask").await.unwrap();
    while !peer.text().await.contains("own handler") {}
    let last = ask("gone?");
    while peer.text().await != "gone?" {}
    drop(peer);
    assert!(matches!(last.await.unwrap(), Err(AskError::Gone)));
    one.next().await;
    let plain = one.connect("/seat/a").await;
    let session = one.app.sessions().all().iter().next().unwrap();
    assert!(matches!(session.ask("?", PATIENCE).await, Err(AskError::Unsupported)));
    drop(plain);
}

/// An engine that tells what is kept with it, or cannot keep anything, or does not give it back.
#[derive(Debug)]
struct Telling {
    engine: Local,
    keeps: bool,
    gives: Arc<AtomicBool>,
    keys: UnboundedSender<String>,
}

impl Engine for Telling {
    fn name(&self) -> &'static str {
        "told"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.engine.capabilities();
        capabilities.store = self.keeps;
        capabilities
    }

    fn max_message(&self) -> usize {
        self.engine.max_message()
    }

    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()> {
        self.engine.start(receiver)
    }

    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        self.engine.subscribe(channels)
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        self.engine.unsubscribe(channels)
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        self.engine.publish(channel, message)
    }

    fn append<'a>(
        &'a self,
        channel: &'a Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Pending<'a, Appended> {
        self.engine.append(channel, message, id, keep)
    }

    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History> {
        self.engine.history(channel, after, limit)
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration, how: Put) -> Pending<'a, bool> {
        let _ = self.keys.send(key.to_owned());
        self.engine.put(key, value, ttl, how)
    }

    fn take<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Bytes>> {
        if self.gives.load(Ordering::Relaxed) {
            self.engine.take(key)
        } else {
            Box::pin(async { Err(EngineError::Timeout) })
        }
    }

    fn enter<'a>(&'a self, channel: &'a Channel, members: &'a [Recorded], ttl: Duration) -> Pending<'a, ()> {
        self.engine.enter(channel, members, ttl)
    }

    fn exit<'a>(&'a self, channel: &'a Channel, members: &'a [String]) -> Pending<'a, ()> {
        self.engine.exit(channel, members)
    }

    fn present<'a>(
        &'a self,
        channel: &'a Channel,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Present> {
        self.engine.present(channel, after, limit)
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        self.engine.stop()
    }
}

/// A session is over that was closed for good, though the engine could not be told so at once.
#[tokio::test(start_paused = true)]
async fn a_session_that_was_closed_while_the_engine_was_away_is_over() {
    for comes_back in [false, true] {
        let hub = Local::new();
        let (keys, _kept) = unbounded_channel();
        let gives = Arc::new(AtomicBool::new(true));
        let engine = Telling { engine: hub.clone(), keeps: true, gives: Arc::clone(&gives), keys };
        let mut one = node_of(engine).await;
        let other = node(Some(hub)).await;
        let (mut peer, told) = one.begin(&nothing()).await;
        assert_eq!(peer.text().await, "new");
        gives.store(false, Ordering::Relaxed);
        peer.close(CloseCode::Normal, "").await.unwrap();
        one.next().await;
        if comes_back {
            // Then the record is taken away, and nobody has to ask.
            gives.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(one);
        }
        assert!(!other.begin(&token(&told, 1)).await.1.resumed, "{comes_back}");
    }
}

/// A server that is cut off from the others while its session goes on elsewhere finds that out, and gives way; but if it is the engine that
/// has lost the record, the session stays, and can be resumed again.
#[tokio::test(start_paused = true)]
async fn who_has_lost_a_session_gives_way_and_who_has_lost_only_the_record_does_not() {
    for taken in [true, false] {
        let hub = Local::new();
        let thief = hub.clone();
        thief.start(Arc::new(Nobody)).await.unwrap();
        let (keys, mut kept) = unbounded_channel();
        let mut one =
            node_of(Telling { engine: hub.clone(), keeps: true, gives: Arc::new(true.into()), keys }).await;
        let (mut peer, told) = one.begin(&nothing()).await;
        assert_eq!(peer.text().await, "new");
        let key = kept.recv().await.unwrap();
        assert!(!key.contains(&told.token), "the store never sees the token");
        let record = thief.take(&key).await.unwrap().expect("a record");
        assert!(!record.windows(22).any(|part| part == told.token.as_bytes()));
        if taken {
            let gone = key.replacen("s:", "g:", 1);
            assert!(thief.put(&gone, Bytes::new(), PATIENCE, Put::New).await.unwrap());
            let reason = peer.closed().await;
            assert_eq!((u16::from(reason.code()), reason.text()), (4009, "replaced"));
            assert!(one.next().await.ends_with("4009 replaced"));
        } else {
            // What changes is written down, and that is how it finds out.
            peer.send("join blue").await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
            peer.send("say here").await.unwrap();
            assert_eq!(peer.text().await, "here");
            let other = node(Some(hub)).await;
            let (mut peer, _) = other.begin(&token(&told, 2)).await;
            assert!(peer.text().await.contains("was open true"));
        }
    }
}

#[tokio::test]
async fn an_engine_that_keeps_nothing_resumes_nothing() {
    let (keys, _kept) = unbounded_channel();
    let report = runtime::export_all()
        .only(ServerEndpointConfig::is::<Seat>)
        .provide(Diary(unbounded_channel().0))
        .cluster(Telling { engine: Local::new(), keeps: false, gives: Arc::new(true.into()), keys })
        .check();
    let problem = "`resume` needs an engine that keeps values for a while, which told does not";
    assert!(report.to_string().contains(problem), "{report}");
}

#[tokio::test]
async fn what_is_carried_must_have_names_of_its_own() {
    let report = runtime::export_all()
        .only(ServerEndpointConfig::is::<Plain>)
        .carry::<Nickname>("nickname")
        .carry::<String>("nickname")
        .check();
    assert!(report.to_string().contains("two attributes are carried by the name `nickname`"), "{report}");
}

#[tokio::test]
async fn rooms_that_are_not_joined_are_not_recovered() {
    let one = node(None).await;
    let first = json!({ "resume": null, "at": { "blue": ["e", 7], "red": ["e", 1] } });
    let mut peer = one.connect("/seat/a?resume").await;
    assert!(!say_first(&mut peer, &first).await.resumed);
    assert_eq!(peer.text().await, "new");
    let mut told = [peer.text().await, peer.text().await];
    told.sort();
    assert_eq!(told, ["\u{1}{\"recovered\":[\"blue\",false]}", "\u{1}{\"recovered\":[\"red\",false]}"]);
    one.app.sessions().room("blue").send("not for a stranger").await;
    peer.send("say end").await.unwrap();
    assert_eq!(peer.text().await, "end");
}

//! Questions to clients, of whichever node their sessions are.

use std::time::Duration;

use endpoint_runtime::cluster::{Cluster, ClusterError, Engine, Local, Outcome, Redis};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, Cut, Peer, RunningApp, SimEngine, SimNode};
use endpoint_runtime::{AskError, SessionId, Settings};
use endpoint_tests::redis_server::RedisServer;
use futures_util::future::join_all;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::support::{DEAF, Moody, WELL, acquainted};

/// Whose clients may be asked, if they understand it.
#[server_endpoint("/desk", resume = "2m", max_message_size = 100_000)]
struct Desk;

#[handlers]
impl Desk {
    #[on_open]
    fn open(&self) -> &'static str {
        "open"
    }

    /// Asks the session itself.
    #[on_message]
    async fn ask(&self, _: String, session: &Session, sessions: Sessions) -> String {
        let asked = sessions.session(session.id()).ask("?", Duration::from_secs(1)).await;
        format!("{asked:?}")
    }
}

const LONG: Duration = Duration::from_secs(60);

fn app(engine: impl Engine) -> App {
    endpoint_runtime::test::app()
        .with(|exporter| exporter.only(ServerEndpointConfig::is::<Desk>).cluster(engine))
        // A peer that nobody looks at answers no ping.
        .configure(|settings| settings.ping_interval = None)
}

async fn node(engine: impl Engine) -> RunningApp {
    app(engine).start().await
}

/// Two nodes that know each other.
async fn two<E: Engine>([one, other]: [E; 2]) -> [RunningApp; 2] {
    let nodes = [node(one).await, node(other).await];
    acquainted(&nodes).await;
    nodes
}

/// A client that can be asked, and its session.
async fn client(node: &RunningApp) -> (Peer, SessionId) {
    let mut peer = node.connect("/desk?resume=1").await.unwrap();
    peer.send("\u{1}{\"resume\":null}").await.unwrap();
    assert!(peer.text().await.starts_with("\u{1}{\"session\""));
    assert_eq!(peer.text().await, "open");
    (peer, newest(node))
}

fn newest(node: &RunningApp) -> SessionId {
    node.sessions().all().iter().map(|session| *session.id()).max().unwrap()
}

fn ask(
    node: &RunningApp,
    id: SessionId,
    question: &'static str,
    timeout: Duration,
) -> JoinHandle<Result<Message, AskError>> {
    let member = node.sessions().session(&id);
    tokio::spawn(async move { member.ask(question, timeout).await })
}

/// The next question: the header that its answer gets, and what is asked.
async fn question(peer: &mut Peer) -> (String, Message) {
    let header = peer.text().await;
    let number = header.strip_prefix("\u{1}{\"ask\":").expect("the header of a question");
    (format!("\u{1}{{\"answer\":{number}"), peer.message().await.unwrap())
}

fn text(answer: Result<Message, AskError>) -> String {
    answer.unwrap().as_text().unwrap().to_owned()
}

/// Asks from both nodes, and answers in another order.
async fn are_asked_and_answer<E: Engine>(engines: [E; 2]) {
    let nodes = two(engines).await;
    let (mut peer, id) = client(&nodes[1]).await;
    let asked = [
        ask(&nodes[0], id, "one?", LONG),
        ask(&nodes[1], id, "two?", LONG),
        ask(&nodes[0], id, "three?", LONG),
    ];
    let mut questions = Vec::new();
    for _ in &asked {
        questions.push(question(&mut peer).await);
    }
    questions.reverse();
    for (header, question) in questions {
        peer.send(header).await.unwrap();
        peer.send(format!("{}!", question.as_text().unwrap())).await.unwrap();
    }
    let answers = join_all(asked).await.into_iter().map(|answer| text(answer.unwrap()));
    assert_eq!(answers.collect::<Vec<_>>(), ["one?!", "two?!", "three?!"]);

    // Bytes are asked and answered too, and a text of several frames stays a text.
    let member = nodes[0].sessions().session(&id);
    let (asked, header) =
        tokio::join!(member.ask(endpoint_runtime::Bytes::from_static(b"\xff\x00"), LONG), async {
            let (header, asked) = question(&mut peer).await;
            assert_eq!(asked, Message::Binary(b"\xff\x00"[..].into()));
            peer.send(header.clone()).await.unwrap();
            peer.send(endpoint_runtime::Bytes::from_static(b"\x00\xfe")).await.unwrap();
            header
        });
    assert_eq!(asked.unwrap(), Message::Binary(b"\x00\xfe"[..].into()));
    // What comes once more has nobody who waits for it, and harms nobody.
    peer.send(header).await.unwrap();
    peer.send("once more").await.unwrap();

    let nobody = format!("{}ffffffffffffffff", &id.to_string()[..16]).parse().unwrap();
    assert!(matches!(ask(&nodes[0], nobody, "?", LONG).await.unwrap(), Err(AskError::Gone)));
    let mut plain = nodes[1].connect("/desk").await.unwrap();
    assert_eq!(plain.text().await, "open");
    for node in &nodes {
        let answer = ask(node, newest(&nodes[1]), "?", LONG).await.unwrap();
        assert!(matches!(answer, Err(AskError::Unsupported)), "{answer:?}");
    }

    // It ends while it is asked.
    let asked = nodes.each_ref().map(|node| ask(node, id, "there?", LONG));
    for _ in &asked {
        question(&mut peer).await;
    }
    drop(peer);
    for answer in join_all(asked).await {
        assert!(matches!(answer.unwrap(), Err(AskError::Gone)));
    }
    assert!(matches!(ask(&nodes[0], id, "?", LONG).await.unwrap(), Err(AskError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn clients_of_all_nodes_are_asked_and_answer() {
    let engine = Local::new();
    are_asked_and_answer([engine.clone(), engine]).await;
}

#[tokio::test]
async fn clients_of_all_nodes_are_asked_and_answer_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    are_asked_and_answer([connect().await, connect().await]).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let engine = Local::new();
    let nodes = two([engine.clone(), engine]).await;
    let (mut peer, id) = client(&nodes[1]).await;
    for timeout in [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(7)] {
        let began = Instant::now();
        let answer = ask(&nodes[0], id, "still there?", timeout).await.unwrap();
        assert!(matches!(answer, Err(AskError::Timeout)), "{answer:?}");
        let waited = began.elapsed();
        assert!(waited >= timeout && waited <= timeout + Duration::from_millis(5), "{timeout:?}: {waited:?}");
        question(&mut peer).await;
    }
    // As long as anybody likes.
    let asked = ask(&nodes[0], id, "when you like", Duration::MAX);
    let (header, _) = question(&mut peer).await;
    sleep(Duration::from_secs(3600)).await;
    peer.send(header).await.unwrap();
    peer.send("now").await.unwrap();
    assert_eq!(text(asked.await.unwrap()), "now");
}

#[tokio::test(start_paused = true)]
async fn no_session_asks_itself_by_its_id_neither() {
    let app = node(Local::new()).await;
    let (mut peer, _) = client(&app).await;
    peer.send("go").await.unwrap();
    assert_eq!(peer.text().await, "Err(OwnHandler)");
}

/// The second node can be cut off.
async fn two_and_a_way() -> ([RunningApp; 2], SimNode) {
    let engine = SimEngine::new(1);
    let other = engine.clone();
    let way = other.control();
    (two([engine, other]).await, way)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_is_not_waited_for_and_its_sessions_are_gone() {
    let (nodes, way) = two_and_a_way().await;
    let (mut peer, id) = client(&nodes[1]).await;
    let asked = ask(&nodes[0], id, "there?", LONG);
    question(&mut peer).await;
    way.cut(Cut::Both);
    let member = nodes[0].sessions().session(&id);
    // Nobody knows yet that it is gone: nobody waits longer than he has said.
    let began = Instant::now();
    let short = ask(&nodes[0], id, "there?", Duration::from_secs(2));
    assert!(matches!(member.info().await, Err(ClusterError::Timeout) | Ok(None)));
    assert!(began.elapsed() <= Duration::from_millis(1010), "{:?}", began.elapsed());
    let short = short.await.unwrap();
    assert!(matches!(short, Err(AskError::Timeout | AskError::Gone)), "{short:?}");
    assert!(began.elapsed() <= Duration::from_millis(2010), "{:?}", began.elapsed());
    // Who waits for an answer hears of it.
    let answer = asked.await.unwrap();
    assert!(matches!(answer, Err(AskError::Gone)), "{answer:?}");
    assert!(began.elapsed() <= Duration::from_secs(11), "{:?}", began.elapsed());
    assert_eq!(nodes[0].context().get::<Cluster>().unwrap().nodes().len(), 1);
    // It is known now.
    let began = Instant::now();
    assert!(matches!(member.ask("there?", LONG).await, Err(AskError::Gone)));
    assert_eq!(member.send("there?").await.unwrap(), Outcome::Gone);
    assert_eq!(member.join("blue").await.unwrap(), Outcome::Gone);
    assert_eq!(member.leave("blue").await.unwrap(), Outcome::Gone);
    assert_eq!(member.close(CloseReason::away("bye")).await.unwrap(), Outcome::Gone);
    assert_eq!(member.info().await.unwrap(), None);
    assert_eq!(began.elapsed(), Duration::ZERO);
    // And was wrong, as it turns out.
    way.heal();
    acquainted(&nodes).await;
    assert_eq!(member.send("there again").await.unwrap(), Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_says_goodbye_is_not_waited_for() {
    let engine = Local::new();
    let [one, other] = two([engine.clone(), engine]).await;
    let (mut peer, id) = client(&other).await;
    let asked = ask(&one, id, "there?", LONG);
    question(&mut peer).await;
    let began = Instant::now();
    other.shutdown().await;
    assert!(matches!(asked.await.unwrap(), Err(AskError::Gone)));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(matches!(ask(&one, id, "there?", LONG).await.unwrap(), Err(AskError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn a_session_of_a_node_that_nobody_has_heard_of_is_gone() {
    let node = node(SimEngine::new(1)).await;
    let id: SessionId = "00000000deadbeef0000000000000001".parse().unwrap();
    let began = Instant::now();
    let answer = ask(&node, id, "there?", LONG).await.unwrap();
    assert!(matches!(answer, Err(AskError::Gone)), "{answer:?}");
    assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
    let began = Instant::now();
    assert_eq!(node.sessions().session(&id).send("there?").await.unwrap(), Outcome::Gone);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_to_be_asked_or_answered_is_said() {
    let local = Local::new();
    let mut small = Moody::of(&local);
    small.largest = 10_000;
    let nodes = [node(local.clone()).await, node(small).await];
    acquainted(&nodes).await;
    let (mut peer, id) = client(&nodes[1]).await;
    let asked = ask(&nodes[0], id, "how much?", LONG);
    let (header, _) = question(&mut peer).await;
    peer.send(header).await.unwrap();
    peer.send("x".repeat(10_001)).await.unwrap();
    let answer = asked.await.unwrap();
    assert!(
        matches!(answer, Err(AskError::Cluster(ClusterError::TooLarge { bytes, limit: 10_000 })) if bytes > 10_001),
        "{answer:?}"
    );
    let (_other, id) = client(&nodes[0]).await;
    let asked = nodes[1].sessions().session(&id).ask("x".repeat(10_001), LONG).await;
    assert!(matches!(asked, Err(AskError::Cluster(ClusterError::TooLarge { .. }))), "{asked:?}");
}

/// Each costs memory for as long as it waits, and so does each that another node has asked.
#[tokio::test(start_paused = true)]
async fn questions_that_wait_are_bounded() {
    const MOST: usize = 65_536;
    let local = Local::new();
    let deaf = Moody::of(&local);
    let roomy = |settings: &mut Settings| settings.cluster_queue = 64 << 20;
    let nodes = [app(local).configure(roomy).start().await, node(deaf.clone()).await];
    acquainted(&nodes).await;
    let (mut peer, id) = client(&nodes[1]).await;
    let member = nodes[0].sessions().session(&id);
    deaf.becomes(DEAF);
    let within = Duration::from_secs(5);
    let mut asked: JoinSet<_> = (0..MOST)
        .map(|_| {
            let member = member.clone();
            async move { member.ask("?", within).await }
        })
        .collect();
    // In its turn, behind all of them.
    asked.spawn(async move { member.ask("?", within).await });
    let answers = asked.join_all().await;
    let refused = |answer: &&_| matches!(answer, Err(AskError::Cluster(ClusterError::Full)));
    let waited = |answer: &&_| matches!(answer, Err(AskError::Timeout));
    assert_eq!(answers.iter().filter(refused).count(), 1);
    assert_eq!(answers.iter().filter(waited).count(), MOST);
    // They have left nothing behind.
    deaf.becomes(WELL);
    let asked = ask(&nodes[0], id, "now?", LONG);
    let (header, _) = question(&mut peer).await;
    peer.send(header).await.unwrap();
    peer.send("now").await.unwrap();
    assert_eq!(text(asked.await.unwrap()), "now");
}

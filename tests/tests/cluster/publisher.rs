//! Publishing to a cluster from a program that is none of its nodes.

use std::time::Duration;

use endpoint_runtime::cluster::{ClusterError, Engine, Local, MessageId, Publication, Publisher, Redis};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_runtime::{SessionId, Settings};
use endpoint_tests::redis_server::RedisServer;

/// Tells its session's id when it can be reached.
#[server_endpoint("/desk/{room}/{user}")]
struct Desk;

#[handlers]
impl Desk {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String, #[path] user: String) -> String {
        session.join(&room);
        session.set_user(&user);
        assert!(session.reachable().await, "nobody reaches it");
        session.id().to_string()
    }
}

async fn node(engine: impl Engine) -> RunningApp {
    let app = endpoint_runtime::test::app();
    app.with(|exporter| exporter.only(ServerEndpointConfig::is::<Desk>).cluster(engine)).start().await
}

async fn enter(node: &RunningApp, path: &str) -> (Peer, SessionId) {
    let mut peer = node.connect(path).await.unwrap();
    let id = peer.text().await.parse().unwrap();
    (peer, id)
}

/// Sends in all ways to sessions of two nodes, and looks who gets what.
async fn reaches_whom_it_is_for<E: Engine>(engines: [E; 3]) {
    let [one, other, outside] = engines;
    let (one, other) = (node(one).await, node(other).await);
    let (mut ada, _) = enter(&one, "/desk/blue/ada").await;
    let (mut bo, id) = enter(&other, "/desk/blue/bo").await;
    let (mut cy, _) = enter(&other, "/desk/red/cy").await;
    let publisher = Publisher::new(outside).await.unwrap();
    let sent = [
        publisher.room("blue").send("to blue").await,
        publisher.user("bo").send("to bo").await,
        publisher.session(&id).send("to the session of bo").await,
        publisher.endpoint::<Desk>().send("to the desks").await,
        publisher.endpoint_named("no::such::Endpoint").send("to nobody").await,
        publisher.all().expires_in(Duration::from_secs(3600)).send("to all").await,
        publisher.all().send(bytes::Bytes::from_static(b"\xff\x00")).await,
    ];
    for publication in sent {
        assert!(matches!(publication, Ok(Publication::Accepted { position: None, .. })), "{publication:?}");
    }
    // What is for a room, for a user, for a session and for all goes four ways.
    let table: [(&mut Peer, &[&str]); 3] = [
        (&mut ada, &["to all", "to blue", "to the desks"]),
        (&mut bo, &["to all", "to blue", "to bo", "to the desks", "to the session of bo"]),
        (&mut cy, &["to all", "to the desks"]),
    ];
    for (peer, expected) in table {
        let (mut texts, mut binary) = (Vec::new(), 0);
        for _ in 0..=expected.len() {
            match peer.message().await.unwrap() {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Binary(bytes) => {
                    assert_eq!(bytes[..], *b"\xff\x00");
                    binary += 1;
                }
            }
        }
        texts.sort();
        assert_eq!(
            (&texts[..], binary),
            (&expected.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()[..], 1)
        );
    }
    assert_eq!(publisher.counters().handed, 7);
    publisher.close().await;
}

/// It has no heartbeat, so no node knows of it; they deliver what it sends all the same, in its order.
async fn keeps_its_order<E: Engine>(engines: [E; 2]) {
    let [inside, outside] = engines;
    let node = node(inside).await;
    let (mut peer, _) = enter(&node, "/desk/blue/ada").await;
    let publisher = Publisher::new(outside).await.unwrap();
    let room = publisher.room("blue");
    let sending = futures_util::future::join_all((0..300).map(|number| {
        let room = &room;
        async move { room.send(number.to_string()).await }
    }));
    assert!(sending.await.iter().all(Result::is_ok));
    for number in 0..300 {
        assert_eq!(peer.text().await, number.to_string());
    }
    publisher.close().await;
}

/// A message that is sent again under its id is the same message.
async fn says_where_it_stands<E: Engine>(engine: E) {
    let publisher = Publisher::new(engine).await.unwrap();
    let room = publisher.room("kept").recoverable(10, Duration::from_secs(60));
    let id = MessageId::random();
    let first = room.clone().id(id).send("once").await.unwrap();
    let again = room.clone().id(id).send("once").await.unwrap();
    let next = room.send("next").await.unwrap();
    assert!(matches!(first, Publication::Accepted { .. }), "{first:?}");
    assert!(matches!(again, Publication::Duplicate { .. }), "{again:?}");
    let [first, again, next] = [&first, &again, &next].map(|one| one.position().unwrap());
    assert_eq!((first.offset, first), (1, again));
    assert_eq!((next.offset, &next.epoch), (2, &first.epoch));
    let refused = publisher.user("bo").recoverable(10, Duration::from_secs(60)).send("no").await;
    assert!(matches!(refused, Err(ClusterError::Unsupported(_))), "{refused:?}");
    publisher.close().await;
}

#[tokio::test]
async fn whom_it_is_for_gets_it() {
    let engine = Local::new();
    reaches_whom_it_is_for([engine.clone(), engine.clone(), engine]).await;
}

#[tokio::test]
async fn whom_it_is_for_gets_it_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    reaches_whom_it_is_for([connect().await, connect().await, connect().await]).await;
}

#[tokio::test]
async fn what_it_sends_to_one_room_stays_in_order() {
    let engine = Local::new();
    keeps_its_order([engine.clone(), engine]).await;
}

#[tokio::test]
async fn what_it_sends_to_one_room_stays_in_order_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    keeps_its_order([connect().await, connect().await]).await;
}

#[tokio::test]
async fn a_message_with_an_id_is_one_message() {
    says_where_it_stands(Local::new()).await;
}

#[tokio::test]
async fn a_message_with_an_id_is_one_message_over_redis() {
    let server = RedisServer::start().await;
    says_where_it_stands(Redis::connect(&server.url()).await.unwrap()).await;
}

#[tokio::test]
async fn an_engine_that_is_down_is_said_within_the_deadline() {
    let mut server = RedisServer::start().await;
    let publisher = Publisher::new(Redis::connect(&server.url()).await.unwrap()).await.unwrap();
    assert!(publisher.all().send("there").await.is_ok());
    server.kill().await;
    let sent = publisher.all().send("nobody there").await;
    assert!(matches!(sent, Err(ClusterError::Unavailable(_) | ClusterError::Timeout)), "{sent:?}");
    server.start_again().await;
    // It finds its way back by itself.
    while publisher.all().send("there again").await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    publisher.close().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let engine = Local::new();
    let limit = engine.max_message();
    let publisher = Publisher::new(engine).await.unwrap();
    let sent = publisher.room("blue").send("x".repeat(limit)).await;
    assert!(matches!(sent, Err(ClusterError::TooLarge { .. })), "{sent:?}");
    assert_eq!(publisher.counters().handed, 0);
}

#[tokio::test]
async fn a_publisher_that_is_closed_sends_nothing() {
    let publisher = Publisher::with_settings(Local::new(), &Settings::default()).await.unwrap();
    let left = publisher.clone();
    publisher.close().await;
    let sent = left.room("blue").send("late").await;
    assert!(matches!(sent, Err(ClusterError::Unavailable(_))), "{sent:?}");
}

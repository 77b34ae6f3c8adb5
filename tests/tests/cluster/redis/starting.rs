//! Whether there is a server to begin with.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::cluster::{Arrival, Channel, Engine, EngineError, Receiver, Redis};
use endpoint_tests::redis_server::RedisServer;

use super::Node;

struct Nobody;

impl Receiver for Nobody {
    fn receive(&self, _: Arrival) {}
    fn lost(&self, _: &EngineError) {}
    fn back(&self) {}
    fn missed(&self, _: &[Channel]) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_an_error_that_says_which() {
    let mut server = RedisServer::with(&["--requirepass", "secret"]).await;
    let address = server.address().to_string();
    let refused = Redis::connect(&server.url()).await.unwrap_err();
    assert!(
        matches!(&refused, EngineError::Unavailable(_)) && refused.to_string().contains(&address),
        "{refused}"
    );
    let url = format!("redis://:wrong@{address}");
    let wrong = Redis::connect(&url).await.unwrap_err().to_string();
    assert!(wrong.contains(&address) && !wrong.contains("wrong@"), "{wrong}");
    let url = format!("redis://:secret@{address}");
    let engine = Redis::connect(&url).await.unwrap();
    assert!(!format!("{engine:?}").contains("secret"), "{engine:?}");
    let node = Node::start(engine).await;
    assert_eq!(node.publish(&Channel::All, "x").await, Some(0));

    server.kill().await;
    let down = Redis::connect(&url).await.unwrap_err();
    assert!(matches!(&down, EngineError::Unavailable(_)) && down.to_string().contains(&address), "{down}");
    for url in ["", "localhost:6379", "http://localhost"] {
        assert!(matches!(Redis::lazy(url), Err(EngineError::Refused(_))), "{url:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_no_server_to_begin_with() {
    let (primary, replica) = (RedisServer::start().await, RedisServer::start().await);
    replica.follow(&primary).await;
    let error = Redis::connect(&replica.url()).await.unwrap_err();
    assert!(error.to_string().contains("replica"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_come_later_if_that_is_asked_for() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    // It has gone between being connected to and being started.
    let strict = Redis::connect(&url).await.unwrap();
    server.kill().await;
    let error = strict.start(Arc::new(Nobody)).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");

    let mut node = Node::start(Redis::lazy(&url).unwrap().timeout(Duration::from_secs(5))).await;
    node.lost().await;
    let error = node.engine.publish(&Channel::All, "x".into()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    let error = node.engine.subscribe(&[Channel::All, Channel::Control]).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    node.engine.unsubscribe(&[Channel::Control]).await.unwrap();
    server.start_again().await;
    node.back().await;
    // What was asked for holds.
    assert_eq!(node.publish(&Channel::All, "here").await, Some(1));
    assert_eq!(node.publish(&Channel::Control, "not here").await, Some(0));
    assert_eq!(node.text().await, "here");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_stopped_lets_go_of_everything() {
    let server = RedisServer::start().await;
    let unstarted = Redis::connect(&server.url()).await.unwrap();
    assert!(matches!(unstarted.publish(&Channel::All, "x".into()).await, Err(EngineError::Unavailable(_))));
    let node = Node::at(&server.url()).await;
    node.engine.subscribe(&[Channel::All]).await.unwrap();
    node.engine.stop().await.unwrap();
    assert!(matches!(node.engine.publish(&Channel::All, "x".into()).await, Err(EngineError::Unavailable(_))));
    assert!(matches!(node.engine.subscribe(&[Channel::All]).await, Err(EngineError::Unavailable(_))));
    // Its connections are closed: only the one that asks is left.
    while server.command(&["CLIENT", "LIST"]).await.unwrap().lines().count() > 1 {
        tokio::task::yield_now().await;
    }
}

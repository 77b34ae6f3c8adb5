//! The engine that is a Redis server, with a real one.

mod calls;
mod down;
mod encrypted;
mod faults;
mod histories;
mod starting;

use std::time::{Duration, Instant};

use endpoint_runtime::cluster::{Appended, Channel, Engine, EngineError, MessageId, Redis, Retention};
use endpoint_tests::cut_proxy::CutProxy;
use endpoint_tests::redis_server::RedisServer;

use crate::suite::{self, Heard};

/// An engine, and what its receiver has been told.
type Node = suite::Node<Redis>;

impl Node {
    async fn at(url: &str) -> Self {
        Self::start(Redis::connect(url).await.unwrap()).await
    }

    /// Behind a proxy.
    async fn behind(proxy: &CutProxy) -> Self {
        Self::at(&format!("redis://{}", proxy.address())).await
    }

    async fn text(&mut self) -> String {
        String::from_utf8(self.arrival().await.message.to_vec()).unwrap()
    }

    /// Waits until the way is lost, passing over messages; says why, and how long it took.
    async fn lost(&mut self) -> (String, Duration) {
        let began = Instant::now();
        loop {
            match self.heard().await {
                Heard::Lost(why) => return (why, began.elapsed()),
                Heard::Arrival(_) => {}
                heard => panic!("it was to be lost: {heard:?}"),
            }
        }
    }

    /// Waits until the way is there again, passing over messages; says how long it took.
    async fn back(&mut self) -> Duration {
        let began = Instant::now();
        loop {
            match self.heard().await {
                Heard::Back => return began.elapsed(),
                Heard::Arrival(_) => {}
                heard => panic!("it was to be back: {heard:?}"),
            }
        }
    }

    async fn add(&self, channel: &Channel, text: &str) -> Appended {
        self.try_add(channel, text, MessageId::random()).await.unwrap()
    }

    async fn try_add(&self, channel: &Channel, text: &str, id: MessageId) -> Result<Appended, EngineError> {
        self.engine.append(channel, text.to_owned().into(), id, KEEP).await
    }
}

const KEEP: Retention = Retention { size: 100, ttl: Duration::from_secs(300) };

/// A server, and two nodes that are connected to it.
async fn two_nodes() -> (RedisServer, Node, Node) {
    let server = RedisServer::start().await;
    let (one, other) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    (server, one, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_what_an_engine_promises() {
    let server = RedisServer::start().await;
    suite::run(async || {
        (Redis::connect(&server.url()).await.unwrap(), Redis::connect(&server.url()).await.unwrap())
    })
    .await;
}

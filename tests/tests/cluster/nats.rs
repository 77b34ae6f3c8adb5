//! The engine over NATS, with servers of the tests' own: what it carries, and what happens to it when they go away.

mod access;
mod cuts;
mod deployment;
mod encrypted;
mod histories;
mod idle;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use endpoint_runtime::cluster::{
    Arrival, Capabilities, Channel, Engine, EngineError, MessageId, Nats, Put, Receiver, Retention,
};
use endpoint_tests::cut_proxy::CutProxy;
use endpoint_tests::nats_server::NatsServer;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::suite;

/// For what has no time of its own to keep.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an engine tells its receiver.
#[derive(Debug)]
enum Told {
    Arrived(Arrival),
    Lost,
    Back,
    Missed(usize),
}

struct Teller {
    told: mpsc::UnboundedSender<Told>,
    /// While this is set, the receiver breaks the rule that it must be quick.
    held: Arc<AtomicBool>,
}

impl Teller {
    fn tell(&self, told: Told) {
        // Nobody listens any more at the end of a test.
        let _ = self.told.send(told);
    }
}

impl Receiver for Teller {
    fn receive(&self, arrival: Arrival) {
        self.tell(Told::Arrived(arrival));
        if self.held.load(Ordering::Acquire) {
            tokio::task::block_in_place(|| {
                while self.held.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
    }

    fn lost(&self, _why: &EngineError) {
        self.tell(Told::Lost);
    }

    fn back(&self) {
        self.tell(Told::Back);
    }

    fn missed(&self, channels: &[Channel]) {
        self.tell(Told::Missed(channels.len()));
    }
}

/// An engine that runs, and what it tells.
struct Node {
    engine: Nats,
    told: mpsc::UnboundedReceiver<Told>,
    held: Arc<AtomicBool>,
}

impl Node {
    async fn at(server: &NatsServer) -> Self {
        Self::with(Nats::connect(&server.url()).await.unwrap()).await
    }

    async fn behind(proxy: &CutProxy) -> Self {
        Self::with(Nats::connect(&proxy.address().to_string()).await.unwrap()).await
    }

    async fn with(engine: Nats) -> Self {
        Self::start(engine).await.unwrap()
    }

    async fn start(engine: Nats) -> Result<Self, EngineError> {
        let (sender, told) = mpsc::unbounded_channel();
        let held = Arc::default();
        engine.start(Arc::new(Teller { told: sender, held: Arc::clone(&held) })).await?;
        Ok(Node { engine, told, held })
    }

    async fn subscribe(&self, channel: &Channel) {
        self.engine.subscribe(std::slice::from_ref(channel)).await.unwrap();
    }

    async fn publish(&self, channel: &Channel, message: &str) {
        self.engine.publish(channel, Bytes::copy_from_slice(message.as_bytes())).await.unwrap();
    }

    async fn next(&mut self) -> Told {
        timeout(PATIENCE, self.told.recv()).await.expect("nothing is told").unwrap()
    }

    /// The next message, without what else is told.
    async fn arrival(&mut self) -> (Channel, String) {
        loop {
            if let Told::Arrived(Arrival { channel, message, position: None }) = self.next().await {
                return (channel, String::from_utf8(message.to_vec()).unwrap());
            }
        }
    }

    /// The next thing that is told beside messages.
    async fn sign(&mut self) -> Told {
        loop {
            match self.next().await {
                Told::Arrived(_) => {}
                sign => return sign,
            }
        }
    }
}

/// A channel of each kind. Only the engine of a cluster knows its nodes; here one is read.
fn channels() -> Vec<Channel> {
    vec![
        Channel::Control,
        Channel::All,
        "node:0123456789abcdef".parse().unwrap(),
        Channel::room("blue *.>\n é"),
        Channel::room(""),
        Channel::room(&"x".repeat(5000)),
        Channel::user("blue *.>\n é"),
        Channel::user("bo"),
    ]
}

#[tokio::test]
async fn each_kind_of_channel_carries_to_those_who_subscribe_and_to_nobody_else() {
    let server = NatsServer::start().await;
    let (mut a, mut b) = (Node::at(&server).await, Node::at(&server).await);
    for channel in channels() {
        a.subscribe(&channel).await;
        // The first is for nobody, and the second for one.
        b.engine.unsubscribe(&channels()).await.unwrap();
        for other in channels() {
            if other != channel {
                b.publish(&other, "for nobody").await;
            }
        }
        b.publish(&channel, &channel.to_string()).await;
        assert_eq!(a.arrival().await, (channel.clone(), channel.to_string()));
        a.engine.unsubscribe(&[channel]).await.unwrap();
    }
    // It gets what it publishes itself as everybody does.
    b.subscribe(&Channel::All).await;
    b.publish(&Channel::All, "to myself").await;
    assert_eq!(b.arrival().await, (Channel::All, "to myself".to_owned()));
}

#[tokio::test]
async fn another_prefix_is_another_cluster() {
    let server = NatsServer::start().await;
    let prefixed =
        async |prefix| Node::with(Nats::connect(&server.url()).await.unwrap().prefix(prefix)).await;
    let (mut a, b, c) = (prefixed("shop").await, prefixed("shop.eu").await, prefixed("shop").await);
    a.subscribe(&Channel::All).await;
    b.publish(&Channel::All, "of the other").await;
    c.publish(&Channel::All, "ours").await;
    assert_eq!(a.arrival().await.1, "ours");
}

/// 20,000 rooms are in most of the 16,384 buckets, so many of the other 1,000 share one with them.
#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_share_a_bucket_are_told_apart() {
    let server = NatsServer::start().await;
    let engine = Nats::connect(&server.url()).await.unwrap().timeout(PATIENCE);
    let (mut a, b) = (Node::with(engine).await, Node::at(&server).await);
    let rooms: Vec<_> = (0..20_000).map(|room| Channel::room(&format!("mine {room}"))).collect();
    for batch in rooms.chunks(512) {
        a.engine.subscribe(batch).await.unwrap();
    }
    for other in 0..1000 {
        b.publish(&Channel::room(&format!("other {other}")), "for nobody").await;
    }
    let mut expected = HashSet::new();
    for room in rooms.iter().step_by(100) {
        b.publish(room, &room.to_string()).await;
        expected.insert(room.clone());
    }
    while !expected.is_empty() {
        let (channel, message) = a.arrival().await;
        assert_eq!(channel.to_string(), message);
        assert!(expected.remove(&channel), "{channel} twice");
    }

    // One of those who share a bucket may leave it without the others.
    let (gone, kept) = rooms.split_at(10_000);
    for batch in gone.chunks(512) {
        a.engine.unsubscribe(batch).await.unwrap();
    }
    for room in gone.iter().step_by(100) {
        b.publish(room, "for nobody").await;
    }
    for room in kept.iter().step_by(100) {
        b.publish(room, "still").await;
        expected.insert(room.clone());
    }
    while !expected.is_empty() {
        let (channel, message) = a.arrival().await;
        assert_eq!(message, "still", "{channel}");
        assert!(expected.remove(&channel), "{channel} twice");
    }
}

#[tokio::test]
async fn messages_of_a_channel_arrive_in_order_and_each_once() {
    const MESSAGES: usize = 20_000;
    let server = NatsServer::start().await;
    let (mut a, b) = (Node::at(&server).await, Node::at(&server).await);
    let room = Channel::room("blue");
    a.subscribe(&room).await;
    a.subscribe(&room).await;
    let publishing = tokio::spawn(async move {
        for number in 0..MESSAGES {
            b.publish(&Channel::room("blue"), &number.to_string()).await;
        }
        b
    });
    for number in 0..MESSAGES {
        assert_eq!(a.arrival().await, (room.clone(), number.to_string()));
    }
    let b = publishing.await.unwrap();
    a.engine.unsubscribe(std::slice::from_ref(&room)).await.unwrap();
    a.subscribe(&room).await;
    b.publish(&room, "again").await;
    b.publish(&room, "and again").await;
    assert_eq!(a.arrival().await.1, "again");
    assert_eq!(a.arrival().await.1, "and again");
}

/// The library's `flush` is done when a subscription has been written, and the server may not have read it then.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_right_after_subscribing_arrives() {
    let server = NatsServer::start().await;
    let (mut a, b) = (Node::at(&server).await, Node::at(&server).await);
    for number in 0..1000 {
        // Many at a time, so that the server has something to do.
        let rooms: Vec<_> = (0..20).map(|room| Channel::room(&format!("{number} {room}"))).collect();
        a.engine.subscribe(&rooms).await.unwrap();
        b.publish(&rooms[19], &number.to_string()).await;
        assert_eq!(a.arrival().await, (rooms[19].clone(), number.to_string()));
        a.engine.unsubscribe(&rooms).await.unwrap();
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_at_the_call() {
    let server = NatsServer::start().await;
    let mut a = Node::at(&server).await;
    let room = Channel::room("blue");
    a.subscribe(&room).await;
    let largest = a.engine.max_message();
    assert_eq!(largest, 1024 * 1024 - 1024);
    let published = a.engine.publish(&room, vec![b'x'; largest].into()).await;
    assert!(published.is_ok(), "{published:?}");
    assert_eq!(a.arrival().await.1.len(), largest);
    let error = a.engine.publish(&room, vec![b'x'; largest + 1024].into()).await.unwrap_err();
    let EngineError::TooLarge { bytes, limit } = error else { panic!("{error}") };
    assert!(bytes == largest + 1024 && limit < bytes && limit >= largest, "{bytes} {limit}");
    // The connection has not suffered.
    a.publish(&room, "small").await;
    assert_eq!(a.arrival().await.1, "small");
}

#[tokio::test]
async fn what_it_cannot_do_it_says() {
    let server = NatsServer::start().await;
    let Node { engine, .. } = Node::at(&server).await;
    let Capabilities { history, store, presence, interest, .. } = engine.capabilities();
    assert_eq!((history, store, presence, interest), (false, false, false, true));
    let (all, keep) = (Channel::All, Retention { size: 1, ttl: PATIENCE });
    let refusals = [
        engine.append(&all, Bytes::new(), MessageId(1), keep).await.err(),
        engine.history(&all, 0, 1).await.err(),
        engine.put("key", Bytes::new(), PATIENCE, Put::New).await.err(),
        engine.take("key").await.err(),
        engine.enter(&all, &[], PATIENCE).await.err(),
        engine.exit(&all, &[]).await.err(),
        engine.present(&all, None, 1).await.err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Some(EngineError::Unsupported(_))), "{refusal:?}");
    }
}

#[tokio::test]
async fn what_was_published_before_the_end_still_goes_out() {
    let server = NatsServer::start().await;
    let (mut a, b) = (Node::at(&server).await, Node::at(&server).await);
    a.subscribe(&Channel::Control).await;
    for number in 0..200 {
        b.publish(&Channel::Control, &number.to_string()).await;
    }
    b.engine.stop().await.unwrap();
    for number in 0..200 {
        assert_eq!(a.arrival().await.1, number.to_string());
    }
    assert!(b.engine.publish(&Channel::Control, Bytes::new()).await.is_err());
    a.engine.stop().await.unwrap();
    assert!(a.engine.subscribe(&[Channel::All]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_keeps_what_an_engine_promises() {
    let server = NatsServer::start().await;
    suite::run(async || {
        (Nats::connect(&server.url()).await.unwrap(), Nats::connect(&server.url()).await.unwrap())
    })
    .await;
}

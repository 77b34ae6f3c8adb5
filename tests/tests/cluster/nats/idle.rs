//! Streams of channels that nobody uses.

use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Engine, MessageId, Nats, Retention};
use endpoint_tests::nats_server::NatsServer;
use tokio::time::{Instant, sleep};

use super::{Node, PATIENCE};

/// Long enough for a slow machine to use what it uses in time.
const FORGET: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_channel_that_nobody_uses_is_deleted() {
    let server = NatsServer::that_keeps().await;
    let forgetful = async || {
        let options = Nats::options(&server.url()).unwrap().history(1).forget_after(FORGET);
        Node::with(options.connect().await.unwrap()).await
    };
    let (one, other) = (forgetful().await, forgetful().await);
    let (idle, kept, read) = (Channel::room("idle"), Channel::room("kept"), Channel::room("read"));
    let brief = Retention { size: 10, ttl: Duration::from_millis(500) };
    let began = Instant::now();
    for room in [&idle, &read] {
        one.engine.append(room, "a".into(), MessageId::random(), brief).await.unwrap();
    }
    one.add(&kept, "kept").await;
    let before = (other.kept(&idle).await.top, other.kept(&read).await.top);
    // What is there is kept, and what a node asks for now and then is used.
    while server.streams().await.len() > 2 {
        assert_eq!(other.kept(&read).await.top, before.1);
        assert!(began.elapsed() < PATIENCE);
        sleep(Duration::from_millis(200)).await;
    }
    assert!(began.elapsed() >= FORGET, "{:?}", began.elapsed());
    assert_eq!(one.kept(&kept).await.messages.len(), 1);
    assert_eq!(other.kept(&read).await.top, before.1);
    // Whoever comes now is told that it is another history.
    let after = one.add(&idle, "b").await.position;
    assert!(after.epoch != before.0.epoch && after.offset == 1, "{after:?}");
}

//! Servers that go away, hang or are cut off, and receivers that are slow: what the client library does then by itself would be wrong, and
//! each of these tests fails if it is left to itself. Left to itself it
//!
//! * notices a cut after three minutes, if at all, and waits up to 4 s before it connects again ([`a_cut_both_ways_is_noticed`] and the two
//!   after it, [`a_server_that_is_back_is_found_within_a_second`]);
//! * keeps publishers waiting when 2,048 commands wait ([`nobody_waits_for_longer_than_the_timeout_while_a_server_hangs`],
//!   [`without_a_server_publishing_fails_at_once_and_keeps_nothing`]);
//! * drops what a subscription has no room for ([`what_was_dropped_for_a_slow_receiver_is_told`]).
//!
//! What it does with histories is in `histories.rs`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use endpoint_runtime::cluster::{Channel, Engine, EngineError, Nats};
use endpoint_tests::cut_proxy::{Cut, CutProxy};
use endpoint_tests::nats_server::NatsServer;
use tokio::time::{Instant, sleep, timeout};

use super::{Node, Told};

/// A restart as it happens: killed, and there again after a while. The library by itself waits up to 4 s between its attempts. Once may be
/// late because the machine has other things to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_back_is_found_within_a_second() {
    let mut server = NatsServer::start().await;
    let (mut a, mut b) = (Node::at(&server).await, Node::at(&server).await);
    let room = Channel::room("blue");
    a.subscribe(&room).await;
    let mut fastest = Duration::MAX;
    for outage in [2000, 2400, 2700] {
        server.kill().await;
        assert!(matches!(a.sign().await, Told::Lost));
        assert!(matches!(b.sign().await, Told::Lost));
        sleep(Duration::from_millis(outage)).await;
        server.start_again().await;
        let began = Instant::now();
        assert!(matches!(a.sign().await, Told::Back));
        assert!(matches!(b.sign().await, Told::Back));
        fastest = fastest.min(began.elapsed());
        // Everything holds again at that moment.
        b.publish(&room, "hello").await;
        assert_eq!(a.arrival().await.1, "hello");
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

/// The library by itself takes 2,048 messages of any size while there is no connection, and then keeps its callers waiting.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_publishing_fails_at_once_and_keeps_nothing() {
    let mut server = NatsServer::start().await;
    let mut a = Node::at(&server).await;
    server.kill().await;
    assert!(matches!(a.sign().await, Told::Lost));
    let message = Bytes::from(vec![b'x'; 100_000]);
    let before = resident();
    let began = Instant::now();
    for number in 0..5000 {
        let published = a.engine.publish(&Channel::room("blue"), message.clone()).await;
        assert!(matches!(published, Err(EngineError::Unavailable(_))), "{number}: {published:?}");
    }
    // 500 MB in all. None of them waits for anything.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let kept = resident().saturating_sub(before);
    assert!(kept < 100_000_000, "{kept} bytes");
    let asked = a.engine.subscribe(&[Channel::All]).await;
    assert!(matches!(asked, Err(EngineError::Unavailable(_))), "{asked:?}");
}

/// What this process has of the memory, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// A cable that is cut says nothing. The library by itself finds out after three minutes; and if the other way still works, never.
async fn a_cut_is_noticed(cut: Cut) {
    let server = NatsServer::start().await;
    let proxy = CutProxy::to(server.address()).await;
    let (mut a, b) = (Node::behind(&proxy).await, Node::at(&server).await);
    let room = Channel::room("blue");
    a.subscribe(&room).await;
    // Something arrives all the time, as far as anything does.
    let talking = tokio::spawn(async move {
        loop {
            b.publish(&Channel::room("blue"), "talk").await;
            sleep(Duration::from_millis(100)).await;
        }
    });
    a.arrival().await;

    proxy.cut(cut);
    let began = Instant::now();
    assert!(matches!(a.sign().await, Told::Lost));
    let noticed = began.elapsed();
    println!("{cut:?}: noticed after {noticed:?}");
    assert!(noticed < Duration::from_secs(6), "{noticed:?}");

    proxy.heal();
    let began = Instant::now();
    assert!(matches!(a.sign().await, Told::Back));
    let healed = began.elapsed();
    println!("{cut:?}: back after {healed:?}");
    assert!(healed < Duration::from_secs(2), "{healed:?}");
    a.arrival().await;
    talking.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_both_ways_is_noticed() {
    a_cut_is_noticed(Cut::Both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_on_the_way_to_the_server_is_noticed() {
    a_cut_is_noticed(Cut::ToServer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_on_the_way_from_the_server_is_noticed() {
    a_cut_is_noticed(Cut::ToClient).await;
}

/// Before a cut is noticed, what is published has nowhere to go once all buffers are full.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_longer_than_the_timeout_while_a_server_hangs() {
    const LIMIT: Duration = Duration::from_millis(200);
    let server = NatsServer::start().await;
    let a = Node::with(Nats::connect(&server.url()).await.unwrap().timeout(LIMIT)).await;
    server.freeze().await;
    let message = Bytes::from(vec![b'x'; 500_000]);
    let mut errors = 0;
    while errors < 3 {
        let began = Instant::now();
        match a.engine.publish(&Channel::room("blue"), message.clone()).await {
            Ok(_) => {}
            Err(EngineError::Timeout) => errors += 1,
            // The hanging server was noticed first, on a very slow machine.
            Err(EngineError::Unavailable(_)) => break,
            Err(error) => panic!("{error}"),
        }
        assert!(began.elapsed() < LIMIT + Duration::from_secs(2), "{:?}", began.elapsed());
    }
    let asked = a.engine.subscribe(&[Channel::All]).await;
    assert!(matches!(asked, Err(EngineError::Timeout | EngineError::Unavailable(_))), "{asked:?}");
    server.thaw().await;
}

/// The library drops what a subscription has no room for, and says so only aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_dropped_for_a_slow_receiver_is_told() {
    const MESSAGES: usize = 40_000;
    let server = NatsServer::start().await;
    let (mut a, b) = (Node::at(&server).await, Node::at(&server).await);
    let room = Channel::room("blue");
    a.subscribe(&room).await;
    a.held.store(true, Ordering::Release);
    for _ in 0..MESSAGES {
        b.publish(&room, "hello").await;
    }
    // All channels, for the library does not say which.
    assert!(matches!(a.sign().await, Told::Missed(0)));
    a.held.store(false, Ordering::Release);
    // It goes on with those that come later.
    loop {
        b.publish(&room, "later").await;
        if timeout(Duration::from_millis(100), async { while a.arrival().await.1 != "later" {} })
            .await
            .is_ok()
        {
            break;
        }
    }
}

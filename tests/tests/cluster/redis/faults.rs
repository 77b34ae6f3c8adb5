//! The server goes away, comes back, or is silent. The figures are printed; what is asserted does not need a quiet machine.

use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Engine, EngineError};
use endpoint_tests::cut_proxy::{Cut, CutProxy};
use endpoint_tests::redis_server::RedisServer;
use tokio::time::{Instant, sleep, timeout};

use super::Node;
use crate::suite::PATIENCE;

/// Within this a link that is dead is noticed, and one that can be had again is there; twice what is promised.
const NOTICED: Duration = Duration::from_secs(12);
const FOUND: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_survived_with_all_subscriptions() {
    let mut server = RedisServer::start().await;
    let (mut one, mut other) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    let room = Channel::room("blue");
    other.engine.subscribe(&[room.clone(), Channel::All]).await.unwrap();
    server.kill().await;
    for node in [&mut one, &mut other] {
        let (why, _) = node.lost().await;
        println!("lost: {why}");
        // At once: nobody waits for a server that is not there.
        let began = Instant::now();
        let error = node.engine.publish(&room, "x".into()).await.unwrap_err();
        assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
        assert!(began.elapsed() < Duration::from_millis(500));
    }
    sleep(Duration::from_secs(2)).await;
    server.start_again().await;
    let found = other.back().await;
    println!("back after a restart: {found:?}");
    assert!(found < FOUND, "{found:?}");
    one.back().await;
    assert_eq!(one.publish(&room, "again").await, Some(1));
    assert_eq!(one.publish(&Channel::All, "all").await, Some(1));
    assert_eq!((other.text().await, other.text().await), ("again".into(), "all".into()));
    server.shut_down().await;
    other.lost().await;
    server.start_again().await;
    other.back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_found_again_however_long_it_was_away() {
    let server = RedisServer::start().await;
    let proxy = CutProxy::to(server.address()).await;
    let mut node = Node::behind(&proxy).await;
    node.engine.subscribe(&[Channel::All]).await.unwrap();
    proxy.cut(Cut::Refuse);
    proxy.close();
    node.lost().await;
    // More tries than the library makes by itself, six, and than anybody would count.
    let before = proxy.accepted();
    timeout(PATIENCE, async {
        while proxy.accepted() < before + 2 * 20 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it goes on trying");
    proxy.heal();
    let found = node.back().await;
    println!("back after 20 tries in vain: {found:?}");
    assert!(found < FOUND, "{found:?}");
    assert_eq!(node.publish(&Channel::All, "here").await, Some(1));
    assert_eq!(node.text().await, "here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_that_nobody_is_told_of_is_noticed_and_healed() {
    let server = RedisServer::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for cut in [Cut::Both, Cut::ToServer, Cut::ToClient] {
        let proxy = CutProxy::to(server.address()).await;
        let mut node = Node::behind(&proxy).await;
        let direct = Node::at(&server.url()).await;
        tasks.spawn(async move {
            let room = Channel::room(&format!("{cut:?}"));
            node.engine.subscribe(std::slice::from_ref(&room)).await.unwrap();
            proxy.cut(cut);
            let error = node.engine.publish(&Channel::All, "x".into()).await.unwrap_err();
            assert!(matches!(error, EngineError::Timeout), "{error}");
            let (why, noticed) = node.lost().await;
            println!("{cut:?}: noticed after {noticed:?} and the second of the first message ({why})");
            assert!(noticed < NOTICED, "{noticed:?}");
            assert!(matches!(node.engine.publish(&room, "x".into()).await, Err(EngineError::Unavailable(_))));
            proxy.heal();
            let found = node.back().await;
            println!("{cut:?}: back after {found:?}");
            assert!(found < FOUND, "{found:?}");
            // What was sent into the cut may arrive; what is sent now does.
            direct.engine.publish(&room, "now".into()).await.unwrap();
            while node.text().await != "now" {}
        });
    }
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_noticed() {
    let server = RedisServer::start().await;
    let mut node = Node::at(&server.url()).await;
    node.engine.subscribe(&[Channel::All]).await.unwrap();
    server.freeze().await;
    let (_, noticed) = node.lost().await;
    println!("a server that stands still: noticed after {noticed:?}");
    assert!(noticed < NOTICED, "{noticed:?}");
    server.thaw().await;
    let found = node.back().await;
    println!("back after {found:?}");
    assert_eq!(node.publish(&Channel::All, "here").await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_throws_a_subscriber_out_is_noticed_at_once() {
    let server = RedisServer::start().await;
    let mut node = Node::at(&server.url()).await;
    node.engine.subscribe(&[Channel::All]).await.unwrap();
    // As it does with one that is too slow.
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    let (_, noticed) = node.lost().await;
    let found = node.back().await;
    println!("thrown out: noticed after {noticed:?}, back after {found:?}");
    assert!(noticed < Duration::from_secs(3) && found < FOUND);
    assert_eq!(node.publish(&Channel::All, "here").await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_link_is_not_taken_for_a_dead_one() {
    let server = RedisServer::start().await;
    let mut node = Node::at(&server.url()).await;
    node.engine.subscribe(&[Channel::All]).await.unwrap();
    sleep(Duration::from_secs(8)).await;
    let heard = node.heard_already();
    assert!(heard.is_none(), "{heard:?}");
    node.publish(&Channel::All, "here").await;
    assert_eq!(node.text().await, "here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_subscriptions_come_back() {
    let mut server = RedisServer::start().await;
    let mut node = Node::at(&server.url()).await;
    let publisher = Node::at(&server.url()).await;
    let users: Vec<Channel> = (0..100_000).map(|user| Channel::user(&user.to_string())).collect();
    node.engine.subscribe(&users).await.unwrap();
    server.kill().await;
    node.lost().await;
    server.start_again().await;
    let found = node.back().await;
    println!("100,000 subscriptions are back after {found:?}");
    assert!(found < 5 * FOUND, "{found:?}");
    while publisher.engine.publish(&users[0], "x".into()).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    for user in [1, 50_000, 99_999] {
        assert_eq!(publisher.publish(&users[user], "x").await, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_that_comes_and_goes_makes_no_storm() {
    let server = RedisServer::start().await;
    let proxy = CutProxy::to(server.address()).await;
    let mut node = Node::behind(&proxy).await;
    node.engine.subscribe(&[Channel::All]).await.unwrap();
    let (before, began) = (proxy.accepted(), Instant::now());
    for _ in 0..10 {
        proxy.close();
        node.lost().await;
        node.back().await;
    }
    // Two connections each time: it is not connected again before it is lost again.
    let (made, took) = (proxy.accepted() - before, began.elapsed());
    println!("10 flaps: {made} connections in {took:?}");
    assert_eq!(made, 20);
    // And with longer and longer pauses: without any it would take no time.
    assert!(took > Duration::from_secs(1), "{took:?}");
    assert_eq!(node.publish(&Channel::All, "here").await, Some(1));
}

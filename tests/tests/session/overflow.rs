//! A peer that takes less than it is sent: what `overflow` says happens, nobody else waits, and nobody is stuck for ever.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{self as runtime, Endpoint, SendError, ServerEndpointConfig};
use tokio::time::Instant;

use crate::support::{CLOSE, Heard, Raw, TEXT, Told, diary, frame, settle, soon, until};

/// Tells when it closes.
struct Quiet(Arc<Told>);

impl Endpoint for Quiet {
    async fn on_close(&mut self, _: &Session, reason: &CloseReason) {
        self.0.tell(format!("close {reason}"));
    }
}

/// Room in the queue: nine messages of [`SIZE`] bytes, each with a small overhead.
const BUFFER: usize = 1000;
const SIZE: usize = 80;
const FILLING: usize = 5000;

/// An application whose sessions have little room, and another peer's session that has none left in its pipe.
async fn stuck(overflow: Overflow) -> (RunningApp, Heard, Raw, Session) {
    let (told, heard) = diary();
    let told = Arc::new(told);
    let config = ServerEndpointConfig::builder("/quiet", move || Quiet(Arc::clone(&told)))
        .send_buffer(BUFFER)
        .overflow(overflow)
        .build();
    let app = runtime::test::app().only::<Quiet>().endpoint(config).start().await;
    let raw = Raw::open_narrow(&app, "/quiet", 256).await;
    until("a session", || app.sessions().count() == 1).await;
    let session = app.sessions().all().iter().next().unwrap();
    // More than the pipe holds: the socket has it, and takes no more.
    session.post("x".repeat(FILLING));
    settle().await;
    assert_eq!(session.queued_bytes(), 0);
    (app, heard, raw, session)
}

fn numbered(number: usize) -> String {
    format!("{number:0SIZE$}")
}

async fn skip_filling(raw: &mut Raw) {
    assert_eq!(raw.text().await, "x".repeat(FILLING));
}

#[tokio::test(start_paused = true)]
async fn drop_newest_keeps_the_oldest() {
    let (_app, _heard, mut raw, session) = stuck(Overflow::DropNewest).await;
    let mut receipts = Vec::new();
    let room = (BUFFER - session.queued_bytes()) / (SIZE + 16);
    for number in 0..100 {
        receipts.push(session.post(numbered(number)));
    }
    // To send does not wait, and that it is dropped is no error.
    session.send(numbered(100)).await.unwrap();
    assert!(session.queued_bytes() <= BUFFER);
    assert_eq!(session.dropped(), 101 - room as u64);
    skip_filling(&mut raw).await;
    for number in 0..room {
        assert_eq!(raw.text().await, numbered(number));
    }
    for (number, receipt) in receipts.into_iter().enumerate() {
        let result = soon("a receipt", receipt).await;
        assert_eq!(result.is_ok(), number < room, "{number}: {result:?}");
    }
    session.send("next").await.unwrap();
    assert_eq!(raw.text().await, "next");
    assert!(session.is_open());
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_keeps_the_newest() {
    let (_app, _heard, mut raw, session) = stuck(Overflow::DropOldest).await;
    let mut receipts = Vec::new();
    for number in 0..100 {
        receipts.push(session.post(numbered(number)));
    }
    session.send(numbered(100)).await.unwrap();
    assert!(session.queued_bytes() <= BUFFER);
    let kept = session.queued_bytes() / (SIZE + 16);
    assert_eq!(session.dropped() as usize, 101 - kept);
    // What the socket has begun to take comes whole.
    skip_filling(&mut raw).await;
    for number in 101 - kept..=100 {
        assert_eq!(raw.text().await, numbered(number));
    }
    for (number, receipt) in receipts.into_iter().enumerate() {
        let result = soon("a receipt", receipt).await;
        assert_eq!(result.is_ok(), number > 100 - kept, "{number}: {result:?}");
    }
    assert!(session.is_open());
}

#[tokio::test(start_paused = true)]
async fn control_frames_are_not_dropped() {
    let (_app, _heard, mut raw, session) = stuck(Overflow::DropOldest).await;
    session.ping("kept").await.unwrap();
    for number in 0..100 {
        session.post(numbered(number));
    }
    let mut pinged = false;
    loop {
        match raw.frame().await.unwrap() {
            (TEXT, text) if text == numbered(99).into_bytes() => break,
            (0x89, payload) => {
                assert_eq!(payload, b"kept");
                pinged = true;
            }
            _ => {}
        }
    }
    assert!(pinged);
}

#[tokio::test(start_paused = true)]
async fn disconnect_closes_with_1013() {
    let (_app, mut heard, mut raw, session) = stuck(Overflow::Disconnect).await;
    let mut receipts = Vec::new();
    for number in 0..20 {
        receipts.push(session.post(numbered(number)));
    }
    assert!(!session.is_open());
    let last = receipts.pop().unwrap();
    assert!(matches!(last.await, Err(SendError::Closed(reason)) if u16::from(reason.code()) == 1013));
    // Each receipt tells the truth, the first of those that are thrown away too.
    for receipt in receipts {
        assert!(soon("a receipt", receipt).await.is_err());
    }
    assert!(session.dropped() > 0);
    skip_filling(&mut raw).await;
    assert_eq!(raw.frame().await, Some((CLOSE, [&1013u16.to_be_bytes(), &b"too slow"[..]].concat())));
    heard.expect("close 1013 too slow").await;
}

#[tokio::test(start_paused = true)]
async fn wait_makes_senders_wait_and_then_fail() {
    let (_app, _heard, mut raw, session) = stuck(Overflow::Wait).await;
    while session.try_send("x".repeat(SIZE)).is_ok() {}
    let (before, begin) = (session.queued_bytes(), Instant::now());
    // The peer takes a little now and then, so that it is slow and not dead.
    let sender = tokio::spawn({
        let session = session.clone();
        async move { (session.send("y".repeat(10 * BUFFER)).await, begin.elapsed()) }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(!sender.is_finished());
        raw.take_in(100).await;
    }
    let (result, took) = soon("the sender", sender).await.unwrap();
    assert!(matches!(result, Err(SendError::Full)), "{result:?}");
    assert!(took >= Duration::from_secs(20) && took < Duration::from_millis(20_200), "{took:?}");
    assert!(session.is_open() && session.queued_bytes() <= before);
    // One who comes in time gets through.
    let sender = tokio::spawn({
        let session = session.clone();
        async move { session.send("y").await }
    });
    while raw.text().await != "y" {}
    soon("the sender", sender).await.unwrap().unwrap();
    assert_eq!(session.dropped(), 0);
}

/// Also where the default, `disconnect`, holds: who awaits waits, and it is not this sender that is dropped.
#[tokio::test(start_paused = true)]
async fn send_waits_for_room_under_disconnect_too() {
    let (_app, _heard, mut raw, session) = stuck(Overflow::Disconnect).await;
    let sender = tokio::spawn({
        let session = session.clone();
        async move {
            for number in 0..200 {
                session.send(numbered(number)).await?;
            }
            Ok::<_, SendError>(())
        }
    });
    settle().await;
    assert!(!sender.is_finished() && session.is_open());
    skip_filling(&mut raw).await;
    for number in 0..200 {
        assert_eq!(raw.text().await, numbered(number));
    }
    soon("the sender", sender).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_found_when_nobody_sends() {
    for overflow in [Overflow::Disconnect, Overflow::Wait, Overflow::DropNewest, Overflow::DropOldest] {
        let begin = Instant::now();
        let (app, mut heard, raw, session) = stuck(overflow).await;
        until("the peer to be found", || !session.is_open()).await;
        let took = begin.elapsed();
        assert!(took >= Duration::from_secs(20) && took < Duration::from_secs(22), "{overflow:?}: {took:?}");
        heard.expect("close 1013 too slow").await;
        until("the session to be gone", || app.sessions().count() == 0).await;
        drop(raw);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_that_takes_something_is_not_found_too_slow() {
    let (_app, _heard, mut raw, session) = stuck(Overflow::Disconnect).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(15)).await;
        raw.take_in(100).await;
        raw.write(&frame(0x8a, b"")).await;
    }
    assert!(session.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_waits_for_nobody_and_the_others_get_everything() {
    for overflow in [Overflow::Disconnect, Overflow::Wait, Overflow::DropNewest, Overflow::DropOldest] {
        let (app, _heard, mut slow, session) = stuck(overflow).await;
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(app.connect("/quiet").await.unwrap());
        }
        until("the others", || app.sessions().count() == 4).await;
        let begin = Instant::now();
        let mut missed = 0;
        for number in 0..100 {
            let delivery = app.sessions().all().send(numbered(number)).await;
            assert!(delivery.queued() >= 3, "{delivery}");
            missed += delivery.missed();
            for peer in &mut peers {
                assert_eq!(peer.text().await, numbered(number), "{overflow:?}");
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(1), "{overflow:?}: {:?}", begin.elapsed());
        match overflow {
            // The newest always has room.
            Overflow::DropOldest => assert_eq!(missed, 0),
            _ => assert!(missed > 0, "{overflow:?}"),
        }
        assert_eq!(session.is_open(), overflow != Overflow::Disconnect);
        assert!(session.dropped() > 0);
        // What the slow peer gets, it gets whole.
        let mut last = 0;
        while let Some((first, payload)) = soon("a frame", slow.frame()).await {
            if first == CLOSE {
                break;
            }
            let text = String::from_utf8(payload).unwrap();
            assert_eq!(text.len(), if text.starts_with('x') { FILLING } else { SIZE });
            if !text.starts_with('x') {
                let number: usize = text.parse().unwrap();
                assert!(number >= last, "{overflow:?}: {number} after {last}");
                last = number;
            }
            if session.queued_bytes() == 0 && overflow != Overflow::Disconnect {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_queue_goes_when_nothing_else_waits() {
    let (told, _heard) = diary();
    let told = Arc::new(told);
    let config =
        ServerEndpointConfig::builder("/quiet", move || Quiet(Arc::clone(&told))).send_buffer(10).build();
    let app = runtime::test::app().only::<Quiet>().endpoint(config).start().await;
    let mut peer = app.connect("/quiet").await.unwrap();
    until("a session", || app.sessions().count() == 1).await;
    let session = app.sessions().all().iter().next().unwrap();
    for _ in 0..3 {
        session.send("x".repeat(300_000)).await.unwrap();
        assert_eq!(peer.text().await.len(), 300_000);
    }
}

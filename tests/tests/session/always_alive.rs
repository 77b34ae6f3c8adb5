//! While a handler waits, its connection lives: it writes, answers, and notices what happens; and it takes in no more messages.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, Peer, RunningApp};
use endpoint_runtime::{self as runtime, ClosedBy, SendError};
use tokio::time::Instant;

use crate::support::{
    Gate, Heard, PING, PONG, Raw, TEXT, Told, close_frame, diary, frame, settle, soon, until,
};

/// A handler that stops at the gate, and tells how it ended.
#[server_endpoint("/alive/held")]
struct Held {
    #[inject]
    told: Arc<Told>,
    #[inject]
    gate: Arc<Gate>,
}

/// Tells if it is dropped before it is defused.
struct OnCancel(Option<Arc<Told>>);

impl Drop for OnCancel {
    fn drop(&mut self) {
        if let Some(told) = &self.0 {
            told.tell("cancelled");
        }
    }
}

#[handlers]
impl Held {
    #[on_message]
    async fn text(&mut self, text: String) {
        self.told.tell(&text);
        let mut guard = OnCancel(Some(Arc::clone(&self.told)));
        self.gate.pass().await;
        guard.0 = None;
        self.told.tell(format!("{text} done"));
    }

    #[on_message]
    fn pong(&self, pong: Pong) {
        self.told.tell(format!("pong {:?}", pong.payload()));
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {reason}"));
    }
}

/// An application, its diary and its gate.
async fn held(change: impl FnOnce(App) -> App) -> (RunningApp, Heard, Arc<Gate>) {
    let (told, heard) = diary();
    let gate = Arc::new(Gate::new());
    let app = runtime::test::app().only::<Held>().provide(told).provide_shared(Arc::clone(&gate));
    (change(app).start().await, heard, gate)
}

/// A peer whose handler stands at the gate, and its session.
async fn busy(app: &RunningApp, gate: &Gate) -> (Peer, Session) {
    let mut peer = app.connect("/alive/held").await.unwrap();
    peer.send("work").await.unwrap();
    gate.arrived().await;
    let session = app.sessions().all().iter().next().unwrap();
    (peer, session)
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_written_while_a_handler_waits() {
    let (app, mut heard, gate) = held(|app| app).await;
    let (mut peer, session) = busy(&app, &gate).await;
    for number in 0..100 {
        session.send(number).await.unwrap();
    }
    session.send_and_flush("flushed").await.unwrap();
    for number in 0..100 {
        assert_eq!(peer.text().await, number.to_string());
    }
    assert_eq!(peer.text().await, "flushed");
    assert_eq!(heard.so_far(), ["work"]);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_a_handler_waits() {
    let (app, mut heard, gate) = held(|app| app).await;
    let mut raw = Raw::open(&app, "/alive/held").await;
    raw.write(&[frame(TEXT, b"work"), frame(PING, b"there?")].concat()).await;
    gate.arrived().await;
    assert_eq!(raw.frame().await, Some((PONG, b"there?".to_vec())));
    assert_eq!(heard.so_far(), ["work"]);
}

#[tokio::test(start_paused = true)]
async fn pongs_that_come_while_a_handler_waits_are_delivered_after_it() {
    let (app, mut heard, gate) = held(|app| app).await;
    let mut raw = Raw::open(&app, "/alive/held").await;
    raw.write(&frame(TEXT, b"work")).await;
    gate.arrived().await;
    let late = [frame(PONG, b"1"), frame(PONG, b"2"), frame(PING, b"seen"), frame(TEXT, b"more")].concat();
    raw.write(&late).await;
    assert_eq!(raw.frame().await, Some((PONG, b"seen".to_vec())));
    assert_eq!(heard.so_far(), ["work"]);
    gate.open();
    for expected in ["work done", "pong b\"1\"", "pong b\"2\"", "more"] {
        heard.expect(expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_at_once_and_waits_for_the_handler() {
    let (app, mut heard, gate) = held(|app| app).await;
    let begin = Instant::now();
    let (mut peer, session) = busy(&app, &gate).await;
    let reason = peer.close(4001, "enough").await.unwrap();
    assert_eq!(u16::from(reason.code()), 4001);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(!session.is_open());
    assert!(matches!(session.send("x").await, Err(SendError::Closed(reason)) if reason.text() == "enough"));
    settle().await;
    assert_eq!(heard.so_far(), ["work"], "on_close waits for the handler");
    gate.open();
    heard.expect("work done").await;
    heard.expect("close 4001 enough").await;
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_noticed_while_a_handler_waits() {
    let (app, mut heard, gate) = held(|app| app).await;
    let (peer, session) = busy(&app, &gate).await;
    drop(peer);
    until("the loss to be noticed", || !session.is_open()).await;
    assert_eq!(heard.so_far(), ["work"]);
    gate.open();
    heard.expect("work done").await;
    assert!(heard.next().await.starts_with("close 1006"));
    assert_eq!(session.close_reason().unwrap().closed_by(), ClosedBy::Network);
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_noticed_while_a_handler_waits() {
    let (app, mut heard, gate) = held(|app| app).await;
    let mut raw = Raw::open(&app, "/alive/held").await;
    raw.write(&frame(TEXT, b"work")).await;
    gate.arrived().await;
    let begin = Instant::now();
    assert_eq!(raw.frame().await, None.or(Some((PING, vec![]))));
    assert!(begin.elapsed() >= Duration::from_secs(25));
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(raw.close_code().await.0, 1001);
    gate.open();
    heard.expect("work").await;
    heard.expect("work done").await;
    assert!(heard.next().await.starts_with("close 1006"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_noticed_while_a_handler_waits() {
    let (app, mut heard, gate) = held(|app| app).await;
    let (mut peer, _session) = busy(&app, &gate).await;
    let begin = Instant::now();
    let stopped = tokio::spawn(app.shutdown());
    assert_eq!(peer.closed().await.code(), CloseCode::Away);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    settle().await;
    assert!(!stopped.is_finished(), "a shutdown waits for handlers and on_close");
    gate.open();
    soon("the end of the server", stopped).await.unwrap();
    let entries = heard.so_far();
    assert_eq!(entries[..2], ["work", "work done"]);
    assert!(entries[2].starts_with("close 1001"), "{entries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_messages_wait_for_a_handler_is_not_dead() {
    let (app, mut heard, gate) =
        held(|app| app.configure(|settings| settings.idle_timeout = Some(Duration::from_secs(40)))).await;
    let mut raw = Raw::open(&app, "/alive/held").await;
    // Whatever the peer answers to pings stands behind its second message, which nobody reads yet.
    raw.write(&[frame(TEXT, b"work"), frame(TEXT, b"more")].concat()).await;
    gate.arrived().await;
    for _ in 0..24 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        raw.write(&frame(PONG, b"")).await;
    }
    gate.open();
    for expected in ["work", "work done", "more"] {
        heard.expect(expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_peer_whose_messages_wait_for_a_handler_is_noticed_by_the_next_ping() {
    let (app, mut heard, gate) = held(|app| app).await;
    let mut raw = Raw::open(&app, "/alive/held").await;
    raw.write(&[frame(TEXT, b"work"), frame(TEXT, b"more")].concat()).await;
    gate.arrived().await;
    let begin = Instant::now();
    drop(raw);
    heard.expect("work").await;
    // The handler never ends by itself: it is cancelled when its session has ended and its grace is over.
    heard.expect("cancelled").await;
    assert!(begin.elapsed() <= Duration::from_secs(25 + 5 + 1), "{:?}", begin.elapsed());
    assert!(heard.next().await.starts_with("close 1006"));
}

#[tokio::test(start_paused = true)]
async fn a_flooding_peer_meets_backpressure() {
    let (app, mut heard, gate) = held(|app| app).await;
    let mut raw = Raw::open_narrow(&app, "/alive/held", 4096).await;
    raw.write(&frame(TEXT, b"work")).await;
    gate.arrived().await;
    heard.expect("work").await;
    let one = frame(TEXT, &[b'x'; 1000]);
    let flood = one.repeat(10_000);
    let taken = raw.write_until_stuck(&flood).await;
    assert!(taken <= 2 * 4096, "{taken} bytes were taken in while a handler was busy");
    assert_eq!(heard.so_far(), Vec::<String>::new());
    // Nothing of it is lost.
    let (rest, whole) = (flood[taken..].to_vec(), 20);
    let writer = tokio::spawn(async move {
        raw.write_until_stuck(&rest).await;
        raw
    });
    for _ in 0..whole {
        gate.open();
        assert!(heard.next().await.ends_with("done"));
        assert_eq!(heard.next().await, "x".repeat(1000));
    }
    drop(writer);
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_its_grace_and_is_then_cancelled() {
    for grace in [Duration::from_secs(5), Duration::from_millis(700), Duration::ZERO] {
        // The default is five seconds.
        let change = move |app: App| match grace.as_secs() {
            5 => app,
            _ => app.configure(move |settings| settings.handler_grace = grace),
        };
        for leaves in [false, true] {
            let (app, mut heard, gate) = held(change).await;
            let (mut peer, _session) = busy(&app, &gate).await;
            let begin = Instant::now();
            if leaves {
                drop(peer);
            } else {
                peer.close(1000, "").await.unwrap();
            }
            heard.expect("work").await;
            heard.expect("cancelled").await;
            let took = begin.elapsed();
            assert!(
                took >= grace && took < grace + Duration::from_millis(100),
                "{took:?} instead of {grace:?}"
            );
            let close = heard.next().await;
            assert!(close.starts_with(if leaves { "close 1006" } else { "close 1000" }), "{close}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ends_within_its_grace_is_not_cancelled() {
    let (app, mut heard, gate) = held(|app| app).await;
    let (mut peer, _session) = busy(&app, &gate).await;
    peer.close(1000, "").await.unwrap();
    tokio::time::sleep(Duration::from_millis(4900)).await;
    gate.open();
    heard.expect("work").await;
    heard.expect("work done").await;
    heard.expect("close 1000").await;
}

#[server_endpoint("/alive/own-queue", send_buffer = 1024)]
struct OwnQueue {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl OwnQueue {
    #[on_open]
    async fn open(&self, session: &Session) -> Result<()> {
        self.fill(session).await
    }

    #[on_message]
    async fn text(&self, _text: &str, session: &Session) -> Result<()> {
        self.fill(session).await
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {reason}"));
    }
}

impl OwnQueue {
    async fn fill(&self, session: &Session) -> Result<()> {
        for number in 0..200 {
            session.send(format!("{number:0500}")).await?;
        }
        self.told.tell("sent");
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_for_its_own_full_queue_does_not_deadlock() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<OwnQueue>().provide(told).start().await;
    let mut raw = Raw::open_narrow(&app, "/alive/own-queue", 700).await;
    for round in 0..2 {
        for number in 0..200 {
            assert_eq!(raw.text().await, format!("{number:0500}"), "round {round}");
        }
        heard.expect("sent").await;
        raw.write(&frame(TEXT, b"again")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_for_its_own_full_queue_learns_of_a_loss() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<OwnQueue>().provide(told).start().await;
    let begin = Instant::now();
    let raw = Raw::open_narrow(&app, "/alive/own-queue", 700).await;
    settle().await;
    drop(raw);
    assert!(heard.next().await.starts_with("close 1006"));
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

/// A peer that has stopped reading can still say goodbye.
#[tokio::test(start_paused = true)]
async fn a_close_is_noticed_while_the_socket_takes_nothing() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<OwnQueue>().provide(told).start().await;
    let mut raw = Raw::open_narrow(&app, "/alive/own-queue", 700).await;
    settle().await;
    let begin = Instant::now();
    raw.write(&close_frame(1000, "bye")).await;
    heard.expect("close 1000 bye").await;
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

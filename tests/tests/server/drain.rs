//! Draining: everyone is told 1001, in rounds, every `on_close` runs, and the time for all of it is bounded.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{ClosedBy, Endpoint, ServerEndpointConfig};
use futures_util::SinkExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::support::{
    Raw, Reporter, close, closed, connect, only_these, says_back, soon, start, text, upgrade,
};

const GOODBYE: &str = "the server is shutting down";

#[tokio::test]
async fn everyone_is_told_1001_and_every_on_close_runs() {
    let (config, mut reports) = Reporter::at("/drain/all");
    let server = start(only_these([config])).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = connect(server.local_addr(), "/drain/all").await;
        says_back(&mut client, "hello").await;
        clients.push(client);
    }
    let reading = clients.into_iter().map(|client| tokio::spawn(async move { closed(client).await }));
    let reading: Vec<_> = reading.collect();
    let sessions = server.sessions().clone();
    soon("the shutdown", server.shutdown()).await;
    assert_eq!(sessions.count(), 0);
    for read in reading {
        assert_eq!(soon("the end", read).await.unwrap(), Some((1001, GOODBYE.to_owned())));
    }
    for _ in 0..20 {
        let reason = reports.closed().await;
        assert_eq!(
            (reason.code(), reason.text(), reason.closed_by()),
            (CloseCode::Away, GOODBYE, ClosedBy::Container)
        );
    }
}

#[tokio::test]
async fn what_was_sent_before_goes_first() {
    let (config, mut reports) = Reporter::at("/drain/last-words");
    let server = start(only_these([config])).await;
    let mut client = connect(server.local_addr(), "/drain/last-words").await;
    reports.opened().await;
    server.sessions().all().send("last words").await;
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(super::support::next_text(&mut client).await, "last words");
    assert_eq!(closed(client).await.unwrap().0, 1001);
    soon("the shutdown", stopping).await.unwrap();
}

/// Timers may be late, never early: so many sessions cannot have been told before so many rounds.
#[tokio::test]
async fn sessions_are_told_in_rounds() {
    const BATCH: usize = 3;
    const INTERVAL: Duration = Duration::from_millis(200);
    let (config, mut reports) = Reporter::at("/drain/rounds");
    let exporter = only_these([config]).configure(|settings| {
        settings.drain_batch = BATCH;
        settings.drain_interval = INTERVAL;
    });
    let server = start(exporter).await;
    let (told, mut when) = mpsc::unbounded_channel();
    for _ in 0..3 * BATCH {
        let client = connect(server.local_addr(), "/drain/rounds").await;
        reports.opened().await;
        let told = told.clone();
        tokio::spawn(async move {
            closed(client).await;
            told.send(Instant::now()).unwrap();
        });
    }
    let begin = Instant::now();
    soon("the shutdown", server.shutdown()).await;
    for index in 0..3 * BATCH {
        let round = u32::try_from(index / BATCH).unwrap();
        let after = soon("a close", when.recv()).await.unwrap() - begin;
        assert!(after >= INTERVAL * round, "number {index} was told after {after:?}");
    }
}

/// A connection that is in the middle of its request is answered; one that is idle is closed; a new one finds nobody.
#[tokio::test]
async fn new_handshakes_get_503_or_are_not_accepted() {
    let (config, mut reports) = Reporter::at("/drain/late");
    let server = start(only_these([config])).await;
    let address = server.local_addr();
    let mut idle = Raw::connect(address).await;
    assert_eq!(idle.ask(upgrade("/nowhere", &[])).await.status, 404);
    let mut silent = Raw::connect(address).await;
    let request = upgrade("/drain/late", &[]);
    let (first_half, second_half) = request.split_at(request.len() / 2);
    let mut late = Raw::connect(address).await;
    late.send(first_half).await;
    // This runtime has one thread, so that the server has read the half before it says this back.
    let mut held = Raw::upgraded(address, "/drain/late").await;
    held.send(text("hello")).await;
    assert_eq!(held.text().await, "hello");

    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(held.frame().await.unwrap().reason(), (1001, GOODBYE.to_owned()));
    // The session has not answered yet, so the server drains.
    let answer = late.ask(second_half).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, "the server is shutting down, try again later\n")
    );
    assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("5"), Some("close")));
    assert_eq!(late.ended().await, b"");
    assert_eq!(idle.ended().await, b"");
    assert_eq!(silent.ended().await, b"");
    assert!(TcpStream::connect(address).await.is_err());

    held.send(close(1001)).await;
    drop(held);
    soon("the shutdown", stopping).await.unwrap();
    assert_eq!(reports.closed().await.code(), CloseCode::Away);
}

/// A peer that never answers the close frame costs `close_timeout`, not the whole budget.
#[tokio::test]
async fn peers_that_ignore_the_close_frame_hold_nothing_up() {
    let (config, mut reports) = Reporter::at("/drain/deaf");
    let exporter = only_these([config]).configure(|settings| {
        settings.close_timeout = Duration::from_millis(200);
        settings.drain_timeout = Duration::from_secs(3600);
    });
    let server = start(exporter).await;
    let mut deaf = Raw::upgraded(server.local_addr(), "/drain/deaf").await;
    reports.opened().await;
    soon("the shutdown", server.shutdown()).await;
    assert_eq!(reports.closed().await.code(), CloseCode::Away);
    assert_eq!(deaf.frame().await.unwrap().reason().0, 1001);
    deaf.ended().await;
}

/// Is told what to wait for, in a message and in `on_close`.
struct Stubborn {
    entered: Arc<Notify>,
    finish: Arc<Notify>,
    finished: mpsc::UnboundedSender<&'static str>,
    waits_in_close: bool,
}

impl Endpoint for Stubborn {
    async fn on_message(&mut self, _: &Session, _: Message) -> Result<()> {
        self.entered.notify_one();
        self.finish.notified().await;
        self.finished.send("handler").unwrap();
        Ok(())
    }

    async fn on_close(&mut self, _: &Session, _: &CloseReason) {
        self.finished.send("on_close").unwrap();
        if self.waits_in_close {
            self.finish.notified().await;
            self.finished.send("never").unwrap();
        }
    }
}

struct StubbornTest {
    config: ServerEndpointConfig,
    entered: Arc<Notify>,
    finish: Arc<Notify>,
    finished: mpsc::UnboundedReceiver<&'static str>,
}

fn stubborn(waits_in_close: bool) -> StubbornTest {
    let (entered, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, finished) = mpsc::unbounded_channel();
    let (entering, finishing) = (Arc::clone(&entered), Arc::clone(&finish));
    let make = move || Stubborn {
        entered: Arc::clone(&entering),
        finish: Arc::clone(&finishing),
        finished: told.clone(),
        waits_in_close,
    };
    StubbornTest {
        config: ServerEndpointConfig::builder("/drain/stubborn", make).build(),
        entered,
        finish,
        finished,
    }
}

#[tokio::test]
async fn a_handler_may_finish_before_on_close() {
    let mut test = stubborn(false);
    let server = start(only_these([test.config])).await;
    let mut raw = Raw::upgraded(server.local_addr(), "/drain/stubborn").await;
    raw.send(text("go")).await;
    soon("the handler", test.entered.notified()).await;
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(raw.frame().await.unwrap().reason().0, 1001);
    raw.send(close(1001)).await;
    drop(raw);
    test.finish.notify_one();
    soon("the shutdown", stopping).await.unwrap();
    assert_eq!(test.finished.recv().await, Some("handler"));
    assert_eq!(test.finished.recv().await, Some("on_close"));
}

/// Neither a handler nor an `on_close` that never ends, with all the grace in the world, outlives the budget.
#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    const BUDGET: Duration = Duration::from_millis(500);
    for (waits_in_close, message) in [(false, true), (true, false)] {
        let mut test = stubborn(waits_in_close);
        let exporter = only_these([test.config]).configure(|settings| {
            settings.drain_timeout = BUDGET;
            settings.handler_grace = Duration::from_secs(3600);
            settings.close_timeout = Duration::from_secs(3600);
        });
        let server = start(exporter).await;
        let mut client = connect(server.local_addr(), "/drain/stubborn").await;
        if message {
            client.send("go".into()).await.unwrap();
            soon("the handler", test.entered.notified()).await;
        }
        let begin = Instant::now();
        let reading = tokio::spawn(async move { closed(client).await });
        let sessions = server.sessions().clone();
        soon("the shutdown", server.shutdown()).await;
        assert!(begin.elapsed() >= BUDGET, "it had its time");
        assert_eq!(soon("the end", reading).await.unwrap().unwrap().0, 1001);
        assert_eq!(sessions.count(), 0);
        assert_eq!(
            soon("on_close", test.finished.recv()).await,
            Some("on_close"),
            "on_close runs all the same"
        );
        assert_eq!(soon("the end of the instance", test.finished.recv()).await, None, "and nothing after it");
    }
}

/// The session has left the registry long before the server stops, but it has not ended.
#[tokio::test]
async fn an_on_close_that_hung_before_is_cut_off_too() {
    let mut test = stubborn(true);
    let exporter =
        only_these([test.config]).configure(|settings| settings.drain_timeout = Duration::from_millis(200));
    let server = start(exporter).await;
    let mut client = connect(server.local_addr(), "/drain/stubborn").await;
    client.close(None).await.unwrap();
    assert_eq!(soon("on_close", test.finished.recv()).await, Some("on_close"));
    assert_eq!(server.sessions().count(), 0);
    soon("the shutdown", server.shutdown()).await;
    assert_eq!(soon("the end of the instance", test.finished.recv()).await, None, "it was cut off");
}

/// No sessions, no wait.
#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let (config, _reports) = Reporter::at("/drain/idle");
    let exporter =
        only_these([config]).configure(|settings| settings.drain_interval = Duration::from_secs(3600));
    let server = start(exporter).await;
    soon("the shutdown", server.shutdown()).await;
}

//! What the log says, and what it does not: an operator is not woken because a browser was reloaded.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{Raw, TEXT, close_frame, frame, settle};

/// The lines that the runtime has logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl Lines {
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        // A place in the code that first logs on a thread where nobody listens may be remembered as one that nobody ever listens to:
        // so somebody listens everywhere, and keeps nothing. That it was set already is fine.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        (lines, guard)
    }

    /// Those above DEBUG, since the last look.
    pub(crate) fn loud(&self) -> Vec<(Level, String)> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        // A level is greater the more it says.
        lines.into_iter().filter(|(level, _)| *level < Level::DEBUG).collect()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("endpoint_runtime") {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push((*event.metadata().level(), line.0));
        }
    }
}

#[server_endpoint("/logged", send_buffer = 1000)]
struct Logged;

#[handlers]
impl Logged {
    #[on_message]
    async fn text(&self, text: String, session: &Session) -> Result<()> {
        match text.as_str() {
            "fail" => Err(Error::msg("no such seat"))?,
            "panic" => panic!("no such row"),
            "feed" => loop {
                session.send("x".repeat(100)).await?;
            },
            "flood" => (0..100).for_each(|_| drop(session.post("x".repeat(100)))),
            _ => {}
        }
        Ok(())
    }
}

#[server_endpoint("/logged-number")]
struct LoggedNumber;

#[handlers]
impl LoggedNumber {
    #[on_message]
    fn number(&self, _number: u8) {}
}

#[tokio::test(start_paused = true)]
async fn an_error_that_nobody_takes_is_a_warning_with_session_endpoint_and_path() {
    let (lines, _guard) = Lines::listen();
    let app = runtime::test::app().only::<Logged>().start().await;
    let mut peer = app.connect("/logged").await.unwrap();
    settle().await;
    let id = app.sessions().all().iter().next().unwrap().id().to_string();
    lines.loud();
    peer.send("fail").await.unwrap();
    settle().await;
    let logged = lines.loud();
    let [(Level::WARN, line)] = &logged[..] else { panic!("{logged:?}") };
    for part in [&id, "Logged", "/logged", "no such seat"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(peer.send("still open").await.is_ok());

    let app = runtime::test::app().only::<LoggedNumber>().start().await;
    let mut peer = app.connect("/logged-number").await.unwrap();
    lines.loud();
    peer.send("secret").await.unwrap();
    settle().await;
    let logged = lines.loud();
    let [(Level::WARN, line)] = &logged[..] else { panic!("{logged:?}") };
    assert!(line.contains("decode") && !line.contains("secret"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_discarded_message_is_logged_once_per_endpoint() {
    let (lines, _guard) = Lines::listen();
    let app = runtime::test::app().only::<Logged>().start().await;
    let mut peers = [app.connect("/logged").await.unwrap(), app.connect("/logged").await.unwrap()];
    lines.loud();
    for _ in 0..5 {
        for peer in &mut peers {
            peer.send(b"bytes").await.unwrap();
            peer.pong("").await.unwrap();
        }
    }
    settle().await;
    let logged = lines.loud();
    let [(Level::WARN, line)] = &logged[..] else { panic!("{logged:?}") };
    assert!(line.contains("discarded") && line.contains("/logged") && line.contains("Logged"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_is_not_worth_a_line() {
    let (lines, _guard) = Lines::listen();
    let app = runtime::test::app().only::<Logged>().start().await;
    lines.loud();
    for leaves in [false, true] {
        for says in ["hello", "feed"] {
            let mut raw = Raw::open_narrow(&app, "/logged", 4000).await;
            raw.write(&frame(TEXT, says.as_bytes())).await;
            settle().await;
            if !leaves {
                raw.write(&close_frame(1001, "")).await;
                settle().await;
            }
            drop(raw);
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            assert_eq!(app.sessions().count(), 0);
            assert_eq!(lines.loud(), [], "leaves {leaves}, {says}");
        }
    }
    // Neither is one that breaks a rule: that is its own affair.
    let mut raw = Raw::open(&app, "/logged").await;
    raw.write(&[0xff, 0x80, 0, 0, 0, 0]).await;
    assert_eq!(raw.close_code().await.0, 1002);
    assert_eq!(lines.loud(), []);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_and_a_slow_peer_is_said() {
    let (lines, _guard) = Lines::listen();
    let app = runtime::test::app().only::<Logged>().start().await;
    let mut peer = app.connect("/logged").await.unwrap();
    lines.loud();
    peer.send("panic").await.unwrap();
    peer.closed().await;
    let logged = lines.loud();
    let [(Level::ERROR, line)] = &logged[..] else { panic!("{logged:?}") };
    assert!(line.contains("no such row") && line.contains("/logged"), "{line}");

    let mut raw = Raw::open_narrow(&app, "/logged", 500).await;
    lines.loud();
    raw.write(&frame(TEXT, b"flood")).await;
    settle().await;
    let logged = lines.loud();
    let [(Level::INFO, line)] = &logged[..] else { panic!("{logged:?}") };
    assert!(line.contains("1013"), "{line}");
}

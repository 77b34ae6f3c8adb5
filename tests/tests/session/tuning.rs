//! Limits that are changed for one session while it is open.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, RunningApp};
use endpoint_runtime::{self as runtime, SendError};
use tokio::time::{Instant, sleep};

use crate::support::{BINARY, CLOSE, Heard, Raw, TEXT, Told, close_frame, diary, frame, settle, soon, until};

#[server_endpoint("/tuned", max_message_size = 100, send_buffer = 1000, overflow = wait)]
struct Endpoint {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Endpoint {
    #[on_message]
    fn text(&self, text: &str, session: &Session) -> usize {
        if let Ok(size) = text.trim_end().parse() {
            session.set_max_text_size(size);
        }
        text.len()
    }

    #[on_message]
    fn binary(&self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {reason}"));
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn opened(change: impl FnOnce(App) -> App) -> (RunningApp, Heard, Raw, Session) {
    let (told, heard) = diary();
    let app = change(runtime::test::app().only::<Endpoint>().provide(told)).start().await;
    let raw = Raw::open_narrow(&app, "/tuned", 256).await;
    until("a session", || app.sessions().count() == 1).await;
    let session = app.sessions().all().iter().next().unwrap();
    (app, heard, raw, session)
}

fn without_pings(app: App) -> App {
    app.configure(|settings| settings.ping_interval = None)
}

#[tokio::test(start_paused = true)]
async fn the_limits_are_those_of_the_endpoint_until_they_are_changed() {
    let (app, _heard, _raw, session) = opened(|app| {
        app.configure(|settings| {
            settings.idle_timeout = Some(seconds(1000));
            settings.send_timeout = seconds(7);
        })
    })
    .await;
    let _other = Raw::open(&app, "/tuned").await;
    until("another session", || app.sessions().count() == 2).await;
    let other = app.sessions().all().except(&session).iter().next().unwrap();
    let all = |session: &Session| {
        (session.idle_timeout(), session.send_timeout(), session.max_text_size(), session.max_binary_size())
    };
    let before = (Some(seconds(1000)), Some(seconds(7)), 100, 100);
    assert_eq!(all(&session), before);
    session.set_max_text_size(5);
    assert_eq!(all(&session), (Some(seconds(1000)), Some(seconds(7)), 5, 100));
    session.set_idle_timeout(seconds(2));
    session.set_send_timeout(seconds(3));
    session.set_max_binary_size(usize::MAX);
    assert_eq!(all(&session), (Some(seconds(2)), Some(seconds(3)), 5, usize::MAX));
    // None and nothing are no limit.
    session.set_idle_timeout(None);
    session.set_send_timeout(Duration::ZERO);
    assert_eq!(all(&session), (None, None, 5, usize::MAX));
    session.set_idle_timeout(Duration::ZERO);
    session.set_send_timeout(None);
    assert_eq!(all(&session), (None, None, 5, usize::MAX));
    // The longest is harmless.
    session.set_idle_timeout(Duration::MAX);
    session.set_send_timeout(Duration::MAX);
    settle().await;
    assert!(session.is_open());
    assert_eq!(all(&other), before);
}

/// When the session was closed for being idle, after which time.
async fn idle_end(raw: &mut Raw, begin: Instant) -> Duration {
    let (first, payload) = soon("the end", raw.frame()).await.unwrap();
    assert_eq!((first, &payload[..2]), (CLOSE, &1001u16.to_be_bytes()[..]));
    begin.elapsed()
}

#[track_caller]
fn about(took: Duration, expected: Duration) {
    assert!(took >= expected && took < expected + Duration::from_millis(100), "{took:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_idle_timeout_holds_at_once() {
    // None before.
    let (_app, mut heard, mut raw, session) = opened(without_pings).await;
    let begin = Instant::now();
    sleep(seconds(10)).await;
    session.set_idle_timeout(seconds(30));
    about(idle_end(&mut raw, begin).await, seconds(30));
    raw.write(&close_frame(1001, "")).await;
    heard.expect("close 1006 idle for 30s").await;
    // A longer one before, and the silence has been too long already.
    let idle = |app: App| without_pings(app).configure(|settings| settings.idle_timeout = Some(seconds(50)));
    let (_app, _heard, mut raw, session) = opened(idle).await;
    let begin = Instant::now();
    sleep(seconds(20)).await;
    session.set_idle_timeout(seconds(5));
    about(idle_end(&mut raw, begin).await, seconds(20));
    // A shorter one before.
    let (_app, _heard, mut raw, session) = opened(idle).await;
    let begin = Instant::now();
    sleep(seconds(49)).await;
    session.set_idle_timeout(seconds(90));
    sleep(seconds(30)).await;
    assert!(session.is_open());
    about(idle_end(&mut raw, begin).await, seconds(90));
    // And none any more.
    let (_app, _heard, _raw, session) = opened(idle).await;
    sleep(seconds(49)).await;
    session.set_idle_timeout(None);
    sleep(seconds(100_000)).await;
    assert!(session.is_open());
}

/// Sends more than the peer takes, so that the socket is stuck, and fills the queue.
async fn fill(session: &Session) {
    session.send("x".repeat(2000)).await.unwrap();
    settle().await;
    while session.try_send("y".repeat(100)).is_ok() {}
}

#[tokio::test(start_paused = true)]
async fn a_new_send_timeout_is_for_what_is_sent_from_then_on() {
    let (_app, _heard, mut raw, session) = opened(without_pings).await;
    fill(&session).await;
    let send = |session: &Session| {
        let session = session.clone();
        tokio::spawn(async move {
            let begin = Instant::now();
            (session.send("z".repeat(900)).await, begin.elapsed())
        })
    };
    let before = send(&session);
    sleep(seconds(1)).await;
    session.set_send_timeout(seconds(3));
    let after = send(&session);
    // The peer takes a little now and then, so that it is slow and not dead.
    for _ in 0..20 {
        sleep(seconds(1)).await;
        raw.take_in(20).await;
    }
    let (result, took) = soon("who came later", after).await.unwrap();
    assert!(matches!(result, Err(SendError::Full)), "{result:?}");
    about(took, seconds(3));
    let (result, took) = soon("who came first", before).await.unwrap();
    assert!(matches!(result, Err(SendError::Full)), "{result:?}");
    about(took, seconds(20));
    // Without one, a sender waits as long as it takes.
    session.set_send_timeout(None);
    let patient = send(&session);
    for _ in 0..100 {
        sleep(seconds(10)).await;
        raw.take_in(1).await;
    }
    assert!(!patient.is_finished());
    while raw.text().await != "z".repeat(900) {}
    soon("the patient", patient).await.unwrap().0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_send_timeout_is_how_long_a_peer_may_take_nothing() {
    let (_app, mut heard, _raw, session) = opened(without_pings).await;
    fill(&session).await;
    let begin = Instant::now();
    session.set_send_timeout(seconds(2));
    until("the peer to be found", || !session.is_open()).await;
    assert!(begin.elapsed() < seconds(3), "{:?}", begin.elapsed());
    heard.expect("close 1013 too slow").await;
    // Without one, and without pings, a peer may take its time.
    let (_app, _heard, mut raw, session) = opened(without_pings).await;
    session.set_send_timeout(None);
    fill(&session).await;
    sleep(seconds(100_000)).await;
    assert!(session.is_open());
    assert_eq!(raw.text().await.len(), 2000);
    assert_eq!(raw.text().await.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn new_sizes_are_for_the_messages_that_come_then() {
    let (_app, _heard, mut raw, session) = opened(|app| app).await;
    session.set_max_text_size(1000);
    raw.write(&frame(TEXT, &[b'x'; 1000])).await;
    assert_eq!(raw.text().await, "1000");
    raw.write(&frame(BINARY, &[0; 100])).await;
    assert_eq!(raw.text().await, "100");
    raw.write(&frame(BINARY, &[0; 101])).await;
    assert_eq!(raw.close_code().await.0, 1009);

    let (_app, _heard, mut raw, session) = opened(|app| app).await;
    session.set_max_binary_size(7);
    raw.write(&frame(TEXT, &[b'x'; 100])).await;
    assert_eq!(raw.text().await, "100");
    raw.write(&frame(BINARY, &[0; 7])).await;
    assert_eq!(raw.text().await, "7");
    raw.write(&frame(BINARY, &[0; 8])).await;
    let (code, text) = raw.close_code().await;
    assert_eq!(code, 1009);
    assert!(text.contains('7'), "{text}");

    // A method that changes it is heard by the very next message, though that is there already.
    let (_app, _heard, mut raw, _session) = opened(|app| app).await;
    raw.write(&[frame(TEXT, b"200"), frame(TEXT, &[b'x'; 200]), frame(TEXT, &[b'x'; 201])].concat()).await;
    assert_eq!(raw.text().await, "3");
    assert_eq!(raw.text().await, "200");
    assert_eq!(raw.close_code().await.0, 1009);
}

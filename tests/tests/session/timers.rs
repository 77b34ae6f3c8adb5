//! The clock: pings after silence, dead peers, idle sessions; each by setting, by endpoint, and off.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, RunningApp};
use endpoint_runtime::{self as runtime, ServerEndpointConfig};
use tokio::time::{Instant, sleep};

use crate::support::{CLOSE, Heard, PING, PONG, Raw, TEXT, Told, close_frame, diary, frame, until};

#[server_endpoint("/timers")]
struct Timed {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Timed {
    #[on_message]
    fn text(&self, _text: &str) {}

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {reason}"));
    }
}

async fn timed(change: impl FnOnce(App) -> App) -> (RunningApp, Heard) {
    let (told, heard) = diary();
    (change(runtime::test::app().only::<Timed>().provide(told)).start().await, heard)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Timers are coarse: a little late is on time.
#[track_caller]
fn on_time(begin: Instant, expected: Duration) {
    let took = begin.elapsed();
    assert!(
        took >= expected && took < expected + Duration::from_millis(100),
        "{took:?} instead of {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_closed() {
    for (interval, timeout) in [(25, 20), (3, 1), (1, 7)] {
        let (app, mut heard) = timed(|app| match interval {
            // The defaults.
            25 => app,
            _ => app.configure(move |settings| {
                settings.ping_interval = Some(seconds(interval));
                settings.pong_timeout = seconds(timeout);
            }),
        })
        .await;
        let mut raw = Raw::open(&app, "/timers").await;
        let begin = Instant::now();
        assert_eq!(raw.frame().await, Some((PING, vec![])));
        on_time(begin, seconds(interval));
        let (first, payload) = raw.frame().await.unwrap();
        assert_eq!((first, &payload[..2]), (CLOSE, &1001u16.to_be_bytes()[..]));
        on_time(begin, seconds(interval + timeout));
        let close = heard.next().await;
        assert!(close.starts_with("close 1006 ") && close.contains("ping"), "{close}");
        assert_eq!(raw.frame().await, None);
        until("the end", || app.sessions().count() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn anything_from_the_peer_shows_that_it_lives() {
    for says in [
        frame(PONG, b""),
        frame(PONG, b"other"),
        frame(PING, b""),
        frame(TEXT, b"x"),
        frame(TEXT, b"xyz")[..5].to_vec(),
    ] {
        let (app, _heard) = timed(|app| app).await;
        let mut raw = Raw::open(&app, "/timers").await;
        assert_eq!(raw.frame().await, Some((PING, vec![])));
        sleep(seconds(15)).await;
        raw.write(&says).await;
        let begin = Instant::now();
        // And it is pinged again only after it has been silent again.
        while raw.frame().await.unwrap().0 != PING {}
        on_time(begin, seconds(25));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_is_not_pinged() {
    let (app, _heard) = timed(|app| app).await;
    let mut raw = Raw::open(&app, "/timers").await;
    for _ in 0..10 {
        sleep(seconds(24)).await;
        raw.write(&frame(TEXT, b"x")).await;
    }
    raw.write(&close_frame(1000, "")).await;
    assert_eq!(raw.frame().await.unwrap().0, CLOSE, "a ping came");
}

#[tokio::test(start_paused = true)]
async fn a_decent_peer_stays_for_hours() {
    let (app, mut heard) = timed(|app| app).await;
    let mut peer = app.connect("/timers").await.unwrap();
    let reading = tokio::spawn(async move { peer.closed().await });
    for _ in 0..60 {
        // Whoever reads answers pings.
        sleep(seconds(50)).await;
        assert!(!reading.is_finished());
    }
    assert_eq!(heard.so_far(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn without_ping_interval_nobody_is_pinged() {
    let (app, mut heard) = timed(|app| app.configure(|settings| settings.ping_interval = None)).await;
    let mut raw = Raw::open(&app, "/timers").await;
    sleep(seconds(100_000)).await;
    assert_eq!(heard.so_far(), Vec::<String>::new());
    raw.write(&close_frame(1000, "")).await;
    assert_eq!(raw.frame().await.unwrap().0, CLOSE, "a ping came");
}

fn idle_after(idle: u64) -> impl FnOnce(App) -> App {
    move |app| {
        app.configure(move |settings| {
            settings.idle_timeout = Some(seconds(idle));
            settings.ping_interval = None;
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_closed() {
    let (app, mut heard) = timed(idle_after(50)).await;
    let mut raw = Raw::open(&app, "/timers").await;
    let begin = Instant::now();
    tokio::time::sleep(seconds(30)).await;
    let (first, payload) = raw.frame().await.unwrap();
    assert_eq!((first, &payload[..2]), (CLOSE, &1001u16.to_be_bytes()[..]));
    on_time(begin, seconds(50));
    raw.write(&close_frame(1001, "")).await;
    assert_eq!(raw.frame().await, None);
    on_time(begin, seconds(50));
    let close = heard.next().await;
    assert!(close.starts_with("close 1006 ") && close.contains("idle"), "{close}");
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_either_way_is_activity() {
    for what in ["message in", "ping in", "pong in", "message out", "ping out"] {
        let (app, _heard) = timed(idle_after(50)).await;
        let mut raw = Raw::open(&app, "/timers").await;
        until("a session", || app.sessions().count() == 1).await;
        let session = app.sessions().all().iter().next().unwrap();
        let mut last = Instant::now();
        for _ in 0..5 {
            sleep(seconds(49)).await;
            last = Instant::now();
            match what {
                "message in" => raw.write(&frame(TEXT, b"x")).await,
                "ping in" => raw.write(&frame(PING, b"x")).await,
                "pong in" => raw.write(&frame(PONG, b"x")).await,
                "message out" => session.send("x").await.unwrap(),
                _ => session.ping("x").await.unwrap(),
            }
        }
        assert!(session.is_open(), "{what}");
        while raw.frame().await.unwrap().0 != CLOSE {}
        on_time(last, seconds(50));
    }
}

#[tokio::test(start_paused = true)]
async fn answered_pings_keep_a_session_from_being_idle() {
    let (app, mut heard) =
        timed(|app| app.configure(|settings| settings.idle_timeout = Some(seconds(30)))).await;
    let mut peer = app.connect("/timers").await.unwrap();
    let reading = tokio::spawn(async move { peer.closed().await });
    for _ in 0..20 {
        sleep(seconds(50)).await;
        assert!(!reading.is_finished());
    }
    assert_eq!(heard.so_far(), Vec::<String>::new());
}

#[server_endpoint("/timers/own", ping_interval = "2s", idle_timeout = "300ms")]
struct OwnTimes;

#[handlers]
impl OwnTimes {
    #[on_message]
    fn text(&self, _text: &str) {}
}

#[server_endpoint("/timers/off", ping_interval = "off", idle_timeout = "off")]
struct NoTimes;

#[handlers]
impl NoTimes {
    #[on_message]
    fn text(&self, _text: &str) {}
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_says_wins_over_the_settings() {
    let app = runtime::test::app()
        .only::<OwnTimes>()
        .configure(|settings| settings.idle_timeout = Some(seconds(3600)))
        .start()
        .await;
    let mut raw = Raw::open(&app, "/timers/own").await;
    let begin = Instant::now();
    assert_eq!(raw.frame().await.unwrap().0, CLOSE);
    on_time(begin, Duration::from_millis(300));

    let app = runtime::test::app()
        .only::<NoTimes>()
        .configure(|settings| settings.idle_timeout = Some(seconds(1)))
        .start()
        .await;
    let mut raw = Raw::open(&app, "/timers/off").await;
    sleep(seconds(1000)).await;
    raw.write(&close_frame(1000, "")).await;
    assert_eq!(raw.frame().await.unwrap(), (CLOSE, 1000u16.to_be_bytes().to_vec()));

    struct ByHand;
    impl runtime::Endpoint for ByHand {}
    let config = ServerEndpointConfig::builder("/by-hand", || ByHand)
        .ping_interval(Some(seconds(5)))
        .idle_timeout(Some(seconds(7)))
        .build();
    let app = runtime::test::app().only::<ByHand>().endpoint(config).start().await;
    let mut raw = Raw::open(&app, "/by-hand").await;
    let begin = Instant::now();
    assert_eq!(raw.frame().await.unwrap().0, PING);
    on_time(begin, seconds(5));
    // The ping was activity.
    assert_eq!(raw.frame().await.unwrap().0, CLOSE);
    on_time(begin, seconds(12));
}

#[tokio::test(start_paused = true)]
async fn every_one_of_many_sessions_has_its_own_time() {
    let (app, _heard) = timed(idle_after(10)).await;
    let mut peers = Vec::new();
    for _ in 0..50 {
        peers.push((Raw::open(&app, "/timers").await, Instant::now()));
        sleep(Duration::from_millis(130)).await;
    }
    for (raw, begin) in &mut peers {
        assert_eq!(raw.frame().await.unwrap().0, CLOSE);
        on_time(*begin, seconds(10));
    }
}

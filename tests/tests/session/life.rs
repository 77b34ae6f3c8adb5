//! A connection's life: one handler at a time, `on_open` before and `on_close` after everything else, whatever the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{self as runtime, ClosedBy};

use tokio::time::Instant;

use crate::support::{Gate, Heard, PONG, Raw, TEXT, Told, close_frame, diary, frame, soon};

/// How many handlers of one session run, and the most that ever did.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Busy {
    async fn work(&self) {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn busy(session: &Session) -> Arc<Busy> {
    match session.attributes().get_shared() {
        Some(busy) => busy,
        None => {
            session.attributes().insert(Busy::default());
            busy(session)
        }
    }
}

macro_rules! busy_endpoint {
    ($name:ident $path:literal $(, $scope:ident)?) => {
        #[server_endpoint($path $(, scope = $scope)?)]
        struct $name {
            #[inject]
            told: Arc<Told>,
        }

        #[handlers]
        impl $name {
            #[on_open]
            async fn open(&self, session: &Session) {
                busy(session).work().await;
            }

            #[on_message]
            async fn text(&self, number: u32, session: &Session) -> u32 {
                busy(session).work().await;
                number
            }

            #[on_message]
            async fn pong(&self, _pong: Pong, session: &Session) {
                busy(session).work().await;
            }

            #[on_error]
            async fn error(&self, error: &Error, session: &Session) -> String {
                busy(session).work().await;
                error.to_string()
            }

            #[on_close]
            async fn close(&self, session: &Session) {
                let busy = busy(session);
                busy.work().await;
                self.told.tell(busy.most.load(Ordering::SeqCst));
            }
        }
    };
}

busy_endpoint!(BusyConnection "/life/busy");
busy_endpoint!(BusySingleton "/life/busy-singleton", singleton);

async fn never_overlap(app: RunningApp, path: &str, mut heard: Heard) {
    let peers = (0..4).map(|_| app.connect(path)).map(|connect| async {
        let mut peer = connect.await.unwrap();
        for number in 0..30 {
            peer.pong("unasked").await.unwrap();
            peer.send("not a number").await.unwrap();
            peer.send(number).await.unwrap();
            assert_ne!(peer.text().await, number.to_string());
            assert_eq!(peer.text().await, number.to_string());
        }
        peer.send(30).await.unwrap();
        peer.close(1000, "").await.unwrap();
    });
    futures_util::future::join_all(peers).await;
    for _ in 0..4 {
        heard.expect("1").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_handlers_of_a_connection_overlap() {
    let (told, heard) = diary();
    let app = runtime::test::app().only::<BusyConnection>().provide(told).start().await;
    never_overlap(app, "/life/busy", heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_handlers_of_a_connection_overlap_in_a_singleton() {
    let (told, heard) = diary();
    let app = runtime::test::app().only::<BusySingleton>().provide(told).start().await;
    never_overlap(app, "/life/busy-singleton", heard).await;
}

#[server_endpoint("/life/slow-open")]
struct SlowOpen {
    #[inject]
    told: Arc<Told>,
    #[inject]
    gate: Arc<Gate>,
}

#[handlers]
impl SlowOpen {
    #[on_open]
    async fn open(&self) {
        self.told.tell("open begins");
        self.gate.pass().await;
        self.told.tell("open ends");
    }

    #[on_message]
    fn text(&self, text: &str) {
        self.told.tell(text);
    }

    #[on_message]
    fn pong(&self, _pong: Pong) {
        self.told.tell("pong");
    }

    #[on_close]
    fn close(&self) {
        self.told.tell("close");
    }
}

#[tokio::test(start_paused = true)]
async fn on_open_has_returned_before_the_first_message() {
    let (told, mut heard) = diary();
    let gate = Arc::new(Gate::new());
    let app =
        runtime::test::app().only::<SlowOpen>().provide(told).provide_shared(Arc::clone(&gate)).start().await;
    let behind = [frame(PONG, b""), frame(TEXT, b"one"), frame(TEXT, b"two")].concat();
    let mut raw = Raw::open_through(app.connect_raw(), "/life/slow-open", &behind).await;
    raw.write(&frame(TEXT, b"three")).await;
    gate.arrived().await;
    app.advance(Duration::from_secs(3)).await;
    assert_eq!(heard.so_far(), ["open begins"]);
    gate.open();
    for expected in ["open ends", "pong", "one", "two", "three"] {
        heard.expect(expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_during_on_open_is_told_on_close_after_it() {
    let (told, mut heard) = diary();
    let gate = Arc::new(Gate::new());
    let app =
        runtime::test::app().only::<SlowOpen>().provide(told).provide_shared(Arc::clone(&gate)).start().await;
    let raw = Raw::open(&app, "/life/slow-open").await;
    gate.arrived().await;
    drop(raw);
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(heard.so_far(), ["open begins"]);
    gate.open();
    heard.expect("open ends").await;
    heard.expect("close").await;
}

#[tokio::test(start_paused = true)]
async fn an_on_open_that_never_returns_is_cancelled_after_its_grace() {
    let (told, mut heard) = diary();
    let gate = Arc::new(Gate::new());
    let app =
        runtime::test::app().only::<SlowOpen>().provide(told).provide_shared(Arc::clone(&gate)).start().await;
    let mut raw = Raw::open(&app, "/life/slow-open").await;
    gate.arrived().await;
    let begin = Instant::now();
    raw.write(&[frame(TEXT, b"late"), close_frame(1000, "")].concat()).await;
    drop(raw);
    heard.expect("open begins").await;
    heard.expect("close").await;
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[server_endpoint("/life/slow-close")]
struct SlowClose {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl SlowClose {
    #[on_message]
    fn text(&self, _text: &str) {}

    #[on_close]
    async fn close(&self, session: &Session) {
        self.told.tell(format!("close begins {}", session.is_open()));
        tokio::time::sleep(Duration::from_secs(100)).await;
        self.told.tell("close ends");
    }
}

#[tokio::test(start_paused = true)]
async fn on_close_takes_its_time_and_the_peer_does_not_wait_for_it() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<SlowClose>().provide(told).start().await;
    let mut peer = app.connect("/life/slow-close").await.unwrap();
    let begin = Instant::now();
    peer.close(1000, "").await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    heard.expect("close begins false").await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    heard.expect("close ends").await;
    assert_eq!(begin.elapsed().as_secs(), 100);
}

/// Many close the same sessions at once, from both sides and on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_close_runs_once_however_many_close() {
    let (told, mut heard) = diary();
    let app = Arc::new(runtime::test::app().only::<Ways>().provide(told).start().await);
    const PEERS: usize = 50;
    let mut tasks = Vec::new();
    for number in 0..PEERS {
        let app = Arc::clone(&app);
        tasks.push(tokio::spawn(async move {
            let mut peer = app.connect("/life/ways").await.unwrap();
            // An answer, or a close frame: either way the session is known by now.
            peer.ping("").await.unwrap();
            peer.frame().await;
            for session in app.sessions().all().iter() {
                tokio::spawn(async move { session.close(CloseReason::normal()).await });
            }
            match number % 3 {
                0 => drop(peer),
                // It may be closed already.
                1 => drop(peer.close(1000, "").await),
                _ => drop(peer.closed().await),
            }
        }));
    }
    for task in tasks {
        soon("the peers", task).await.unwrap();
    }
    app.sessions().all().close(CloseReason::normal()).await;
    let (mut opened, mut closed) = (0, 0);
    while closed < PEERS {
        let entry = heard.next().await;
        opened += usize::from(entry == "open");
        closed += usize::from(entry.starts_with("close"));
    }
    assert_eq!(opened, PEERS);
    crate::support::until("the end", || app.sessions().count() == 0).await;
    assert_eq!(heard.so_far(), Vec::<String>::new());
}

/// Does as it is told, and tells what it is called for.
#[server_endpoint("/life/ways")]
struct Ways {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Ways {
    #[on_open]
    async fn open(&self, #[query] open: Option<String>) -> Result<()> {
        self.told.tell("open");
        tokio::task::yield_now().await;
        match open.as_deref() {
            Some("fails") => Err(Error::msg("secret: the door is stuck")),
            Some("panics") => panic!("secret: the door fell off"),
            _ => Ok(()),
        }
    }

    #[on_message]
    async fn text(&self, text: String, session: &Session) -> Result<()> {
        self.told.tell(format!("text {text}"));
        match text.as_str() {
            "close" => session.close(CloseReason::normal()).await?,
            "panic" => panic!("as told"),
            "fill" => {
                let big = Bytes::from(vec![0; 256 * 1024]);
                (0..8).for_each(|_| drop(session.post(&big)));
            }
            "sleep" => tokio::time::sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        Ok(())
    }

    #[on_message]
    fn pong(&self, _pong: Pong) {
        self.told.tell("pong");
    }

    #[on_error]
    fn error(&self, error: &Error) {
        self.told.tell(format!("error {error}"));
    }

    #[on_close]
    async fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {reason} {:?}", reason.closed_by()));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn on_close_runs_once_and_last_of_all_however_a_session_ends() {
    /// What the peer does: bytes that it sends, and whether it then leaves without a word.
    struct Way {
        name: &'static str,
        path: &'static str,
        sends: Vec<u8>,
        leaves: bool,
    }
    let way = |name, sends| Way { name, path: "/life/ways", sends, leaves: false };
    let text = |text: &str| frame(TEXT, text.as_bytes());
    let ways = [
        way("the peer closes", frame(0x88, &1000u16.to_be_bytes())),
        way("the peer closes and goes on", [frame(0x88, b""), text("late"), frame(PONG, b"late")].concat()),
        way("the peer closes behind a message", [text("a"), frame(0x88, b"")].concat()),
        way("the peer closes while a handler runs", [text("sleep"), frame(0x88, b"")].concat()),
        Way { leaves: true, ..way("the peer leaves", vec![]) },
        Way { leaves: true, ..way("the peer leaves within a message", text("never whole")[..7].to_vec()) },
        Way { leaves: true, ..way("the peer leaves while a handler runs", text("sleep")) },
        way("the peer breaks a rule", vec![0x81, 0x01, b'x']),
        way("the peer breaks a rule behind a message", [text("a"), vec![0xff; 10]].concat()),
        way("the peer is dead", vec![]),
        way("the application closes", text("close")),
        way("the application closes, and a message waits", [text("close"), text("late")].concat()),
        way("a handler panics", [text("panic"), text("late")].concat()),
        way("the peer takes nothing", text("fill")),
        Way {
            path: "/life/ways?open=fails",
            ..way("on_open fails", [text("late"), frame(PONG, b"")].concat())
        },
        Way {
            path: "/life/ways?open=panics",
            ..way("on_open panics", [text("late"), frame(PONG, b"")].concat())
        },
    ];
    for way in ways {
        let (told, mut heard) = diary();
        let app = runtime::test::app().only::<Ways>().provide(told).start().await;
        let mut raw = Raw::open(&app, way.path).await;
        raw.write(&way.sends).await;
        let raw = if way.leaves { None } else { Some(raw) };
        let mut entries = Vec::new();
        // A dead peer is found after 45 seconds.
        let all = tokio::time::timeout(Duration::from_secs(100), async {
            while !entries.last().is_some_and(|entry: &String| entry.starts_with("close")) {
                entries.push(heard.next_whenever().await);
            }
        });
        assert!(all.await.is_ok(), "{}: no on_close, only {entries:?}", way.name);
        assert_eq!(entries[0], "open", "{}", way.name);
        assert_eq!(entries.iter().filter(|entry| entry.starts_with("close")).count(), 1, "{}", way.name);
        assert!(
            !entries.iter().any(|entry| entry.contains("late") || entry == "pong"),
            "{}: {entries:?}",
            way.name
        );
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(heard.so_far(), Vec::<String>::new(), "{}", way.name);
        assert_eq!(app.sessions().count(), 0, "{}", way.name);
        drop(raw);
    }
}

#[tokio::test(start_paused = true)]
async fn on_close_runs_once_when_the_server_stops() {
    for drain_timeout in [Duration::from_secs(30), Duration::ZERO] {
        let (told, mut heard) = diary();
        let app = runtime::test::app()
            .only::<Ways>()
            .provide(told)
            .configure(move |settings| settings.drain_timeout = drain_timeout)
            .start()
            .await;
        let mut raw = Raw::open(&app, "/life/ways").await;
        raw.write(&frame(TEXT, b"sleep")).await;
        heard.expect("open").await;
        heard.expect("text sleep").await;
        app.shutdown().await;
        let entries = heard.so_far();
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert!(entries[0].starts_with("close 1001 "), "{entries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_on_open_that_fails_is_followed_by_on_error_and_1011() {
    let table = [
        ("fails", "error secret: the door is stuck"),
        ("panics", "error a handler panicked: secret: the door fell off"),
    ];
    for (how, error) in table {
        let (told, mut heard) = diary();
        let app = runtime::test::app().only::<Ways>().provide(told).start().await;
        let mut peer = app.connect(&format!("/life/ways?open={how}")).await.unwrap();
        let reason = soon("a close frame", peer.closed()).await;
        assert_eq!(reason.code(), CloseCode::Error, "{how}");
        assert!(!reason.text().contains("secret"), "internals are shown to the peer: {reason}");
        heard.expect("open").await;
        heard.expect(error).await;
        let close = heard.next().await;
        assert!(
            close.starts_with("close 1011 ") && close.ends_with(&format!("{:?}", ClosedBy::Container)),
            "{close}"
        );
    }
}

#[server_endpoint("/life/stuck-door")]
struct StuckDoor {
    #[inject]
    told: Arc<Told>,
    #[inject]
    gate: Arc<Gate>,
}

#[handlers]
impl StuckDoor {
    #[on_open]
    async fn open(&self) -> Result<()> {
        self.gate.pass().await;
        Err(Error::msg("stuck"))
    }

    #[on_message]
    fn text(&self, _text: &str) {
        self.told.tell("text");
    }

    #[on_message]
    fn pong(&self, _pong: Pong) {
        self.told.tell("pong");
    }

    #[on_close]
    fn close(&self) {
        self.told.tell("close");
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_on_open_that_failed_nothing_is_dispatched() {
    let (told, mut heard) = diary();
    let gate = Arc::new(Gate::new());
    let app = runtime::test::app()
        .only::<StuckDoor>()
        .provide(told)
        .provide_shared(Arc::clone(&gate))
        .start()
        .await;
    let mut peer = app.connect("/life/stuck-door").await.unwrap();
    gate.arrived().await;
    // The answer to the ping shows that the pong before it has been read; the text behind it waits.
    peer.pong("early").await.unwrap();
    peer.ping("seen").await.unwrap();
    soon("a pong", peer.frame()).await.unwrap();
    peer.send("early").await.unwrap();
    gate.open();
    assert_eq!(soon("a close frame", peer.closed()).await.code(), CloseCode::Error);
    heard.expect("close").await;
}

#[server_endpoint("/life/lifetime")]
struct Lifetime {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Lifetime {
    #[on_open]
    fn open(&self, session: &Session) {
        struct OnDrop(Arc<Told>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.tell("task cancelled");
            }
        }
        let guard = OnDrop(Arc::clone(&self.told));
        session.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let told = Arc::clone(&self.told);
        session.spawn(async move { told.tell("task done") });
    }

    #[on_close]
    fn close(&self) {
        self.told.tell("close");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_spawned_through_a_session_is_cancelled_at_its_end() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Lifetime>().provide(told).start().await;
    let mut peer = app.connect("/life/lifetime").await.unwrap();
    heard.expect("task done").await;
    let session = app.sessions().all().iter().next().unwrap();
    app.advance(Duration::from_secs(20)).await;
    assert_eq!(heard.so_far(), Vec::<String>::new());
    peer.close(1000, "").await.unwrap();
    let mut entries = vec![heard.next().await, heard.next().await];
    entries.sort();
    assert_eq!(entries, ["close", "task cancelled"]);
    // And whoever comes too late does not begin.
    let late = session.spawn(std::future::pending::<()>());
    assert_eq!(soon("the late task", late).await.unwrap(), None);
}

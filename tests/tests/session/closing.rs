//! Closing: what was queued goes first, the answer is awaited but not for ever, and a closed session says so.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{self as runtime, ClosedBy, SendError, TrySendError};
use tokio::time::Instant;

use crate::support::{CLOSE, Heard, Raw, TEXT, Told, close_frame, diary, frame, only_session, settle, soon};

#[server_endpoint("/closing/{room}", subprotocols = ["v1"])]
struct Closing {
    #[inject]
    told: Arc<Told>,
}

#[derive(Clone, PartialEq, Debug)]
struct Nickname(&'static str);

#[handlers]
impl Closing {
    #[on_open]
    fn open(&self, session: &Session) {
        session.attributes().insert(Nickname("Bo"));
        session.join("blue");
    }

    #[on_message]
    async fn text(&self, text: &str, session: &Session) -> Result<&'static str> {
        if text == "close and answer" {
            session.close(CloseReason::normal()).await?;
        }
        Ok("answer")
    }

    #[on_error]
    fn error(&self, error: &Error) {
        self.told.tell(format!("error: {error}"));
    }

    #[on_close]
    async fn close(&self, session: &Session, reason: &CloseReason) {
        let sent = session.send("too late").await;
        self.told.tell(format!("close {reason} {:?}", reason.closed_by()));
        self.told.tell(format!("send: {}", sent.unwrap_err()));
    }
}

async fn closing() -> (RunningApp, Heard) {
    let (told, heard) = diary();
    (runtime::test::app().only::<Closing>().provide(told).start().await, heard)
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_goes_before_the_close_frame() {
    let (app, _heard) = closing().await;
    // Narrow, so that most of it is still queued when the session closes.
    let mut raw = Raw::open_narrow(&app, "/closing/a", 1000).await;
    let session = only_session(&app).await;
    for number in 0..500 {
        session.send(format!("{number:050}")).await.unwrap();
    }
    session.close(CloseReason::new(4000, "that was all")).await.unwrap();
    assert!(session.send("too late").await.is_err());
    settle().await;
    for number in 0..500 {
        assert_eq!(raw.text().await, format!("{number:050}"));
    }
    assert_eq!(raw.close_code().await, (4000, "that was all".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_goes_before_the_answer_to_a_close_frame() {
    let (app, mut heard) = closing().await;
    let mut raw = Raw::open_narrow(&app, "/closing/a", 500).await;
    let session = only_session(&app).await;
    session.post("x".repeat(1000));
    settle().await;
    // The socket takes no more: these wait in the queue.
    session.post("queued");
    session.post("too");
    assert!(session.queued_bytes() > 0);
    raw.write(&close_frame(1000, "")).await;
    settle().await;
    for expected in ["x".repeat(1000), "queued".into(), "too".into()] {
        assert_eq!(raw.frame().await, Some((TEXT, expected.into_bytes())));
    }
    assert_eq!(raw.close_code().await.0, 1000);
    heard.expect("close 1000 Peer").await;
}

#[tokio::test(start_paused = true)]
async fn to_close_twice_does_nothing() {
    let (app, mut heard) = closing().await;
    let mut peer = app.connect("/closing/a").await.unwrap();
    let session = only_session(&app).await;
    session.close(CloseReason::new(4000, "first")).await.unwrap();
    session.close(CloseReason::new(4001, "second")).await.unwrap();
    assert_eq!(app.sessions().all().close(CloseReason::away("third")).await, 0);
    let reason = peer.closed().await;
    assert_eq!((u16::from(reason.code()), reason.text()), (4000, "first"));
    heard.expect("close 4000 first Application").await;
    session.close(CloseReason::new(4002, "fourth")).await.unwrap();
    assert_eq!(session.close_reason().unwrap().text(), "first");
}

#[tokio::test(start_paused = true)]
async fn when_both_close_at_once_each_keeps_its_own_reason() {
    let (app, mut heard) = closing().await;
    let mut raw = Raw::open(&app, "/closing/a").await;
    let session = only_session(&app).await;
    session.close(CloseReason::new(4000, "ours")).await.unwrap();
    raw.write(&close_frame(4001, "theirs")).await;
    assert_eq!(raw.close_code().await, (4000, "ours".to_owned()));
    heard.expect("close 4000 ours Application").await;
}

#[tokio::test(start_paused = true)]
async fn one_close_frame_is_sent_and_nothing_behind_it() {
    let (app, _heard) = closing().await;
    let mut raw = Raw::open(&app, "/closing/a").await;
    raw.write(&[frame(TEXT, b"close and answer"), frame(TEXT, b"more"), close_frame(1000, "")].concat())
        .await;
    assert_eq!(raw.frame().await, Some((CLOSE, 1000u16.to_be_bytes().to_vec())));
    assert_eq!(raw.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_behind_ones_own_close_is_an_error() {
    let (app, mut heard) = closing().await;
    let mut peer = app.connect("/closing/a").await.unwrap();
    peer.send("close and answer").await.unwrap();
    assert_eq!(peer.closed().await.code(), CloseCode::Normal);
    heard.expect("error: the session is closed: 1000").await;
    heard.expect("close 1000 Application").await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_sends_nothing_and_can_still_be_read() {
    let (app, mut heard) = closing().await;
    let mut peer = app.connect("/closing/a%20b?x=1").subprotocols(&["v1"]).header("x-y", "z").await.unwrap();
    let session = only_session(&app).await;
    assert!(session.is_open() && session.close_reason().is_none());
    let id = *session.id();
    let reason = |result: Result<(), SendError>| match result {
        Err(SendError::Closed(reason)) => (u16::from(reason.code()), reason.text().to_owned()),
        other => panic!("{other:?}"),
    };
    peer.close(4000, "bye").await.unwrap();
    heard.expect("close 4000 bye Peer").await;
    heard.expect("send: the session is closed: 4000 bye").await;

    let expected = (4000, "bye".to_owned());
    assert_eq!(reason(session.send("x").await), expected);
    assert_eq!(reason(session.send_and_flush("x").await), expected);
    assert_eq!(reason(session.post("x").await), expected);
    assert_eq!(reason(session.ping("x").await), expected);
    assert_eq!(reason(session.pong("x").await), expected);
    assert_eq!(
        reason(
            session
                .batch(|batch| {
                    batch.send("x");
                })
                .await
        ),
        expected
    );
    match session.try_send("given back") {
        Err(TrySendError::Closed(message, reason)) => {
            assert_eq!((message.as_text(), reason.text()), (Some("given back"), "bye"));
        }
        other => panic!("{other:?}"),
    }

    assert!(!session.is_open());
    assert_eq!(session.close_reason().unwrap().closed_by(), ClosedBy::Peer);
    assert_eq!(*session.id(), id);
    assert_eq!(session.uri(), "/closing/a%20b?x=1");
    assert_eq!((session.path(), session.path_param("room")), ("/closing/{room}", Some("a b")));
    assert_eq!(
        (session.subprotocol(), session.protocol_version(), session.is_secure()),
        (Some("v1"), "13", false)
    );
    assert_eq!(session.handshake().header("X-Y"), Some("z"));
    assert_eq!(session.attributes().get(), Some(Nickname("Bo")));
    assert_eq!(session.rooms(), ["blue"]);
    assert_eq!((session.queued_bytes(), session.dropped()), (0, 0));
    assert!(session.siblings().is_empty());
    assert!(!session.join("green"), "a closed session enters nothing");
    assert_eq!(app.sessions().rooms(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_on_the_wire_is_refused() {
    let (app, _heard) = closing().await;
    let mut peer = app.connect("/closing/a").await.unwrap();
    let session = only_session(&app).await;
    for code in [0, 1, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65535] {
        let refused = session.close(CloseReason::new(code, "")).await;
        assert!(
            matches!(refused, Err(SendError::InvalidCloseCode(refused)) if refused == code),
            "{code}: {refused:?}"
        );
        assert!(session.is_open(), "{code}");
    }
    peer.send("still there?").await.unwrap();
    assert_eq!(peer.text().await, "answer");
}

#[tokio::test(start_paused = true)]
async fn codes_that_only_describe_are_never_on_the_wire() {
    for code in [1005, 1006, 1015] {
        let (app, _heard) = closing().await;
        let mut raw = Raw::open(&app, "/closing/a").await;
        only_session(&app).await;
        app.sessions().all().close(CloseReason::new(code, "unsaid")).await;
        assert_eq!(raw.closed().await, Some(vec![]), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_peers_answer_is_awaited_for_five_seconds() {
    let (app, mut heard) = closing().await;
    let mut raw = Raw::open(&app, "/closing/a").await;
    let begin = Instant::now();
    only_session(&app).await.close(CloseReason::normal()).await.unwrap();
    assert_eq!(raw.frame().await.unwrap().0, CLOSE);
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(raw.frame().await, None);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_millis(5200), "{took:?}");
    heard.expect("close 1000 Application").await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_even_take_the_close_frame_is_left_after_close_timeout() {
    let (app, mut heard) = closing().await;
    let raw = Raw::open_narrow(&app, "/closing/a", 500).await;
    let session = only_session(&app).await;
    for _ in 0..10 {
        session.post("x".repeat(1000));
    }
    let last = session.post("never");
    let begin = Instant::now();
    session.close(CloseReason::normal()).await.unwrap();
    heard.expect("close 1000 Application").await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_millis(5200), "{took:?}");
    assert!(matches!(last.await, Err(SendError::Closed(_))));
    drop(raw);
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_has_time_for_what_was_queued_before_the_close_frame() {
    for ours in [true, false] {
        let (app, _heard) = closing().await;
        let mut raw = Raw::open_narrow(&app, "/closing/a", 500).await;
        let session = only_session(&app).await;
        for _ in 0..20 {
            session.post("x".repeat(1000));
        }
        if ours {
            session.close(CloseReason::new(4000, "")).await.unwrap();
        } else {
            settle().await;
            raw.write(&close_frame(4000, "")).await;
        }
        for _ in 0..38 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            raw.take_in(500).await;
        }
        for _ in 0..20 {
            assert_eq!(raw.text().await.len(), 1000);
        }
        assert_eq!(raw.frame().await, Some((CLOSE, 4000u16.to_be_bytes().to_vec())));
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_closes_the_stream_first() {
    for ours in [false, true] {
        let (app, _heard) = closing().await;
        let mut raw = Raw::open(&app, "/closing/a").await;
        if ours {
            only_session(&app).await.close(CloseReason::normal()).await.unwrap();
            assert_eq!(raw.frame().await.unwrap().0, CLOSE);
        }
        raw.write(&close_frame(1000, "")).await;
        let begin = Instant::now();
        // The peer's own end stays open.
        raw.closed().await;
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_sends_behind_the_close_is_taken_in_and_thrown_away() {
    let (app, mut heard) = closing().await;
    let mut raw = Raw::open(&app, "/closing/a").await;
    only_session(&app).await.close(CloseReason::normal()).await.unwrap();
    let much = frame(TEXT, &[b'x'; 60_000]).repeat(10);
    raw.write(&much).await;
    raw.write(&close_frame(1000, "")).await;
    assert_eq!(raw.close_code().await.0, 1000);
    // The stream is closed in one direction only: the rest is still taken, so that no reset destroys the close frame.
    raw.write(&much).await;
    heard.expect("close 1000 Application").await;
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_cut_to_fit_into_the_frame() {
    let (app, _heard) = closing().await;
    let mut peer = app.connect("/closing/a").await.unwrap();
    only_session(&app).await.close(CloseReason::new(4000, "é".repeat(100))).await.unwrap();
    assert_eq!(peer.closed().await.text(), "é".repeat(61));
}

#[server_endpoint("/receipts", send_buffer = 10_000)]
struct Receipts {
    #[inject]
    told: Arc<Told>,
    receipts: Vec<runtime::Receipt>,
}

#[handlers]
impl Receipts {
    #[on_open]
    fn open(&mut self, session: &Session) {
        self.receipts = vec![session.post("x".repeat(3000)), session.post("y")];
    }

    #[on_message]
    async fn text(&mut self, text: &str, session: &Session) {
        if text == "fill and flush" {
            session.post("z".repeat(3000));
            // Until the socket has taken what it can: what is sent then waits in the queue.
            settle().await;
        }
        if text.ends_with("flush") {
            let result = session.send_and_flush("z".repeat(3000)).await;
            self.told.tell(format!("flushed {}", result.is_ok()));
        }
    }

    #[on_close]
    async fn close(&mut self) {
        for receipt in self.receipts.drain(..) {
            self.told.tell(matches!(receipt.await, Err(SendError::Closed(_))));
        }
    }
}

/// A receipt is settled when the connection is lost: `on_close` may wait for it.
#[tokio::test(start_paused = true)]
async fn on_close_may_wait_for_a_receipt() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Receipts>().provide(told).start().await;
    let raw = Raw::open_narrow(&app, "/receipts", 500).await;
    settle().await;
    drop(raw);
    heard.expect("true").await;
    heard.expect("true").await;
}

/// And a handler that waits for the kernel learns of the loss, not of the end of its grace.
#[tokio::test(start_paused = true)]
async fn a_handler_that_flushes_learns_of_a_loss() {
    for text in ["flush", "fill and flush"] {
        let (told, mut heard) = diary();
        let app = runtime::test::app().only::<Receipts>().provide(told).start().await;
        let mut raw = Raw::open_narrow(&app, "/receipts", 4000).await;
        // The first messages fit into the pipe; what the handler sends does not.
        raw.write(&frame(TEXT, text.as_bytes())).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(heard.so_far(), Vec::<String>::new());
        let begin = Instant::now();
        drop(raw);
        heard.expect("flushed false").await;
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}

/// Whoever holds the session may wait for its end, before it comes and after it has come.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_can_be_waited_for() {
    let (told, _heard) = diary();
    let app = runtime::test::app().only::<Closing>().provide(told).start().await;
    let mut raw = Raw::open(&app, "/closing/blue").await;
    settle().await;
    let session = app.sessions().all().iter().next().unwrap().clone();
    let waiting = [session.clone(), session.clone()].map(|s| tokio::spawn(async move { s.closed().await }));
    settle().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    raw.write(&close_frame(4001, "bye")).await;
    for task in waiting {
        assert_eq!(soon("the end", task).await.unwrap().to_string(), "4001 bye");
    }
    assert_eq!(soon("what has come", session.closed()).await.closed_by(), ClosedBy::Peer);
}

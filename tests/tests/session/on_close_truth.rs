//! `on_close` tells the truth: which code, which text, who ended it; and the wire says what may be said there.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ClosedBy};

use crate::support::{BINARY, CLOSE, Raw, TEXT, Told, close_frame, diary, frame};

#[server_endpoint("/truth", max_message_size = 100, send_buffer = 1000)]
struct Truth {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Truth {
    #[on_message]
    async fn text(&self, text: &str, session: &Session) -> Result<()> {
        let mut words = text.splitn(3, ' ');
        match words.next() {
            Some("close") => {
                let code: u16 = words.next().unwrap_or_default().parse()?;
                session.close(CloseReason::new(code, words.next().unwrap_or_default())).await?;
            }
            Some("panic") => panic!("as told"),
            Some("fill") => (0..400).for_each(|_| drop(session.post("x".repeat(500)))),
            _ => {}
        }
        Ok(())
    }

    #[on_close]
    fn close(&self, session: &Session, reason: &CloseReason, owned: CloseReason) {
        assert_eq!(session.close_reason(), Some(reason));
        assert_eq!(*reason, owned);
        let (code, by) = (u16::from(reason.code()), reason.closed_by());
        self.told.tell(format!("{code} {by:?} {}", reason.text()));
    }
}

/// What `on_close` is told, and what is on the wire: a code, 1005 for an empty close frame, 1006 for none.
struct Case {
    sends: Vec<u8>,
    leaves: bool,
    told: (u16, ClosedBy, &'static str),
    wire: u16,
}

fn case(sends: impl Into<Vec<u8>>, told: (u16, ClosedBy, &'static str), wire: u16) -> Case {
    Case { sends: sends.into(), leaves: false, told, wire }
}

#[tokio::test(start_paused = true)]
async fn every_end_is_told_as_it_was() {
    use ClosedBy::{Application, Container, Network, Peer};
    let says = |text: &str| frame(TEXT, text.as_bytes());
    let long = "é".repeat(61);
    let mut cases = vec![
        // The peer's code and text.
        case(close_frame(1000, "bye"), (1000, Peer, "bye"), 1000),
        case(close_frame(1000, ""), (1000, Peer, ""), 1000),
        case(close_frame(1001, "gone"), (1001, Peer, "gone"), 1001),
        case(close_frame(3000, "lib"), (3000, Peer, "lib"), 3000),
        case(close_frame(4999, "own"), (4999, Peer, "own"), 4999),
        case(close_frame(1014, ""), (1014, Peer, ""), 1014),
        case(close_frame(4000, &long), (4000, Peer, ""), 4000),
        // An empty close frame.
        case(frame(CLOSE, b""), (1005, Peer, ""), 1005),
        // Our own.
        case(says("close 1000 done"), (1000, Application, "done"), 1000),
        case(says("close 4242 done"), (4242, Application, "done"), 4242),
        case(says("close 1005"), (1005, Application, ""), 1005),
        // Nobody's.
        Case { leaves: true, ..case(vec![], (1006, Network, "lost"), 1006) },
        Case { leaves: true, ..case([0x81], (1006, Network, "lost"), 1006) },
        // The peer broke a rule, or a limit.
        case([0x81, 0x01, b'x'], (1002, Container, "mask"), 1002),
        case(frame(0x83, b""), (1002, Container, ""), 1002),
        case(frame(0xc1, b""), (1002, Container, ""), 1002),
        case(frame(0x80, b"no beginning"), (1002, Container, ""), 1002),
        case(frame(0x09, b"a fragment"), (1002, Container, ""), 1002),
        case(frame(0x89, &[0; 126]), (1002, Container, ""), 1002),
        case(frame(CLOSE, &[3]), (1002, Container, ""), 1002),
        case(frame(TEXT, b"\xff"), (1007, Container, "UTF-8"), 1007),
        case(frame(CLOSE, b"\x03\xe8\xff"), (1007, Container, "UTF-8"), 1007),
        case(frame(TEXT, &[b'x'; 101]), (1009, Container, "100"), 1009),
        case(frame(BINARY, &[0; 101]), (1009, Container, "max_message_size"), 1009),
        // A handler panicked; the peer is too slow.
        case(says("panic"), (1011, Container, ""), 1011),
        case(says("fill"), (1013, Container, "too slow"), 1013),
        // The peer is dead: who ended it is the container, and on the wire stands 1001.
        case(vec![], (1006, Container, "ping"), 1001),
    ];
    // Codes that must not be sent are the peer's mistake.
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535] {
        cases.push(case(close_frame(code, "x"), (1002, Container, ""), 1002));
    }
    for case in cases {
        let (told, mut heard) = diary();
        let app = runtime::test::app().only::<Truth>().provide(told).start().await;
        let mut raw = Raw::open(&app, "/truth").await;
        raw.write(&case.sends).await;
        let shown = format!("{:?}", case.sends);
        if case.leaves {
            drop(raw);
        } else {
            // Before anybody answers: whoever waits for an answer gets none.
            if case.told.2 == "ping" {
                tokio::time::sleep(Duration::from_secs(50)).await;
            }
            let (code, text) = raw.close_code().await;
            assert_eq!(code, case.wire, "{shown}");
            assert!(
                text.contains(case.told.2) || case.told.1 == Peer || case.told.2 == "ping",
                "{shown}: {text}"
            );
        }
        let entry = heard.next().await;
        let begin = format!("{} {:?} ", case.told.0, case.told.1);
        let text = entry.strip_prefix(&begin).unwrap_or_else(|| panic!("{shown}: {entry}"));
        assert!(text.contains(case.told.2), "{shown}: {entry}");
        if case.sends == close_frame(4000, &long) {
            assert_eq!(text, long);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_told_1006_and_the_peer_1001() {
    let (told, mut heard) = diary();
    let app = runtime::test::app()
        .only::<Truth>()
        .provide(told)
        .configure(|settings| settings.idle_timeout = Some(Duration::from_secs(10)))
        .start()
        .await;
    let mut raw = Raw::open(&app, "/truth").await;
    let (code, text) = raw.close_code().await;
    assert_eq!((code, text.contains("idle")), (1001, true), "{text}");
    let entry = heard.next().await;
    assert!(entry.starts_with("1006 Container ") && entry.contains("idle"), "{entry}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_says_1001() {
    let (told, mut heard) = diary();
    let app = runtime::test::app().only::<Truth>().provide(told).start().await;
    let mut peer = app.connect("/truth").await.unwrap();
    let (reason, ()) = tokio::join!(peer.closed(), app.shutdown());
    assert_eq!(reason.code(), CloseCode::Away);
    assert!(heard.next().await.starts_with("1001 Container "));
}

/// Whoever closes with a reason is who closed, wherever the reason came from.
#[tokio::test(start_paused = true)]
async fn a_reason_that_was_someone_elses_is_the_applications_when_it_closes_with_it() {
    for broadcast in [false, true] {
        let (told, mut heard) = diary();
        let app = runtime::test::app().only::<Truth>().provide(told).start().await;
        let mut first = app.connect("/truth").await.unwrap();
        let mut second = app.connect("/truth").await.unwrap();
        let session = app.sessions().all().iter().min_by_key(|session| *session.id()).unwrap();
        first.close(4000, "passed on").await.unwrap();
        heard.expect("4000 Peer passed on").await;
        let reason = session.close_reason().unwrap().clone();
        if broadcast {
            assert_eq!(app.sessions().all().close(reason).await, 1);
        } else {
            app.sessions().all().iter().next().unwrap().close(reason).await.unwrap();
        }
        assert_eq!(second.closed().await.text(), "passed on");
        heard.expect("4000 Application passed on").await;
    }
}

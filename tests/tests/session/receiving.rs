//! Receiving: valid text, within the limit, to the method for its kind; pings are answered, pongs are delivered.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;

use crate::support::{BINARY, CLOSE, Heard, PING, PONG, Raw, TEXT, Told, diary, frame, settle};

#[server_endpoint("/receiving", max_message_size = 1000)]
struct Receiving {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Receiving {
    #[on_message]
    fn text(&self, text: &str) {
        self.told.tell(format!("text {} {}", text.len(), &text[..text.len().min(10)]));
    }

    #[on_message]
    fn bytes(&self, bytes: &[u8]) {
        self.told.tell(format!("bytes {} {:?}", bytes.len(), &bytes[..bytes.len().min(3)]));
    }

    #[on_message]
    fn pong(&self, pong: Pong) {
        self.told.tell(format!("pong {:?}", pong.payload()));
    }

    #[on_error]
    fn error(&self, error: &Error) {
        self.told.tell(format!("error {error}"));
    }
}

async fn receiving() -> (RunningApp, Heard) {
    let (told, heard) = diary();
    (runtime::test::app().only::<Receiving>().provide(told).start().await, heard)
}

#[tokio::test(start_paused = true)]
async fn messages_arrive_whole_however_they_are_cut() {
    let whole = [frame(TEXT, "grüße".as_bytes()), frame(BINARY, &[1, 2, 3]), frame(TEXT, b"")].concat();
    let in_fragments = [
        frame(0x01, "gr".as_bytes()),
        frame(0x00, &"ü".as_bytes()[..1]),
        frame(PING, b"between"),
        frame(0x00, &"üß".as_bytes()[1..]),
        frame(0x80, b"e"),
        frame(0x02, &[1, 2]),
        frame(0x80, &[3]),
        frame(0x01, b""),
        frame(0x00, b""),
        frame(0x80, b""),
    ]
    .concat();
    for bytes in [&whole, &in_fragments] {
        for step in [1, 2, 3, 7, bytes.len()] {
            let (app, mut heard) = receiving().await;
            let mut raw = Raw::open(&app, "/receiving").await;
            for piece in bytes.chunks(step) {
                raw.write(piece).await;
                settle().await;
            }
            for expected in ["text 7 grüße", "bytes 3 [1, 2, 3]", "text 0 "] {
                heard.expect(expected).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_utf8_closes_with_1007_as_early_as_the_bytes_show_it() {
    // Bytes, and whether the message is then complete.
    let table: [&[u8]; 6] = [
        &frame(TEXT, b"a\xffb"),
        &frame(TEXT, b"\xed\xa0\x80"),
        &frame(TEXT, b"\xf4\x90\x80\x80"),
        // In a frame that is not complete yet.
        &frame(TEXT, &[&[0xff; 1][..], &[b'x'; 500]].concat())[..16],
        // In a fragment of a message that is not complete yet.
        &frame(0x01, b"\xc3\x28"),
        // A character that the last fragment leaves incomplete.
        &[frame(0x01, b"\xe2\x82"), frame(0x80, b"")].concat(),
    ];
    for bytes in table {
        let (app, mut heard) = receiving().await;
        let mut raw = Raw::open(&app, "/receiving").await;
        raw.write(bytes).await;
        assert_eq!(raw.close_code().await.0, 1007, "{bytes:?}");
        assert!(heard.next().await.contains("1007"));
        assert_eq!(heard.so_far(), Vec::<String>::new(), "{bytes:?}");
    }
    // Bytes that are no text may be any.
    let (app, mut heard) = receiving().await;
    let mut raw = Raw::open(&app, "/receiving").await;
    raw.write(&frame(BINARY, b"\xff")).await;
    heard.expect("bytes 1 [255]").await;
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_closes_with_1009_and_one_at_the_limit_does_not() {
    let (app, mut heard) = receiving().await;
    let mut raw = Raw::open(&app, "/receiving").await;
    let allowed = [
        frame(TEXT, &[b'x'; 1000]),
        frame(BINARY, &[0; 1000]),
        frame(0x01, &[b'y'; 500]),
        frame(0x80, &[b'y'; 500]),
    ];
    raw.write(&allowed.concat()).await;
    for expected in ["text 1000 xxxxxxxxxx", "bytes 1000 [0, 0, 0]", "text 1000 yyyyyyyyyy"] {
        heard.expect(expected).await;
    }
    let mut announced = vec![0x82, 0xff];
    announced.extend((1u64 << 62).to_be_bytes());
    announced.extend([0; 4]);
    let table = [
        frame(TEXT, &[b'x'; 1001]),
        frame(BINARY, &[0; 1001]),
        [frame(0x01, &[b'y'; 500]), frame(0x80, &[b'y'; 501])].concat(),
        [frame(0x02, &[0; 1000]), frame(0x00, &[0; 1])].concat(),
        // What is only announced counts: nobody waits for it.
        announced,
        frame(TEXT, &[b'x'; 60_000])[..8].to_vec(),
    ];
    for bytes in table {
        let (app, mut heard) = receiving().await;
        let mut raw = Raw::open(&app, "/receiving").await;
        raw.write(&bytes).await;
        let (code, text) = raw.close_code().await;
        assert_eq!(code, 1009);
        assert!(text.contains("1000") && text.contains("max_message_size"), "{text}");
        let error = heard.next().await;
        assert!(
            error.starts_with("error ") && error.contains("max_message_size") && error.contains("1009"),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_64_kib_if_nobody_says_otherwise() {
    let app = runtime::test::app().only::<Lengths>().start().await;
    let mut peer = app.connect("/receiving/lengths").await.unwrap();
    peer.send("x".repeat(65_536)).await.unwrap();
    assert_eq!(peer.text().await, "65536");
    peer.send("x".repeat(65_537)).await.unwrap();
    let reason = peer.closed().await;
    assert_eq!(reason.code(), CloseCode::Size);
    assert!(reason.text().contains("65536"), "{reason}");
    // And the operator's word counts where the endpoint says nothing.
    let app = runtime::test::app()
        .only::<Lengths>()
        .configure(|settings| settings.max_message_size = 1_000_000)
        .start()
        .await;
    let mut peer = app.connect("/receiving/lengths").await.unwrap();
    peer.send("x".repeat(1_000_000)).await.unwrap();
    assert_eq!(peer.text().await, "1000000");
}

#[server_endpoint("/receiving/lengths")]
struct Lengths;

#[handlers]
impl Lengths {
    #[on_message]
    fn text(&self, text: Text) -> usize {
        text.len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_method_takes_is_discarded() {
    let app = runtime::test::app().only::<Lengths>().start().await;
    let mut peer = app.connect("/receiving/lengths").await.unwrap();
    for _ in 0..10 {
        peer.send(b"bytes").await.unwrap();
        peer.pong("pong").await.unwrap();
    }
    peer.send("text").await.unwrap();
    assert_eq!(peer.text().await, "4");
    peer.expect_nothing_for(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_with_their_payload_and_pongs_are_delivered() {
    let (app, mut heard) = receiving().await;
    let mut raw = Raw::open(&app, "/receiving").await;
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        raw.write(&frame(PING, payload)).await;
        assert_eq!(raw.frame().await, Some((PONG, payload.to_vec())));
    }
    raw.write(&[frame(PONG, b"unasked"), frame(PONG, b"")].concat()).await;
    heard.expect("pong b\"unasked\"").await;
    heard.expect("pong b\"\"").await;
    assert_eq!(heard.so_far(), Vec::<String>::new(), "no ping goes to a handler");
}

#[tokio::test(start_paused = true)]
async fn a_ping_flood_while_the_socket_takes_nothing_costs_no_queue() {
    let (app, mut heard) = receiving().await;
    let mut raw = Raw::open_narrow(&app, "/receiving", 2000).await;
    let session = loop {
        match app.sessions().all().iter().next() {
            Some(session) => break session,
            None => settle().await,
        }
    };
    session.post("x".repeat(10_000));
    settle().await;
    // Twelve megabytes of pings, if they are all taken.
    let mut flood = Vec::new();
    for number in 0u32..100_000 {
        flood.extend(frame(PING, format!("{number:0120}").as_bytes()));
    }
    let taken = raw.write_until_stuck(&flood).await;
    assert_eq!(session.queued_bytes(), 0);
    assert_eq!(raw.text().await, "x".repeat(10_000));
    // Answered is the newest of those that were read while nothing could be written, and what came after it: the pipe's content.
    let newest = taken / frame(PING, &[0; 120]).len() - 1;
    let mut answers = 0;
    loop {
        let (first, payload) = raw.frame().await.unwrap();
        assert_eq!(first, PONG);
        answers += 1;
        if payload == format!("{newest:0120}").into_bytes() {
            break;
        }
    }
    assert!(answers <= 2 * 2000 / 126 + 1, "{answers} answers were kept");
    assert_eq!(heard.so_far(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn echoes_that_nobody_reads_meet_backpressure() {
    let app = runtime::test::app().only::<Lengths>().start().await;
    let mut raw = Raw::open_narrow(&app, "/receiving/lengths", 2000).await;
    let one = frame(TEXT, &[b'x'; 100]);
    let flood = one.repeat(100_000);
    let taken = raw.write_until_stuck(&flood).await;
    // The pipe, one read of the server's, and as many answers as it gathers before it writes.
    assert!(taken < 2_000_000, "{taken} bytes were taken in by a server whose answers nobody reads");
    let session = app.sessions().all().iter().next().unwrap();
    assert!(session.queued_bytes() < 2000, "{}", session.queued_bytes());
    for _ in 0..taken / one.len() {
        assert_eq!(raw.text().await, "100");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_per_kind_gets_its_kind() {
    let (app, mut heard) = receiving().await;
    let mut peer = app.connect("/receiving").await.unwrap();
    peer.send("a").await.unwrap();
    peer.send(b"b").await.unwrap();
    peer.pong("c").await.unwrap();
    peer.send("d").await.unwrap();
    for expected in ["text 1 a", "bytes 1 [98]", "pong b\"c\"", "text 1 d"] {
        heard.expect(expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_close_frame_is_answered_with_one() {
    let (app, _heard) = receiving().await;
    let mut raw = Raw::open(&app, "/receiving").await;
    raw.write(&frame(CLOSE, b"")).await;
    assert_eq!(raw.frame().await, Some((CLOSE, vec![])));
    assert_eq!(raw.frame().await, None);
}

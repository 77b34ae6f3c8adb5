//! The forms in which messages come in: parts as they arrive, streams that are never held whole, pings to be looked at, and a limit for
//! each method.

use std::sync::Arc;

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio::sync::Mutex;

use crate::support::{
    BINARY, CLOSE, Gate, Heard, PING, PONG, Raw, TEXT, Told, close_frame, diary, frame, settle, soon,
};

/// A fragment that is not the last: the first of a message, and one that continues it.
const TEXT_BEGINS: u8 = 0x01;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

// ---- parts

#[server_endpoint("/parts", max_message_size = 10)]
struct Parts {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Parts {
    #[on_message]
    fn text(&self, part: Fragment<Text>) {
        self.told.tell(format!("{:?} {}", part.data, part.last));
    }

    #[on_message]
    async fn bytes(&self, part: Fragment<Bytes>) {
        self.told.tell(format!("{} bytes {}", part.data.len(), part.last));
    }

    #[on_message]
    fn pong(&self, _pong: Pong) {
        self.told.tell("pong");
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("closed {reason}"));
    }
}

async fn parts() -> (RunningApp, Heard) {
    let (told, heard) = diary();
    (runtime::test::app().only::<Parts>().provide(told).start().await, heard)
}

#[tokio::test(start_paused = true)]
async fn a_part_is_delivered_when_it_arrives_and_not_when_the_frame_is_whole() {
    let (app, mut heard) = parts().await;
    let mut raw = Raw::open(&app, "/parts").await;
    let message = frame(TEXT, "eine Hälfte und der Rest".as_bytes());
    // The cut goes through the `ä`.
    raw.write(&message[..6 + 7]).await;
    heard.expect("\"eine H\" false").await;
    raw.write(&message[6 + 7..]).await;
    heard.expect("\"älfte und der Rest\" true").await;
}

#[tokio::test(start_paused = true)]
async fn parts_of_one_message_come_in_order_with_control_frames_between_them() {
    let (app, mut heard) = parts().await;
    let mut raw = Raw::open(&app, "/parts").await;
    raw.write(&frame(BINARY_BEGINS, &[1; 8])).await;
    heard.expect("8 bytes false").await;
    raw.write(&[frame(PING, b"!"), frame(PONG, b"?"), frame(GOES_ON, b"")].concat()).await;
    heard.expect("pong").await;
    assert_eq!(raw.frame().await, Some((PONG, b"!".to_vec())));
    raw.write(&frame(GOES_ON, &[2; 9])).await;
    heard.expect("9 bytes false").await;
    raw.write(&[frame(ENDS, b""), frame(TEXT, b"next")].concat()).await;
    heard.expect("0 bytes true").await;
    heard.expect("\"next\" true").await;
}

#[tokio::test(start_paused = true)]
async fn a_message_in_parts_has_no_limit() {
    let (app, mut heard) = parts().await;
    let mut raw = Raw::open(&app, "/parts").await;
    let sending = tokio::spawn(async move {
        raw.write(&frame(BINARY, &[7; 1_000_000])).await;
        raw
    });
    let mut bytes = 0;
    loop {
        let part = heard.next().await;
        let (count, last) = part.split_once(" bytes ").unwrap();
        let count: usize = count.parse().unwrap();
        assert!(count <= 64 * 1024, "a part of {count} bytes");
        bytes += count;
        if last == "true" {
            break;
        }
    }
    assert_eq!(bytes, 1_000_000);
    drop(sending.await.unwrap());
    heard.expect("closed 1006 the connection was lost without a closing handshake").await;
}

#[tokio::test(start_paused = true)]
async fn text_in_parts_must_be_utf8_too() {
    let (app, mut heard) = parts().await;
    let mut raw = Raw::open(&app, "/parts").await;
    raw.write(&[frame(TEXT_BEGINS, b"ok\xe2\x82"), frame(ENDS, b"")].concat()).await;
    heard.expect("\"ok\" false").await;
    assert_eq!(raw.close_code().await.0, 1007);
    assert!(heard.next().await.starts_with("closed 1007"));
}

// ---- streams

#[server_endpoint("/streams", max_message_size = 10)]
struct Streams {
    #[inject]
    told: Arc<Told>,
    #[inject]
    gate: Arc<Gate>,
}

#[handlers]
impl Streams {
    #[on_message]
    async fn lines(&self, text: TextReader) -> Result<()> {
        let mut lines = text.lines();
        while let Some(line) = lines.next_line().await? {
            self.told.tell(format!("line {line}"));
        }
        self.told.tell("end of text");
        Ok(())
    }

    #[on_message]
    async fn bytes(&self, mut bytes: BinaryReader) -> Result<u64> {
        self.told.tell("begins");
        self.gate.pass().await;
        let mut sum = 0;
        while let Some(chunk) = bytes.chunk().await? {
            assert!(chunk.len() <= 64 * 1024);
            sum += chunk.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        }
        Ok(sum)
    }

    #[on_error]
    fn error(&self, error: &Error) {
        self.told.tell(format!("error {error}"));
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("closed {reason}"));
    }
}

async fn streams() -> (RunningApp, Heard, Arc<Gate>) {
    let (told, heard) = diary();
    let gate = Arc::new(Gate::new());
    let app = runtime::test::app()
        .only::<Streams>()
        .provide(told)
        .with(|exporter| exporter.provide_shared(Arc::clone(&gate)));
    (app.start().await, heard, gate)
}

#[tokio::test(start_paused = true)]
async fn the_method_is_called_when_the_message_begins() {
    let (app, mut heard, _) = streams().await;
    let mut raw = Raw::open(&app, "/streams").await;
    raw.write(&frame(TEXT_BEGINS, b"one\ntw")).await;
    heard.expect("line one").await;
    raw.write(&frame(GOES_ON, b"o\n")).await;
    heard.expect("line two").await;
    raw.write(&[frame(PING, b"alive"), frame(ENDS, b"three")].concat()).await;
    heard.expect("line three").await;
    heard.expect("end of text").await;
    assert_eq!(raw.frame().await, Some((PONG, b"alive".to_vec())));
}

#[tokio::test(start_paused = true)]
async fn an_empty_message_is_an_empty_stream() {
    let (app, mut heard, _) = streams().await;
    let mut raw = Raw::open(&app, "/streams").await;
    raw.write(&[frame(TEXT, b""), frame(TEXT_BEGINS, b""), frame(ENDS, b"")].concat()).await;
    heard.expect("end of text").await;
    heard.expect("end of text").await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_stops_the_peer_and_the_next_message_waits() {
    let (app, mut heard, gate) = streams().await;
    let mut raw = Raw::open(&app, "/streams").await;
    let mut bytes = frame(BINARY, &[1; 4_000_000]);
    bytes.extend(frame(TEXT, b"next"));
    let stuck = raw.write_until_stuck(&bytes).await;
    // The reader's buffer, the connection's and the pipe.
    assert!(stuck < 1_000_000, "{stuck} bytes were taken from a peer to whom nobody listened");
    heard.expect("begins").await;
    gate.arrived().await;
    gate.open();
    let rest = bytes.split_off(stuck);
    raw.write(&rest).await;
    assert_eq!(raw.text().await, "4000000");
    heard.expect("line next").await;
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_a_close_is_noticed_while_somebody_reads() {
    let (app, mut heard, gate) = streams().await;
    let mut raw = Raw::open(&app, "/streams").await;
    raw.write(&[frame(BINARY_BEGINS, b"abc"), frame(PING, b"1")].concat()).await;
    heard.expect("begins").await;
    gate.open();
    assert_eq!(raw.frame().await, Some((PONG, b"1".to_vec())));
    raw.write(&[frame(PING, b"2"), close_frame(1001, "bye")].concat()).await;
    assert_eq!(raw.frame().await, Some((PONG, b"2".to_vec())));
    heard.expect("error the session ended before the message did: 1001 bye").await;
    heard.expect("closed 1001 bye").await;
    assert_eq!(raw.close_code().await.0, 1001);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_cuts_the_stream() {
    let (app, mut heard, gate) = streams().await;
    let mut raw = Raw::open(&app, "/streams").await;
    raw.write(&frame(BINARY_BEGINS, b"abc")).await;
    heard.expect("begins").await;
    gate.open();
    drop(raw);
    assert!(heard.next().await.starts_with("error the session ended before the message did: 1006"));
    assert!(heard.next().await.starts_with("closed 1006"));
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_utf8_ends_the_stream_with_1007() {
    let (app, mut heard, _) = streams().await;
    let mut raw = Raw::open(&app, "/streams").await;
    raw.write(&frame(TEXT_BEGINS, b"good\nbad\xff\n")).await;
    // What was not decided when it went wrong is not shown.
    let entries = heard.up_to("closed 1007").await;
    assert!(entries.iter().any(|entry| entry.starts_with("error the session ended before")), "{entries:?}");
    assert_eq!(raw.close_code().await.0, 1007);
}

/// A handler that keeps the reader, drops it, or reads some of it.
#[server_endpoint("/elsewhere")]
struct Elsewhere {
    #[inject]
    told: Arc<Told>,
    #[inject]
    kept: Arc<Mutex<Option<BinaryReader>>>,
}

#[handlers]
impl Elsewhere {
    #[on_message]
    async fn keep(&self, mut reader: BinaryReader) -> Result<()> {
        let first = reader.read_u8().await?;
        self.told.tell(format!("first {first}"));
        if first == b'k' {
            *self.kept.lock().await = Some(reader);
        }
        Ok(())
    }

    #[on_message]
    fn text(&self, text: String) {
        self.told.tell(text);
    }

    #[on_message]
    fn pong(&self, _pong: Pong) {
        self.told.tell("pong");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_dropped_reader_is_skipped() {
    let (told, mut heard) = diary();
    let kept = Arc::new(Mutex::new(None::<BinaryReader>));
    let app =
        runtime::test::app().only::<Elsewhere>().provide(told).with(|e| e.provide_shared(kept)).start().await;
    let mut raw = Raw::open(&app, "/elsewhere").await;
    raw.write(&frame(BINARY, &[b'd'; 1_000_000])).await;
    raw.write(&frame(TEXT, b"after it")).await;
    heard.expect("first 100").await;
    heard.expect("after it").await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_may_be_read_elsewhere_and_the_next_message_waits_for_it() {
    let (told, mut heard) = diary();
    let kept = Arc::new(Mutex::new(None::<BinaryReader>));
    let app = runtime::test::app()
        .only::<Elsewhere>()
        .provide(told)
        .with(|exporter| exporter.provide_shared(Arc::clone(&kept)))
        .start()
        .await;
    let mut raw = Raw::open(&app, "/elsewhere").await;
    raw.write(&frame(BINARY_BEGINS, b"k")).await;
    heard.expect("first 107").await;
    // The handler has returned; pongs are delivered, messages are not.
    raw.write(&[frame(PONG, b""), frame(ENDS, &[3; 200_000]), frame(TEXT, b"after it")].concat()[..150_000])
        .await;
    heard.expect("pong").await;
    settle().await;
    assert_eq!(heard.so_far(), [""; 0]);
    let mut reader = kept.lock().await.take().unwrap();
    let rest = [frame(PONG, b""), frame(ENDS, &[3; 200_000]), frame(TEXT, b"after it")].concat();
    let writing = tokio::spawn(async move {
        raw.write(&rest[150_000..]).await;
        raw
    });
    let mut bytes = Vec::new();
    soon("the rest", reader.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes.len(), 200_000);
    heard.expect("after it").await;
    drop(writing.await.unwrap());
}

// ---- pings

#[server_endpoint("/pings")]
struct Pings {
    #[inject]
    told: Arc<Told>,
    #[inject]
    gate: Arc<Gate>,
}

#[handlers]
impl Pings {
    #[on_message]
    fn ping(&self, ping: Ping) {
        self.told.tell(format!("ping {:?}", ping.payload()));
    }

    #[on_message]
    async fn text(&self, text: String) {
        self.gate.pass().await;
        self.told.tell(text);
    }
}

#[tokio::test(start_paused = true)]
async fn pings_can_be_looked_at_and_are_answered_all_the_same() {
    let (told, mut heard) = diary();
    let gate = Arc::new(Gate::new());
    let app = runtime::test::app()
        .only::<Pings>()
        .provide(told)
        .with(|exporter| exporter.provide_shared(Arc::clone(&gate)))
        .start()
        .await;
    let mut raw = Raw::open(&app, "/pings").await;
    raw.write(&frame(PING, b"one")).await;
    heard.expect("ping b\"one\"").await;
    assert_eq!(raw.frame().await, Some((PONG, b"one".to_vec())));
    // While a handler is busy they are answered at once, and shown later.
    raw.write(&[frame(TEXT, b"done"), frame(PING, b"two")].concat()).await;
    assert_eq!(raw.frame().await, Some((PONG, b"two".to_vec())));
    assert_eq!(heard.so_far(), [""; 0]);
    gate.open();
    heard.expect("done").await;
    heard.expect("ping b\"two\"").await;
    // A flood beside a busy handler leaves the newest.
    raw.write(&frame(TEXT, b"busy")).await;
    gate.arrived().await;
    gate.arrived().await;
    for number in 0..40u8 {
        raw.write(&frame(PING, &[number])).await;
    }
    settle().await;
    gate.open();
    heard.expect("busy").await;
    let mut shown = Vec::new();
    for _ in 0..16 {
        shown.push(heard.next().await);
    }
    assert_eq!(shown.last().map(String::as_str), Some("ping b\"'\""));
    settle().await;
    assert_eq!(heard.so_far(), [""; 0]);
}

// ---- a limit for each method

#[server_endpoint("/limits", max_message_size = 10)]
struct Limits;

#[handlers]
impl Limits {
    #[on_message(max_size = 20)]
    fn text(&self, text: String) -> usize {
        text.len()
    }

    #[on_message]
    fn bytes(&self, bytes: Bytes) -> usize {
        bytes.len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_has_a_limit_of_its_own() {
    let app = runtime::test::app().only::<Limits>().start().await;
    for (first, size, expected) in
        [(TEXT, 20, None), (TEXT, 21, Some(20)), (BINARY, 10, None), (BINARY, 11, Some(10))]
    {
        let mut raw = Raw::open(&app, "/limits").await;
        raw.write(&frame(first, &vec![b'x'; size])).await;
        match expected {
            None => assert_eq!(raw.text().await, size.to_string()),
            Some(limit) => {
                let (code, text) = raw.close_code().await;
                assert_eq!(code, 1009);
                assert!(text.contains(&format!("more than {limit} bytes")), "{text}");
            }
        }
    }
    let mut raw = Raw::open(&app, "/limits").await;
    raw.write(&close_frame(1000, "")).await;
    assert_eq!(raw.frame().await.map(|(first, _)| first), Some(CLOSE));
}

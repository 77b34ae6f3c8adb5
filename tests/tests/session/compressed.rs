//! Compressed messages (RFC 7692) through whole sessions: what goes out compressed and what does not, and what comes in.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{self as runtime};
use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress};
use tokio::io::AsyncWriteExt;

use crate::fragments_out::{GOES_ON, TEXT_BEGINS};
use crate::support::{BINARY, Gate, Heard, PING, PONG, Raw, TEXT, Told, diary, frame, only_session, until};

/// What the first byte of a frame has more when a message begins that is compressed.
const RSV1: u8 = 0x40;
const OFFER: &str = "permessage-deflate";

/// The peer's half of it, by another implementation than ours.
struct Peer {
    compress: Compress,
    decompress: Decompress,
}

impl Peer {
    fn new() -> Self {
        Peer { compress: Compress::new(Level::default(), false), decompress: Decompress::new(false) }
    }

    fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 1024);
        self.compress.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
        out.strip_suffix(&[0x00, 0x00, 0xff, 0xff]).unwrap().to_vec()
    }

    fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 20);
        let input = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
        self.decompress.decompress_vec(&input, &mut out, FlushDecompress::Sync).unwrap();
        out
    }
}

fn deflate(message: &[u8]) -> Vec<u8> {
    Peer::new().deflate(message)
}

fn inflate(payload: &[u8]) -> Vec<u8> {
    Peer::new().inflate(payload)
}

/// A text of so many bytes that compression makes much of.
fn speech(bytes: usize) -> String {
    "to be, or not to be, ".chars().cycle().take(bytes).collect()
}

/// Bytes that compression makes nothing of.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[server_endpoint("/said")]
struct Said {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Said {
    #[on_message]
    fn text(&self, text: String) -> String {
        text
    }

    #[on_message]
    fn binary(&self, bytes: Bytes) -> Uncompressed<Bytes> {
        Uncompressed(bytes)
    }

    #[on_error]
    fn error(&self, error: &Error) {
        self.told.tell(format!("error {error}"));
    }
}

/// The same, with what was said before in mind.
#[server_endpoint("/context", compression = context)]
struct InContext;

#[handlers]
impl InContext {
    #[on_message]
    fn text(&self, text: String) -> String {
        text
    }

    #[on_message]
    fn binary(&self, bytes: Bytes) -> Bytes {
        bytes
    }
}

#[server_endpoint("/streamed", max_message_size = 10)]
struct Streamed {
    #[inject]
    gate: Arc<Gate>,
}

#[handlers]
impl Streamed {
    #[on_message]
    async fn bytes(&self, mut bytes: BinaryReader) -> Result<String> {
        self.gate.pass().await;
        let (mut sum, mut parts) = (0, 0);
        while let Some(chunk) = bytes.chunk().await? {
            sum += chunk.len();
            parts += 1;
            assert!(chunk.len() <= 64 * 1024);
        }
        Ok(format!("{sum} in {}", if parts >= sum / (64 * 1024) { "parts" } else { "one" }))
    }

    #[on_message]
    fn part(&self, part: Fragment<Text>) -> Option<String> {
        part.last.then(|| "the last".to_owned())
    }
}

async fn started() -> (RunningApp, Heard, Arc<Gate>) {
    let ((told, heard), gate) = (diary(), Arc::new(Gate::new()));
    let app = runtime::test::app()
        .with(|exporter| {
            exporter.only(|one| one.is::<Said>() || one.is::<InContext>() || one.is::<Streamed>())
        })
        .provide(told)
        .provide_shared(Arc::clone(&gate));
    (app.start().await, heard, gate)
}

async fn opened(path: &str) -> (RunningApp, Heard, Raw) {
    let (app, heard, _) = started().await;
    let raw = Raw::open_offering(&app, path, OFFER).await;
    (app, heard, raw)
}

#[tokio::test(start_paused = true)]
async fn what_is_long_enough_and_becomes_smaller_is_compressed() {
    let (_app, _heard, mut raw) = opened("/said").await;
    for (length, compressed) in [(0, false), (1023, false), (1024, true), (50_000, true)] {
        let message = speech(length);
        raw.write(&frame(TEXT, message.as_bytes())).await;
        let (first, payload) = raw.frame().await.unwrap();
        assert_eq!(first, if compressed { TEXT | RSV1 } else { TEXT }, "{length}");
        let seen = if compressed { inflate(&payload) } else { payload.clone() };
        assert!(seen == message.as_bytes() && (!compressed || payload.len() < length / 4), "{length}");
    }
    raw.write(&frame(BINARY, speech(2000).as_bytes())).await;
    raw.expect(BINARY, speech(2000)).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_become_smaller_goes_as_it_is() {
    let (app, _heard, mut raw) = opened("/said").await;
    let session = only_session(&app).await;
    session.send(Bytes::from(noise(30_000))).await.unwrap();
    raw.expect(BINARY, noise(30_000)).await;
    session.send(Uncompressed(speech(2000))).await.unwrap();
    raw.expect(TEXT, speech(2000)).await;
}

#[tokio::test(start_paused = true)]
async fn without_agreement_nothing_is_compressed() {
    let (app, _heard, _) = started().await;
    let mut raw = Raw::open(&app, "/said").await;
    raw.write(&frame(TEXT, speech(5000).as_bytes())).await;
    raw.expect(TEXT, speech(5000)).await;
    let session = only_session(&app).await;
    let mut writer = session.text_writer().compressed();
    for piece in speech(40_000).as_bytes().chunks(1000) {
        writer.write_all(piece).await.unwrap();
    }
    writer.finish().await.unwrap();
    let (kind, message, frames) = raw.message().await;
    assert!(kind == 1 && message == speech(40_000).as_bytes() && frames > 1);
    raw.write(&frame(TEXT | RSV1, &deflate(b"Hello"))).await;
    assert_eq!(raw.close_code().await.0, 1002);
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_come_in_whatever_their_size_and_however_they_are_cut() {
    let (_app, _heard, mut raw) = opened("/said").await;
    for length in [0, 1, 5, 1000] {
        let (message, payload) = (speech(length), deflate(speech(length).as_bytes()));
        raw.write(&frame(TEXT | RSV1, &payload)).await;
        raw.expect(TEXT, &message).await;
        let (one, two) = payload.split_at(payload.len() / 2);
        raw.write(&frame(TEXT_BEGINS | RSV1, one)).await;
        raw.write(&[frame(PING, b"amid"), frame(GOES_ON, b""), frame(0x80, two)].concat()).await;
        raw.expect(PONG, b"amid").await;
        raw.expect(TEXT, &message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_bomb_and_garbage_cost_the_connection_and_are_told_to_on_error() {
    let bomb = deflate(&vec![0; 10_000_000]);
    let cases = [
        (frame(BINARY | RSV1, &bomb), 1009, "message of more than 65536 bytes; see max_message_size"),
        (
            frame(TEXT | RSV1, &deflate(&[b'a'; 65_537])),
            1009,
            "message of more than 65536 bytes; see max_message_size",
        ),
        (frame(TEXT | RSV1, b"\xff\xff\xff"), 1007, "compressed data is corrupt"),
        (frame(TEXT | RSV1, &deflate(b"no text: \xff")), 1007, "text message is not UTF-8"),
        (frame(PING | RSV1, b""), 1002, "RSV1 set on a frame that begins no message"),
    ];
    for (bytes, code, reason) in cases {
        let (_app, mut heard, mut raw) = opened("/said").await;
        raw.write(&bytes).await;
        assert_eq!(raw.close_code().await, (code, reason.to_owned()));
        assert!(heard.next().await.contains(reason));
    }
}

#[tokio::test(start_paused = true)]
async fn with_context_what_was_said_before_is_not_said_again() {
    let (_app, _heard, mut raw) = opened("/context").await;
    let mut peer = Peer::new();
    let message = String::from_utf8(noise(3000).into_iter().map(|byte| b'a' + byte % 26).collect()).unwrap();
    let mut sizes = Vec::new();
    for round in 0..4 {
        if round == 2 {
            // Sent as it is, and so in nobody's window.
            raw.write(&frame(BINARY, &noise(2000))).await;
            raw.expect(BINARY, noise(2000)).await;
        }
        raw.write(&frame(TEXT | RSV1, &peer.deflate(message.as_bytes()))).await;
        let (first, payload) = raw.frame().await.unwrap();
        assert_eq!(first, TEXT | RSV1);
        assert!(peer.inflate(&payload) == message.as_bytes());
        sizes.push(payload.len());
    }
    assert!(sizes[0] > 1500 && sizes[1] < 50 && sizes[3] < 50, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_writer_compresses_if_it_is_asked_to() {
    let (app, _heard, mut raw) = opened("/said").await;
    let session = only_session(&app).await;
    for compressed in [false, true] {
        let mut writer = session.binary_writer();
        if compressed {
            writer = writer.compressed();
        }
        let message = speech(100_000);
        for piece in message.as_bytes().chunks(10_000) {
            writer.write_all(piece).await.unwrap();
            writer.flush().await.unwrap();
        }
        writer.finish().await.unwrap();
        let (mut joined, mut firsts) = (Vec::new(), Vec::new());
        while firsts.last().is_none_or(|first| first & 0x80 == 0) {
            let (first, payload) = raw.frame().await.unwrap();
            firsts.push(first);
            joined.extend(payload);
        }
        assert_eq!(firsts[0], if compressed { 0x02 | RSV1 } else { 0x02 });
        assert!(firsts.len() > 5 && firsts[1..].iter().all(|first| first & 0x7f == 0), "{firsts:02x?}");
        let seen = if compressed { inflate(&joined) } else { joined.clone() };
        assert!(seen == message.as_bytes());
        assert_eq!(compressed, joined.len() < 2000, "{}", joined.len());
    }
    // To ask when something was written is too late.
    let mut writer = session.text_writer();
    writer.write_all(speech(20_000).as_bytes()).await.unwrap();
    writer.flush().await.unwrap();
    writer.compressed().finish().await.unwrap();
    assert_eq!(raw.frame().await.unwrap().0, TEXT_BEGINS);
}

/// Ten megabytes in ten kilobytes: the reader has them at its pace, part by part, though nothing more comes in.
#[tokio::test(start_paused = true)]
async fn a_stream_that_becomes_long_waits_for_its_reader() {
    let (app, _heard, gate) = started().await;
    let mut raw = Raw::open_offering(&app, "/streamed", OFFER).await;
    let message = vec![7; 10_000_000];
    raw.write(&frame(BINARY | RSV1, &deflate(&message))).await;
    gate.arrived().await;
    // The handler reads nothing, and what stands behind its message is left unread.
    tokio::time::sleep(Duration::from_secs(1)).await;
    gate.open();
    raw.expect(TEXT, "10000000 in parts").await;
    raw.write(&frame(TEXT | RSV1, &deflate(&[b'x'; 300_000]))).await;
    raw.expect(TEXT, "the last").await;
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_each_as_it_agreed() {
    let (app, _heard, _) = started().await;
    let mut offers = [OFFER, OFFER, "permessage-deflate; server_max_window_bits=9", "x-none"]
        .map(|offer| (offer, None::<Raw>));
    for (offer, raw) in &mut offers {
        *raw = Some(Raw::open_offering(&app, "/said", offer).await);
    }
    let mut context = Raw::open_offering(&app, "/context", OFFER).await;
    until("all", || app.sessions().count() == 5).await;
    let message = speech(20_000);
    for _ in 0..2 {
        assert_eq!(app.sessions().all().post(message.as_str()).queued(), 5);
    }
    assert_eq!(app.sessions().all().post(Uncompressed(message.as_str())).queued(), 5);
    let mut payloads = Vec::new();
    for (offer, raw) in &mut offers {
        let raw = raw.as_mut().unwrap();
        for _ in 0..2 {
            let (first, payload) = raw.frame().await.unwrap();
            let compressed = *offer != "x-none";
            assert_eq!(first, if compressed { TEXT | RSV1 } else { TEXT }, "{offer}");
            payloads.push(payload.clone());
            let seen = if compressed { inflate(&payload) } else { payload };
            assert!(seen == message.as_bytes(), "{offer}");
        }
        raw.expect(TEXT, &message).await;
    }
    assert!(payloads[..4].iter().all(|payload| *payload == payloads[0]), "each by itself, and alike");
    let (mut peer, mut sizes) = (Peer::new(), Vec::new());
    for _ in 0..2 {
        let (_, payload) = context.frame().await.unwrap();
        sizes.push(payload.len());
        assert!(peer.inflate(&payload) == message.as_bytes());
    }
    assert!(sizes[1] <= sizes[0], "{sizes:?}");
}

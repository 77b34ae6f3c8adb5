//! What is compressed and what is not, as it was agreed on, as the endpoint says, and as each message says; seen from the other end.

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{self as runtime, Endpoint, ServerEndpointConfigBuilder, TrySendError};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use futures_util::stream::{self, Stream};

use crate::support::{BINARY, PONG, Raw, TEXT, close_frame, frame, until};

/// The bit of a frame that says that its message is compressed (RFC 7692 6).
const RSV1: u8 = 0x40;
/// What ends each compressed message, and is not sent (7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

const CONTEXT: &str = "permessage-deflate";
const NONE_KEPT: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Compressible, and unlike any other of its kind.
fn prose(number: usize, size: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        text += &format!("{number} bottles of {} on the wall, ", text.len() % 97);
    }
    text.truncate(size);
    text
}

/// What no compressor makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// A peer that compresses by another implementation, and keeps its context if it may.
struct Zipped {
    raw: Raw,
    inflate: Decompress,
    deflate: Compress,
    keeps: bool,
}

impl Zipped {
    async fn open(app: &RunningApp, path: &str, offer: &str) -> Self {
        let raw = Raw::open_offering(app, path, offer).await;
        let keeps = !offer.contains("no_context_takeover");
        Zipped {
            raw,
            inflate: Decompress::new(false),
            deflate: Compress::new(flate2::Compression::default(), false),
            keeps,
        }
    }

    /// The next message: its first byte, whether it was compressed, how large it was on the wire, and what it says.
    async fn message(&mut self) -> (u8, bool, usize, Vec<u8>) {
        let (first, mut payload) = self.raw.frame().await.unwrap();
        let (mut fin, compressed, mut size) = (first & 0x80, first & RSV1 != 0, payload.len());
        while fin == 0 {
            let (next, more) = self.raw.frame().await.unwrap();
            assert_eq!(next & 0x7f, 0, "only the first frame of a message says that it is compressed");
            (fin, size) = (next & 0x80, size + more.len());
            payload.extend(more);
        }
        if compressed {
            payload = self.inflated(&payload);
        }
        (first & !RSV1, compressed, size, payload)
    }

    fn inflated(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.keeps {
            self.inflate.reset(false);
        }
        let input = [payload, &TAIL].concat();
        let (mut output, begin) = (Vec::with_capacity(4 << 20), self.inflate.total_in());
        self.inflate.decompress_vec(&input, &mut output, FlushDecompress::Sync).unwrap();
        assert_eq!(self.inflate.total_in() - begin, input.len() as u64);
        output
    }

    fn deflated(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.keeps {
            self.deflate.reset();
        }
        let mut output = Vec::with_capacity(payload.len() + 1000);
        self.deflate.compress_vec(payload, &mut output, FlushCompress::Sync).unwrap();
        assert_eq!(output.split_off(output.len() - TAIL.len()), TAIL);
        output
    }

    async fn send(&mut self, first: u8, payload: &[u8]) {
        let deflated = self.deflated(payload);
        self.raw.write(&frame(first | RSV1, &deflated)).await;
    }
}

/// Says everything back.
struct Echo;

impl Endpoint for Echo {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        Ok(session.send(message).await?)
    }
}

fn echo() -> ServerEndpointConfigBuilder {
    ServerEndpointConfig::builder("/zip/echo", || Echo).max_message_size(2 << 20)
}

async fn these(config: ServerEndpointConfigBuilder) -> RunningApp {
    runtime::test::app().only::<Echo>().endpoint(config.build()).start().await
}

#[tokio::test(start_paused = true)]
async fn what_is_large_enough_and_becomes_smaller_is_compressed() {
    let table =
        [(None, 1024), (Some(0), 1), (Some(10), 10), (Some(5000), 5000), (Some(usize::MAX), usize::MAX)];
    for (threshold, from) in table {
        let mut config = echo();
        if let Some(threshold) = threshold {
            config = config.compression_threshold(threshold);
        }
        let app = these(config).await;
        let mut peer = Zipped::open(&app, "/zip/echo", NONE_KEPT).await;
        for size in [0, 1, 9, 10, 1023, 1024, 4999, 5000, 70_000, 1 << 20] {
            let text = "j".repeat(size);
            // It comes as it was sent, whatever the other direction does.
            peer.raw.write(&frame(TEXT, text.as_bytes())).await;
            let (first, compressed, wire, payload) = peer.message().await;
            assert!(first == TEXT && payload == text.as_bytes(), "{size}");
            let becomes_smaller = size > 10;
            if becomes_smaller || compressed {
                assert_eq!(compressed, size >= from, "{size} from {from}");
            }
            assert!(wire <= size, "{size}: {wire}");
            let noise = noise(size);
            peer.raw.write(&frame(BINARY, &noise)).await;
            assert_eq!(peer.message().await, (BINARY, false, size, noise));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_are_understood_in_one_frame_or_many() {
    for (compression, offer) in [(Compression::On, NONE_KEPT), (Compression::Context, CONTEXT)] {
        let app = these(echo().compression(compression)).await;
        let mut peer = Zipped::open(&app, "/zip/echo", offer).await;
        for (number, size) in [0, 1, 100, 1000, 5000, 100_000, 1 << 20, 3].into_iter().enumerate() {
            let text = prose(number, size);
            peer.send(TEXT, text.as_bytes()).await;
            let (first, _, _, payload) = peer.message().await;
            assert!(first == TEXT && payload == text.as_bytes(), "{size}");
            // Cut anywhere, with a ping in between.
            let deflated = peer.deflated(text.as_bytes());
            let (one, other) = deflated.split_at(deflated.len() / 3);
            let frames = [frame(0x01 | RSV1, one), frame(0x89, b"?"), frame(0x00, other), frame(0x80, b"")];
            peer.raw.write(&frames.concat()).await;
            assert_eq!(peer.raw.frame().await.unwrap(), (PONG, b"?".to_vec()));
            let (first, _, _, payload) = peer.message().await;
            assert!(first == TEXT && payload == text.as_bytes(), "{size} in fragments");
            // One that is not compressed in between changes nothing.
            peer.raw.write(&frame(BINARY, &noise(2000))).await;
            assert_eq!(peer.message().await, (BINARY, false, 2000, noise(2000)));
        }
    }
}

/// What is kept of earlier messages shows in how small the next one like them is.
#[tokio::test(start_paused = true)]
async fn context_is_kept_where_it_was_agreed_on_and_only_there() {
    let table = [
        (Compression::On, CONTEXT, false),
        (Compression::On, NONE_KEPT, false),
        (Compression::Context, CONTEXT, true),
        (Compression::Context, NONE_KEPT, false),
        (Compression::Context, "permessage-deflate; server_no_context_takeover", false),
        (Compression::Context, "permessage-deflate; client_no_context_takeover", true),
        (Compression::Context, "permessage-deflate; server_max_window_bits=15; client_max_window_bits", true),
    ];
    for (compression, offer, kept) in table {
        let app = these(echo().compression(compression)).await;
        let mut peer = Zipped::open(&app, "/zip/echo", offer).await;
        // The other direction is told of what it is to inflate by itself.
        peer.keeps = false;
        let text: String = noise(600).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sizes = Vec::new();
        let mut inflate = Decompress::new(false);
        for _ in 0..3 {
            peer.send(TEXT, text.as_bytes()).await;
            let (first, payload) = peer.raw.frame().await.unwrap();
            assert_eq!(first, TEXT | RSV1);
            let mut output = Vec::with_capacity(10_000);
            inflate
                .decompress_vec(&[&payload, &TAIL[..]].concat(), &mut output, FlushDecompress::Sync)
                .unwrap();
            assert_eq!(output, text.as_bytes());
            sizes.push(payload.len());
        }
        assert!(sizes[0] > 500, "{offer}: {sizes:?}");
        assert_eq!(sizes[1] < 100 && sizes[2] < 100, kept, "{compression} {offer}: {sizes:?}");
    }
}

/// Refers to what was said before, which nobody here has kept.
#[tokio::test(start_paused = true)]
async fn what_refers_to_an_earlier_message_is_corrupt_where_none_is_kept() {
    let app = these(echo()).await;
    let mut peer = Zipped::open(&app, "/zip/echo", CONTEXT).await;
    let text = prose(1, 2000);
    peer.send(TEXT, text.as_bytes()).await;
    assert_eq!(peer.message().await.3, text.as_bytes());
    peer.send(TEXT, text.as_bytes()).await;
    assert_eq!(peer.raw.close_code().await.0, 1007);
}

/// Only the first frame of a message may say that it is compressed, and no control frame (RFC 7692 6).
#[tokio::test(start_paused = true)]
async fn the_bit_stands_where_it_may_or_is_a_violation() {
    let table = [
        ("a compressed close", frame(0x88 | RSV1, b"")),
        ("a compressed pong", frame(PONG | RSV1, b"")),
        ("a later frame that says so", [frame(0x01, b"a"), frame(0x80 | RSV1, b"b")].concat()),
        ("and of a compressed message", [frame(0x01 | RSV1, b""), frame(0x80 | RSV1, b"")].concat()),
        ("another bit", frame(TEXT | 0x20, b"")),
        ("the third", frame(TEXT | RSV1 | 0x10, b"")),
    ];
    for (name, bytes) in table {
        let app = these(echo()).await;
        let mut raw = Raw::open_offering(&app, "/zip/echo", NONE_KEPT).await;
        raw.write(&bytes).await;
        assert_eq!(raw.close_code().await.0, 1002, "{name}");
    }
    // And where nothing was agreed on, it stands nowhere.
    for (compression, offer) in [(Compression::Off, CONTEXT), (Compression::On, "x-none")] {
        let app = these(echo().compression(compression)).await;
        let mut raw = Raw::open_offering(&app, "/zip/echo", offer).await;
        raw.write(&frame(TEXT, prose(1, 5000).as_bytes())).await;
        assert_eq!(raw.text().await, prose(1, 5000));
        raw.write(&frame(TEXT | RSV1, b"")).await;
        assert_eq!(raw.close_code().await.0, 1002, "{compression} {offer}");
    }
}

/// What becomes no smaller leaves nothing behind, however often it comes.
#[tokio::test(start_paused = true)]
async fn noise_goes_as_it_is_again_and_again() {
    for compression in [Compression::On, Compression::Context] {
        let app = these(echo().compression(compression)).await;
        let mut peer = Zipped::open(&app, "/zip/echo", CONTEXT).await;
        peer.keeps = compression == Compression::Context;
        for round in 0..50 {
            let size = 1024 + 100 * round;
            peer.raw.write(&frame(BINARY, &noise(size))).await;
            assert_eq!(peer.message().await, (BINARY, false, size, noise(size)));
        }
        let text = prose(1, 3000);
        peer.raw.write(&frame(TEXT, text.as_bytes())).await;
        let (first, compressed, _, payload) = peer.message().await;
        assert!(first == TEXT && compressed && payload == text.as_bytes(), "{compression}");
    }
}

// ---- one message that is not compressed

/// Answers in every way in which a handler can, compressed and not in turns.
#[server_endpoint("/zip/replies", scope = singleton)]
struct Answers;

#[handlers]
impl Answers {
    #[on_message]
    async fn answer(&self, way: String, session: &Session) -> Result<Option<Uncompressed<String>>> {
        let text = prose(7, 2000);
        match way.as_str() {
            "reply" => return Ok(Some(Uncompressed(text))),
            "nothing" => return Ok(None),
            "send" => session.send(Uncompressed(&text)).await?,
            "try_send" => session.try_send(Uncompressed(text))?,
            "send_and_flush" => session.send_and_flush(Uncompressed(Text::from(text))).await?,
            "post" => session.post(Uncompressed(text)).await?,
            "batch" => session.batch(|batch| _ = batch.send(Uncompressed(text))).await?,
            "broadcast" => drop(session.container().sessions().all().send(Uncompressed(text)).await),
            "nested" => session.send(Uncompressed(Uncompressed(text))).await?,
            _ => session.send(text).await?,
        }
        Ok(None)
    }

    #[on_message]
    fn many(&self, bytes: Bytes) -> Replies<impl Stream<Item = Result<Uncompressed<Bytes>>> + Send + use<>> {
        Replies(stream::iter([Ok(Uncompressed(bytes.clone())), Ok(Uncompressed(bytes))]))
    }
}

#[tokio::test(start_paused = true)]
async fn uncompressed_is_what_it_says_however_it_is_sent() {
    let app = runtime::test::app().only::<Answers>().start().await;
    for offer in [NONE_KEPT, CONTEXT] {
        let mut peer = Zipped::open(&app, "/zip/replies", offer).await;
        peer.keeps = false;
        let ways = ["reply", "send", "try_send", "send_and_flush", "post", "batch", "broadcast", "nested"];
        for way in ways.into_iter().chain(["as it is"]).cycle().take(20) {
            peer.raw.write(&frame(TEXT, way.as_bytes())).await;
            let (first, compressed, _, payload) = peer.message().await;
            assert!(first == TEXT && payload == prose(7, 2000).as_bytes(), "{way}");
            assert_eq!(compressed, way == "as it is", "{way}");
        }
        let bytes = vec![b'j'; 5000];
        peer.raw.write(&frame(BINARY, &bytes)).await;
        for _ in 0..2 {
            assert_eq!(peer.message().await, (BINARY, false, 5000, bytes.clone()));
        }
        peer.raw.write(&close_frame(1000, "")).await;
        assert_eq!(peer.raw.close_code().await.0, 1000);
        until("the end", || app.sessions().count() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_comes_back_as_a_message() {
    let app = these(echo().send_buffer(100)).await;
    let _raw = Raw::open_offering(&app, "/zip/echo", NONE_KEPT).await;
    until("a session", || app.sessions().count() == 1).await;
    let session = app.sessions().all().iter().next().unwrap();
    session.try_send(Uncompressed("first")).unwrap();
    let back = session.try_send(Uncompressed("x".repeat(200)));
    assert!(matches!(&back, Err(TrySendError::Full(Message::Text(text))) if text.len() == 200), "{back:?}");
    let back = session.try_send(Uncompressed(vec![0xff; 200]));
    assert!(
        matches!(&back, Err(TrySendError::Full(Message::Binary(bytes))) if bytes.len() == 200),
        "{back:?}"
    );
}

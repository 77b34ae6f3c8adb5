//! One message in parts: fragments on the wire, what waits for their end and in which order, and what a full queue and a close do to them.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{self as runtime, Endpoint, SendError, ServerEndpointConfig, TrySendError};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{
    BINARY, CLOSE, Heard, PING, PONG, Raw, TEXT, Told, close_frame, diary, frame, only_session, settle, soon,
};

/// First bytes of fragments: not final, or of no opcode.
pub(crate) const TEXT_BEGINS: u8 = 0x01;
pub(crate) const BINARY_BEGINS: u8 = 0x02;
pub(crate) const GOES_ON: u8 = 0x00;
pub(crate) const ENDS: u8 = 0x80;

#[server_endpoint("/parts", send_buffer = 2000)]
struct Parts {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Parts {
    #[on_message]
    async fn text(&self, text: String, session: &Session) -> Result<String> {
        if text == "write" {
            let mut writer = session.text_writer();
            loop {
                writer.write_all(&[b'x'; 1000]).await?;
            }
        }
        Ok(format!("re: {text}"))
    }

    #[on_message]
    fn part(&self, bytes: Bytes) -> Fragment<Bytes> {
        let last = bytes.first() == Some(&b'!');
        Fragment::new(bytes, last)
    }

    #[on_error]
    fn error(&self, error: &Error) {
        self.told.tell(format!("error {error}"));
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        self.told.tell(format!("close {reason}"));
    }
}

pub(crate) async fn parts() -> (RunningApp, Heard) {
    let (told, heard) = diary();
    (runtime::test::app().only::<Parts>().provide(told).start().await, heard)
}

/// A peer made of bytes, and its session.
pub(crate) async fn opened() -> (RunningApp, Heard, Raw, Session) {
    let (app, heard) = parts().await;
    let raw = Raw::open(&app, "/parts").await;
    let session = only_session(&app).await;
    (app, heard, raw, session)
}

impl Raw {
    #[track_caller]
    pub(crate) fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let (came, bytes) = self.frame().await.unwrap_or_else(|| panic!("the end, at {place}"));
            assert!(
                came == first && bytes == payload.as_ref(),
                "{came:02x} {:?} at {place}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(100)])
            );
        }
    }

    /// A whole message, however many frames it is; control frames are skipped.
    pub(crate) async fn message(&mut self) -> (u8, Vec<u8>, usize) {
        let (mut kind, mut message, mut frames) = (0, Vec::new(), 0);
        loop {
            let (first, payload) = self.frame().await.unwrap();
            match first & 0x0f {
                0 => assert!(frames > 0, "a continuation of nothing"),
                opcode @ 1..=2 => {
                    assert_eq!(frames, 0, "a message begins inside another");
                    kind = opcode;
                }
                8 => panic!("a close frame came: {payload:?}"),
                _ => continue,
            }
            message.extend(payload);
            frames += 1;
            if first & 0x80 != 0 {
                return (kind, message, frames);
            }
        }
    }
}

/// Does it in a task of its own.
pub(crate) fn elsewhere<F>(session: &Session, act: impl FnOnce(Session) -> F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(act(session.clone()))
}

// ---- fragments

#[tokio::test(start_paused = true)]
async fn fragments_are_frames_of_one_message() {
    let (_app, _heard, mut raw, session) = opened().await;
    for part in ["one ", "", "two "] {
        session.send_fragment(Fragment::new(part, false)).await.unwrap();
    }
    session.send_fragment(Fragment::new(String::from("three"), true)).await.unwrap();
    raw.expect(TEXT_BEGINS, "one ").await;
    raw.expect(GOES_ON, "").await;
    raw.expect(GOES_ON, "two ").await;
    raw.expect(ENDS, "three").await;

    let large = vec![7; 20_000];
    session.send_fragment(Fragment::new(&large[..], false)).await.unwrap();
    session.send_fragment(Fragment::new(large.clone(), false)).await.unwrap();
    session.send_fragment(Fragment::new(Bytes::new(), true)).await.unwrap();
    raw.expect(BINARY_BEGINS, &large).await;
    raw.expect(GOES_ON, &large).await;
    raw.expect(ENDS, "").await;

    session.send_fragment(Fragment::new("all of it", true)).await.unwrap();
    raw.expect(TEXT, "all of it").await;
}

#[tokio::test(start_paused = true)]
async fn whole_messages_of_everybody_stand_behind_an_open_one() {
    let (app, _heard, mut raw, session) = opened().await;
    session.send_fragment(Fragment::new("a", false)).await.unwrap();
    let receipt = session.post("post");
    session.send("send").await.unwrap();
    session.try_send(vec![1]).unwrap();
    session
        .batch(|batch| {
            batch.send("batch 1").send("batch 2");
        })
        .await
        .unwrap();
    assert_eq!(app.sessions().all().send("broadcast").await.queued(), 1);
    elsewhere(&session, async |session: Session| session.send("task").await).await.unwrap().unwrap();
    session.ping("ping").await.unwrap();
    session.pong("pong").await.unwrap();
    // The connection answers too.
    raw.expect(TEXT_BEGINS, "a").await;
    raw.expect(PING, "ping").await;
    raw.expect(PONG, "pong").await;
    raw.write(&frame(PING, b"?")).await;
    raw.expect(PONG, "?").await;
    settle().await;
    assert!(session.queued_bytes() > 0);
    session.send_fragment(Fragment::new("b", false)).await.unwrap();
    session.send_fragment(Fragment::new("c", true)).await.unwrap();
    raw.expect(GOES_ON, "b").await;
    raw.expect(ENDS, "c").await;
    for (first, payload) in [
        (TEXT, "post"),
        (TEXT, "send"),
        (BINARY, "\x01"),
        (TEXT, "batch 1"),
        (TEXT, "batch 2"),
        (TEXT, "broadcast"),
        (TEXT, "task"),
    ] {
        raw.expect(first, payload).await;
    }
    receipt.await.unwrap();
    assert_eq!(session.queued_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn replies_stand_behind_an_open_message_and_no_more_are_made_than_there_is_room_for() {
    let (_app, _heard, mut raw, session) = opened().await;
    session.send_fragment(Fragment::new("a", false)).await.unwrap();
    raw.expect(TEXT_BEGINS, "a").await;
    let filling = "x".repeat(100);
    for number in 0..500 {
        raw.write(&frame(TEXT, format!("{number} {filling}").as_bytes())).await;
    }
    raw.write(&frame(PING, b"still there?")).await;
    settle().await;
    // The queue's 2,000 bytes, and the reply that showed that they are full.
    let queued = session.queued_bytes();
    assert!((1500..2500).contains(&queued), "{queued}");
    session.send_fragment(Fragment::new("b", true)).await.unwrap();
    raw.expect(ENDS, "b").await;
    let mut number = 0;
    while number < 500 {
        let (first, payload) = raw.frame().await.unwrap();
        if first == TEXT {
            assert_eq!(String::from_utf8(payload).unwrap(), format!("re: {number} {filling}"));
            number += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_that_handlers_return_are_one_message() {
    let (_app, _heard, mut raw, session) = opened().await;
    raw.write(&frame(BINARY, b"1")).await;
    raw.expect(BINARY_BEGINS, "1").await;
    raw.write(&frame(TEXT, b"whole")).await;
    raw.write(&frame(BINARY, b"2")).await;
    raw.expect(GOES_ON, "2").await;
    raw.write(&frame(BINARY, b"!")).await;
    raw.expect(ENDS, "!").await;
    raw.expect(TEXT, "re: whole").await;
    // Another task's message is waited for.
    session.send_fragment(Fragment::new("a", false)).await.unwrap();
    raw.write(&frame(BINARY, b"1")).await;
    settle().await;
    session.send_fragment(Fragment::new("b", true)).await.unwrap();
    raw.expect(TEXT_BEGINS, "a").await;
    raw.expect(ENDS, "b").await;
    raw.expect(BINARY_BEGINS, "1").await;
}

#[server_endpoint("/poem")]
struct Poem;

#[handlers]
impl Poem {
    #[on_message]
    fn recite(&self, lines: usize) -> Replies<impl Stream<Item = Fragment<Text>> + Send + use<>> {
        Replies(stream::iter(0..lines).map(move |line| Fragment::new(format!("{line}\n"), line + 1 == lines)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_fragments_is_one_message() {
    let app = runtime::test::app().only::<Poem>().start().await;
    let mut peer = app.connect("/poem").await.unwrap();
    for lines in [3, 1000] {
        peer.send(lines).await.unwrap();
        assert_eq!(peer.text().await.lines().count(), lines);
    }
}

#[tokio::test(start_paused = true)]
async fn each_task_has_its_turn() {
    let (_app, _heard, mut raw, session) = opened().await;
    session.send_fragment(Fragment::new("mine, ", false)).await.unwrap();
    let others: Vec<_> = (0..3)
        .map(|number| {
            elsewhere(&session, async move |session: Session| {
                for part in 0..3 {
                    session.send_fragment(Fragment::new(format!("{number}{part} "), part == 2)).await?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok::<_, SendError>(())
            })
        })
        .collect();
    // One who gives up does not take the turn with him.
    let gives_up = elsewhere(&session, async |session: Session| {
        session.send_fragment(Fragment::new("never", false)).await
    });
    settle().await;
    gives_up.abort();
    session.send_fragment(Fragment::new("all of it", true)).await.unwrap();
    // And who has had his turn stands in line again.
    session.send_fragment(Fragment::new("again ", false)).await.unwrap();
    session.send_fragment(Fragment::new("mine", true)).await.unwrap();
    for message in ["mine, all of it", "00 01 02 ", "10 11 12 ", "20 21 22 ", "again mine"] {
        let (kind, bytes, frames) = raw.message().await;
        assert_eq!((kind, String::from_utf8(bytes).unwrap()), (1, message.to_owned()));
        assert!(frames > 1);
    }
    for other in others {
        other.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_in_vain_learns_what_blocks() {
    let (_app, _heard, mut raw, session) = opened().await;
    session.send_fragment(Fragment::new("a", false)).await.unwrap();
    let begin = Instant::now();
    let result =
        elsewhere(&session, async |session: Session| session.send_fragment(Fragment::new("b", false)).await);
    let error = soon("the error", result).await.unwrap().unwrap_err();
    assert!(begin.elapsed() >= Duration::from_secs(20) && begin.elapsed() < Duration::from_secs(21));
    assert!(matches!(error, SendError::Busy { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("a text message in fragments") && text.contains("open for 20 s"), "{text}");
    // Nothing is lost by it.
    assert!(session.is_open());
    session.send_fragment(Fragment::new("c", true)).await.unwrap();
    assert_eq!(raw.message().await.1, b"ac");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_of_one_kind() {
    let (_app, _heard, mut raw, session) = opened().await;
    session.send_fragment(Fragment::new("text ", false)).await.unwrap();
    for last in [false, true] {
        let error = session.send_fragment(Fragment::new(vec![1], last)).await.unwrap_err();
        assert!(matches!(error, SendError::OtherKind { open: "text" }), "{error}");
    }
    session.send_fragment(Fragment::new("more", true)).await.unwrap();
    assert_eq!(raw.message().await, (1, b"text more".to_vec(), 2));
    session.send_fragment(Fragment::new(vec![1], false)).await.unwrap();
    session.send_fragment(Fragment::new(vec![2], true)).await.unwrap();
    assert_eq!(raw.message().await, (2, vec![1, 2], 2));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_end_of_his_own_message() {
    let (_app, _heard, mut raw, session) = opened().await;
    session.send_fragment(Fragment::new("a", false)).await.unwrap();
    let error = soon("an answer", session.send_and_flush("behind")).await.unwrap_err();
    assert!(matches!(error, SendError::Unfinished), "{error}");
    soon("a flush", session.flush()).await.unwrap();
    // Others wait as they would for any message.
    let flush = elsewhere(&session, async |session: Session| session.flush().await);
    let sent = elsewhere(&session, async |session: Session| session.send_and_flush("behind").await);
    settle().await;
    assert!(!flush.is_finished() && !sent.is_finished());
    session.send_fragment(Fragment::new("b", true)).await.unwrap();
    flush.await.unwrap().unwrap();
    sent.await.unwrap().unwrap();
    assert_eq!(raw.message().await.1, b"ab");
    raw.expect(TEXT, "behind").await;
    let mut writer = session.binary_writer();
    writer.write_all(&[0; 100]).await.unwrap();
    writer.flush().await.unwrap();
    assert!(matches!(session.send_and_flush("behind").await, Err(SendError::Unfinished)));
    writer.finish().await.unwrap();
    soon("a flush", session.send_and_flush("after")).await.unwrap();
}

// ---- a peer that takes less than it is sent

/// Room for nine messages of [`SIZE`] bytes, each with a small overhead.
const BUFFER: usize = 1000;
const SIZE: usize = 80;
const FILLING: usize = 5000;

struct Quiet;

impl Endpoint for Quiet {}

/// A peer that has taken nothing, and whose pipe is full.
pub(crate) async fn stuck(overflow: Overflow) -> (RunningApp, Raw, Session) {
    let config =
        ServerEndpointConfig::builder("/quiet", || Quiet).send_buffer(BUFFER).overflow(overflow).build();
    let app = runtime::test::app().only::<Quiet>().endpoint(config).start().await;
    let raw = Raw::open_narrow(&app, "/quiet", 256).await;
    let session = only_session(&app).await;
    session.post("x".repeat(FILLING));
    settle().await;
    assert_eq!(session.queued_bytes(), 0);
    (app, raw, session)
}

#[tokio::test(start_paused = true)]
async fn fragments_wait_for_room_and_are_never_dropped() {
    for overflow in [Overflow::Disconnect, Overflow::Wait, Overflow::DropNewest, Overflow::DropOldest] {
        let (_app, mut raw, session) = stuck(overflow).await;
        let mut sender = elsewhere(&session, async |session: Session| {
            for number in 0..50 {
                session.send_fragment(Fragment::new(format!("{number:0SIZE$}"), number == 49)).await?;
            }
            Ok::<_, SendError>(())
        });
        settle().await;
        assert!(!sender.is_finished(), "{overflow:?}");
        assert!(session.queued_bytes() <= BUFFER);
        let mut dropped = 0;
        match overflow {
            Overflow::DropNewest | Overflow::DropOldest => {
                for _ in 0..100 {
                    session.send("y".repeat(SIZE)).await.unwrap();
                }
                dropped = session.dropped();
                assert!(dropped > 90, "{overflow:?}");
            }
            _ => assert!(matches!(session.try_send("y".repeat(SIZE)), Err(TrySendError::Full(_)))),
        }
        assert_eq!(raw.text().await.len(), FILLING);
        let (kind, text, frames) = raw.message().await;
        assert_eq!((kind, frames), (1, 50), "{overflow:?}");
        let expected: String = (0..50).map(|number| format!("{number:0SIZE$}")).collect();
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{overflow:?}");
        soon("the sender", &mut sender).await.unwrap().unwrap();
        assert_eq!(session.dropped(), dropped);
        assert!(session.is_open());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_behind_a_message_is_a_full_queue() {
    for overflow in [Overflow::Disconnect, Overflow::Wait, Overflow::DropNewest, Overflow::DropOldest] {
        let (_app, mut raw, session) = stuck(overflow).await;
        assert_eq!(raw.text().await.len(), FILLING);
        session.send_fragment(Fragment::new("a", false)).await.unwrap();
        raw.expect(TEXT_BEGINS, "a").await;
        let receipts: Vec<_> = (0..20).map(|number| session.post(format!("{number:0SIZE$}"))).collect();
        assert_eq!(session.is_open(), overflow != Overflow::Disconnect);
        assert!(session.queued_bytes() <= BUFFER);
        if overflow == Overflow::Disconnect {
            assert_eq!(raw.close_code().await, (1013, "too slow".to_owned()));
            continue;
        }
        // The owner is not locked out by it.
        for _ in 0..3 {
            let fragment = Fragment::new("b".repeat(SIZE), false);
            soon("the owner", session.send_fragment(fragment)).await.unwrap();
        }
        session.send_fragment(Fragment::new("c", true)).await.unwrap();
        for _ in 0..3 {
            raw.expect(GOES_ON, "b".repeat(SIZE)).await;
        }
        raw.expect(ENDS, "c").await;
        let kept = match overflow {
            Overflow::DropOldest => 10..20,
            _ => 0..10,
        };
        assert_eq!(session.dropped(), 10, "{overflow:?}");
        for number in kept.clone() {
            raw.expect(TEXT, format!("{number:0SIZE$}")).await;
        }
        for (number, receipt) in receipts.into_iter().enumerate() {
            assert_eq!(receipt.await.is_ok(), kept.contains(&number), "{overflow:?} {number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fragment_waits_no_longer_than_send_timeout() {
    for overflow in [Overflow::Disconnect, Overflow::Wait] {
        let (_app, mut raw, session) = stuck(overflow).await;
        let begin = Instant::now();
        let sender = elsewhere(&session, async |session: Session| {
            loop {
                session.send_fragment(Fragment::new("x".repeat(SIZE), false)).await?;
            }
            #[allow(unreachable_code)]
            Ok::<_, SendError>(())
        });
        // The peer takes a little now and then, so that it is slow and not dead.
        while !sender.is_finished() {
            tokio::time::sleep(Duration::from_secs(3)).await;
            raw.take_in(50).await;
        }
        let error = sender.await.unwrap().unwrap_err();
        assert!(begin.elapsed() >= Duration::from_secs(20), "{overflow:?}");
        assert!(matches!(error, SendError::Full), "{overflow:?}: {error}");
        assert_eq!(session.is_open(), overflow == Overflow::Wait);
    }
}

// ---- the end of the session

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_no_message() {
    let (_app, mut heard, mut raw, session) = opened().await;
    session.send("before").await.unwrap();
    session.send_fragment(Fragment::new("half of ", false)).await.unwrap();
    let behind = session.post("behind");
    let flush = elsewhere(&session, async |session: Session| session.flush().await);
    let turn =
        elsewhere(&session, async |session: Session| session.send_fragment(Fragment::new("b", false)).await);
    settle().await;
    session.close(CloseReason::away("enough")).await.unwrap();
    raw.expect(TEXT, "before").await;
    raw.expect(TEXT_BEGINS, "half of ").await;
    raw.expect(CLOSE, [&1001u16.to_be_bytes(), &b"enough"[..]].concat()).await;
    assert!(matches!(behind.await, Err(SendError::Closed(reason)) if reason.text() == "enough"));
    assert!(matches!(soon("the flush", flush).await.unwrap(), Err(SendError::Closed(_))));
    assert!(matches!(soon("the turn", turn).await.unwrap(), Err(SendError::Closed(_))));
    assert_eq!(session.dropped(), 1);
    let rest = session.send_fragment(Fragment::new("it", true)).await;
    assert!(matches!(rest, Err(SendError::Closed(_))));
    raw.write(&close_frame(1001, "")).await;
    heard.expect("close 1001 enough").await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_close_in_the_middle_of_a_message() {
    let (_app, mut heard, mut raw, session) = opened().await;
    session.send_fragment(Fragment::new("half of ", false)).await.unwrap();
    session.send("behind").await.unwrap();
    let mut writing = elsewhere(&session, async |session: Session| {
        let mut writer = session.text_writer();
        writer.write_all(&[b'x'; 20_000]).await?;
        writer.flush().await
    });
    settle().await;
    assert!(!writing.is_finished());
    raw.write(&close_frame(1000, "")).await;
    raw.expect(TEXT_BEGINS, "half of ").await;
    assert_eq!(raw.close_code().await, (1000, String::new()));
    let error = soon("the writer", &mut writing).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(matches!(error.downcast::<SendError>(), Ok(SendError::Closed(_))));
    heard.expect("close 1000").await;
}

// ---- everything at once

const TASKS: usize = 12;
const EACH: usize = 40;

/// What a task sends: its own letters only, so that it would show if messages were mixed up.
fn content(task: usize, number: usize) -> String {
    let size = [0, 10, 5_000, 50_000][number % 4] + task;
    format!("{task} {number} {}", char::from(b'a' + task as u8).to_string().repeat(size))
}

async fn send_one(session: &Session, task: usize, number: usize) -> Result<()> {
    let text = content(task, number);
    match task % 4 {
        0 => session.send(text).await?,
        1 => session.send_and_flush(text).await?,
        2 => {
            let parts = text.len().div_ceil(3000);
            for (index, part) in text.as_bytes().chunks(3000).enumerate() {
                let part = std::str::from_utf8(part)?;
                session.send_fragment(Fragment::new(part, index + 1 == parts)).await?;
            }
        }
        _ => {
            let mut writer = session.text_writer();
            for part in text.as_bytes().chunks(700) {
                writer.write_all(part).await?;
            }
            writer.finish().await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_interleaved_whoever_sends_and_however() {
    for overflow in [Overflow::Disconnect, Overflow::Wait] {
        let config = ServerEndpointConfig::builder("/quiet", || Quiet).send_buffer(30_000).overflow(overflow);
        let app = runtime::test::app().only::<Quiet>().endpoint(config.build()).start().await;
        let mut raw = Raw::open(&app, "/quiet").await;
        let session = only_session(&app).await;
        let senders: Vec<_> = (0..TASKS)
            .map(|task| {
                elsewhere(&session, async move |session: Session| {
                    for number in 0..EACH {
                        send_one(&session, task, number)
                            .await
                            .unwrap_or_else(|error| panic!("{task}: {error}"));
                    }
                })
            })
            .collect();
        let mut next = [0; TASKS];
        for _ in 0..TASKS * EACH {
            let text = String::from_utf8(raw.message().await.1).unwrap();
            let task: usize = text.split_once(' ').unwrap().0.parse().unwrap();
            assert!(text == content(task, next[task]), "{overflow:?}: {task} {}", next[task]);
            next[task] += 1;
        }
        for sender in senders {
            sender.await.unwrap();
        }
        assert_eq!(next, [EACH; TASKS]);
        assert_eq!(session.queued_bytes(), 0);
    }
}

// ---- flush

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_what_is_queued_and_for_no_more() {
    let (_app, mut raw, session) = stuck(Overflow::Wait).await;
    session.send("first").await.unwrap();
    let flush = elsewhere(&session, async |session: Session| session.flush().await);
    settle().await;
    session.send("y".repeat(FILLING / 10)).await.unwrap();
    assert!(!flush.is_finished());
    assert_eq!(raw.text().await.len(), FILLING);
    raw.expect(TEXT, "first").await;
    soon("the flush", flush).await.unwrap().unwrap();
    raw.text().await;
    settle().await;
    // Where nothing waits there is nothing to wait for.
    let begin = Instant::now();
    session.flush().await.unwrap();
    assert_eq!(begin.elapsed(), Duration::ZERO);
    session.close(CloseReason::normal()).await.unwrap();
    assert!(matches!(session.flush().await, Err(SendError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn a_flush_learns_that_the_session_has_ended() {
    let (_app, raw, session) = stuck(Overflow::Wait).await;
    let flush = elsewhere(&session, async |session: Session| session.flush().await);
    settle().await;
    drop(raw);
    assert!(matches!(soon("the flush", flush).await.unwrap(), Err(SendError::Closed(_))));
}

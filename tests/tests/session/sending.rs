//! Sending: from any task, in order, never mixed up; what each way of sending says of how it went.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_runtime::{self as runtime, EncodeError, IntoMessage, SendError, TrySendError};

use crate::support::{BINARY, PONG, Raw, TEXT, Told, diary, frame, only_session, parse, settle, soon, until};

#[server_endpoint("/sending", send_buffer = 1000)]
struct Sending {
    #[inject]
    told: Arc<Told>,
}

#[handlers]
impl Sending {
    #[on_message]
    async fn batch(&self, _text: &str, session: &Session) -> Result<u8> {
        session
            .batch(|batch| {
                batch.send("one").send(b"two").send(3);
            })
            .await?;
        Ok(4)
    }

    #[on_message]
    fn pong(&self, pong: Pong) {
        self.told.tell(format!("pong {:?}", pong.payload()));
    }
}

async fn sending() -> (RunningApp, crate::support::Heard) {
    let (told, heard) = diary();
    (runtime::test::app().only::<Sending>().provide(told).start().await, heard)
}

struct Unspeakable;

impl IntoMessage for Unspeakable {
    fn into_message(self) -> Result<Message, EncodeError> {
        Err(EncodeError::new("unspeakable"))
    }
}

const TASKS: usize = 8;
const EACH: usize = 200;

/// What every task sends: its name, a number, and a filling that would show if messages were mixed up.
fn message(task: usize, number: usize) -> String {
    // Small and large messages take different ways to the socket.
    let size = if number.is_multiple_of(10) { 20_000 } else { number };
    let letter = char::from(b'a' + task as u8);
    format!("{task} {number} {}", letter.to_string().repeat(size))
}

/// Receives what all the tasks have sent; each task's messages must be whole, and in its order.
async fn receives_all(peer: &mut Peer) {
    let mut next = [0; TASKS];
    for _ in 0..TASKS * EACH {
        let text = peer.text().await;
        let task: usize = text.split_once(' ').unwrap().0.parse().unwrap();
        assert_eq!(text, message(task, next[task]));
        next[task] += 1;
    }
    assert_eq!(next, [EACH; TASKS]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_many_tasks_are_never_mixed_up_and_each_tasks_are_in_order() {
    let (app, _heard) = sending().await;
    let mut peer = app.connect("/sending").await.unwrap();
    let session = only_session(&app).await;
    for task in 0..TASKS {
        let session = session.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                match (task + number) % 2 {
                    0 => session.send(message(task, number)).await.unwrap(),
                    _ => session.send_and_flush(message(task, number)).await.unwrap(),
                }
            }
        });
    }
    receives_all(&mut peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_without_a_runtime_may_send_too() {
    let (app, _heard) = sending().await;
    let mut peer = app.connect("/sending").await.unwrap();
    let session = only_session(&app).await;
    for task in 0..TASKS {
        let session = session.clone();
        std::thread::spawn(move || {
            for number in 0..EACH {
                let mut next = Message::Text(message(task, number).into());
                loop {
                    match session.try_send(next) {
                        Ok(()) => break,
                        Err(TrySendError::Full(back)) => next = back,
                        Err(error) => panic!("{error}"),
                    }
                    std::thread::yield_now();
                }
            }
        });
    }
    receives_all(&mut peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_comes_between_the_messages_of_a_batch() {
    for overflow in [Overflow::Disconnect, Overflow::DropNewest, Overflow::DropOldest, Overflow::Wait] {
        let (told, _heard) = diary();
        let config = runtime::ServerEndpointConfig::builder("/batches", || Silent)
            .overflow(overflow)
            .send_buffer(10_000_000)
            .build();
        let app = runtime::test::app().only::<Silent>().endpoint(config).provide(told).start().await;
        let mut peer = app.connect("/batches").await.unwrap();
        let session = only_session(&app).await;
        for task in 0..TASKS {
            let session = session.clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    let fill = |batch: &mut runtime::Batch| {
                        batch.send(task).send(task).send(task);
                    };
                    session.batch(fill).await.unwrap();
                }
            });
        }
        for _ in 0..TASKS * EACH {
            let first = peer.text().await;
            assert_eq!((peer.text().await, peer.text().await), (first.clone(), first), "{overflow:?}");
        }
    }
}

struct Silent;

impl runtime::Endpoint for Silent {}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_write() {
    let (app, _heard) = sending().await;
    let mut raw = Raw::open(&app, "/sending").await;
    raw.write(&frame(TEXT, b"batch")).await;
    let mut bytes = &raw.read_once().await[..];
    // The handler's answer has come with it: what is ready goes together.
    for expected in [(TEXT, "one"), (BINARY, "two"), (TEXT, "3"), (TEXT, "4")] {
        let ((first, payload), size) = parse(bytes).unwrap();
        assert_eq!((first, payload), (expected.0, expected.1.into()));
        bytes = &bytes[size..];
    }
    assert_eq!(bytes, b"");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_sent_whole_or_not_at_all() {
    let (app, _heard) = sending().await;
    let mut peer = app.connect("/sending").await.unwrap();
    let session = only_session(&app).await;
    let result = session
        .batch(|batch| {
            batch.send("one").send(Unspeakable).send("three");
        })
        .await;
    assert!(matches!(result, Err(SendError::Encode(_))), "{result:?}");
    session.batch(|_| {}).await.unwrap();
    peer.expect_nothing_for(Duration::from_secs(1)).await;

    // One for which there is no room waits as a whole.
    let mut raw = Raw::open_narrow(&app, "/sending", 300).await;
    until("another session", || app.sessions().count() == 2).await;
    let narrow = app.sessions().all().except(&session).iter().next().unwrap();
    narrow.send("x".repeat(1000)).await.unwrap();
    settle().await;
    narrow.send("y".repeat(600)).await.unwrap();
    let waiting = narrow.queued_bytes();
    let sender = narrow.clone();
    let batch = tokio::spawn(async move {
        sender
            .batch(|batch| {
                batch.send("1".repeat(300)).send("2".repeat(300));
            })
            .await
    });
    settle().await;
    assert!(!batch.is_finished());
    assert_eq!(narrow.queued_bytes(), waiting);
    for expected in ["x".repeat(1000), "y".repeat(600), "1".repeat(300), "2".repeat(300)] {
        assert_eq!(raw.text().await, expected);
    }
    soon("the batch", batch).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn try_send_never_waits_and_gives_the_message_back() {
    let (app, _heard) = sending().await;
    let mut raw = Raw::open_narrow(&app, "/sending", 300).await;
    let session = only_session(&app).await;
    session.try_send("x".repeat(1000)).unwrap();
    settle().await;
    session.try_send(vec![1; 980]).unwrap();
    match session.try_send("the text") {
        Err(TrySendError::Full(Message::Text(text))) => assert_eq!(text, "the text"),
        other => panic!("{other:?}"),
    }
    match session.try_send(vec![7; 200]) {
        Err(TrySendError::Full(message)) => assert_eq!(message, Message::Binary(vec![7; 200].into())),
        other => panic!("{other:?}"),
    }
    assert!(matches!(session.try_send(Unspeakable), Err(TrySendError::Encode(_))));
    assert_eq!(session.dropped(), 0, "what is given back is not dropped");
    raw.text().await;
    assert_eq!(raw.frame().await, Some((BINARY, vec![1; 980])));
    session.try_send("the text").unwrap();
    assert_eq!(raw.text().await, "the text");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_comes_when_the_socket_has_the_message() {
    let (app, _heard) = sending().await;
    let mut raw = Raw::open_narrow(&app, "/sending", 300).await;
    let session = only_session(&app).await;
    session.post("fits").await.unwrap();
    let big = session.post("x".repeat(900));
    let flushed = tokio::spawn({
        let session = session.clone();
        async move { session.send_and_flush("y").await }
    });
    let mut big = tokio::spawn(big);
    settle().await;
    assert!(!big.is_finished() && !flushed.is_finished(), "nobody has taken it yet");
    assert_eq!(raw.text().await, "fits");
    assert_eq!(raw.text().await.len(), 900);
    soon("the receipt", &mut big).await.unwrap().unwrap();
    assert_eq!(raw.text().await, "y");
    soon("the flush", flushed).await.unwrap().unwrap();
    assert!(matches!(session.post(Unspeakable).await, Err(SendError::Encode(_))));
    // Nobody need wait for it.
    drop(session.post("unattended"));
    assert_eq!(raw.text().await, "unattended");
}

#[tokio::test(start_paused = true)]
async fn control_frames_carry_at_most_125_bytes() {
    let (app, mut heard) = sending().await;
    let mut raw = Raw::open(&app, "/sending").await;
    let session = only_session(&app).await;
    for size in [126, 1000, 100_000] {
        for refused in [session.ping(vec![0; size]).await, session.pong(vec![0; size]).await] {
            assert!(
                matches!(refused, Err(SendError::ControlTooLong { bytes }) if bytes == size),
                "{refused:?}"
            );
        }
    }
    for size in [0, 1, 125] {
        session.ping(vec![7; size]).await.unwrap();
        assert_eq!(raw.frame().await, Some((0x89, vec![7; size])));
        session.pong(vec![8; size]).await.unwrap();
        assert_eq!(raw.frame().await, Some((PONG, vec![8; size])));
    }
    raw.write(&frame(PONG, b"here")).await;
    heard.expect("pong b\"here\"").await;
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_ones_own_ping_reaches_the_handler() {
    let (app, mut heard) = sending().await;
    let mut peer = app.connect("/sending").await.unwrap();
    only_session(&app).await.ping(b"are you there").await.unwrap();
    peer.frame().await.unwrap();
    // Tungstenite sends its answer with the next thing that it does.
    peer.ping("").await.unwrap();
    heard.expect("pong b\"are you there\"").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_sent_goes_before_what_it_returns() {
    let (app, _heard) = sending().await;
    let mut peer = app.connect("/sending").await.unwrap();
    for _ in 0..3 {
        peer.send("batch").await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(peer.text().await, "one");
        assert_eq!(&peer.binary().await[..], b"two");
        assert_eq!(peer.text().await, "3");
        assert_eq!(peer.text().await, "4");
    }
}

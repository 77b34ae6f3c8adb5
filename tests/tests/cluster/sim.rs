//! `SimEngine`: it does the harm that it is told to do, and no other.

use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use endpoint_runtime::cluster::{
    Arrival, Capabilities, Channel, Engine, EngineError, MessageId, Pending, Position, Put, Receiver,
    Retention,
};
use endpoint_runtime::test::{Cut, Faults, SimEngine, SimNode};
use futures_util::FutureExt;

use crate::suite::{self, Heard, Node};

const KEEP: Retention = Retention { size: 100, ttl: Duration::from_secs(3600) };

const LATE: Faults = Faults {
    loss: 0.0,
    duplication: 0.0,
    delay: Duration::from_millis(20),
    disorder: 0.0,
    latency: Duration::from_millis(5),
    timeout: 0.0,
    refusal: 0.0,
};

/// Engines that do this harm.
async fn with(faults: Faults) -> (SimEngine, SimEngine) {
    let one = SimEngine::new(1);
    one.set_faults(faults);
    (one.clone(), one)
}

#[tokio::test(start_paused = true)]
async fn without_harm_it_keeps_what_an_engine_promises() {
    suite::run(|| with(Faults::default())).await;
}

#[tokio::test(start_paused = true)]
async fn nor_is_it_a_harm_to_be_slow() {
    suite::run(|| with(LATE)).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_capability_it_says_so() {
    for capable in 0..8 {
        suite::run(|| async move {
            let mut can = Capabilities::default();
            (can.history, can.store, can.presence) = (capable & 1 > 0, capable & 2 > 0, capable & 4 > 0);
            let one = SimEngine::new(1).with_capabilities(can).with_max_message(100 * 1024);
            (one.clone(), one)
        })
        .await;
    }
}

/// So the suite can fail, too.
#[tokio::test(start_paused = true)]
async fn harm_breaks_promises() {
    let table = [
        (Faults { loss: 0.05, ..LATE }, "nothing_is_lost_while_nothing_goes_wrong"),
        (Faults { duplication: 0.05, ..LATE }, "messages_of_a_channel_arrive_in_their_order_and_once"),
        (Faults { disorder: 0.05, ..LATE }, "many_publish_at_the_same_time"),
        (Faults { timeout: 0.05, ..LATE }, "a_subscription_holds_when_it_is_done"),
        (Faults { refusal: 0.05, ..LATE }, "all_see_one_order"),
    ];
    for (faults, promise) in table {
        let broken = suite::broken(|| with(faults)).await;
        assert!(broken.contains(&promise), "{faults:?} has broken {broken:?}");
    }
}

/// A cluster of two, and what can be done to the first.
async fn two() -> (Node<SimEngine>, Node<SimEngine>, SimNode, Channel) {
    let (one, other) = with(Faults::default()).await;
    let (control, room) = (one.control(), Channel::room("blue"));
    let (one, other) = (Node::start(one).await, Node::start(other).await);
    one.subscribe(from_ref(&room)).await;
    (one, other, control, room)
}

async fn append(node: &Node<SimEngine>, room: &Channel, message: &'static str) -> Position {
    let appended = node.engine.append(room, message.into(), MessageId::random(), KEEP);
    appended.await.unwrap().position
}

async fn top(node: &Node<SimEngine>, room: &Channel) -> Position {
    node.engine.history(room, 0, 0).await.unwrap().top
}

#[tokio::test(start_paused = true)]
async fn who_is_disconnected_is_told_and_misses_what_others_say() {
    let (mut one, other, control, room) = two().await;
    control.disconnect();
    assert!(matches!(one.heard().await, Heard::Lost(_)));
    assert_eq!(other.publish(&room, "missed").await, Some(0));
    let refused = one.engine.publish(&room, "from nowhere".into()).await.unwrap_err();
    assert!(matches!(refused, EngineError::Unavailable(_)), "{refused:?}");
    control.reconnect();
    assert!(matches!(one.heard().await, Heard::Back));
    assert_eq!(other.publish(&room, "heard").await, Some(1));
    assert_eq!(one.arrival().await.message, "heard");
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_is_told_nothing() {
    let (mut one, other, control, room) = two().await;
    for (cut, is_done) in [(Cut::ToServer, false), (Cut::Both, false), (Cut::ToNode, true)] {
        let before = top(&other, &room).await;
        control.cut(cut);
        let unknown = one.engine.append(&room, "?".into(), MessageId::random(), KEEP).await.unwrap_err();
        assert!(matches!(unknown, EngineError::Timeout), "{unknown:?}");
        assert_eq!(top(&other, &room).await.offset - before.offset, u64::from(is_done), "{cut:?}");
        assert_eq!(other.publish(&room, "is it there?").await, Some(1), "nobody has told the server");
        assert_eq!(one.heard_already().is_some(), cut == Cut::ToServer, "{cut:?}");
        control.heal();
    }
    other.publish(&room, "healed").await;
    assert_eq!(one.arrival().await.message, "healed");
}

#[tokio::test(start_paused = true)]
async fn a_restart_forgets_everything_and_a_fail_over_the_histories() {
    for forgets in [true, false] {
        let (mut one, mut other, control, room) = two().await;
        let before = append(&other, &room, "before").await;
        assert!(one.engine.put("key", "value".into(), KEEP.ttl, Put::New).await.unwrap());
        assert_eq!(one.arrival().await.position, Some(before.clone()));
        if forgets {
            control.restart();
        } else {
            control.fail_over();
        }
        for node in [&mut one, &mut other] {
            assert!(matches!(node.heard().await, Heard::Lost(_)));
            assert!(matches!(node.heard().await, Heard::Back));
        }
        let after = append(&other, &room, "after").await;
        assert_eq!(after.offset, 1);
        assert_ne!(after.epoch, before.epoch);
        assert_eq!(one.arrival().await.position, Some(after), "it is subscribed again");
        assert_eq!(one.engine.take("key").await.unwrap(), (!forgets).then_some("value".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rewind_goes_on_with_offsets_that_have_been() {
    let (_one, other, control, room) = two().await;
    for message in ["a", "b", "c"] {
        append(&other, &room, message).await;
    }
    let before = top(&other, &room).await;
    control.rewind(2);
    assert_eq!(append(&other, &room, "d").await, Position { offset: 2, ..before });
    let kept = other.engine.history(&room, 0, 10).await.unwrap().messages;
    assert_eq!(kept, [(1, "a".into()), (2, "d".into())]);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_to_who_is_slow_is_dropped() {
    let (mut one, other, control, room) = two().await;
    control.set_faults(LATE);
    other.publish(&room, "dropped").await;
    control.overflow();
    assert!(matches!(one.heard().await, Heard::Missed(channels) if channels.is_empty()));
    other.publish(&room, "heard").await;
    control.settle().await;
    let Some(Heard::Arrival(arrival)) = one.heard_already() else { panic!("it has settled") };
    assert_eq!((&*arrival.message, control.harm().lost), (&b"heard"[..], 1));
}

/// What one node hears of another, and what harm is done, in a run of everything.
async fn run_of(seed: u64) -> (Vec<Arrival>, String) {
    let engine = SimEngine::new(seed);
    let control = engine.control();
    control.set_faults(Faults {
        loss: 0.1,
        duplication: 0.1,
        disorder: 0.2,
        timeout: 0.1,
        refusal: 0.1,
        ..LATE
    });
    let (mut one, other) = (Node::start(engine.clone()).await, Node::start(engine).await);
    let rooms = ["a", "b"].map(Channel::room);
    while one.engine.subscribe(&rooms).await.is_err() {}
    for number in 0..200_u8 {
        let (room, message) = (&rooms[usize::from(number) % 2], vec![number].into());
        // It fails now and then.
        if number < 100 {
            let _ = other.engine.publish(room, message).await;
        } else {
            let _ = other.engine.append(room, message, MessageId(number.into()), KEEP).await;
        }
    }
    control.settle().await;
    let mut heard = Vec::new();
    while let Some(Heard::Arrival(arrival)) = one.heard_already() {
        heard.push(arrival);
    }
    (heard, format!("{:?}", control.harm()))
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_does_the_same_harm() {
    let first = run_of(7).await;
    assert_eq!(run_of(7).await, first);
    assert_ne!(run_of(8).await, first);
}

/// Counts what it is told.
struct Count(AtomicU64);

impl Receiver for Count {
    fn receive(&self, _: Arrival) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn lost(&self, _: &EngineError) {}

    fn back(&self) {}

    fn missed(&self, _: &[Channel]) {}
}

/// No time, no runtime, and little work: a property is tried very often.
#[test]
fn without_delays_it_needs_no_runtime() {
    fn now<T>(call: Pending<'_, T>) -> T {
        call.now_or_never().expect("it takes no time").unwrap()
    }
    let room = Channel::room("blue");
    for seed in 0..2_000 {
        let engine = SimEngine::new(seed);
        engine.set_faults(Faults { loss: 0.5, duplication: 0.5, ..Faults::default() });
        let count = Arc::new(Count(AtomicU64::new(0)));
        now(engine.start(count.clone()));
        now(engine.subscribe(from_ref(&room)));
        for offset in 1..=10 {
            let appended = now(engine.append(&room, Bytes::new(), MessageId(offset), KEEP));
            assert_eq!(u128::from(appended.position.offset), offset);
        }
        let harm = engine.control().harm();
        assert_eq!(count.0.load(Ordering::Relaxed), 10 - harm.lost + harm.duplicated);
    }
}

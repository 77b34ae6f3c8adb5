//! Messages: who gets them, in which order, how large they may be.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use endpoint_runtime::cluster::{Arrival, Channel, Engine, EngineError, MessageId, Put, Retention};
use futures_util::future::join_all;

use super::{LONG, Node, Pair, odd_names};

pub(super) async fn a_subscription_holds_when_it_is_done(mut pair: Pair<impl Engine>) {
    // A subscription that is on its way only loses now and then, and not each time.
    for round in 0..100 {
        let room = pair.room(&round.to_string());
        pair.one.subscribe(std::slice::from_ref(&room)).await;
        pair.other.publish(&room, format!("{round}")).await;
        let arrival = pair.one.arrival().await;
        assert_eq!(arrival, Arrival { channel: room, message: format!("{round}").into(), position: None });
    }
    pair.stop().await;
}

pub(super) async fn a_message_arrives_as_it_was_published(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(std::slice::from_ref(&room)).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> =
        (0..100 * 1024_u32).map(|byte| (byte.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    for message in [Vec::new(), every_byte, b"\r\n".into(), large].map(Bytes::from) {
        pair.other.publish(&room, message.clone()).await;
        let arrival = pair.one.arrival().await;
        assert_eq!(arrival, Arrival { channel: room.clone(), message, position: None });
    }
    pair.stop().await;
}

pub(super) async fn who_publishes_and_subscribes_gets_its_own_messages(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(std::slice::from_ref(&room)).await;
    pair.one.publish(&room, "mine").await;
    assert_eq!(pair.one.arrival().await.message, "mine");
    pair.stop().await;
}

pub(super) async fn who_subscribes_twice_gets_a_message_once(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(&[room.clone(), room.clone()]).await;
    pair.one.subscribe(std::slice::from_ref(&room)).await;
    for message in ["first", "second"] {
        pair.other.publish(&room, message).await;
        assert_eq!(pair.one.arrival().await.message, message);
    }
    pair.stop().await;
}

pub(super) async fn messages_of_a_channel_arrive_in_their_order_and_once(mut pair: Pair<impl Engine>) {
    const EACH: usize = 500;
    let rooms = [pair.room("a"), pair.room("b"), pair.room("c")];
    pair.one.subscribe(&rooms).await;
    for number in 0..EACH {
        for room in &rooms {
            pair.other.publish(room, number.to_string()).await;
        }
    }
    let mut next = [0; 3];
    for _ in 0..3 * EACH {
        let Arrival { channel, message, .. } = pair.one.arrival().await;
        let which = rooms.iter().position(|room| *room == channel).expect("a channel of these");
        assert_eq!(message, next[which].to_string(), "in {channel}");
        next[which] += 1;
    }
    pair.stop().await;
}

pub(super) async fn receivers_are_counted_or_not_known(pair: Pair<impl Engine>) {
    let room = pair.room("");
    for expected in 0..=2 {
        let counted = pair.one.publish(&room, "who is there?").await;
        assert!(counted.is_none_or(|count| count == expected), "{counted:?} instead of {expected}");
        let joins = if expected == 0 { &pair.one } else { &pair.other };
        joins.subscribe(std::slice::from_ref(&room)).await;
    }
    pair.stop().await;
}

pub(super) async fn channels_of_one_name_are_different_channels(mut pair: Pair<impl Engine>) {
    let node = |id: &str| format!("node:{id}").parse::<Channel>().unwrap();
    let (one, other) = (node("00000000000000aa"), node("00000000000000ab"));
    let name = "00000000000000aa";
    let channels = [Channel::Control, Channel::All, one, other, Channel::room(name), Channel::user(name)];
    let more = [
        Channel::room("control"),
        Channel::user("control"),
        Channel::room("all"),
        Channel::room("node:00000000000000aa"),
    ];
    let channels = [&channels[..], &more].concat();
    pair.one.subscribe(&channels).await;
    each_gets_its_own(&mut pair, &channels).await;
    pair.stop().await;
}

pub(super) async fn no_name_is_another_ones(mut pair: Pair<impl Engine>) {
    let names = odd_names();
    let rooms = names.iter().map(|name| Channel::room(name));
    let channels: Vec<Channel> = rooms.chain(names.iter().map(|name| Channel::user(name))).collect();
    pair.one.subscribe(&channels).await;
    each_gets_its_own(&mut pair, &channels).await;
    pair.stop().await;
}

/// Twice a message to each: whatever has gone to a wrong channel is there before the second one is.
async fn each_gets_its_own(pair: &mut Pair<impl Engine>, channels: &[Channel]) {
    for round in 0..2 {
        for channel in channels {
            let counted = pair.other.publish(channel, format!("{round} {channel:?}")).await;
            assert!(counted.is_none_or(|count| count == 1), "{counted:?} get what is for {channel:?}");
        }
        let mut heard = HashSet::new();
        for _ in channels {
            let Arrival { channel, message, .. } = pair.one.arrival().await;
            assert_eq!(message, format!("{round} {channel:?}"));
            assert!(heard.insert(channel.clone()), "{channel:?} twice");
        }
    }
}

pub(super) async fn many_channels_are_subscribed_to_at_once(mut pair: Pair<impl Engine>) {
    let rooms: Vec<Channel> = (0..10_000).map(|number| pair.room(&number.to_string())).collect();
    pair.one.subscribe(&rooms).await;
    let some = || rooms.iter().step_by(97).chain(rooms.last());
    for room in some() {
        pair.other.publish(room, room.to_string()).await;
    }
    let mut expected: HashSet<Channel> = some().cloned().collect();
    while !expected.is_empty() {
        let Arrival { channel, message, .. } = pair.one.arrival().await;
        assert_eq!(message, channel.to_string());
        assert!(expected.remove(&channel), "{channel} was not for it, or twice");
    }
    pair.one.engine.unsubscribe(&rooms).await.unwrap();
    pair.stop().await;
}

pub(super) async fn who_unsubscribes_gets_no_more(mut pair: Pair<impl Engine>) {
    let (left, stays) = (pair.room("left"), pair.room("stays"));
    pair.one.subscribe(&[left.clone(), stays.clone()]).await;
    pair.one.engine.unsubscribe(std::slice::from_ref(&left)).await.unwrap();
    // Nor is it wrong to say so once more.
    pair.one.engine.unsubscribe(std::slice::from_ref(&left)).await.unwrap();
    // What is on its way may still arrive, but not for ever; and no channel waits for another, so that one round proves little.
    let mut quiet = 0;
    for round in 0.. {
        pair.other.publish(&left, format!("{round}")).await;
        pair.other.publish(&stays, format!("{round}")).await;
        let mut arrival = pair.one.arrival().await;
        quiet += 1;
        while arrival.channel == left {
            quiet = 0;
            arrival = pair.one.arrival().await;
        }
        assert_eq!(arrival.message, format!("{round}"));
        assert!(round < 10_000, "it goes on arriving");
        if quiet == 20 {
            break;
        }
    }
    pair.one.subscribe(std::slice::from_ref(&left)).await;
    pair.other.publish(&left, "again").await;
    assert_eq!(pair.one.arrival().await.message, "again");
    pair.stop().await;
}

pub(super) async fn a_message_that_is_too_large_harms_nobody(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(std::slice::from_ref(&room)).await;
    let limit = pair.other.engine.max_message();
    let refused = pair.other.engine.publish(&room, vec![0; limit + 1].into()).await.unwrap_err();
    let EngineError::TooLarge { bytes, limit: said } = refused else { panic!("{refused:?}") };
    assert_eq!((bytes, said), (limit + 1, limit));
    let largest = Bytes::from(vec![1; limit]);
    pair.other.publish(&room, largest.clone()).await;
    assert!(pair.one.arrival().await.message == largest, "the largest message arrives as it was");
    pair.other.publish(&room, "small").await;
    assert_eq!(pair.one.arrival().await.message, "small");
    assert!(pair.other.heard_already().is_none(), "its way to the others was lost");
    pair.stop().await;
}

pub(super) async fn many_publish_at_the_same_time(mut pair: Pair<impl Engine>) {
    const TASKS: usize = 20;
    const EACH: usize = 50;
    let room = pair.room("");
    pair.one.subscribe(std::slice::from_ref(&room)).await;
    let tasks = (0..TASKS).map(|task| {
        let engine = if task % 2 == 0 { &pair.one.engine } else { &pair.other.engine };
        let (engine, room) = (engine.clone(), room.clone());
        tokio::spawn(async move {
            for number in 0..EACH {
                engine.publish(&room, format!("{task} {number}").into()).await.unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let mut next = [0; TASKS];
    for _ in 0..TASKS * EACH {
        let message = pair.one.arrival().await.message;
        let (task, number) = str::from_utf8(&message).unwrap().split_once(' ').unwrap();
        let next = &mut next[task.parse::<usize>().unwrap()];
        assert_eq!(number, next.to_string(), "each task's messages are in order");
        *next += 1;
    }
    pair.stop().await;
}

pub(super) async fn what_it_cannot_do_it_says(pair: Pair<impl Engine>) {
    let room = pair.room("");
    let Node { engine, .. } = &pair.one;
    let can = engine.capabilities();
    let keep = Retention { size: 1, ttl: LONG };
    let (append, history) =
        (engine.append(&room, Bytes::new(), MessageId(1), keep).await, engine.history(&room, 0, 1).await);
    same(can.history, "append", append);
    same(can.history, "history", history);
    let key = pair.key("");
    same(can.store, "put", engine.put(&key, Bytes::new(), LONG, Put::New).await);
    same(can.store, "take", engine.take(&key).await);
    same(can.presence, "enter", engine.enter(&room, &[], LONG).await);
    same(can.presence, "exit", engine.exit(&room, &[]).await);
    same(can.presence, "present", engine.present(&room, None, 1).await);
    pair.stop().await;
}

/// It does what it says that it can do, and refuses what it says that it cannot.
fn same<T>(can: bool, what: &str, result: Result<T, EngineError>) {
    match result {
        Ok(_) => assert!(can, "{what}: it says that it cannot"),
        Err(EngineError::Unsupported(_)) => assert!(!can, "{what}: it says that it can"),
        Err(other) => panic!("{what}: {other}"),
    }
}

pub(super) async fn who_has_stopped_gets_nothing(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(std::slice::from_ref(&room)).await;
    pair.other.subscribe(std::slice::from_ref(&room)).await;
    pair.one.engine.stop().await.unwrap();
    while pair.one.heard_already().is_some() {}
    pair.other.publish(&room, "is anybody there?").await;
    assert_eq!(pair.other.arrival().await.message, "is anybody there?");
    assert!(pair.one.heard_already().is_none(), "who has stopped is told nothing");
    let Node { engine, mut inbox } = pair.one;
    let engine = Arc::into_inner(engine).expect("nobody else has it");
    drop(engine);
    assert!(inbox.recv().await.is_none(), "nobody holds the receiver");
    pair.other.engine.stop().await.unwrap();
}

pub(super) async fn nothing_is_lost_while_nothing_goes_wrong(mut pair: Pair<impl Engine>) {
    const MESSAGES: usize = 10_000;
    let room = pair.room("");
    pair.one.subscribe(std::slice::from_ref(&room)).await;
    // Nobody reads meanwhile, as if the node were slow.
    for number in 0..MESSAGES {
        pair.other.publish(&room, number.to_string()).await;
    }
    for number in 0..MESSAGES {
        assert_eq!(pair.one.arrival().await.message, number.to_string());
    }
    pair.stop().await;
}

//! What is appended: its place, how often it counts, how long it is kept.

use std::collections::HashSet;
use std::slice::from_ref;

use bytes::Bytes;
use endpoint_runtime::cluster::{
    Appended, Arrival, Channel, Engine, EngineError, History, MessageId, Position, Retention,
};
use futures_util::future::join_all;

use super::{LONG, Node, Pair, SHORT, odd_names, soon, until};

const KEEP: Retention = Retention { size: 100, ttl: LONG };

impl<E: Engine> Node<E> {
    async fn append(&self, channel: &Channel, message: impl Into<Bytes>, id: MessageId) -> Appended {
        soon("the append", self.engine.append(channel, message.into(), id, KEEP)).await.unwrap()
    }

    /// A message that is new.
    async fn say(&self, channel: &Channel, message: impl Into<Bytes>) -> Position {
        let appended = self.append(channel, message, MessageId::random()).await;
        assert!(!appended.duplicate);
        appended.position
    }

    async fn history(&self, channel: &Channel, after: u64, limit: usize) -> History {
        soon("the history", self.engine.history(channel, after, limit)).await.unwrap()
    }
}

/// Offsets and messages, to compare with.
fn messages(of: &History) -> Vec<(u64, &str)> {
    of.messages.iter().map(|(offset, message)| (*offset, str::from_utf8(message).unwrap())).collect()
}

pub(super) async fn offsets_begin_at_one_and_have_no_gaps(pair: Pair<impl Engine>) {
    let room = pair.room("");
    let first = pair.one.say(&room, "1").await;
    assert_eq!(first.offset, 1);
    assert!((1..=80).contains(&first.epoch.0.len()), "{:?}", first.epoch);
    for offset in 2..=50 {
        let node = if offset % 2 == 0 { &pair.other } else { &pair.one };
        let place = node.say(&room, offset.to_string()).await;
        assert_eq!(place, Position { offset, epoch: first.epoch.clone() });
    }
    let all = pair.other.history(&room, 0, 1000).await;
    assert_eq!(all.top, Position { offset: 50, epoch: first.epoch });
    for (expected, (offset, message)) in (1..=50).zip(messages(&all)) {
        assert_eq!((offset, message), (expected, &*expected.to_string()));
    }
    pair.stop().await;
}

pub(super) async fn what_is_appended_arrives_with_its_place(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(from_ref(&room)).await;
    pair.other.subscribe(from_ref(&room)).await;
    for message in ["", "a", "b\0\r\n"] {
        let position = Some(pair.one.say(&room, message).await);
        for node in [&mut pair.one, &mut pair.other] {
            let arrival = node.arrival().await;
            assert_eq!(
                arrival,
                Arrival { channel: room.clone(), message: message.into(), position: position.clone() }
            );
        }
    }
    pair.stop().await;
}

pub(super) async fn what_is_published_has_no_place(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(from_ref(&room)).await;
    pair.other.say(&room, "kept").await;
    pair.other.publish(&room, "not kept").await;
    pair.other.say(&room, "kept too").await;
    for (message, offset) in [("kept", Some(1)), ("not kept", None), ("kept too", Some(2))] {
        let arrival = pair.one.arrival().await;
        assert_eq!(
            (&arrival.message[..], arrival.position.map(|place| place.offset)),
            (message.as_bytes(), offset)
        );
    }
    assert_eq!(messages(&pair.one.history(&room, 0, 10).await), [(1, "kept"), (2, "kept too")]);
    pair.stop().await;
}

pub(super) async fn the_same_message_is_appended_once(mut pair: Pair<impl Engine>) {
    let (room, elsewhere) = (pair.room("a"), pair.room("b"));
    pair.one.subscribe(from_ref(&room)).await;
    let id = MessageId::random();
    let first = pair.one.append(&room, "once", id).await;
    assert!(!first.duplicate);
    pair.one.say(&room, "between").await;
    for node in [&pair.one, &pair.other] {
        let again = node.append(&room, "once", id).await;
        assert_eq!(again, Appended { duplicate: true, ..first.clone() });
    }
    pair.one.say(&room, "after").await;
    for message in ["once", "between", "after"] {
        assert_eq!(pair.one.arrival().await.message, message);
    }
    assert_eq!(messages(&pair.one.history(&room, 0, 10).await), [(1, "once"), (2, "between"), (3, "after")]);
    // In another channel it is another message.
    assert!(!pair.one.append(&elsewhere, "once", id).await.duplicate);
    pair.stop().await;
}

pub(super) async fn the_same_message_at_the_same_time_is_appended_once(pair: Pair<impl Engine>) {
    for round in 0..10 {
        let room = pair.room(&round.to_string());
        let id = MessageId::random();
        let tries = (0..10).map(|number| {
            let node = if number % 2 == 0 { &pair.one } else { &pair.other };
            node.append(&room, "once", id)
        });
        let appended = join_all(tries).await;
        assert_eq!(appended.iter().filter(|appended| !appended.duplicate).count(), 1);
        assert!(appended.iter().all(|each| each.position == appended[0].position), "{appended:?}");
        assert_eq!(messages(&pair.one.history(&room, 0, 10).await), [(1, "once")]);
    }
    pair.stop().await;
}

pub(super) async fn all_see_one_order(mut pair: Pair<impl Engine>) {
    const EACH: u64 = 100;
    let room = pair.room("");
    pair.one.subscribe(from_ref(&room)).await;
    pair.other.subscribe(from_ref(&room)).await;
    let engines = [pair.one.engine.clone(), pair.other.engine.clone()];
    let tasks = engines.into_iter().map(|engine| {
        let room = room.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let id = MessageId::random();
                engine.append(&room, id.0.to_be_bytes().to_vec().into(), id, KEEP).await.unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let kept = pair.one.history(&room, EACH, 1000).await;
    let mut heard = HashSet::new();
    for offset in 1..=2 * EACH {
        let (here, there) = (pair.one.arrival().await, pair.other.arrival().await);
        assert_eq!(here, there);
        assert_eq!(here.position.unwrap().offset, offset);
        if let Some((_, message)) = kept.messages.iter().find(|(kept, _)| *kept == offset) {
            assert_eq!(*message, here.message, "kept as {offset}");
        }
        assert!(heard.insert(here.message), "twice");
    }
    assert_eq!(kept.messages.len() as u64, EACH);
    pair.stop().await;
}

pub(super) async fn the_newest_are_kept(pair: Pair<impl Engine>) {
    let room = pair.room("");
    let keep = Retention { size: 5, ttl: LONG };
    for number in 1..=12 {
        let message = number.to_string().into();
        pair.one.engine.append(&room, message, MessageId::random(), keep).await.unwrap();
    }
    let kept = pair.other.history(&room, 0, 100).await;
    assert_eq!(kept.top.offset, 12);
    assert_eq!(messages(&kept), [(8, "8"), (9, "9"), (10, "10"), (11, "11"), (12, "12")]);
    pair.stop().await;
}

pub(super) async fn what_is_kept_is_kept_for_a_while(pair: Pair<impl Engine>) {
    let (short, long) = (pair.room("short"), pair.room("long"));
    let brief = Retention { size: 10, ttl: SHORT };
    // The time counts from the last message, and it is the last one that says how long.
    pair.one.engine.append(&long, "a".into(), MessageId::random(), brief).await.unwrap();
    pair.one.say(&long, "b").await;
    for message in ["a", "b"] {
        pair.one.engine.append(&short, message.into(), MessageId::random(), brief).await.unwrap();
    }
    let top = pair.one.history(&short, 0, 0).await.top;
    until("the messages to expire", async || {
        let kept = pair.other.history(&short, 0, 10).await;
        // The place of the newest one is known longer.
        assert_eq!(kept.top, top);
        assert!(kept.messages.is_empty() || messages(&kept) == [(1, "a"), (2, "b")], "{:?}", messages(&kept));
        kept.messages.is_empty()
    })
    .await;
    assert_eq!(messages(&pair.other.history(&long, 0, 10).await), [(1, "a"), (2, "b")]);
    assert_eq!(pair.other.say(&short, "c").await, Position { offset: 3, ..top });
    assert_eq!(messages(&pair.one.history(&short, 0, 10).await), [(3, "c")]);
    pair.stop().await;
}

pub(super) async fn a_page_is_what_is_behind_an_offset(pair: Pair<impl Engine>) {
    let room = pair.room("");
    for number in 1..=4 {
        pair.one.say(&room, number.to_string()).await;
    }
    let pages: [(u64, usize, &[u64]); 7] = [
        (0, 100, &[1, 2, 3, 4]),
        (0, 2, &[1, 2]),
        (2, 2, &[3, 4]),
        (3, 100, &[4]),
        (4, 100, &[]),
        (u64::MAX, 100, &[]),
        (0, 0, &[]),
    ];
    for (after, limit, expected) in pages {
        let page = pair.other.history(&room, after, limit).await;
        let offsets: Vec<u64> = page.messages.iter().map(|(offset, _)| *offset).collect();
        assert_eq!((page.top.offset, &offsets[..]), (4, expected), "{limit} behind {after}");
    }
    pair.stop().await;
}

pub(super) async fn the_place_before_the_first_message_is_of_its_epoch(mut pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.subscribe(from_ref(&room)).await;
    let before = pair.one.history(&room, 0, 10).await;
    assert_eq!(before.top.offset, 0);
    assert!(before.messages.is_empty());
    assert_eq!(pair.other.history(&room, 0, 10).await, before);
    let first = pair.other.say(&room, "first").await;
    assert_eq!(first, Position { offset: 1, ..before.top });
    assert_eq!(pair.one.arrival().await.position, Some(first));
    pair.stop().await;
}

pub(super) async fn every_name_has_its_own_history(pair: Pair<impl Engine>) {
    let names = odd_names();
    for name in &names {
        for channel in [Channel::room(name), Channel::user(name)] {
            assert_eq!(pair.one.say(&channel, format!("{channel:?}")).await.offset, 1, "{channel:?}");
        }
    }
    for name in &names {
        for channel in [Channel::room(name), Channel::user(name)] {
            let kept = pair.other.history(&channel, 0, 10).await;
            assert_eq!(messages(&kept), [(1, &*format!("{channel:?}"))]);
        }
    }
    pair.stop().await;
}

pub(super) async fn what_is_too_large_is_not_appended(pair: Pair<impl Engine>) {
    let room = pair.room("");
    let limit = pair.one.engine.max_message();
    let too_large = vec![0; limit + 1].into();
    let refused = pair.one.engine.append(&room, too_large, MessageId::random(), KEEP).await.unwrap_err();
    assert!(matches!(refused, EngineError::TooLarge { bytes, .. } if bytes == limit + 1), "{refused:?}");
    let largest = Bytes::from(vec![1; limit]);
    assert_eq!(pair.one.say(&room, largest.clone()).await.offset, 1);
    let kept = pair.other.history(&room, 0, 10).await.messages;
    assert!(kept == [(1, largest)], "the largest message is kept as it was");
    pair.stop().await;
}

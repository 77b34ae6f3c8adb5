//! Messages that are kept, and when a history is another one.

use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Engine, History, MessageId, Position, Retention};
use endpoint_tests::cut_proxy::{Cut, CutProxy};
use endpoint_tests::redis_server::RedisServer;
use tokio::time::sleep;

use super::{KEEP, Node, two_nodes};

fn kept(history: &History) -> Vec<(u64, &str)> {
    history.messages.iter().map(|(offset, message)| (*offset, str::from_utf8(message).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_arrives_with_its_position_and_is_kept() {
    let (_server, mut one, mut other) = two_nodes().await;
    let room = Channel::room("blue");
    let nothing = one.engine.history(&room, 0, 10).await.unwrap();
    assert_eq!((nothing.top.offset, nothing.messages.len()), (0, 0));
    let epoch = nothing.top.epoch;
    let at = |offset| Position { epoch: epoch.clone(), offset };

    for node in [&one, &other] {
        node.engine.subscribe(std::slice::from_ref(&room)).await.unwrap();
    }
    let first = one.add(&room, "a").await;
    assert_eq!((first.position, first.duplicate), (at(1), false));
    assert_eq!(other.add(&room, "b:\0").await.position, at(2));
    let batch = [(MessageId::random(), "c".into()), (MessageId::random(), "d".into())];
    let appended = one.engine.append_all(&room, &batch, KEEP).await.unwrap();
    assert_eq!(appended.iter().map(|each| each.position.clone()).collect::<Vec<_>>(), [at(3), at(4)]);
    for node in [&mut one, &mut other] {
        for (offset, text) in [(1, "a"), (2, "b:\0"), (3, "c"), (4, "d")] {
            let arrival = node.arrival().await;
            assert_eq!((arrival.message, arrival.position), (text.into(), Some(at(offset))));
        }
    }
    for (after, limit, expected) in [
        (0, 10, vec![(1, "a"), (2, "b:\0"), (3, "c"), (4, "d")]),
        (1, 2, vec![(2, "b:\0"), (3, "c")]),
        (4, 10, vec![]),
        (5, 10, vec![]),
        (u64::MAX, 10, vec![]),
        (0, 0, vec![]),
    ] {
        let history = other.engine.history(&room, after, limit).await.unwrap();
        assert_eq!((&history.top, kept(&history)), (&at(4), expected), "after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_kept_than_is_asked_for() {
    let (server, one, _other) = two_nodes().await;
    let room = Channel::room("blue");
    let keep = Retention { size: 3, ttl: Duration::from_millis(400) };
    for number in 0..10 {
        one.engine.append(&room, number.to_string().into(), MessageId::random(), keep).await.unwrap();
    }
    let history = one.engine.history(&room, 0, 100).await.unwrap();
    assert_eq!(kept(&history), [(8, "7"), (9, "8"), (10, "9")]);
    while server.command(&["EXISTS", "endpoint:h:{r:blue}"]).await.unwrap() != "0" {
        sleep(Duration::from_millis(20)).await;
    }
    // Where it stands is known, so that offsets go on, and so that whoever has seen all knows that.
    let later = one.engine.history(&room, 0, 100).await.unwrap();
    assert_eq!((&later.top, later.messages.len()), (&history.top, 0));
    assert_eq!(one.add(&room, "on").await.position.offset, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_is_appended_once() {
    let (server, one, mut other) = two_nodes().await;
    let (room, id) = (Channel::room("blue"), MessageId::random());
    other.engine.subscribe(std::slice::from_ref(&room)).await.unwrap();
    let first = one.try_add(&room, "a", id).await.unwrap();
    one.add(&room, "b").await;
    let again = other.try_add(&room, "a", id).await.unwrap();
    assert_eq!((again.position, again.duplicate), (first.position, true));
    // It is the same in its own channel only.
    assert!(!one.try_add(&Channel::room("red"), "a", id).await.unwrap().duplicate);
    // A server that has forgotten the scripts gets to know them.
    server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
    assert!(one.try_add(&room, "a", id).await.unwrap().duplicate);
    server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
    let both = one
        .engine
        .append_all(&room, &[(id, "a".into()), (MessageId::random(), "c".into())], KEEP)
        .await
        .unwrap();
    assert_eq!(both.iter().map(|each| each.duplicate).collect::<Vec<_>>(), [true, false]);
    assert_eq!(
        (other.text().await, other.text().await, other.text().await),
        ("a".into(), "b".into(), "c".into())
    );
}

/// However many go together: each has a place of its own, and one that was there before, or twice among them, has the one that it had.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_a_large_batch_has_its_place() {
    let (_server, one, mut other) = two_nodes().await;
    let room = Channel::room("blue");
    other.engine.subscribe(std::slice::from_ref(&room)).await.unwrap();
    let known = MessageId::random();
    let first = one.try_add(&room, "known", known).await.unwrap();
    let mut batch: Vec<_> =
        (0..200).map(|number: u32| (MessageId::random(), number.to_string().into())).collect();
    batch[100].0 = known;
    batch[70].0 = batch[10].0;
    batch[199].0 = batch[10].0;
    let keep = Retention { size: 1000, ..KEEP };
    let appended = one.engine.append_all(&room, &batch, keep).await.unwrap();
    assert_eq!(appended.len(), batch.len());
    assert_eq!(other.text().await, "known");
    let (mut next, mut places) = (2, Vec::new());
    for (number, appended) in appended.iter().enumerate() {
        assert_eq!(appended.position.epoch, first.position.epoch);
        let expected = match number {
            100 => (1, true),
            70 | 199 => (12, true),
            _ => {
                next += 1;
                places.push((next - 1, number.to_string()));
                (next - 1, false)
            }
        };
        assert_eq!((appended.position.offset, appended.duplicate), expected, "{number}");
    }
    let history = one.engine.history(&room, 1, 1000).await.unwrap();
    assert_eq!(
        kept(&history),
        places.iter().map(|(offset, text)| (*offset, text.as_str())).collect::<Vec<_>>()
    );
    for (offset, text) in places {
        let arrival = other.arrival().await;
        assert_eq!((arrival.message, arrival.position.unwrap().offset), (text.into(), offset));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_for_which_there_is_no_memory_is_not_there() {
    let (server, one, _other) = two_nodes().await;
    let room = Channel::room("blue");
    let before = one.add(&room, "a").await.position;
    let batch: Vec<_> = (0..100).map(|_| (MessageId::random(), "b".into())).collect();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let error = one.engine.append_all(&room, &batch, KEEP).await.unwrap_err();
    assert!(matches!(error, endpoint_runtime::cluster::EngineError::Refused(_)), "{error}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    let history = one.engine.history(&room, 0, 100).await.unwrap();
    assert_eq!((&history.top, kept(&history)), (&before, vec![(1, "a")]));
    let appended = one.engine.append_all(&room, &batch, KEEP).await.unwrap();
    assert!(appended.iter().zip(2..).all(|(each, offset)| !each.duplicate && each.position.offset == offset));
}

/// Who reads it may be about to tell somebody that nothing is missing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_known_for_another_hour() {
    let (server, one, _other) = two_nodes().await;
    let room = Channel::room("blue");
    one.add(&room, "a").await;
    for left in ["60000", "3500000"] {
        server.command(&["PEXPIRE", "endpoint:m:{r:blue}", left]).await.unwrap();
        let history = one.engine.history(&room, 0, 100).await.unwrap();
        assert_eq!(kept(&history), [(1, "a")]);
        let left: u64 = server.command(&["PTTL", "endpoint:m:{r:blue}"]).await.unwrap().parse().unwrap();
        assert!(left > 3_540_000, "{left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_acknowledgement_was_lost_is_appended_once() {
    let server = RedisServer::start().await;
    let proxy = CutProxy::to(server.address()).await;
    let (one, mut other) = (Node::behind(&proxy).await, Node::at(&server.url()).await);
    let (room, id) = (Channel::room("blue"), MessageId::random());
    other.engine.subscribe(std::slice::from_ref(&room)).await.unwrap();
    proxy.cut(Cut::ToClient);
    let error = one.try_add(&room, "a", id).await.unwrap_err();
    // Nobody knows whether it has been done. It has.
    assert!(matches!(error, endpoint_runtime::cluster::EngineError::Timeout), "{error}");
    assert_eq!(other.text().await, "a");
    proxy.heal();
    // What comes late is not what was asked for now. If it was lost meanwhile, it comes back.
    let again = loop {
        match one.try_add(&room, "a", id).await {
            Ok(again) => break again,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(again.duplicate && again.position.offset == 1);
    assert_eq!(one.add(&room, "b").await.position.offset, 2);
    assert_eq!(other.text().await, "b");
    drop(one);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_restarted_without_its_data_begins_a_new_history() {
    let mut server = RedisServer::that_keeps().await;
    let mut node = Node::at(&server.url()).await;
    let room = Channel::room("blue");
    let before = node.add(&room, "a").await.position;
    let id = MessageId::random();
    node.try_add(&room, "b", id).await.unwrap();
    server.kill().await;
    node.lost().await;
    server.forget();
    server.start_again().await;
    node.back().await;
    assert_eq!(server.command(&["EXISTS", "endpoint:h:{r:blue}"]).await.unwrap(), "0");
    let history = node.engine.history(&room, 1, 100).await.unwrap();
    assert_ne!(history.top.epoch, before.epoch);
    assert_eq!((history.top.offset, history.messages.len(), history.origins.len()), (0, 0, 0));
    // In the new history, what is appended again is new: the old one is gone.
    let again = node.try_add(&room, "b", id).await.unwrap();
    assert!(!again.duplicate);
    assert_eq!(again.position, Position { epoch: history.top.epoch, offset: 1 });
}

/// It may have lost the newest of it, and nobody can know: so it is another epoch. But what it has stays where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_restarted_with_its_data_goes_on_in_another_epoch() {
    let mut server = RedisServer::that_keeps().await;
    let mut node = Node::at(&server.url()).await;
    let room = Channel::room("blue");
    let id = MessageId::random();
    let mut origins = vec![node.try_add(&room, "1", id).await.unwrap().position];
    for count in 2..=10 {
        server.kill().await;
        node.lost().await;
        server.start_again().await;
        node.back().await;
        // Nobody has claimed it for this run of the server.
        assert_eq!(node.engine.tops(std::slice::from_ref(&room)).await.unwrap(), [None]);
        // The same message is the same one still.
        let again = node.try_add(&room, "1", id).await.unwrap();
        assert!(
            again.duplicate == (count <= 9) && again.position.epoch != origins[0].epoch,
            "{count} {again:?}"
        );
        let top = match again.duplicate {
            true => node.add(&room, &count.to_string()).await.position,
            // But for that of eight epochs before.
            false => again.position,
        };
        assert_eq!(top.offset, count);
        let history = node.engine.history(&room, 0, 100).await.unwrap();
        let offsets: Vec<u64> = history.messages.iter().map(|(offset, _)| *offset).collect();
        assert_eq!((&history.top, offsets), (&top, (1..=count).collect()));
        origins.truncate(8);
        assert_eq!(history.origins, origins, "the newest first");
        assert_eq!(node.engine.tops(std::slice::from_ref(&room)).await.unwrap(), [Some(top.clone())]);
        origins.insert(0, top);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_lost_its_memory_begins_a_new_history() {
    let (server, one, _other) = two_nodes().await;
    let room = Channel::room("blue");
    let before = one.add(&room, "a").await.position;
    server.command(&["DEL", "endpoint:m:{r:blue}"]).await.unwrap();
    let after = one.add(&room, "b").await.position;
    assert!(after.epoch != before.epoch && after.offset == 1);
    assert_eq!(kept(&one.engine.history(&room, 0, 10).await.unwrap()), [(1, "b")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_without_the_newest_messages_goes_on_in_another_epoch() {
    let (primary, replica) = (RedisServer::start().await, RedisServer::start().await);
    let between = CutProxy::to(primary.address()).await;
    replica.follow_at(between.address()).await;
    let proxy = CutProxy::to(primary.address()).await;
    let mut node = Node::behind(&proxy).await;
    let room = Channel::room("blue");
    node.engine.subscribe(std::slice::from_ref(&room)).await.unwrap();
    for number in 0..10 {
        node.add(&room, &number.to_string()).await;
    }
    // WAIT would speak for the connection that asks, which has written nothing.
    while replica.command(&["HGET", "endpoint:m:{r:blue}", "s"]).await.unwrap() != "10" {
        sleep(Duration::from_millis(10)).await;
    }
    between.cut(Cut::Both);
    let tenth = node.engine.history(&room, 0, 0).await.unwrap().top;
    let mut newest = node.add(&room, "10").await.position;
    for number in 11..40 {
        newest = node.add(&room, &number.to_string()).await.position;
    }
    replica.promote().await;
    assert_eq!(replica.command(&["HGET", "endpoint:m:{r:blue}", "s"]).await.unwrap(), "10");
    proxy.redirect(replica.address());
    proxy.close();
    node.lost().await;
    node.back().await;
    // Offsets 11 to 40 come again, to other messages: nobody may take them for those that are known.
    let first = node.add(&room, "new").await.position;
    assert!(first.epoch != newest.epoch && first.offset == 11, "{first:?}");
    assert_eq!(node.arrival().await.position, Some(first));
    let history = node.engine.history(&room, 9, 100).await.unwrap();
    assert_eq!(kept(&history), [(10, "9"), (11, "new")]);
    assert_eq!(history.origins, [tenth]);
}

/// Their positions say so, and they are kept for as long as somebody asks.
#[tokio::test(flavor = "multi_thread")]
async fn where_many_channels_stand_is_asked_at_once() {
    let (server, one, _other) = two_nodes().await;
    let rooms: Vec<Channel> = (0..600).map(|room| Channel::room(&room.to_string())).collect();
    let mut places = Vec::new();
    for room in &rooms[..10] {
        places.push(Some(one.add(room, "a").await.position));
    }
    places[9] = Some(one.add(&rooms[9], "b").await.position);
    places.resize(600, None);
    assert_eq!(one.engine.tops(&rooms).await.unwrap(), places);
    assert_eq!(one.engine.tops(&[]).await.unwrap(), []);
    server.command(&["PEXPIRE", "endpoint:m:{r:0}", "60000"]).await.unwrap();
    one.engine.tops(&rooms).await.unwrap();
    let left: u64 = server.command(&["PTTL", "endpoint:m:{r:0}"]).await.unwrap().parse().unwrap();
    assert!(left > 60_000, "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_demoted_is_left_though_its_connections_stay() {
    let (primary, other) = (RedisServer::start().await, RedisServer::start().await);
    let mut node = Node::at(&primary.url()).await;
    let room = Channel::room("blue");
    let before = node.add(&room, "a").await.position;
    primary.follow(&other).await;
    node.lost().await;
    assert!(node.try_add(&room, "b", MessageId::random()).await.is_err());
    // It is a primary again: not the one that it was.
    primary.promote().await;
    node.back().await;
    let after = node.add(&room, "c").await.position;
    // While it followed the other it had what that one has: nothing.
    assert!(after.epoch != before.epoch && after.offset == 1);
}

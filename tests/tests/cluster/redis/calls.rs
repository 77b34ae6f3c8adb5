//! What nodes ask of the engine while all is well: messages, values, who is present.

use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Engine, EngineError, Put, Recorded, Redis};
use endpoint_tests::redis_server::RedisServer;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Node, two_nodes};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_those_who_have_subscribed_and_says_how_many_they_are() {
    let (_server, mut one, mut other) = two_nodes().await;
    let names = ["blue", "", "a:b", "{x}", "*", "\u{1f980} \r\n", &"long".repeat(100), &"long".repeat(101)];
    for channel in
        names.into_iter().map(Channel::room).chain([Channel::Control, Channel::All, Channel::user("blue")])
    {
        // An acknowledged message that has reached nobody is known to have.
        assert_eq!(one.publish(&channel, "nobody").await, Some(0), "{channel}");
        other.engine.subscribe(std::slice::from_ref(&channel)).await.unwrap();
        assert_eq!(one.publish(&channel, "first").await, Some(1));
        one.engine.subscribe(std::slice::from_ref(&channel)).await.unwrap();
        assert_eq!(one.publish(&channel, "both").await, Some(2));
        for expected in ["first", "both"] {
            let arrival = other.arrival().await;
            assert_eq!((arrival.channel, &arrival.message[..]), (channel.clone(), expected.as_bytes()));
            assert_eq!(arrival.position, None);
        }
        assert_eq!(one.text().await, "both");
        other.engine.unsubscribe(std::slice::from_ref(&channel)).await.unwrap();
        assert_eq!(one.publish(&channel, "one").await, Some(1));
        assert_eq!(one.text().await, "one");
    }
    assert!(other.heard_already().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_in_a_burst_and_each_channel_has_its_order() {
    const EACH: usize = 5_000;
    let (_server, one, mut other) = two_nodes().await;
    let rooms: Vec<Channel> = (0..8).map(|room| Channel::room(&room.to_string())).collect();
    other.engine.subscribe(&rooms).await.unwrap();
    let engine = one.engine;
    let mut senders = JoinSet::new();
    for (room, channel) in rooms.iter().cloned().enumerate() {
        let engine = Arc::clone(&engine);
        senders.spawn(async move {
            let texts: Vec<bytes::Bytes> = (0..EACH).map(|number| number.to_string().into()).collect();
            for batch in texts.chunks(100) {
                // Half of them one by one, half of them together.
                if room % 2 == 0 {
                    let published = engine.publish_all(&channel, batch).await.unwrap();
                    assert!(
                        published.len() == batch.len()
                            && published.iter().all(|each| each.receivers == Some(1))
                    );
                } else {
                    for text in batch {
                        engine.publish(&channel, text.clone()).await.unwrap();
                    }
                }
            }
        });
    }
    let mut expected = [0; 8];
    for _ in 0..8 * EACH {
        let arrival = other.arrival().await;
        let room = rooms.iter().position(|room| *room == arrival.channel).unwrap();
        assert_eq!(arrival.message, expected[room].to_string());
        expected[room] += 1;
    }
    senders.join_all().await;
    assert_eq!(expected, [EACH; 8]);
    assert!(engine.publish_all(&rooms[0], &[]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_with_other_prefixes_share_a_server_and_nothing_else() {
    let server = RedisServer::start().await;
    let mut one = Node::start(Redis::connect(&server.url()).await.unwrap().prefix("one")).await;
    let other = Node::start(Redis::connect(&server.url()).await.unwrap().prefix("other")).await;
    one.engine.subscribe(&[Channel::All]).await.unwrap();
    assert_eq!(other.publish(&Channel::All, "not for you").await, Some(0));
    assert!(other.engine.put("key", "value".into(), Duration::from_secs(60), Put::New).await.unwrap());
    assert_eq!(one.engine.take("key").await.unwrap(), None);
    // What somebody else publishes there is no message of ours, and harms nobody.
    assert_eq!(server.command(&["PUBLISH", "one:all", "what?"]).await.unwrap(), "1");
    one.publish(&Channel::All, "mine").await;
    assert_eq!(one.text().await, "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_channels_are_subscribed_to_in_batches() {
    let (server, one, mut other) = two_nodes().await;
    let users: Vec<Channel> = (0..10_000).map(|user| Channel::user(&user.to_string())).collect();
    let began = Instant::now();
    other.engine.subscribe(&users).await.unwrap();
    println!("10,000 subscriptions: {:?}", began.elapsed());
    let stats = server.command(&["INFO", "commandstats"]).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_subscribe:calls=")).unwrap();
    let calls: usize = calls.split(',').next().unwrap().parse().unwrap();
    assert!(calls <= 2 + 10_000 / 512 + 1, "{calls} commands");
    // The subscriptions hold, from the first to the last.
    for user in [0, 9_999] {
        assert_eq!(one.publish(&users[user], "x").await, Some(1));
        assert_eq!(other.arrival().await.channel, users[user]);
    }
    other.engine.unsubscribe(&users).await.unwrap();
    assert_eq!(one.publish(&users[5_000], "x").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_subscribe_at_the_same_time_share_commands() {
    let (server, one, other) = two_nodes().await;
    let engine = other.engine;
    let mut tasks = JoinSet::new();
    for user in 0..1_000 {
        let engine = Arc::clone(&engine);
        tasks.spawn(async move { engine.subscribe(&[Channel::user(&user.to_string())]).await.unwrap() });
    }
    tasks.join_all().await;
    let stats = server.command(&["INFO", "commandstats"]).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_subscribe:calls=")).unwrap();
    assert!(calls.split(',').next().unwrap().parse::<usize>().unwrap() < 500, "{calls}");
    assert_eq!(one.publish(&Channel::user("999"), "x").await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused_before_it_is_sent() {
    let (_server, one, _other) = two_nodes().await;
    let limit = one.engine.max_message();
    let error = one.engine.publish(&Channel::All, vec![0; limit + 1].into()).await.unwrap_err();
    assert!(
        matches!(error, EngineError::TooLarge { bytes, limit: l } if bytes == limit + 1 && l == limit),
        "{error}"
    );
    one.engine.publish(&Channel::All, vec![0; limit].into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_kept_replaced_and_taken_once() {
    let (_server, one, other) = two_nodes().await;
    let (ttl, engine) = (Duration::from_secs(60), &one.engine);
    assert!(!engine.put("key", "no".into(), ttl, Put::Again).await.unwrap());
    assert!(engine.put("key", "a".into(), ttl, Put::New).await.unwrap());
    assert!(!engine.put("key", "b".into(), ttl, Put::New).await.unwrap());
    assert!(engine.put("key", "c".into(), ttl, Put::Again).await.unwrap());
    let takers = [&one.engine, &other.engine].into_iter().cycle().take(40).map(|engine| engine.take("key"));
    let taken: Vec<_> =
        futures_util::future::join_all(takers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken, ["c"]);
    assert!(!engine.put("key", "zombie".into(), ttl, Put::Again).await.unwrap());

    assert!(engine.put("short", "x".into(), Duration::from_millis(50), Put::New).await.unwrap());
    let began = Instant::now();
    while !engine.put("short", "y".into(), ttl, Put::New).await.unwrap() {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(30));
}

fn recorded(id: usize) -> Recorded {
    Recorded { id: format!("{id:06}"), info: format!("info {id}").into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_present_comes_in_pages() {
    let (server, one, other) = two_nodes().await;
    let room = Channel::room("blue");
    let nobody = one.engine.present(&room, None, 10).await.unwrap();
    assert_eq!((nobody.count, nobody.page), (0, vec![]));

    let members: Vec<Recorded> = (0..1_200).rev().map(recorded).collect();
    one.engine.enter(&room, &members, Duration::from_secs(60)).await.unwrap();
    one.engine.enter(&room, &[recorded(7)], Duration::from_secs(60)).await.unwrap();
    let page = other.engine.present(&room, None, 3).await.unwrap();
    assert_eq!((page.count, page.page), (1_200, (0..3).map(recorded).collect()));
    let page = other.engine.present(&room, Some("000002"), 2).await.unwrap();
    assert_eq!(page.page, [recorded(3), recorded(4)]);
    let page = other.engine.present(&room, Some("0011975"), 10).await.unwrap();
    assert_eq!(page.page, [recorded(1_198), recorded(1_199)]);
    assert_eq!(other.engine.present(&room, Some("zz"), 10).await.unwrap().page, []);
    assert_eq!(other.engine.present(&Channel::user("blue"), None, 10).await.unwrap().count, 0);

    let ids: Vec<String> = (0..1_000).map(|id| recorded(id).id).chain(["unknown".to_owned()]).collect();
    other.engine.exit(&room, &ids).await.unwrap();
    let page = one.engine.present(&room, None, 1).await.unwrap();
    assert_eq!((page.count, page.page), (200, vec![recorded(1_000)]));
    let rest: Vec<String> = (1_000..1_200).map(|id| recorded(id).id).collect();
    one.engine.exit(&room, &rest).await.unwrap();
    assert_eq!(server.command(&["DBSIZE"]).await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_noted_again_is_present_no_more() {
    let (server, one, _other) = two_nodes().await;
    let room = Channel::room("blue");
    let brief: Vec<Recorded> = (0..1_200).map(recorded).collect();
    one.engine.enter(&room, &[recorded(5_000)], Duration::from_secs(60)).await.unwrap();
    one.engine.enter(&room, &brief, Duration::from_millis(300)).await.unwrap();
    one.engine.enter(&room, &[recorded(17)], Duration::from_secs(60)).await.unwrap();
    let mut present = one.engine.present(&room, None, 10).await.unwrap();
    while present.count > 2 {
        sleep(Duration::from_millis(20)).await;
        present = one.engine.present(&room, None, 10).await.unwrap();
    }
    assert_eq!((present.count, present.page), (2, vec![recorded(17), recorded(5_000)]));
    // Nothing is left of the others.
    assert_eq!(server.command(&["HLEN", "endpoint:pk:{r:blue}"]).await.unwrap(), "2");
    // And nothing at all of a room where everybody's time is over, though nobody asks.
    let empty = Channel::room("empty");
    one.engine.enter(&empty, &brief, Duration::from_millis(50)).await.unwrap();
    while server.command(&["EXISTS", "endpoint:pk:{r:empty}"]).await.unwrap() != "0" {
        sleep(Duration::from_millis(20)).await;
    }
}

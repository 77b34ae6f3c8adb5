//! Messages that JetStream keeps, and when a history is another one.

use std::collections::HashSet;
use std::time::Duration;

use endpoint_runtime::cluster::{
    Appended, Arrival, Channel, Engine, EngineError, Epoch, History, MessageId, Nats, Position, Retention,
};
use endpoint_tests::cut_proxy::{Cut, CutProxy};
use endpoint_tests::nats_server::NatsServer;
use tokio::time::{Instant, sleep, timeout};

use super::{Node, PATIENCE, Told};
use crate::suite;

const KEEP: Retention = Retention { size: 100_000, ttl: Duration::from_secs(3600) };

/// An engine that is not started, with a history at this address.
pub(super) async fn keeping(url: &str) -> Nats {
    Nats::options(url).unwrap().history(1).connect().await.unwrap()
}

impl Node {
    pub(super) async fn keeping(server: &NatsServer) -> Self {
        Self::with(keeping(&server.url()).await).await
    }

    pub(super) async fn add(&self, channel: &Channel, text: &str) -> Appended {
        self.try_add(channel, text, MessageId::random()).await.unwrap()
    }

    async fn try_add(&self, channel: &Channel, text: &str, id: MessageId) -> Result<Appended, EngineError> {
        self.engine.append(channel, text.to_owned().into(), id, KEEP).await
    }

    /// Adds it as often as it takes.
    async fn add_some_time(&self, channel: &Channel, text: &str, id: MessageId) -> Appended {
        let began = Instant::now();
        loop {
            match self.try_add(channel, text, id).await {
                Ok(appended) => return appended,
                Err(EngineError::Timeout | EngineError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(began.elapsed() < PATIENCE);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The next message that has a place.
    async fn placed(&mut self) -> (Position, String) {
        loop {
            if let Told::Arrived(Arrival { message, position: Some(position), .. }) = self.next().await {
                return (position, String::from_utf8(message.to_vec()).unwrap());
            }
        }
    }

    /// Asks as often as it takes.
    async fn kept_some_time(&self, channel: &Channel) -> History {
        let began = Instant::now();
        loop {
            match self.engine.history(channel, 0, usize::MAX).await {
                Ok(history) => return history,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn kept(&self, channel: &Channel) -> History {
        self.engine.history(channel, 0, usize::MAX).await.unwrap()
    }
}

fn texts(history: &History) -> Vec<(u64, &str)> {
    history.messages.iter().map(|(offset, message)| (*offset, str::from_utf8(message).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_with_a_history_keeps_what_an_engine_promises() {
    let server = NatsServer::that_keeps().await;
    suite::run(async || (keeping(&server.url()).await, keeping(&server.url()).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_appended_in_their_order() {
    let server = NatsServer::that_keeps().await;
    let (mut one, other) = (Node::keeping(&server).await, Node::keeping(&server).await);
    let room = Channel::room("blue");
    one.subscribe(&room).await;
    let batch: Vec<_> = (0..500).map(|number| (MessageId::random(), number.to_string().into())).collect();
    let appended = other.engine.append_all(&room, &batch, KEEP).await.unwrap();
    let offsets: Vec<_> = appended.iter().map(|each| each.position.offset).collect();
    assert_eq!(offsets, (1..=500).collect::<Vec<_>>());
    for number in 0..500 {
        let (place, text) = one.placed().await;
        assert_eq!((place.offset, text), (number + 1, number.to_string()));
    }
    // Half of them are the same.
    let mixed = [batch[7].clone(), (MessageId::random(), "new".into()), batch[8].clone()];
    let again = other.engine.append_all(&room, &mixed, KEEP).await.unwrap();
    let told: Vec<_> = again.iter().map(|each| (each.position.offset, each.duplicate)).collect();
    assert_eq!(told, [(8, true), (501, false), (9, true)]);
    assert!(other.engine.append_all(&room, &[], KEEP).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_acknowledgement_was_lost_is_appended_once() {
    let server = NatsServer::that_keeps().await;
    let proxy = CutProxy::to(server.address()).await;
    let one = Node::with(keeping(&proxy.address().to_string()).await).await;
    let mut other = Node::keeping(&server).await;
    let (room, id) = (Channel::room("blue"), MessageId::random());
    other.subscribe(&room).await;
    one.add(&room, "before").await;
    proxy.cut(Cut::ToClient);
    let error = one.try_add(&room, "a", id).await.unwrap_err();
    // Nobody knows whether it has been done. It has.
    assert!(matches!(error, EngineError::Timeout), "{error}");
    assert_eq!((other.placed().await.1, other.placed().await.1), ("before".into(), "a".into()));
    proxy.heal();
    let again = one.add_some_time(&room, "a", id).await;
    assert!(again.duplicate && again.position.offset == 2, "{again:?}");
    assert_eq!(one.add(&room, "b").await.position.offset, 3);
    assert_eq!(other.placed().await.1, "b");
}

/// A message that no stream has taken was not appended: if the stream that takes it next has it already, that was somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_stream_has_taken_is_the_message_of_somebody_else() {
    let server = NatsServer::that_keeps().await;
    let (one, other) = (Node::keeping(&server).await, Node::keeping(&server).await);
    let (room, id) = (Channel::room("blue"), MessageId::random());
    one.add(&room, "before").await;
    for stream in server.streams().await {
        server.request(&format!("$JS.API.STREAM.DELETE.{stream}"), "").await.unwrap();
    }
    let first = other.try_add(&room, "once", id).await.unwrap();
    assert!(!first.duplicate && first.position.offset == 1, "{first:?}");
    // It still sends to the stream that was deleted, at first.
    let again = one.try_add(&room, "once", id).await.unwrap();
    assert_eq!(again, Appended { duplicate: true, ..first });
}

/// Whom the library is asked to publish for, it tells at once that there is no stream, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_to_a_server_that_hangs_for_a_while_is_tried_again() {
    let server = NatsServer::that_keeps().await;
    let node = Node::with(keeping(&server.url()).await.timeout(PATIENCE)).await;
    let room = Channel::room("blue");
    node.subscribe(&room).await;
    node.add(&room, "before").await;
    server.freeze().await;
    let (appended, ()) = tokio::join!(node.add(&room, "meanwhile"), async {
        // Long enough for the connection to be given up.
        sleep(Duration::from_secs(6)).await;
        server.thaw().await;
    });
    assert_eq!(appended.position.offset, 2);
    assert!(!appended.duplicate);
    assert_eq!(texts(&node.kept(&room).await), [(1, "before"), (2, "meanwhile")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_gone_is_made_anew_and_is_another_history() {
    let server = NatsServer::that_keeps().await;
    let (mut one, other) = (Node::keeping(&server).await, Node::keeping(&server).await);
    let room = Channel::room("blue");
    one.subscribe(&room).await;
    let before = one.add(&room, "a").await.position;
    assert_eq!(one.placed().await.0, before);
    assert_eq!(other.add(&room, "b").await.position, Position { offset: 2, ..before.clone() });
    one.placed().await;
    let [stream] = &server.streams().await[..] else { panic!("one channel, one stream") };
    server.request(&format!("$JS.API.STREAM.DELETE.{stream}"), "").await.unwrap();
    // Neither has been told, and none of them puts anything where it does not belong.
    let after = one.add(&room, "c").await.position;
    assert!(after.epoch != before.epoch && after.offset == 1, "{after:?}");
    assert_eq!(one.placed().await, (after.clone(), "c".to_owned()));
    assert_eq!(other.add(&room, "d").await.position, Position { offset: 2, ..after });
    assert_eq!(texts(&other.kept(&room).await), [(1, "c"), (2, "d")]);
}

/// Appends numbers until it is told to stop, each until it is acknowledged, and says where each of them is.
async fn append_numbers(node: &Node, room: &Channel, stop: impl Future<Output = ()>) -> Vec<Appended> {
    let mut acknowledged = Vec::new();
    let appending = async {
        loop {
            let text = acknowledged.len().to_string();
            acknowledged.push(node.add_some_time(room, &text, MessageId::random()).await);
        }
    };
    tokio::select! {
        () = appending => {}
        () = stop => {}
    }
    acknowledged
}

/// Every one is kept where it was said to be, once, in the same history, and nothing else is but the one that was interrupted.
fn all_are_kept_once(acknowledged: &[Appended], history: &History) {
    let texts = texts(history);
    assert!(texts.len() - acknowledged.len() <= 1, "{} of {}", texts.len(), acknowledged.len());
    for (number, (appended, (offset, text))) in acknowledged.iter().zip(&texts).enumerate() {
        assert_eq!(*text, number.to_string());
        assert_eq!(appended.position, Position { offset: *offset, epoch: history.top.epoch.clone() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_messages_are_appended_loses_and_doubles_none() {
    let mut server = NatsServer::that_keeps().await;
    let (mut reader, writer) = (Node::keeping(&server).await, Node::keeping(&server).await);
    let room = Channel::room("blue");
    reader.subscribe(&room).await;
    let stop = async {
        for _ in 0..3 {
            sleep(Duration::from_millis(400)).await;
            server.kill().await;
            sleep(Duration::from_millis(300)).await;
            server.start_again().await;
            while !matches!(reader.sign().await, Told::Back) {}
        }
        sleep(Duration::from_millis(400)).await;
    };
    let acknowledged = append_numbers(&writer, &room, stop).await;
    println!("{} acknowledged", acknowledged.len());
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    all_are_kept_once(&acknowledged, &reader.kept(&room).await);
}

/// The leader of a stream is killed: nobody answers for the stream, or says that there is none, until there is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_while_messages_are_appended_loses_and_doubles_none() {
    let mut servers = NatsServer::cluster(3).await;
    let urls: Vec<_> = servers.iter().map(NatsServer::url).collect();
    let keeping = async || {
        let options = Nats::options(&urls.join(",")).unwrap().history(3);
        Node::with(options.connect().await.unwrap().timeout(PATIENCE)).await
    };
    let (reader, writer) = (keeping().await, keeping().await);
    let room = Channel::room("blue");
    let nothing = reader.kept(&room).await;
    assert_eq!(nothing.top.offset, 0);
    let [stream] = &servers[0].streams().await[..] else { panic!("one channel, one stream") };
    let leader = NatsServer::leader(&servers, stream).await;
    let victim = &mut servers[leader];
    let longest = std::cell::Cell::new(Duration::ZERO);
    let stop = async {
        sleep(Duration::from_millis(500)).await;
        victim.kill().await;
        let began = Instant::now();
        // It goes on without it, for those who were connected to it, too.
        let another = Channel::room("another");
        reader.add_some_time(&another, "there is a leader", MessageId::random()).await;
        longest.set(began.elapsed());
        let top = reader.kept_some_time(&room).await.top.offset;
        while reader.kept_some_time(&room).await.top.offset < top + 100 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let numbers = timeout(2 * PATIENCE, append_numbers(&writer, &room, stop)).await.expect("it goes on");
    println!("{} acknowledged, a leader after {:?}", numbers.len(), longest.get());
    all_are_kept_once(&numbers, &reader.kept_some_time(&room).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_outlives_its_server_and_not_its_files() {
    let mut server = NatsServer::that_keeps().await;
    let mut node = Node::keeping(&server).await;
    let (room, brief) = (Channel::room("blue"), Channel::room("brief"));
    let before = node.add(&room, "a").await.position;
    let short = Retention { size: 10, ttl: Duration::from_millis(300) };
    let over = node.engine.append(&brief, "b".into(), MessageId::random(), short).await.unwrap().position;
    while !node.kept(&brief).await.messages.is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
    for keeps in [true, false] {
        server.kill().await;
        assert!(matches!(node.sign().await, Told::Lost));
        if !keeps {
            server.forget();
        }
        server.start_again().await;
        assert!(matches!(node.sign().await, Told::Back));
        let (kept, nothing) = (node.kept(&room).await, node.kept(&brief).await);
        if keeps {
            assert_eq!((&kept.top, texts(&kept)), (&before, vec![(1, "a")]));
            assert_eq!((&nothing.top, texts(&nothing)), (&over, vec![]), "its place is known");
        } else {
            assert!(kept.top.epoch != before.epoch && nothing.top.epoch != over.epoch);
            assert_eq!((kept.top.offset, nothing.top.offset), (0, 0));
        }
    }
}

/// As after a power cut: the server comes back without the newest messages, though it has acknowledged them.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_forgotten_the_newest_messages_begins_a_new_history() {
    for overgrown in [false, true] {
        let mut server = NatsServer::that_keeps().await;
        let (mut witness, room) = (Node::keeping(&server).await, Channel::room("blue"));
        for number in 0..10 {
            witness.add(&room, &number.to_string()).await;
        }
        server.kill().await;
        assert!(matches!(witness.sign().await, Told::Lost));
        let copied = server.copy();
        server.start_again().await;
        assert!(matches!(witness.sign().await, Told::Back));
        let mut newest = witness.add(&room, "10").await.position;
        for number in 11..20 {
            newest = witness.add(&room, &number.to_string()).await.position;
        }
        assert_eq!(newest.offset, 20);
        server.kill().await;
        assert!(matches!(witness.sign().await, Told::Lost));
        server.put_back(&copied);
        server.start_again().await;
        assert!(matches!(witness.sign().await, Told::Back));
        if overgrown {
            // Somebody who knows nothing of it has given the same offsets again.
            let stranger = Node::keeping(&server).await;
            for number in 0..15 {
                stranger.add(&room, &format!("other {number}")).await;
            }
        }
        let after = witness.add(&room, "new").await.position;
        assert!(after.epoch != newest.epoch && after.offset == 1, "{overgrown}: {after:?}");
        assert_eq!(texts(&witness.kept(&room).await), [(1, "new")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_appending_fails_at_once() {
    let mut server = NatsServer::that_keeps().await;
    let mut node = Node::with(keeping(&server.url()).await.timeout(PATIENCE)).await;
    node.add(&Channel::room("blue"), "a").await;
    server.kill().await;
    assert!(matches!(node.sign().await, Told::Lost));
    let began = Instant::now();
    let error = node.try_add(&Channel::room("blue"), "b", MessageId::random()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
    let error = node.engine.history(&Channel::room("blue"), 0, 1).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_degraded_start_keeps_messages_later() {
    let mut server = NatsServer::that_keeps().await;
    server.kill().await;
    let lazy = Nats::options(&server.url()).unwrap().history(1).lazy().unwrap();
    let mut node = Node::with(lazy).await;
    assert!(matches!(node.next().await, Told::Lost));
    let error = node.try_add(&Channel::All, "a", MessageId::random()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
    server.start_again().await;
    assert!(matches!(node.sign().await, Told::Back));
    assert_eq!(node.add(&Channel::All, "b").await.position.offset, 1);
}

/// Rooms share buckets, and each has its own history.
#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_share_a_bucket_have_histories_of_their_own() {
    let server = NatsServer::that_keeps().await;
    let mut node = Node::keeping(&server).await;
    // Of so many of 16,384 two are bound to share one.
    let rooms: Vec<_> = (0..300).map(|room| Channel::room(&format!("room {room}"))).collect();
    node.engine.subscribe(&rooms).await.unwrap();
    let mut epochs: HashSet<Epoch> = HashSet::new();
    for room in &rooms {
        let place = node.add(room, &room.to_string()).await.position;
        assert_eq!(node.placed().await, (place.clone(), room.to_string()));
        assert!(place.offset == 1 && epochs.insert(place.epoch));
    }
}

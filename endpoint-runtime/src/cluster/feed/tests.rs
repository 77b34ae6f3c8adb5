//! Rooms that end and begin anew while sessions come, and old messages with them.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::cluster::{EngineError, Local, MessageId, Receiver, Retention};

/// Writes down what is told to whom.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Hall for Heard {
    fn tell(&self, _: &str, to: To<'_>, notice: Notice<'_>) {
        let who = match to {
            To::All { .. } => "all",
            To::One(_) => "one",
        };
        let what = match notice {
            Notice::Message { position, message } => {
                format!("{} {}", position.offset, std::str::from_utf8(message.bytes()).unwrap())
            }
            Notice::Recovered { whole, position } => format!("recovered {whole} {}", position.offset),
            Notice::Broken { position } => format!("broken {}", position.offset),
            Notice::Here { position } => format!("here {}", position.offset),
        };
        self.0.lock().unwrap().push(format!("{who}: {what}"));
    }

    fn is_full(&self, _: &str) -> bool {
        false
    }
}

/// What arrives is handed on by the test.
struct Arrivals(Mutex<Vec<Arrival>>);

impl Receiver for Arrivals {
    fn receive(&self, arrival: Arrival) {
        self.0.lock().unwrap().push(arrival);
    }

    fn lost(&self, _: &EngineError) {}

    fn back(&self) {}

    fn missed(&self, _: &[Channel]) {}
}

struct Scene {
    engine: Arc<Local>,
    arrivals: Arc<Arrivals>,
    heard: Arc<Heard>,
    feeds: Feeds,
    channel: Channel,
}

impl Scene {
    /// A room with a member, and its subscription holds.
    async fn new() -> Self {
        let engine = Arc::new(Local::new());
        let arrivals = Arc::new(Arrivals(Mutex::default()));
        let channel = Channel::Room("room".into());
        engine.start(Arc::clone(&arrivals) as Arc<dyn Receiver>).await.unwrap();
        engine.subscribe(std::slice::from_ref(&channel)).await.unwrap();
        let heard = Arc::new(Heard::default());
        let hall = Arc::clone(&heard) as Arc<dyn Hall>;
        let feeds = Feeds::new(Arc::clone(&engine) as Arc<dyn Engine>, hall, Handle::current());
        let scene = Scene { engine, arrivals, heard, feeds, channel };
        scene.feeds.open("room");
        scene.feeds.began(&scene.channel);
        scene.placed().await;
        scene
    }

    async fn append(&self, texts: &[&str]) -> Vec<Position> {
        let mut places = Vec::new();
        for text in texts {
            let text = Bytes::copy_from_slice(text.as_bytes());
            let keep = Retention { size: 100, ttl: Duration::from_secs(300) };
            let appended = self.engine.append(&self.channel, text, MessageId::random(), keep).await.unwrap();
            places.push(appended.position);
        }
        places
    }

    fn arrive(&self) {
        let arrivals = std::mem::take(&mut *self.arrivals.0.lock().unwrap());
        arrivals.into_iter().for_each(|arrival| self.feeds.arrived(arrival));
    }

    async fn placed(&self) {
        self.feeds.placed(&self.channel).await;
        self.heard.take();
    }

    /// The last member has left, and the subscription has ended.
    fn end(&self) {
        self.feeds.close("room");
        self.feeds.ended(&self.channel);
    }
}

/// Between the moment in which a session says where it is and that in which it joins, the room may end, and others may come: it is told what
/// it has missed all the same, before anything else.
#[tokio::test]
async fn who_has_said_where_it_is_waits_in_the_room_that_begins_anew() {
    let scene = Scene::new().await;
    let places = scene.append(&["a", "b", "c"]).await;
    let session = SessionId::new(1, 1);
    let joined = scene.feeds.resume("room", session, places[0].clone(), || {
        scene.end();
        scene.feeds.open("room");
        true
    });
    assert!(joined);
    assert_eq!(scene.heard.take(), [""; 0], "the subscription does not hold yet");
    scene.arrive();
    assert_eq!(scene.heard.take(), [""; 0], "what comes of the subscription before is for nobody");
    scene.feeds.began(&scene.channel);
    scene.feeds.placed(&scene.channel).await;
    while scene.feeds.counters().recovered == 0 {
        tokio::task::yield_now().await;
    }
    let heard = scene.heard.take();
    assert_eq!(heard, ["all: here 3", "one: 2 b", "one: 3 c", "one: recovered true 3"]);
    scene.append(&["d"]).await;
    scene.arrive();
    assert_eq!(scene.heard.take(), ["all: 4 d"]);
}

/// A message may say where a room stands while only its place is read. Who waits is not answered by that, but when all that there was has come.
#[tokio::test]
async fn who_waits_is_answered_by_a_reading_that_has_read_something() {
    let scene = Scene::new().await;
    let places = scene.append(&["a"]).await;
    scene.end();
    let session = SessionId::new(1, 1);
    scene.feeds.resume("room", session, places[0].clone(), || {
        scene.feeds.open("room");
        true
    });
    scene.append(&["b", "c"]).await;
    scene.feeds.began(&scene.channel);
    // The others are lost on their way, and the reading has begun but not ended.
    scene.arrivals.0.lock().unwrap().retain(|arrival| arrival.message == "b");
    scene.arrive();
    while scene.feeds.counters().recovered == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.heard.take(), ["all: 2 b", "all: 3 c", "one: 2 b", "one: 3 c", "one: recovered true 3"]);
}

/// What comes of a subscription that has ended says nothing of where the room stands: who joins it gets what is appended from then on.
#[tokio::test]
async fn old_messages_do_not_say_where_a_room_begins_anew() {
    let scene = Scene::new().await;
    scene.append(&["a", "b"]).await;
    scene.end();
    scene.feeds.open("room");
    scene.arrive();
    scene.feeds.began(&scene.channel);
    scene.feeds.placed(&scene.channel).await;
    assert_eq!(scene.heard.take(), ["all: here 2"]);
}

/// A room that has members again before the subscription of those before has ended goes on: nothing is told twice, and nothing is missing.
#[tokio::test]
async fn a_room_that_has_members_again_goes_on() {
    let scene = Scene::new().await;
    scene.append(&["a"]).await;
    scene.arrive();
    scene.feeds.close("room");
    scene.feeds.open("room");
    scene.feeds.ended(&scene.channel);
    scene.append(&["b"]).await;
    scene.arrivals.0.lock().unwrap().clear();
    scene.feeds.began(&scene.channel);
    while scene.feeds.counters().replayed == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.heard.take(), ["all: 1 a", "all: 2 b"]);
}

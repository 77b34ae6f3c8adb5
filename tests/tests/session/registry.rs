//! Everyone else: sessions by id, endpoint, room and user; what belongs to a session, and when it leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_runtime::{self as runtime, EncodeError, InvalidSessionId};

use crate::support::{Gate, Told, diary, settle, until};

#[server_endpoint("/registry/{name}")]
struct Member {
    #[inject]
    told: Arc<Told>,
    #[inject]
    sessions: Sessions,
}

/// A user property.
#[derive(Clone, Debug, PartialEq)]
struct Nickname(String);

/// Another one, of a type that cannot be cloned.
#[derive(Debug, PartialEq)]
struct Counter(u32);

#[handlers]
impl Member {
    #[on_open]
    fn open(&self, session: &Session, #[path] name: String) {
        session.attributes().insert(Nickname(name));
    }

    #[on_message]
    async fn command(&self, text: &str, session: &Session, sessions: Sessions) -> Option<String> {
        let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
        match command {
            "join" => return Some(session.join(rest).to_string()),
            "leave" => return Some(session.leave(rest).to_string()),
            "user" => {
                session.set_user(rest);
                return Some(format!("{:?}", session.user()));
            }
            "say" => {
                let (room, what) = rest.split_once(' ')?;
                sessions.room(room).except(session).send(what).await;
            }
            "current" => return Some(Sessions::current().count().to_string()),
            _ => {}
        }
        None
    }

    #[on_close]
    fn close(&self, session: &Session, #[path] name: String) {
        let gone = self.sessions.get(session.id()).is_none()
            && !self.sessions.room("blue").iter().any(|other| other == *session)
            && self.sessions.user(&name).is_empty()
            && !self.sessions.endpoint::<Member>().iter().any(|other| other == *session)
            && !self.sessions.all().iter().any(|other| other == *session);
        let nickname: Option<Nickname> = session.attributes().get();
        self.told.tell(format!("{name} {gone} {nickname:?} {:?} {:?}", session.rooms(), session.user()));
    }
}

#[server_endpoint("/registry-other")]
struct Other;

#[handlers]
impl Other {
    #[on_message]
    fn current(&self, _text: &str) -> String {
        let sessions = Sessions::current();
        format!("{} {}", sessions.count(), sessions.endpoint::<Other>().count())
    }
}

struct World {
    app: RunningApp,
    heard: crate::support::Heard,
}

impl World {
    async fn new() -> Self {
        let (told, heard) = diary();
        let app = runtime::test::app()
            .with(|exporter| exporter.only(|config| config.path().starts_with("/registry")))
            .provide(told)
            .start()
            .await;
        World { app, heard }
    }

    /// A peer, and its session.
    async fn enter(&self, name: &str) -> (Peer, Session) {
        let before: BTreeSet<_> = self.app.sessions().all().iter().map(|session| *session.id()).collect();
        let peer = self.app.connect(&format!("/registry/{name}")).await.unwrap();
        until("the session", || self.app.sessions().count() > before.len()).await;
        let session =
            self.app.sessions().all().iter().find(|session| !before.contains(session.id())).unwrap();
        (peer, session)
    }
}

async fn ask(peer: &mut Peer, what: &str) -> String {
    peer.send(what).await.unwrap();
    peer.text().await
}

#[tokio::test(start_paused = true)]
async fn rooms() {
    let world = World::new().await;
    let sessions = world.app.sessions().clone();
    let (mut ann, ann_session) = world.enter("ann").await;
    let (mut bob, bob_session) = world.enter("bob").await;
    let (mut cy, _) = world.enter("cy").await;
    assert_eq!(ask(&mut ann, "join blue").await, "true");
    assert_eq!(ask(&mut ann, "join blue").await, "false", "twice is once");
    assert_eq!(ask(&mut bob, "join blue").await, "true");
    assert_eq!(ask(&mut bob, "join green").await, "true");
    assert_eq!(ask(&mut cy, "leave blue").await, "false");
    assert_eq!(sessions.rooms(), ["blue", "green"]);
    assert_eq!(
        (sessions.room("blue").count(), sessions.room("green").count(), sessions.room("red").count()),
        (2, 1, 0)
    );
    assert!(sessions.room("red").is_empty() && !sessions.room("blue").is_empty());
    assert_eq!(sessions.room("blue").except(&ann_session).count(), 1);
    assert_eq!(sessions.room("green").except(&ann_session).count(), 1, "who is not in it cannot be excepted");
    assert_eq!(sessions.room("blue").except(&ann_session).except(&bob_session).iter().count(), 0);
    let members: BTreeSet<_> = sessions.room("blue").iter().map(|session| session.id().to_string()).collect();
    assert_eq!(members, BTreeSet::from([ann_session.id().to_string(), bob_session.id().to_string()]));

    // A message to a room reaches it, and nobody else.
    ann.send("say blue hello").await.unwrap();
    assert_eq!(bob.text().await, "hello");
    let delivery = sessions.room("blue").send("to all").await;
    assert_eq!((delivery.queued(), delivery.missed()), (2, 0));
    assert_eq!((ann.text().await, bob.text().await), ("to all".into(), "to all".into()));
    assert_eq!(sessions.room("red").send("nobody").await.queued(), 0);
    cy.expect_nothing_for(std::time::Duration::from_secs(1)).await;

    assert_eq!(ask(&mut bob, "leave blue").await, "true");
    sessions.room("blue").post("still here");
    assert_eq!(ann.text().await, "still here");
    bob.expect_nothing_for(std::time::Duration::from_secs(1)).await;
    sessions.all().join("everybody");
    assert_eq!(sessions.room("everybody").count(), 3);
    sessions.room("everybody").except(&bob_session).leave("everybody");
    assert_eq!(sessions.room("everybody").iter().collect::<Vec<_>>(), std::slice::from_ref(&bob_session));
    assert_eq!(bob_session.rooms(), ["green", "everybody"]);
}

#[tokio::test(start_paused = true)]
async fn users_may_have_several_sessions() {
    let world = World::new().await;
    let sessions = world.app.sessions();
    let (mut phone, phone_session) = world.enter("a").await;
    let (mut laptop, _) = world.enter("b").await;
    assert_eq!(phone_session.user(), None);
    assert_eq!(ask(&mut phone, "user bo").await, "Some(\"bo\")");
    assert_eq!(ask(&mut laptop, "user bo").await, "Some(\"bo\")");
    assert_eq!(sessions.user("bo").count(), 2);
    sessions.user("bo").send("both").await;
    assert_eq!((phone.text().await, laptop.text().await), ("both".into(), "both".into()));
    // One session has one user.
    assert_eq!(ask(&mut phone, "user al").await, "Some(\"al\")");
    assert_eq!((sessions.user("bo").count(), sessions.user("al").count()), (1, 1));
    assert_eq!(ask(&mut phone, "user al").await, "Some(\"al\")");
    assert_eq!(sessions.user("al").count(), 1);
    assert_eq!(sessions.user("bo").close(CloseReason::away("logged out")).await, 1);
    assert_eq!(laptop.closed().await.text(), "logged out");
    assert!(phone_session.is_open());
    assert_eq!(sessions.user("bo").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn endpoints_and_ids() {
    let world = World::new().await;
    let sessions = world.app.sessions();
    let (_ann, ann_session) = world.enter("ann").await;
    let (_bob, bob_session) = world.enter("bob").await;
    let mut other = world.app.connect("/registry-other").await.unwrap();
    assert_eq!(ask(&mut other, "").await, "3 1");
    assert_eq!((sessions.endpoint::<Member>().count(), sessions.endpoint::<Other>().count()), (2, 1));
    assert_eq!(sessions.all().count(), 3);
    assert_eq!(ann_session.siblings().count(), 2);
    assert_eq!(
        ann_session.siblings().except(&ann_session).iter().collect::<Vec<_>>(),
        std::slice::from_ref(&bob_session)
    );
    sessions.endpoint::<Other>().send("only you").await;
    assert_eq!(other.text().await, "only you");

    assert_ne!(ann_session.id(), bob_session.id());
    assert_eq!(sessions.get(ann_session.id()), Some(ann_session.clone()));
    let written = ann_session.id().to_string();
    assert_eq!(written.len(), 32);
    assert_eq!(written.parse::<SessionId>().as_ref(), Ok(ann_session.id()));
    assert_eq!("x".parse::<SessionId>(), Err(InvalidSessionId));
    assert_eq!(sessions.endpoint::<Member>().local().close(CloseReason::normal()).await, 2);
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_closes_has_left_everything_before_on_close() {
    let mut world = World::new().await;
    let (mut ann, session) = world.enter("ann").await;
    let (mut bob, _) = world.enter("bob").await;
    ask(&mut ann, "join blue").await;
    ask(&mut bob, "join blue").await;
    ask(&mut ann, "user ann").await;
    ann.close(1000, "").await.unwrap();
    world.heard.expect("ann true Some(Nickname(\"ann\")) [\"blue\"] Some(\"ann\")").await;
    let sessions = world.app.sessions();
    assert_eq!((sessions.count(), sessions.room("blue").count(), sessions.user("ann").count()), (1, 1, 0));
    assert_eq!(sessions.get(session.id()), None);
    assert_eq!(sessions.room("blue").send("x").await.queued(), 1);
    // An empty room is none.
    drop(bob);
    world.heard.next().await;
    assert_eq!(sessions.rooms(), Vec::<String>::new());
    assert_eq!((sessions.count(), sessions.all().count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn attributes_are_one_of_each_type() {
    let world = World::new().await;
    let (_peer, session) = world.enter("ann").await;
    let attributes = session.attributes();
    until("on_open", || attributes.contains::<Nickname>()).await;
    assert_eq!(attributes.get(), Some(Nickname("ann".into())));
    assert_eq!(attributes.insert(Nickname("Ann".into())).as_deref(), Some(&Nickname("ann".into())));
    assert_eq!(attributes.insert(Counter(1)), None);
    assert_eq!(attributes.get_shared::<Counter>().as_deref(), Some(&Counter(1)));
    assert_eq!(attributes.remove::<Counter>().as_deref(), Some(&Counter(1)));
    assert!(!attributes.contains::<Counter>());
    // Another clone of the session has the same, another session has not.
    let again = world.app.sessions().get(session.id()).unwrap();
    assert_eq!(again.attributes().get(), Some(Nickname("Ann".into())));
    let (_other, other) = world.enter("bob").await;
    until("on_open", || other.attributes().contains::<Nickname>()).await;
    assert_eq!(other.attributes().get(), Some(Nickname("bob".into())));
}

#[tokio::test(start_paused = true)]
async fn the_current_sessions_are_those_of_the_server_whose_handler_runs() {
    let first = World::new().await;
    let second = World::new().await;
    let (mut ann, _) = first.enter("ann").await;
    let (mut bob, _) = second.enter("bob").await;
    let (mut cy, _) = second.enter("cy").await;
    assert_eq!(ask(&mut ann, "current").await, "1");
    assert_eq!(ask(&mut bob, "current").await, "2");
    assert_eq!(ask(&mut cy, "current").await, "2");
    assert!(Sessions::try_current().is_none(), "two servers run here, and this is no handler");
}

#[server_endpoint("/async-current")]
struct AsyncCurrent {
    #[inject]
    gate: Arc<Gate>,
}

#[handlers]
impl AsyncCurrent {
    #[on_message]
    async fn text(&self, _text: &str) -> String {
        let before = Sessions::current().count();
        self.gate.pass().await;
        format!("{before} {}", Sessions::current().count())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_current_sessions_are_there_behind_an_await_too() {
    let gate = Arc::new(Gate::new());
    let app = runtime::test::app().only::<AsyncCurrent>().provide_shared(Arc::clone(&gate)).start().await;
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = app.connect("/async-current").await.unwrap();
        peer.send("").await.unwrap();
        gate.arrived().await;
        peers.push(peer);
    }
    peers.iter().for_each(|_| gate.open());
    for (number, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.text().await, format!("{} 4", number + 1));
    }
}

/// Many sessions join, leave, send to each other and close, on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_registry_in_motion_stays_true() {
    let world = Arc::new(World::new().await);
    let tasks = (0..8).map(|task| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for round in 0..20 {
                let mut peer = world.app.connect(&format!("/registry/{task}-{round}")).await.unwrap();
                for room in ["blue", "green"] {
                    peer.send(format!("join {room}")).await.unwrap();
                }
                peer.send("say blue x").await.unwrap();
                peer.send("leave green").await.unwrap();
                if round % 2 == 0 {
                    peer.close(1000, "").await.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let sessions = world.app.sessions();
    until("everybody to leave", || sessions.count() == 0).await;
    // Who leaves is taken out of one list after the other.
    until("all rooms to be empty", || sessions.rooms().is_empty()).await;
    until("the endpoint to be empty", || sessions.endpoint::<Member>().count() == 0).await;
}

/// Counts how often it is encoded. It can be cloned, so that nothing but the broadcast keeps it from being encoded for each member.
#[derive(Clone)]
struct Counted(Arc<AtomicUsize>);

impl IntoMessage for Counted {
    fn into_message(self) -> Result<Message, EncodeError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        "counted".into_message()
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_encoded_once() {
    let world = World::new().await;
    let mut members = Vec::new();
    for name in ["ann", "bob", "cy"] {
        let (mut peer, _) = world.enter(name).await;
        ask(&mut peer, "join blue").await;
        members.push(peer);
    }
    let encoded = Arc::new(AtomicUsize::new(0));
    world.app.sessions().room("blue").send(Counted(Arc::clone(&encoded))).await;
    for member in &mut members {
        assert_eq!(member.text().await, "counted");
    }
    assert_eq!(encoded.load(Ordering::Relaxed), 1);
}

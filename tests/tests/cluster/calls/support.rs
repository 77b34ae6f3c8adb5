//! Servers that are nodes of one cluster, and an engine that fails when it is told to.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime::Bytes;
use endpoint_runtime::cluster::{
    Appended, Arrival, Capabilities, Channel, Cluster, Engine, EngineError, History, Local, MessageId,
    Pending, Present, Published, Put, Receiver, Recorded, Retention,
};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, Peer, RunningApp};
use serde::Deserialize;
use tokio::sync::Semaphore;

#[derive(Deserialize)]
struct Who {
    user: Option<String>,
}

/// Says when it can be reached.
#[server_endpoint("/hall/{room}")]
pub(crate) struct Hall;

#[handlers]
impl Hall {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String, Query(who): Query<Who>) -> String {
        session.join(&room);
        if let Some(user) = who.user {
            session.set_user(&user);
        }
        assert!(session.reachable().await, "nobody reaches it");
        "open".to_owned()
    }
}

/// Another endpoint.
#[server_endpoint("/annex")]
pub(crate) struct Annex;

#[handlers]
impl Annex {
    #[on_open]
    async fn open(&self, session: &Session, Query(who): Query<Who>) -> String {
        if let Some(user) = who.user {
            session.set_user(&user);
        }
        assert!(session.reachable().await, "nobody reaches it");
        "open".to_owned()
    }
}

/// Both endpoints.
pub(crate) fn app() -> App {
    endpoint_runtime::test::app()
        .with(|exporter| exporter.only(|endpoint| endpoint.is::<Hall>() || endpoint.is::<Annex>()))
}

pub(crate) async fn node(engine: impl Engine) -> RunningApp {
    app().with(|exporter| exporter.cluster(engine)).start().await
}

/// So many nodes, which know each other.
pub(crate) async fn cluster(count: usize) -> Vec<RunningApp> {
    let engine = Local::new();
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(node(engine.clone()).await);
    }
    acquainted(&nodes).await;
    nodes
}

/// Waits until each knows all.
pub(crate) async fn acquainted(nodes: &[RunningApp]) {
    for node in nodes {
        let cluster = node.context().get::<Cluster>().unwrap();
        while cluster.nodes().len() < nodes.len() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A peer whose session is reached from everywhere.
pub(crate) async fn enter(node: &RunningApp, path: &str) -> Peer {
    let mut peer = node.connect(path).await.unwrap();
    assert_eq!(peer.text().await, "open");
    peer
}

pub(crate) async fn all_texts(peer: &mut Peer, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        texts.push(peer.text().await);
    }
    texts
}

/// Nothing comes, for much longer than anything would take.
pub(crate) async fn still(peer: &mut Peer) {
    peer.expect_nothing_for(Duration::from_secs(2)).await;
}

/// How an engine behaves.
pub(crate) const WELL: u8 = 0;
/// Everything fails at once.
pub(crate) const DOWN: u8 = 1;
/// Nothing ever ends.
pub(crate) const HANGS: u8 = 2;
/// What comes for the node is not handed to it.
pub(crate) const DEAF: u8 = 3;
/// Who reads a history is answered when the engine is [told to](Moody::answer).
pub(crate) const LATE: u8 = 4;

/// `Local`, which behaves as it is told, and shows what is subscribed to and how much goes at once.
#[derive(Debug, Clone)]
pub(crate) struct Moody {
    inner: Local,
    pub(crate) mood: Arc<AtomicU8>,
    pub(crate) largest: usize,
    pub(crate) subscribed: Arc<Mutex<BTreeSet<Channel>>>,
    pub(crate) calls: Arc<AtomicUsize>,
    /// The bytes of the largest message, and of the largest page of who is present.
    heaviest: Arc<[AtomicUsize; 2]>,
    /// Who reads a history, and is not answered yet; and who may be.
    unanswered: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
}

impl Moody {
    pub(crate) fn of(inner: &Local) -> Self {
        Moody {
            inner: inner.clone(),
            mood: Arc::default(),
            largest: 1 << 20,
            subscribed: Arc::default(),
            calls: Arc::default(),
            heaviest: Arc::default(),
            unanswered: Arc::default(),
            answers: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::SeqCst)
    }

    /// One who reads a history is answered.
    pub(crate) fn answer(&self) {
        self.answers.add_permits(1);
    }

    pub(crate) fn heaviest_message(&self) -> usize {
        self.heaviest[0].load(Ordering::SeqCst)
    }

    pub(crate) fn heaviest_page(&self) -> usize {
        self.heaviest[1].load(Ordering::SeqCst)
    }

    pub(crate) fn forget_weight(&self) {
        self.heaviest.iter().for_each(|heaviest| heaviest.store(0, Ordering::SeqCst));
    }

    pub(crate) fn becomes(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn in_mood<'a, T: 'a>(&'a self, well: impl FnOnce() -> Pending<'a, T>) -> Pending<'a, T> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match self.mood.load(Ordering::SeqCst) {
            DOWN => Box::pin(async { Err(EngineError::Unavailable("it is down".into())) }),
            HANGS => Box::pin(std::future::pending()),
            _ => well(),
        }
    }
}

struct Ear {
    mood: Arc<AtomicU8>,
    node: Arc<dyn Receiver>,
}

impl Receiver for Ear {
    fn receive(&self, arrival: Arrival) {
        if [WELL, LATE].contains(&self.mood.load(Ordering::SeqCst)) {
            self.node.receive(arrival);
        }
    }

    fn lost(&self, why: &EngineError) {
        self.node.lost(why);
    }

    fn back(&self) {
        self.node.back();
    }

    fn missed(&self, channels: &[Channel]) {
        self.node.missed(channels);
    }
}

impl Engine for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn max_message(&self) -> usize {
        self.largest
    }

    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()> {
        let mood = Arc::clone(&self.mood);
        self.in_mood(|| self.inner.start(Arc::new(Ear { mood, node: receiver })))
    }

    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        self.in_mood(|| {
            Box::pin(async {
                // Others have their turn in between.
                tokio::task::yield_now().await;
                self.inner.subscribe(channels).await?;
                self.subscribed.lock().unwrap().extend(channels.iter().cloned());
                Ok(())
            })
        })
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        self.in_mood(move || {
            Box::pin(async move {
                tokio::task::yield_now().await;
                self.inner.unsubscribe(channels).await?;
                let mut subscribed = self.subscribed.lock().unwrap();
                for channel in channels {
                    assert!(subscribed.remove(channel), "{channel} was not subscribed to");
                }
                Ok(())
            })
        })
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        self.heaviest[0].fetch_max(message.len(), Ordering::SeqCst);
        self.in_mood(|| self.inner.publish(channel, message))
    }

    fn append<'a>(
        &'a self,
        channel: &'a Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Pending<'a, Appended> {
        self.in_mood(|| self.inner.append(channel, message, id, keep))
    }

    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History> {
        let is_late = self.mood.load(Ordering::SeqCst) == LATE && limit > 0;
        self.in_mood(|| {
            Box::pin(async move {
                let history = self.inner.history(channel, after, limit).await;
                if is_late {
                    self.unanswered.fetch_add(1, Ordering::SeqCst);
                    self.answers.acquire().await.unwrap().forget();
                    self.unanswered.fetch_sub(1, Ordering::SeqCst);
                }
                history
            })
        })
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration, how: Put) -> Pending<'a, bool> {
        self.in_mood(|| self.inner.put(key, value, ttl, how))
    }

    fn take<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Bytes>> {
        self.in_mood(|| self.inner.take(key))
    }

    fn enter<'a>(&'a self, channel: &'a Channel, members: &'a [Recorded], ttl: Duration) -> Pending<'a, ()> {
        self.in_mood(|| self.inner.enter(channel, members, ttl))
    }

    fn exit<'a>(&'a self, channel: &'a Channel, members: &'a [String]) -> Pending<'a, ()> {
        self.in_mood(|| self.inner.exit(channel, members))
    }

    fn present<'a>(
        &'a self,
        channel: &'a Channel,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Present> {
        self.in_mood(|| {
            Box::pin(async move {
                let found = self.inner.present(channel, after, limit).await?;
                let weight = found.page.iter().map(|one| one.id.len() + one.info.len()).sum();
                self.heaviest[1].fetch_max(weight, Ordering::SeqCst);
                Ok(found)
            })
        })
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        self.inner.stop()
    }
}

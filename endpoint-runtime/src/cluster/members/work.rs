//! What the nodes' table does by itself: beating, looking for the dead, and telling what has happened.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

use super::{Change, INTERVAL, Members, News};
use crate::cluster::Channel;
use crate::cluster::envelope::{Envelope, Kind, To};
use crate::session::ClusterState;

/// How often it is looked for the dead.
const LOOK: Duration = Duration::from_millis(500);

/// Who is new is answered with a heartbeat within this time, not by all at the same moment.
const INTRODUCTION: Duration = Duration::from_millis(500);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// What follows from what happens to the cluster. Each is called by the task of [`Members::work`], one after the other.
pub(crate) trait Consequences: Send + Sync {
    /// A node has come, or gone.
    fn changed(&self, change: &Change);

    /// There is a way to the others, or no longer.
    fn state(&self, state: ClusterState);

    /// Others may have thought this node dead, and taken away what it had put into stores.
    fn away(&self);
}

impl Members {
    /// Beats, and tells what happens, until it is dropped.
    pub(crate) async fn work(self: Arc<Self>, consequences: impl Consequences) {
        tokio::join!(self.beat(), self.watch_over(), self.tell(&consequences));
    }

    /// Says goodbye: others need not wait to be certain that this node is gone.
    pub(crate) async fn say_goodbye(&self) {
        if timeout(GOODBYE, self.say(Kind::Goodbye, Default::default())).await.is_err() {
            tracing::debug!("no time for a goodbye to the cluster");
        }
    }

    async fn beat(&self) {
        // The first at once, so that others know this node; the next at a time of its own, so that not all nodes of one start beat together.
        let mut beat = 1;
        self.say_hello(beat).await;
        let mut ticks = interval_at(Instant::now() + within(INTERVAL), INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.introduce.notified() => sleep(within(INTRODUCTION)).await,
            }
            beat += 1;
            self.say_hello(beat).await;
        }
    }

    async fn say_hello(&self, beat: u64) {
        self.say(Kind::Heartbeat, self.heartbeat(beat).encode()).await;
    }

    async fn say(&self, kind: Kind, payload: bytes::Bytes) {
        let message = Envelope::new(kind, self.own, To::Node, payload).encode();
        // The engine says itself when it has lost its way.
        match timeout(INTERVAL, self.engine.publish(&Channel::Control, message)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, ?kind, "not told to the cluster"),
            Err(_) => tracing::debug!(?kind, "not told to the cluster in time"),
        }
    }

    async fn watch_over(&self) {
        loop {
            let soon = Instant::now() + LOOK;
            let next = self.known().table.next_death().map_or(soon, |death| death.min(soon));
            sleep_until(next).await;
            self.look();
        }
    }

    async fn tell(&self, consequences: &impl Consequences) {
        loop {
            self.news.notified().await;
            while let Some(news) = self.next_news() {
                self.told(&news);
                match news {
                    News::Node(change) => consequences.changed(&change),
                    News::State(state) => consequences.state(state),
                    News::Away => consequences.away(),
                }
            }
        }
    }

    fn next_news(&self) -> Option<News> {
        self.known().news.pop_front()
    }

    fn told(&self, news: &News) {
        match news {
            News::Node(Change::Joined { node, name }) => tracing::info!(%node, name, "a node has joined"),
            News::Node(Change::Left { node, name, how }) => {
                tracing::info!(%node, name, ?how, "a node has left");
            }
            News::State(ClusterState::Connected) => tracing::info!("the cluster can be reached again"),
            News::State(ClusterState::Degraded { .. }) => {
                tracing::warn!(
                    "the cluster cannot be reached: what is meant for other nodes does not get there"
                );
            }
            News::Away => {}
        }
    }
}

/// Some time, from nothing to this.
fn within(longest: Duration) -> Duration {
    longest.mul_f64(rand::random::<f64>())
}

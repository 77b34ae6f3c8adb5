//! [`Members`]: the nodes of the cluster, and whether there is a way to them.
//!
//! Each node says every three seconds that it lives and how much it has to do, and says goodbye when it goes. Whoever has not been heard
//! three times is dead. All of it is measured with a clock that nobody sets; what time it is plays no role.

mod heartbeat;
mod table;
mod way;
mod work;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(crate) use self::heartbeat::Counts;
use self::heartbeat::Heartbeat;
pub(crate) use self::table::{Change, Departure, Standing};
use self::table::{Entry, Table};
use self::way::Way;
pub(crate) use self::work::Consequences;
use super::{Engine, NodeId};
use crate::session::{ClusterState, NodeInfo};

/// How often a node says that it lives.
const INTERVAL: Duration = Duration::from_secs(3);

/// A node that has done nothing for so long was away.
pub(crate) const AWAY: Duration = INTERVAL;

/// How long a node may be silent: three heartbeats, and a moment for the third. Seen to within half a second, it is less than ten seconds.
const DEAD_AFTER: Duration = Duration::from_millis(9250);

/// The nodes as one of them knows them.
pub(crate) struct Members {
    engine: Arc<dyn Engine>,
    own: NodeId,
    name: String,
    started: Instant,
    /// What the node has to do, when it is asked.
    census: Box<dyn Fn() -> Counts + Send + Sync>,
    known: Mutex<Known>,
    state: watch::Sender<ClusterState>,
    /// There is news for the task that tells it.
    news: Notify,
    /// Somebody is to hear of this node before its next heartbeat is due.
    introduce: Notify,
}

struct Known {
    table: Table,
    way: Way,
    /// What is to be told, in this order.
    news: VecDeque<News>,
    /// When it was last looked at.
    looked: Instant,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
enum News {
    Node(Change),
    State(ClusterState),
    /// Others may have thought this node dead: it was stopped for so long, or could not reach them.
    Away,
}

impl Members {
    /// `up` says whether the engine has found its way already.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        own: NodeId,
        name: String,
        up: bool,
        census: impl Fn() -> Counts + Send + Sync + 'static,
    ) -> Self {
        let now = Instant::now();
        let way = Way::new(up, now);
        let mut table = Table::new(own, now);
        if !up {
            table.deafen();
        }
        let state = watch::Sender::new(way.state());
        Members {
            engine,
            own,
            name,
            started: now,
            census: Box::new(census),
            known: Mutex::new(Known { table, way, news: VecDeque::new(), looked: now }),
            state,
            news: Notify::new(),
            introduce: Notify::new(),
        }
    }

    /// A heartbeat has arrived, `lag` after it was sent. Says whether it could be read.
    pub(crate) fn heard(&self, origin: NodeId, lag: Duration, payload: &Bytes) -> bool {
        let now = Instant::now();
        if origin == self.own {
            self.learn(|known| known.way.heard_itself(now));
            return true;
        }
        let Ok(said) = Heartbeat::decode(payload) else { return false };
        let change = self.learn(|known| {
            let change = known.table.beat(now, origin, said, lag);
            known.news.extend(change.clone().map(News::Node));
            change
        });
        if change.is_some() {
            // It does not know this node either.
            self.introduce.notify_one();
        }
        true
    }

    /// A node has said goodbye.
    pub(crate) fn departed(&self, origin: NodeId) {
        let now = Instant::now();
        self.learn(|known| known.news.extend(known.table.goodbye(now, origin).map(News::Node)));
    }

    /// The engine has lost its way to the others.
    pub(crate) fn lost(&self) {
        let now = Instant::now();
        self.learn(|known| known.way.lost(now));
    }

    /// The engine has found it again.
    pub(crate) fn back(&self) {
        let now = Instant::now();
        self.learn(|known| {
            known.way.back(now);
            known.news.push_back(News::Away);
        });
        self.introduce.notify_one();
    }

    /// Looks for the dead, and whether this node hears itself.
    fn look(&self) {
        let now = Instant::now();
        self.learn(|known| {
            let slept = now.saturating_duration_since(known.looked) > AWAY;
            known.looked = now;
            if slept {
                known.way.awake(now);
                known.news.push_back(News::Away);
            }
            known.way.look(now);
            let dead = known.table.expire(now);
            known.news.extend(dead.into_iter().map(News::Node));
        });
    }

    /// Changes what is known, and sees to it that what follows from it is told.
    fn learn<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known();
        let before = known.way.state();
        let result = change(&mut known);
        let after = known.way.state();
        if before != after {
            match after {
                ClusterState::Degraded { .. } => known.table.deafen(),
                ClusterState::Connected => known.table.listen(Instant::now()),
            }
            known.news.push_back(News::State(after));
            // Under the lock: of two changes, the later is what is seen.
            self.state.send_replace(after);
        }
        let news = !known.news.is_empty();
        drop(known);
        if news {
            self.news.notify_one();
        }
        result
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This node and all others that live, sorted by name.
    pub(crate) fn nodes(&self) -> Vec<NodeInfo> {
        let now = Instant::now();
        let mut nodes: Vec<_> = {
            let known = self.known();
            known.table.alive().map(|(id, entry)| info(now, id, entry)).collect()
        };
        let own = Entry { said: self.heartbeat(0), heard: now, lag: Duration::ZERO };
        nodes.push(info(now, self.own, &own));
        nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        nodes
    }

    /// The others that live, in no order.
    pub(crate) fn others(&self) -> Vec<NodeId> {
        self.known().table.alive().map(|(id, _)| id).collect()
    }

    /// Whether a node lives, as far as can be said.
    pub(crate) fn standing(&self, node: NodeId) -> Standing {
        self.known().table.standing(Instant::now(), node)
    }

    /// The sessions of all others, as they last said.
    pub(crate) fn sessions_elsewhere(&self) -> u64 {
        self.sum(|counts| counts.sessions)
    }

    /// The sessions that an endpoint has on others, by the name of its type.
    pub(crate) fn of_endpoint_elsewhere(&self, name: &str) -> u64 {
        let of = |counts: &Counts| counts.endpoints.iter().find(|(other, _)| **other == *name).map(|of| of.1);
        self.sum(|counts| of(counts).unwrap_or(0))
    }

    fn sum(&self, count: impl Fn(&Counts) -> u64) -> u64 {
        let known = self.known();
        known.table.alive().fold(0, |sum: u64, (_, entry)| sum.saturating_add(count(&entry.said.counts)))
    }

    /// Whether there is a way to the others.
    pub(crate) fn state(&self) -> ClusterState {
        *self.state.borrow()
    }

    /// The same, and its changes.
    pub(crate) fn watch(&self) -> watch::Receiver<ClusterState> {
        self.state.subscribe()
    }

    fn heartbeat(&self, beat: u64) -> Heartbeat {
        Heartbeat {
            beat,
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            up: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            counts: (self.census)(),
        }
    }
}

fn info(now: Instant, id: NodeId, entry: &Entry) -> NodeInfo {
    let Entry { said, heard, lag } = entry;
    let last_seen = now.saturating_duration_since(*heard);
    NodeInfo {
        id,
        name: said.name.clone(),
        version: said.version.clone(),
        sessions: said.counts.sessions,
        users: said.counts.users,
        load: f32::from(said.counts.fill) / 1000.0,
        up: said.up() + last_seen,
        last_seen,
        lag: *lag,
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.others().len();
        f.debug_struct("Members").field("name", &self.name).field("others", &others).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

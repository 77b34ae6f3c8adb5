//! [`Node`]: one process of a cluster. What it does with an engine, so that the calls of [`Sessions`] reach all of them.

mod adoption;
mod arrivals;
mod asking;
pub(super) mod command;
mod consequences;
#[cfg(feature = "json")]
mod handover;
mod inbox;
mod outbound;
pub(super) mod publishing;
#[cfg(feature = "json")]
mod pulse;
mod recovery;
mod replies;
mod single;
mod subscriptions;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::asking::Asking;
use self::consequences::{Aftermath, Around};
use self::inbox::{Inbox, Lane};
pub(super) use self::outbound::{channel_of, flags_of};
use self::publishing::Publishing;
#[cfg(feature = "json")]
use self::pulse::Pulse;
use self::recovery::Sessionwise;
use self::replies::Replies;
pub(super) use self::single::Word;
use self::subscriptions::Subscriptions;
use super::counters::Tally;
use super::feed::{FeedCounters, Feeds};
use super::members::{Counts, Members};
use super::presence::Presences;
#[cfg(feature = "json")]
use super::resume::Resumption;
use super::rules::Rules;
use super::{Channel, ClusterCounters, ClusterState, Engine, EngineError, NodeId};
use crate::context::ApplicationContext;
#[cfg(feature = "json")]
use crate::session::SessionId;
use crate::session::{Sessions, WeakSessions};
use crate::settings::Settings;

/// One process of a cluster.
pub(crate) struct Node {
    me: Weak<Node>,
    id: NodeId,
    name: String,
    engine: Arc<dyn Engine>,
    /// They know the node, and keep it.
    sessions: WeakSessions,
    /// How long whoever waits for the engine or for other nodes does so.
    deadline: Duration,
    tally: Arc<Tally>,
    subscriptions: Arc<Subscriptions>,
    publishing: Arc<Publishing>,
    inbox: Inbox,
    replies: Arc<Replies>,
    /// The questions to clients that wait for an answer.
    asking: Asking,
    /// The other nodes, from the start on.
    members: OnceLock<Arc<Members>>,
    /// What holds for rooms.
    rules: Arc<Rules>,
    /// Held by who adds to them.
    adopting: Mutex<()>,
    /// The recoverable rooms that have members here, from the start on.
    feeds: OnceLock<Feeds>,
    /// Who is in the rooms that have presence, from the start on, or since the first of them is to have it.
    presences: OnceLock<Arc<Presences>>,
    /// How many connections this node takes; 0 is any number.
    most: usize,
    /// What is to be worked on from the start on.
    lanes: Mutex<Vec<Lane>>,
    /// Where its tasks run, from the start on.
    runtime: OnceLock<Handle>,
    /// What resumes sessions.
    #[cfg(feature = "json")]
    resumption: OnceLock<Weak<Resumption>>,
    #[cfg(feature = "json")]
    pulse: Pulse,
    stop: CancellationToken,
    /// Whoever forgets to stop it stops it.
    _stop: DropGuard,
}

impl Node {
    /// A node that has not started: nothing is said to anybody.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        rules: Rules,
        sessions: &Sessions,
        settings: &Settings,
    ) -> Arc<Self> {
        let tally = Arc::<Tally>::default();
        let (deadline, queue) = (settings.cluster_deadline, settings.cluster_queue);
        let (inbox, lanes) = Inbox::new(queue);
        let stop = CancellationToken::new();
        Arc::new_cyclic(|me| Node {
            me: Weak::clone(me),
            id: NodeId::new(sessions.node()),
            name: settings.node_name.clone().unwrap_or_else(name_of_process),
            sessions: sessions.downgrade(),
            deadline,
            subscriptions: Arc::new(Subscriptions::new(Arc::clone(&engine))),
            publishing: Arc::new(Publishing::new(Arc::clone(&engine), Arc::clone(&tally), deadline, queue)),
            engine,
            tally,
            inbox,
            replies: Arc::default(),
            asking: Asking::default(),
            members: OnceLock::new(),
            rules: Arc::new(rules),
            adopting: Mutex::default(),
            feeds: OnceLock::new(),
            presences: OnceLock::new(),
            most: settings.max_connections,
            lanes: Mutex::new(lanes),
            runtime: OnceLock::new(),
            #[cfg(feature = "json")]
            resumption: OnceLock::new(),
            #[cfg(feature = "json")]
            pulse: Pulse::new(),
            _stop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// The node of these sessions, if they are part of a cluster.
    pub(crate) fn of(sessions: &Sessions) -> Option<Arc<Self>> {
        let elsewhere = Arc::clone(sessions.elsewhere()?);
        (elsewhere as Arc<dyn Any + Send + Sync>).downcast().ok()
    }

    /// Joins the cluster. An engine that says that it has no way to the others now, but may find one, is no error.
    ///
    /// # Errors
    /// The engine cannot be started.
    pub(crate) async fn start(self: &Arc<Self>, context: &ApplicationContext) -> Result<(), EngineError> {
        let hall = Arc::new(Sessionwise::new(self.sessions.clone(), Arc::clone(&self.tally)));
        let feeds = Feeds::new(Arc::clone(&self.engine), hall, Handle::current());
        // A node starts once.
        let _ = self.feeds.set(feeds.clone());
        self.engine.start(inbox::gate(self)).await?;
        let _ = self.runtime.set(Handle::current());
        let lanes = std::mem::take(&mut *self.lanes.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, lane) in lanes.into_iter().enumerate() {
            self.spawn(inbox::work(self.me.clone(), number, lane));
        }
        #[cfg(feature = "json")]
        self.spawn(pulse::beat(self.me.clone()));
        let subscriptions = Arc::clone(&self.subscriptions);
        let (begun, ended) = (feeds.clone(), feeds);
        self.spawn(async move {
            let begun = |channel: &Channel| begun.began(channel);
            subscriptions.run(begun, |channel| ended.ended(channel)).await;
        });
        let own = [Channel::Control, Channel::All, Channel::Node(self.id)];
        own.iter().for_each(|channel| self.subscriptions.want(channel, true));
        if let Some(sessions) = self.sessions.upgrade() {
            sessions.join_others(Arc::<Node>::clone(self));
        }
        // Who comes in later is to find a node that hears what others say.
        let held = async {
            for channel in &own {
                self.subscriptions.held(channel).await;
            }
        };
        let up = timeout(self.deadline, held).await.is_ok();
        if !up {
            tracing::warn!(engine = self.engine.name(), "no way to the other nodes yet");
        }
        self.meet(up, context);
        tracing::info!(engine = self.engine.name(), node = %self.id, name = self.name, "part of a cluster");
        Ok(())
    }

    /// Gets to know the others, and lets them know this node.
    fn meet(self: &Arc<Self>, up: bool, context: &ApplicationContext) {
        let me = self.me.clone();
        let census = move || me.upgrade().map(|node| node.counts()).unwrap_or_default();
        let members = Members::new(Arc::clone(&self.engine), self.id, self.name.clone(), up, census);
        let members = Arc::clone(self.members.get_or_init(|| Arc::new(members)));
        self.begin_presence(context);
        self.spawn(members.work(Aftermath { context: context.within(), node: self.me.clone() }));
    }

    /// Begins to note who is where, if any room has presence and that has not begun yet.
    fn begin_presence(&self, context: &ApplicationContext) {
        let Some(members) = self.members().filter(|_| self.rules.have_presence()) else { return };
        self.presences.get_or_init(|| {
            let around = Around {
                context: context.within(),
                sessions: self.sessions.clone(),
                members: Arc::clone(members),
                rules: Arc::clone(&self.rules),
            };
            let presences = Arc::new(Presences::new(Arc::clone(&self.engine), self.id, around));
            let working = Arc::clone(&presences);
            self.spawn(async move { working.work().await });
            presences
        });
    }

    /// What this node has to do.
    fn counts(&self) -> Counts {
        let Some(sessions) = self.sessions.upgrade() else { return Counts::default() };
        let count = sessions.count();
        let fill = count.saturating_mul(1000).checked_div(self.most).unwrap_or_default();
        Counts {
            sessions: count as u64,
            users: sessions.users() as u64,
            fill: u16::try_from(fill.min(1000)).unwrap_or_default(),
            endpoints: sessions
                .census()
                .into_iter()
                .map(|(name, count)| (name.into(), count as u64))
                .collect(),
        }
    }

    /// Tells the others that this node goes. What it has said before is said first.
    pub(crate) async fn leave(&self) {
        let _ = timeout(self.deadline, self.publishing.emptied()).await;
        if let Some(presences) = self.presences.get() {
            let _ = timeout(self.deadline, presences.settle()).await;
        }
        if let Some(members) = self.members.get() {
            members.say_goodbye().await;
        }
    }

    /// Leaves the cluster: nothing comes any more, and nothing goes.
    pub(crate) async fn stop(&self) {
        let _ = timeout(self.deadline, self.publishing.emptied()).await;
        self.stop.cancel();
        match timeout(self.deadline, self.engine.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(engine = self.engine.name(), %error, "the engine did not stop well");
            }
            Err(_) => tracing::debug!(engine = self.engine.name(), "the engine did not stop in time"),
        }
    }

    /// Runs something until the node stops.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = self.runtime.get() {
            let stop = self.stop.clone();
            runtime.spawn(async move { stop.run_until_cancelled_owned(task).await });
        }
    }

    #[cfg(feature = "json")]
    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    pub(crate) fn engine_name(&self) -> &'static str {
        self.engine.name()
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The nodes, from the start on.
    pub(crate) fn members(&self) -> Option<&Arc<Members>> {
        self.members.get()
    }

    /// Who is in the rooms that have presence, if any has.
    pub(crate) fn present(&self) -> Option<&Arc<Presences>> {
        self.presences.get()
    }

    /// A session of this node goes on where another has ended; it joins the rooms of the other next.
    #[cfg(feature = "json")]
    pub(super) fn note_resumed(&self, old: SessionId, new: SessionId) {
        if let Some(presences) = self.present() {
            presences.resumed(old, new);
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Whether there is a way to the others, and its changes. A node that has not started has none.
    pub(crate) fn watch(&self) -> watch::Receiver<ClusterState> {
        let nowhere = || watch::channel(ClusterState::Degraded { since: std::time::Instant::now() }).1;
        self.members().map_or_else(nowhere, |members| members.watch())
    }

    pub(crate) fn counters(&self) -> ClusterCounters {
        self.tally.read()
    }

    /// What holds for rooms.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The recoverable rooms, from the start on.
    pub(crate) fn feeds(&self) -> Option<&Feeds> {
        self.feeds.get()
    }

    pub(crate) fn feed_counters(&self) -> FeedCounters {
        self.feeds().map(Feeds::counters).unwrap_or_default()
    }

    /// Nothing is delivered by a node that was away before it has looked whether its sessions are still here.
    async fn be_here(&self) {
        #[cfg(feature = "json")]
        self.pulse.resume(self.look_for_taken_sessions()).await;
    }

    /// The way to the other nodes is lost.
    fn lost(&self, why: &EngineError) {
        tracing::warn!(engine = self.engine.name(), error = %why, "the way to the other nodes is lost");
        if let Some(members) = self.members.get() {
            members.lost();
        }
    }

    /// The way is there again.
    fn back(&self) {
        tracing::info!(engine = self.engine.name(), "the way to the other nodes is there again");
        if let Some(members) = self.members.get() {
            members.back();
        }
        if let Some(feeds) = self.feeds.get() {
            feeds.back();
        }
    }

    /// Messages of these channels may be missing; of all if there is none.
    fn missed(&self, channels: &[Channel]) {
        tracing::debug!(channels = channels.len(), "messages of other nodes may be missing");
        if let Some(feeds) = self.feeds.get() {
            feeds.missed(channels);
        }
    }
}

/// What people call a process that has no name: the machine and the number of the process.
fn name_of_process() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .unwrap_or_default();
    let machine = match machine.trim() {
        "" => "node",
        machine => machine,
    };
    format!("{machine}:{}", std::process::id())
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id).field("engine", &self.engine).finish_non_exhaustive()
    }
}

//! [`Publisher`]: publishing to a cluster from a program that is none of its nodes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::counters::Tally;
use super::envelope::{Envelope, Flags, Kind, To};
use super::node::publishing::Publishing;
use super::node::{channel_of, flags_of};
use super::{
    Arrival, Channel, ClusterCounters, ClusterError, Crossing, Engine, EngineError, MessageId, NodeId,
    Position, Receiver, Retention,
};
use crate::message::IntoMessage;
use crate::session::SessionId;
use crate::session::outbox::Shared;
use crate::settings::Settings;

/// Publishes to the sessions of a cluster from a program that is no server: a worker, a command line, a job at night.
///
/// It has no listener and no sessions, and the nodes do not count it among themselves; they deliver what it sends as they deliver what
/// they send each other. It is given an engine with the same server and the same prefix as theirs. Clones share it.
///
/// ```
/// use endpoint_runtime as runtime;
/// use runtime::cluster::{ClusterError, Local, Publication, Publisher};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> runtime::Result<()> {
/// # let engine = Local::new();
/// // An engine as the nodes have it: `Redis::connect("redis://localhost:6379").await?`.
/// let publisher = Publisher::new(engine).await?;
///
/// publisher.room("blue").send("to everybody in the room, on every node").await?;
/// publisher.user("bo").send("your report is ready").await?;
/// match publisher.all().send("good night").await {
///     Ok(Publication::Accepted { receivers, .. }) => println!("{receivers:?} nodes have it"),
///     Ok(Publication::Duplicate { .. }) => unreachable!("that is for messages with an id, to recoverable rooms"),
///     Err(ClusterError::Timeout) => println!("nobody knows"),
///     Err(error) => println!("nobody has it: {error}"),
/// }
/// publisher.close().await;
/// # Ok(()) }
/// ```
///
/// # What is promised
/// What is sent to one room, one user or all by one publisher arrives in the order in which it was sent. A message that is not recoverable
/// reaches a node with an interested session at most once, and its client at most once. While the engine cannot be reached there is an error
/// after the deadline (`cluster_deadline`, 1 s), and what waits for the engine meanwhile is bounded (`cluster_queue`, 8 MiB).
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    /// Its own, as a node has one, so that no node takes what comes from it for its own.
    origin: NodeId,
    publishing: Arc<Publishing>,
    tally: Arc<Tally>,
    deadline: Duration,
    runtime: Handle,
}

impl Publisher {
    /// A publisher with an engine of its own, which it starts. Its settings are the defaults.
    ///
    /// # Errors
    /// The engine cannot be started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn new(engine: impl Engine) -> Result<Self, EngineError> {
        Self::with_settings(engine, &Settings::default()).await
    }

    /// The same with `cluster_deadline` and `cluster_queue` of these settings: [`Settings::load`] reads them where a server does.
    ///
    /// # Errors
    /// The engine cannot be started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn with_settings(engine: impl Engine, settings: &Settings) -> Result<Self, EngineError> {
        let engine: Arc<dyn Engine> = Arc::new(engine);
        engine.start(Arc::new(Nobody { engine: engine.name() })).await?;
        let tally = Arc::<Tally>::default();
        let (deadline, queue) = (settings.cluster_deadline, settings.cluster_queue);
        Ok(Publisher(Arc::new(Inner {
            publishing: Arc::new(Publishing::new(Arc::clone(&engine), Arc::clone(&tally), deadline, queue)),
            origin: NodeId::new(rand::random()),
            engine,
            tally,
            deadline,
            runtime: Handle::current(),
        })))
    }

    /// Every session.
    pub fn all(&self) -> Recipients {
        self.recipients(To::Everyone)
    }

    /// The sessions that have joined a room.
    pub fn room(&self, name: &str) -> Recipients {
        self.recipients(To::Room(name.into()))
    }

    /// The sessions of a user: those whose principal has this name.
    pub fn user(&self, name: &str) -> Recipients {
        self.recipients(To::User(name.into()))
    }

    /// The sessions of an endpoint.
    pub fn endpoint<T: 'static>(&self) -> Recipients {
        self.endpoint_named(std::any::type_name::<T>())
    }

    /// The sessions of an endpoint by the full name of its type, `shop::desk::Desk`: for a program that does not have the type.
    pub fn endpoint_named(&self, type_name: &str) -> Recipients {
        self.recipients(To::Endpoint(type_name.into()))
    }

    /// One session, by its id, which names its node. If the engine knows that there is no such node it is [accepted](Publication::Accepted)
    /// by 0 receivers; that the session is gone a publisher does not learn.
    pub fn session(&self, id: &SessionId) -> Recipients {
        self.recipients(To::Session(*id))
    }

    fn recipients(&self, to: To) -> Recipients {
        Recipients { publisher: self.clone(), to, keep: None, id: None, ttl: Duration::ZERO }
    }

    /// What it has counted: what comes from other nodes it does not hear, so it counts what it sends.
    pub fn counters(&self) -> ClusterCounters {
        self.0.tally.read()
    }

    /// Waits until what was sent is with the engine, at most for the deadline, and lets go of the engine. What clones of it send from then on is
    /// [`Unavailable`](ClusterError::Unavailable).
    pub async fn close(self) {
        let deadline = self.0.deadline;
        let _ = timeout(deadline, self.0.publishing.emptied()).await;
        if !matches!(timeout(deadline, self.0.engine.stop()).await, Ok(Ok(()))) {
            tracing::debug!(engine = self.0.engine.name(), "the engine did not stop well");
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { origin, engine, .. } = &*self.0;
        f.debug_struct("Publisher").field("origin", origin).field("engine", engine).finish_non_exhaustive()
    }
}

/// To whom a [`Publisher`] sends, and how.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent yet"]
pub struct Recipients {
    publisher: Publisher,
    to: To,
    keep: Option<Retention>,
    id: Option<MessageId>,
    ttl: Duration,
}

impl Recipients {
    /// The room is recoverable: the message gets its place in the history of the room, of which the last `size` messages are kept until `ttl` after
    /// the last one, and reaches clients in channel order, effectively once by (epoch, offset).
    ///
    /// Which rooms are recoverable the servers know by their names; a publisher does not, and has to say the same of a room as they do. What it
    /// publishes to a recoverable room without this is volatile: it has no place in the history, and who misses it is not told. Of anything
    /// but a room this is [`Unsupported`](ClusterError::Unsupported).
    pub fn recoverable(mut self, size: usize, ttl: Duration) -> Self {
        self.keep = Some(Retention { size, ttl });
        self
    }

    /// The message has this id. A message to a recoverable room whose id is that of one of the last five minutes is that message: it is
    /// a [`Duplicate`](Publication::Duplicate), and nobody gets it twice. So what has timed out can be sent again. Otherwise an id changes
    /// nothing.
    pub fn id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// The message is of no use after this time, and a node that receives it later drops it. Clocks are compared: they should agree to within what is
    /// given here when their programs start; that one is set later does not matter. What is kept for recovery is not dropped.
    pub fn expires_in(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sends a message, and waits until the engine has it, at most until the deadline. It is sent all the same if nobody waits any more.
    ///
    /// # Errors
    /// [`Timeout`](ClusterError::Timeout): unknown; safe to send again with the same [`id`](Self::id) within 300 s if the room is
    /// [`recoverable`](Self::recoverable). [`Unavailable`](ClusterError::Unavailable): the engine cannot be reached. With any other too, nobody
    /// has it.
    pub async fn send(&self, message: impl IntoMessage) -> Result<Publication, ClusterError> {
        let envelope = self.envelope(&Shared::of(message)?)?;
        let Inner { publishing, runtime, deadline, .. } = &*self.publisher.0;
        let until = Instant::now() + *deadline;
        let (done, handed) = oneshot::channel();
        let append = self.keep.map(|keep| (envelope.id, keep));
        publishing.put(runtime, channel_of(&envelope.to), envelope.encode(), append, Some(done))?;
        match timeout_at(until, handed).await {
            Ok(Ok(crossing)) => Publication::of(crossing),
            Ok(Err(_)) => Err(ClusterError::unavailable("the runtime of this publisher has stopped")),
            Err(_) => Err(ClusterError::Timeout),
        }
    }

    fn envelope(&self, message: &Shared) -> Result<Envelope, ClusterError> {
        let Inner { engine, origin, .. } = &*self.publisher.0;
        if self.keep.is_some() {
            if !matches!(self.to, To::Room(_)) {
                return Err(ClusterError::Unsupported("history of anything but rooms"));
            }
            if !engine.capabilities().history {
                return Err(ClusterError::Unsupported("history"));
            }
        }
        let mut envelope = Envelope::new(Kind::Data, *origin, self.to.clone(), message.message());
        envelope.flags = flags_of(message).with(Flags::RECOVERABLE, self.keep.is_some());
        envelope.id = self.id.unwrap_or(envelope.id);
        if self.keep.is_none() {
            envelope.ttl = u32::try_from(self.ttl.as_millis()).unwrap_or(u32::MAX);
        }
        let (bytes, limit) = (envelope.encoded_len(), engine.max_message());
        if bytes > limit { Err(ClusterError::TooLarge { bytes, limit }) } else { Ok(envelope) }
    }
}

/// What has become of a message that a [`Publisher`] has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It was handed to the engine.
    #[non_exhaustive]
    Accepted {
        /// How many nodes got it, where the engine knows: 0 is nobody. That they did says nothing of their sessions.
        receivers: Option<u64>,
        /// Its place in the history of the room, if it is recoverable.
        position: Option<Position>,
    },
    /// It had been sent before, under the same id, and was not sent again.
    #[non_exhaustive]
    Duplicate {
        /// The place that it got then.
        position: Position,
    },
}

impl Publication {
    fn of(crossing: Crossing) -> Result<Self, ClusterError> {
        Ok(match crossing {
            Crossing::Failed(error) => return Err(error),
            Crossing::Handed { position: Some(position), duplicate: true, .. } => {
                Publication::Duplicate { position }
            }
            Crossing::Handed { receivers, position, .. } => Publication::Accepted { receivers, position },
            Crossing::Nowhere | Crossing::Queued => Publication::Accepted { receivers: None, position: None },
        })
    }

    /// Its place in the history of the room, if it is recoverable.
    pub fn position(&self) -> Option<&Position> {
        match self {
            Publication::Accepted { position, .. } => position.as_ref(),
            Publication::Duplicate { position } => Some(position),
        }
    }
}

/// A publisher subscribes to nothing.
struct Nobody {
    engine: &'static str,
}

impl Receiver for Nobody {
    fn receive(&self, _: Arrival) {}

    fn lost(&self, why: &EngineError) {
        tracing::warn!(engine = self.engine, error = %why, "the way to the cluster is lost");
    }

    fn back(&self) {
        tracing::info!(engine = self.engine, "the way to the cluster is there again");
    }

    fn missed(&self, _: &[Channel]) {}
}

//! [`Engine`]: what carries messages between nodes, and what it promises.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Channel;
use crate::error::BoxError;
use crate::session::{MessageId, Position};

/// What an engine does takes a while.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// What carries messages between the nodes of a cluster: [`Local`](crate::cluster::Local), `Redis`, `Nats`, or one's own.
///
/// An engine moves bytes and keeps bytes; what they mean is the nodes' business. All its methods may be called by many tasks at the same
/// time, and none of them may wait for ever: what cannot be done within a second or so ends as [`EngineError::Timeout`] or
/// [`EngineError::Unavailable`]. Messages that are published to one channel one after the other, each when the one before is done, arrive
/// in that order.
///
/// An engine that has lost its way to the other nodes finds it again by itself: it tells the [`Receiver`] so, resubscribes to everything,
/// makes certain that the subscriptions hold, and tells the receiver that it is back.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// What people call it: `redis`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// What to do about something that it [cannot do](Self::capabilities) (`"history"`, `"store"` or `"presence"`), if there is anything: said
    /// to whoever deploys an endpoint that needs it.
    fn remedy(&self, lacking: &str) -> Option<&'static str> {
        let _ = lacking;
        None
    }

    /// The largest message that it carries, bytes.
    fn max_message(&self) -> usize;

    /// Which of the servers behind it has this channel, where there are several: channels of one number fail and succeed together.
    fn shard(&self, _channel: &Channel) -> usize {
        0
    }

    /// Starts to hand what arrives to the receiver. Called once, before anything else.
    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()>;

    /// Subscribes to channels. When this is done the subscriptions hold: whatever is published from then on arrives.
    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()>;

    /// Subscribes to these channels no more. What is on its way may still arrive.
    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()>;

    /// Sends a message to whoever subscribes to the channel now: at most once.
    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published>;

    /// Sends several messages to one channel, in their order, as [`publish`](Self::publish) does, and says of each how it went. An engine that
    /// can send them together does; if it fails, some of them may have been sent.
    fn publish_all<'a>(&'a self, channel: &'a Channel, messages: &'a [Bytes]) -> Pending<'a, Vec<Published>> {
        Box::pin(async move {
            let mut published = Vec::with_capacity(messages.len());
            for message in messages {
                published.push(self.publish(channel, message.clone()).await?);
            }
            Ok(published)
        })
    }

    /// Gives a message the next offset of the channel, keeps it, and sends it to whoever subscribes, at once or not at all. A message of the
    /// same id within five minutes is the same message. Needs [`Capabilities::history`].
    fn append<'a>(
        &'a self,
        channel: &'a Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Pending<'a, Appended>;

    /// Appends several messages to one channel, in their order, as [`append`](Self::append) does, and says of each where it stands. If it fails,
    /// some of them may have been appended. Needs [`Capabilities::history`].
    fn append_all<'a>(
        &'a self,
        channel: &'a Channel,
        messages: &'a [(MessageId, Bytes)],
        keep: Retention,
    ) -> Pending<'a, Vec<Appended>> {
        Box::pin(async move {
            let mut appended = Vec::with_capacity(messages.len());
            for (id, message) in messages {
                appended.push(self.append(channel, message.clone(), *id, keep).await?);
            }
            Ok(appended)
        })
    }

    /// What is kept of a channel behind this offset, the oldest first, at most so many. Needs [`Capabilities::history`].
    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History>;

    /// Where the histories of several channels stand: the places of their newest messages. `None` of one that has to be looked at more closely, by
    /// [`history`](Self::history). This is asked often, and of many, by nodes that subscribe to them. Needs [`Capabilities::history`].
    fn tops<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, Vec<Option<Position>>> {
        Box::pin(async move {
            let mut tops = Vec::with_capacity(channels.len());
            for channel in channels {
                tops.push(Some(self.history(channel, 0, 0).await?.top));
            }
            Ok(tops)
        })
    }

    /// Keeps a value for a while, and says whether it does: see [`Put`]. Needs [`Capabilities::store`].
    fn put<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration, how: Put) -> Pending<'a, bool>;

    /// Takes a value away: of several who try, one gets it. Needs [`Capabilities::store`].
    fn take<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Bytes>>;

    /// Notes that these members (by their session ids) are present in a channel, until `ttl` from now unless they are noted again. Needs
    /// [`Capabilities::presence`].
    fn enter<'a>(&'a self, channel: &'a Channel, members: &'a [Recorded], ttl: Duration) -> Pending<'a, ()>;

    /// Notes that these members are present no more. Needs [`Capabilities::presence`].
    fn exit<'a>(&'a self, channel: &'a Channel, members: &'a [String]) -> Pending<'a, ()>;

    /// Who is present in a channel: how many, and a page of them, sorted by id, behind `after`. Needs [`Capabilities::presence`].
    fn present<'a>(
        &'a self,
        channel: &'a Channel,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Present>;

    /// Lets go of everything. Nothing is called after this.
    fn stop<'a>(&'a self) -> Pending<'a, ()>;
}

/// What an engine can do beyond carrying messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// It keeps messages, and gives them offsets: rooms may be recoverable.
    pub history: bool,
    /// It keeps values for a while: sessions may be resumed.
    pub store: bool,
    /// It keeps who is present.
    pub presence: bool,
    /// A message reaches only the nodes that subscribe to its channel, and no others.
    pub interest: bool,
}

/// Who gets what arrives. It never waits and never fails.
pub trait Receiver: Send + Sync + 'static {
    /// A message has arrived.
    fn receive(&self, arrival: Arrival);

    /// The way to the other nodes is lost: until it is [back](Self::back), nothing arrives.
    fn lost(&self, why: &EngineError);

    /// The way is there again, and all subscriptions hold. What was published meanwhile may be missing.
    fn back(&self);

    /// Messages of these channels may be missing, of all of them if there is none: the engine, or a client library, has dropped some.
    fn missed(&self, channels: &[Channel]);
}

/// A message that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What it was published to.
    pub channel: Channel,
    /// What was published.
    pub message: Bytes,
    /// Where it stands in the history of the channel, if it was [appended](Engine::append).
    pub position: Option<Position>,
}

/// How much of a channel's history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages, at most.
    pub size: usize,
    /// How long after the last one.
    pub ttl: Duration,
}

/// A message was handed to the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// How many nodes got it, where the engine knows.
    pub receivers: Option<u64>,
}

/// A message has its place in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its place.
    pub position: Position,
    /// It had been appended before.
    pub duplicate: bool,
}

/// A part of the history of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The place of the newest message, kept or not; offset 0 if there has never been one.
    pub top: Position,
    /// Which histories it goes on from, the newest first: of each the last place that it has in common with them. An engine whose server comes
    /// back with its data, or whose replica takes over, cannot know whether the newest messages are among them, and has to begin another epoch; but
    /// those that are there, at the offsets that they had, go on being there. Empty if the epoch begins with offset 1.
    pub origins: Vec<Position>,
    /// Messages with their offsets, the oldest first.
    pub messages: Vec<(u64, Bytes)>,
}

/// When a value is kept. So who has [taken](Engine::take) a value away can be certain that nobody brings it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// If there is none under this key.
    New,
    /// If there is one already, in its place.
    Again,
}

/// Who is present, and what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The id of the session.
    pub id: String,
    /// What the application says of it.
    pub info: Bytes,
}

/// Some of those who are present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// How many there are in all.
    pub count: u64,
    /// Some of them, sorted by id.
    pub page: Vec<Recorded>,
}

/// An engine could not do it.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no way to the engine's server now.
    Unavailable(BoxError),
    /// It was not done in time. Perhaps it is done all the same.
    Timeout,
    /// The message is too large for the engine.
    TooLarge {
        /// How large it is, bytes.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// This engine cannot do that at all.
    Unsupported(&'static str),
    /// The engine's server has refused.
    Refused(BoxError),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::Unavailable(error) => write!(f, "the engine cannot be reached: {error}"),
            EngineError::Timeout => f.write_str("the engine has not answered in time"),
            EngineError::TooLarge { bytes, limit } => {
                write!(f, "a message of {bytes} bytes, where the engine carries {limit}")
            }
            EngineError::Unsupported(what) => write!(f, "the engine has no {what}"),
            EngineError::Refused(error) => write!(f, "the engine refuses: {error}"),
        }
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EngineError::Unavailable(error) | EngineError::Refused(error) => Some(&**error),
            _ => None,
        }
    }
}

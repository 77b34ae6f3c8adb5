//! [`Elsewhere`]: the sessions of other nodes, as those of this process see them. Without a cluster there is nothing elsewhere.

use std::any::Any;
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::audience::Target;
use super::outbox::Shared;
use super::registry::GroupKey;
use super::{MessageId, Position, Session, SessionId};
use crate::error::BoxError;
use crate::message::{CloseReason, EncodeError};

/// Who carries to other nodes what is not for this process alone. There is one in the registry, or none.
///
/// No call waits: what takes a while is done by tasks of its own, or by the future that comes back.
pub(crate) trait Elsewhere: Any + Send + Sync {
    /// A room or user has its first member here. Called under the lock of the group, and so in turns with [`ended`](Self::ended).
    fn began(&self, group: &GroupKey);

    /// A room or user has no member here any more.
    fn ended(&self, group: &GroupKey);

    /// Waits until what others send to this group arrives here; says whether it does.
    fn reached(&self, groups: Vec<GroupKey>) -> Pin<Box<dyn Future<Output = bool> + Send>>;

    /// A session has joined a room.
    fn joined(&self, room: &str, session: &Session);

    /// A session has left a room, or has `ended` and so left all.
    fn left(&self, room: &str, session: &Session, ended: bool);

    /// Takes a message. `here` gives it to those of this process: it is called at most once, when it is certain that the message can go
    /// anywhere at all, and before anything is sent; not if it comes back from the history of the room, as it does to all nodes.
    fn send(&self, to: &Addressees<'_>, message: &Shared, wait: bool, here: &mut dyn FnMut()) -> Passage;

    /// Closes those elsewhere, and says how many were still open.
    fn close(&self, to: &Addressees<'_>, reason: &CloseReason)
    -> Pin<Box<dyn Future<Output = usize> + Send>>;

    /// Lets those elsewhere join a room, or leave it.
    fn move_to(&self, to: &Addressees<'_>, room: &str, joins: bool);

    /// How many there are elsewhere, as far as it is known without asking.
    fn count(&self, to: &Addressees<'_>) -> usize;
}

/// Who is meant, without regard to where they are.
pub(crate) struct Addressees<'a> {
    pub(crate) target: &'a Target,
    pub(crate) except: &'a HashSet<SessionId>,
    /// The id of what is sent to them, if whoever sends it has given it one.
    pub(crate) id: Option<MessageId>,
}

/// How a message goes elsewhere.
pub(crate) enum Passage {
    /// It is known already.
    Known(Crossing),
    /// It is on its way, whether or not anybody waits for this.
    Underway(Pin<Box<dyn Future<Output = Crossing> + Send>>),
}

/// How a message to many went beyond this process: a part of [`Delivery`](crate::Delivery).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Crossing {
    /// There is no cluster, or only those of this process were meant ([`Audience::local`](crate::Audience::local)).
    #[default]
    Nowhere,
    /// The engine has it.
    #[non_exhaustive]
    Handed {
        /// How many nodes got it, where the engine knows. That they did says nothing of their sessions.
        receivers: Option<u64>,
        /// Its place in the history of a recoverable room.
        position: Option<Position>,
        /// It had its place before: it was sent before, under the same [id](crate::Audience::id).
        duplicate: bool,
    },
    /// It waits for the engine: [`post`](crate::Audience::post) does not wait with it.
    Queued,
    /// It has not crossed, or nobody knows whether it has.
    Failed(ClusterError),
}

impl Crossing {
    /// Why it has not crossed.
    pub fn error(&self) -> Option<&ClusterError> {
        match self {
            Crossing::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// It was published.
    pub(crate) fn handed(receivers: Option<u64>) -> Self {
        Crossing::Handed { receivers, position: None, duplicate: false }
    }

    /// It was appended, now or before.
    pub(crate) fn appended(position: Position, duplicate: bool) -> Self {
        Crossing::Handed { receivers: None, position: Some(position), duplicate }
    }
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crossing::Nowhere => f.write_str("to this process alone"),
            Crossing::Handed { receivers: Some(nodes), .. } => write!(f, "to {nodes} nodes"),
            Crossing::Handed { .. } => f.write_str("to the cluster"),
            Crossing::Queued => f.write_str("waiting for the cluster"),
            Crossing::Failed(error) => write!(f, "not to other nodes: {error}"),
        }
    }
}

/// Something could not be done in the whole cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClusterError {
    /// The value could not be turned into a message.
    Encode(Arc<EncodeError>),
    /// There is no way to the other nodes now: the engine cannot be reached.
    Unavailable(Arc<dyn Error + Send + Sync>),
    /// There was no answer within `cluster_deadline`. Perhaps it is done all the same; then it may be that it happens twice if it is tried again.
    Timeout,
    /// The message is too large for the engine. Nobody has it, in this process neither.
    TooLarge {
        /// How large it is, bytes.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// More sessions are excepted than a message can name. Nobody has it, in this process neither.
    TooManyExcepted {
        /// How many they are.
        sessions: usize,
        /// How many they may be.
        limit: usize,
    },
    /// So much waits for the engine already (`cluster_queue`) that there is no room for this.
    Full,
    /// The engine cannot do that at all.
    Unsupported(&'static str),
    /// The engine has refused.
    Refused(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterError::Encode(error) => error.fmt(f),
            ClusterError::Unavailable(error) => write!(f, "the other nodes cannot be reached: {error}"),
            ClusterError::Timeout => f.write_str("there was no answer in time (cluster_deadline)"),
            ClusterError::TooLarge { bytes, limit } => {
                write!(f, "a message of {bytes} bytes, where the engine of the cluster carries {limit}")
            }
            ClusterError::TooManyExcepted { sessions, limit } => {
                write!(f, "{sessions} sessions are excepted, where a message names at most {limit}")
            }
            ClusterError::Full => f.write_str("too much waits for the engine already (cluster_queue)"),
            ClusterError::Unsupported(what) => write!(f, "the engine of the cluster has no {what}"),
            ClusterError::Refused(error) => write!(f, "the engine of the cluster refuses: {error}"),
        }
    }
}

impl Error for ClusterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ClusterError::Encode(error) => Some(&**error),
            ClusterError::Unavailable(error) | ClusterError::Refused(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<EncodeError> for ClusterError {
    fn from(error: EncodeError) -> Self {
        ClusterError::Encode(Arc::new(error))
    }
}

impl ClusterError {
    pub(crate) fn unavailable(why: impl Into<BoxError>) -> Self {
        ClusterError::Unavailable(Arc::from(why.into()))
    }
}

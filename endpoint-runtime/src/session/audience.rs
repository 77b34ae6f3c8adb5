//! [`Audience`]: some of the sessions, to be addressed together.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::outbox::{Broadcast, Shared};
use super::registry::{Group, GroupKey};
use super::{Session, SessionId, Sessions};
use crate::message::{CloseReason, ClosedBy, EncodeError, IntoMessage};

/// Some of the sessions: a room, a user's, an endpoint's, or all, less those excepted.
///
/// It names a set, it is not one: who belongs to it is looked up at each call.
#[derive(Clone, Debug)]
#[must_use = "an audience does nothing until something is sent to it"]
pub struct Audience {
    sessions: Sessions,
    target: Target,
    except: HashSet<SessionId>,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    All,
    Group(GroupKey),
}

/// How a message to many went.
#[derive(Debug, Default)]
pub struct Delivery {
    queued: usize,
    missed: usize,
    error: Option<EncodeError>,
}

impl Delivery {
    /// Sessions whose queue has the message.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Sessions that were closing, or too slow: see `overflow`.
    pub fn missed(&self) -> usize {
        self.missed
    }

    /// Why the value could not be turned into a message; then nobody has it.
    pub fn error(&self) -> Option<&EncodeError> {
        self.error.as_ref()
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} queued, {} missed", self.queued, self.missed)
    }
}

enum Members {
    Shared(Arc<[Session]>),
    Own(Vec<Session>),
}

impl std::ops::Deref for Members {
    type Target = [Session];

    fn deref(&self) -> &[Session] {
        match self {
            Members::Shared(members) => members,
            Members::Own(members) => members,
        }
    }
}

impl Audience {
    pub(crate) fn new(sessions: Sessions, target: Target) -> Self {
        Audience { sessions, target, except: HashSet::new() }
    }

    /// All of them but this one.
    pub fn except(mut self, session: &Session) -> Self {
        self.except.insert(*session.id());
        self
    }

    /// Only those of this process. Without a cluster that is all of them.
    pub fn local(self) -> Self {
        self
    }

    /// Sends a message to each: encoded once, shared by all. Nobody waits for a slow peer; what becomes of its message is
    /// decided by its endpoint's `overflow`.
    ///
    /// What a handler sends goes out when it waits for something or returns, together with whatever else it has sent by then. So a handler
    /// that keeps its thread busy for long afterwards keeps its messages too: let it await something, or do that work elsewhere
    /// (`tokio::task::spawn_blocking`).
    pub async fn send(&self, message: impl IntoMessage) -> Delivery {
        self.post(message)
    }

    /// [`send`](Self::send) for those who cannot await: every queue has the message when this returns.
    pub fn post(&self, message: impl IntoMessage) -> Delivery {
        let message = match Shared::of(message) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "a broadcast could not be encoded");
                return Delivery { error: Some(error), ..Delivery::default() };
            }
        };
        let group = self.group();
        let mut broadcast = Broadcast::new(message, group.as_ref().and_then(|group| group.last()));
        let mut delivery = Delivery::default();
        self.for_each_of(&self.members(group.as_deref()), |session| {
            match session.push_broadcast(&mut broadcast) {
                Ok(()) => delivery.queued += 1,
                Err(_) => delivery.missed += 1,
            }
        });
        if let Some(group) = group {
            group.set_last(&broadcast.last());
        }
        delivery
    }

    /// Closes each, and says how many were still open.
    pub async fn close(&self, reason: CloseReason) -> usize {
        let reason = reason.by(ClosedBy::Application);
        let mut closed = 0;
        self.for_each(|session| closed += usize::from(session.begin_close(&reason)));
        closed
    }

    /// Lets each join a room.
    pub fn join(&self, room: &str) {
        self.for_each(|session| {
            session.join(room);
        });
    }

    /// Lets each leave a room.
    pub fn leave(&self, room: &str) {
        self.for_each(|session| {
            session.leave(room);
        });
    }

    /// How many they are now.
    pub fn count(&self) -> usize {
        let (all, excepted) = match &self.target {
            Target::All => (
                self.sessions.count(),
                self.except.iter().filter(|id| self.sessions.get(id).is_some()).count(),
            ),
            Target::Group(key) => (
                self.sessions.member_count(key),
                self.except.iter().filter(|id| self.sessions.is_member(key, id)).count(),
            ),
        };
        all.saturating_sub(excepted)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The sessions at this moment.
    pub fn iter(&self) -> impl Iterator<Item = Session> + use<> {
        let mut list = Vec::new();
        self.for_each(|session| list.push(session.clone()));
        list.into_iter()
    }

    /// The group, if it is one and has members.
    fn group(&self) -> Option<Arc<Group>> {
        match &self.target {
            Target::All => None,
            Target::Group(key) => self.sessions.group(key),
        }
    }

    fn members(&self, group: Option<&Group>) -> Members {
        match (&self.target, group) {
            (_, Some(group)) => Members::Shared(group.snapshot()),
            (Target::All, None) => Members::Own(self.sessions.snapshot()),
            (Target::Group(_), None) => Members::Own(Vec::new()),
        }
    }

    fn for_each(&self, act: impl FnMut(&Session)) {
        self.for_each_of(&self.members(self.group().as_deref()), act);
    }

    fn for_each_of(&self, members: &[Session], mut act: impl FnMut(&Session)) {
        for session in members {
            if self.except.is_empty() || !self.except.contains(session.id()) {
                act(session);
            }
        }
    }
}

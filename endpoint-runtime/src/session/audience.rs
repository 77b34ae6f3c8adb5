//! [`Audience`]: some of the sessions, to be addressed together.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::outbox::{Broadcast, Shared};
use super::registry::{Group, GroupKey};
use super::{Addressees, Crossing, Elsewhere, MessageId, Passage, Presence, Session, SessionId, Sessions};
use crate::message::{CloseReason, ClosedBy, EncodeError, IntoMessage};

/// Some of the sessions: a room, a user's, an endpoint's, or all, less those excepted.
///
/// It names a set, it is not one: who belongs to it is looked up at each call. In a [cluster](crate::ServerEndpointExporter::cluster) they
/// are those of all nodes, unless it is narrowed to those [of this process](Self::local).
#[derive(Clone, Debug)]
#[must_use = "an audience does nothing until something is sent to it"]
pub struct Audience {
    sessions: Sessions,
    target: Target,
    except: HashSet<SessionId>,
    /// Only those of this process.
    local: bool,
    /// Which message is sent.
    id: Option<MessageId>,
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
    elsewhere: Crossing,
}

impl Delivery {
    /// Sessions of this process whose queue has the message.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Sessions of this process that were closing, or too slow: see `overflow`.
    pub fn missed(&self) -> usize {
        self.missed
    }

    /// Why the value could not be turned into a message; then nobody has it.
    pub fn error(&self) -> Option<&EncodeError> {
        self.error.as_ref()
    }

    /// How it went beyond this process.
    pub fn elsewhere(&self) -> &Crossing {
        &self.elsewhere
    }

    fn undelivered(error: EncodeError) -> Self {
        tracing::warn!(%error, "a broadcast could not be encoded");
        Delivery { error: Some(error), ..Delivery::default() }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} queued, {} missed", self.queued, self.missed)?;
        match &self.elsewhere {
            Crossing::Nowhere => Ok(()),
            crossing => write!(f, ", {crossing}"),
        }
    }
}

type Underway = Pin<Box<dyn Future<Output = Crossing> + Send>>;

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
        Audience { sessions, target, except: HashSet::new(), local: false, id: None }
    }

    /// All of them but this one.
    pub fn except(mut self, session: &Session) -> Self {
        self.except.insert(*session.id());
        self
    }

    /// All of them but these.
    pub(crate) fn except_all(mut self, ids: impl IntoIterator<Item = SessionId>) -> Self {
        self.except.extend(ids);
        self
    }

    /// Only those of this process. Without a cluster that is all of them.
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// What is sent has this id. A message to a recoverable room whose id is that of one of the last five minutes is that message, and nobody
    /// gets it twice: so what has timed out can be sent again. In other rooms, and to others, an id changes nothing.
    pub fn id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sends a message to each: encoded once, shared by all. Nobody waits for a slow peer; what becomes of its message is
    /// decided by its endpoint's `overflow`.
    ///
    /// What a handler sends goes out when it waits for something or returns, together with whatever else it has sent by then. So a handler
    /// that keeps its thread busy for long afterwards keeps its messages too: let it await something, or do that work elsewhere
    /// (`tokio::task::spawn_blocking`).
    ///
    /// # In a cluster
    /// The sessions of this process have it first, and none of them waits for anything else. Then the engine gets it, for the nodes that have
    /// such sessions; how that went is in [`Delivery::elsewhere`], for which this waits at most `cluster_deadline`. It is sent all the same
    /// if nobody waits any more. A message reaches a node with an interested session at most once, and a client at most once, in channel order.
    /// While the engine is down there is an error after the deadline, and no unbounded buffer; sessions of this process still get it.
    ///
    /// In a recoverable room the message gets its place in the history first, and reaches everybody from there, those of this process too, in
    /// channel order, effectively once by (epoch, offset). Then nothing is [queued](Delivery::queued) yet when this returns. While
    /// the engine is down there is an error, and nothing is delivered that has no offset.
    pub async fn send(&self, message: impl IntoMessage) -> Delivery {
        let (mut delivery, underway) = self.hand_over(message, true);
        if let Some(underway) = underway {
            delivery.elsewhere = underway.await;
        }
        delivery
    }

    /// [`send`](Self::send) for those who cannot await: every queue of this process has the message when this returns, and in a cluster
    /// it waits for the engine, unless too much does already (`cluster_queue`).
    pub fn post(&self, message: impl IntoMessage) -> Delivery {
        self.hand_over(message, false).0
    }

    /// Gives a message to those who are here, and to whoever carries it elsewhere.
    fn hand_over(&self, message: impl IntoMessage, wait: bool) -> (Delivery, Option<Underway>) {
        let message = match Shared::of(message) {
            Ok(message) => Arc::new(message),
            Err(error) => return (Delivery::undelivered(error), None),
        };
        match self.elsewhere() {
            None => (self.deliver(message), None),
            Some(elsewhere) => self.hand_over_to(&**elsewhere, message, wait),
        }
    }

    #[cold]
    fn hand_over_to(
        &self,
        elsewhere: &dyn Elsewhere,
        message: Arc<Shared>,
        wait: bool,
    ) -> (Delivery, Option<Underway>) {
        let mut delivery = Delivery::default();
        let mut here = || delivery = self.deliver(Arc::clone(&message));
        let passage = elsewhere.send(&self.addressees(), &message, wait, &mut here);
        match passage {
            Passage::Known(crossing) => (Delivery { elsewhere: crossing, ..delivery }, None),
            Passage::Underway(underway) => (delivery, Some(underway)),
        }
    }

    /// Gives a message to those of this process.
    pub(crate) fn deliver(&self, message: Arc<Shared>) -> Delivery {
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

    /// Closes each, and says how many were still open. In a cluster these are those of this process and those that the other nodes have
    /// answered for within `cluster_deadline`; those of a node that was late are closed all the same.
    pub async fn close(&self, reason: CloseReason) -> usize {
        let reason = reason.by(ClosedBy::Application);
        let elsewhere = self.elsewhere().map(|elsewhere| elsewhere.close(&self.addressees(), &reason));
        let closed = self.close_here(&reason);
        match elsewhere {
            Some(elsewhere) => closed + elsewhere.await,
            None => closed,
        }
    }

    /// Closes those of this process.
    pub(crate) fn close_here(&self, reason: &CloseReason) -> usize {
        let mut closed = 0;
        self.for_each(|session| closed += usize::from(session.begin_close(reason)));
        closed
    }

    /// Lets each join a room: those of this process at once, those of other nodes when these hear of it.
    pub fn join(&self, room: &str) {
        self.for_each(|session| {
            session.join(room);
        });
        if let Some(elsewhere) = self.elsewhere() {
            elsewhere.move_to(&self.addressees(), room, true);
        }
    }

    /// Lets each leave a room: those of this process at once, those of other nodes when these hear of it.
    pub fn leave(&self, room: &str) {
        self.for_each(|session| {
            session.leave(room);
        });
        if let Some(elsewhere) = self.elsewhere() {
            elsewhere.move_to(&self.addressees(), room, false);
        }
    }

    /// How many they are now.
    ///
    /// In a cluster it asks nobody. All sessions and those of an endpoint are counted as the other nodes have last said it, which is at most
    /// 3 s ago. **Of a room or a user only those of this process are counted**, since no node knows how many others have:
    /// [`count_exact`](Self::count_exact) asks all of them, and of a room that has presence [`present(None, 1)`](Self::present) says how many are
    /// there at the cost of one call.
    pub fn count(&self) -> usize {
        let elsewhere = self.elsewhere().map_or(0, |elsewhere| elsewhere.count(&self.addressees()));
        self.count_here() + elsewhere
    }

    /// How many of this process they are.
    pub(crate) fn count_here(&self) -> usize {
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

    /// Whether there is none, as far as [`count`](Self::count) knows: in a cluster, a room that has nobody in this process.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The sessions of this process at this moment.
    pub fn iter(&self) -> impl Iterator<Item = Session> + use<> {
        let mut list = Vec::new();
        self.for_each(|session| list.push(session.clone()));
        list.into_iter()
    }

    /// The way to those who are elsewhere, if there is one and they are meant.
    #[inline]
    fn elsewhere(&self) -> Option<&Arc<dyn Elsewhere>> {
        self.sessions.elsewhere().filter(|_| !self.local)
    }

    /// The name of the room, if it is one.
    pub(crate) fn as_room(&self) -> Option<&str> {
        match &self.target {
            Target::Group(GroupKey::Room(name)) => Some(name),
            _ => None,
        }
    }

    /// Who of this process is present.
    pub(crate) fn present_here(&self, after: Option<SessionId>, limit: usize) -> Presence {
        Presence::page(&self.members(self.group().as_deref()), after, limit)
    }

    pub(crate) fn addressees(&self) -> Addressees<'_> {
        Addressees { target: &self.target, except: &self.except, id: self.id }
    }

    pub(crate) fn is_local(&self) -> bool {
        self.local
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The sessions of this process behind one, by their ids, in no order.
    pub(crate) fn behind(&self, after: Option<SessionId>) -> Vec<Session> {
        let mut list = Vec::new();
        self.for_each(|session| {
            if after.is_none_or(|after| *session.id() > after) {
                list.push(session.clone());
            }
        });
        list
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

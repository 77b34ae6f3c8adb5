//! [`Presences`]: who is in the rooms that have presence, on all nodes.
//!
//! The engine keeps a record of each member, which its node renews as long as it lives. What happens in a room within a moment goes to the
//! engine and to the other nodes together, and is bounded: nobody ships the list of a large room around. The id of a session names its node,
//! so the members of a node that is dead are known at once, and are taken out by whichever node is first. A node notes its rooms as the
//! members of its own channel, where whoever clears up after it finds them.

mod book;
mod keeping;
mod notice;
mod reaping;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex as Turn, Notify};
use tokio::time::{Instant, timeout};

use self::book::Book;
pub(crate) use self::book::Leaving;
use self::keeping::Failed;
use self::notice::{LONGEST_USER, Notice};
use self::reaping::Dead;
use super::members::{Departure, Standing};
use super::{Channel, ClusterError, Engine, EngineError, Node, NodeId, Recorded};
use crate::context::ApplicationEvent;
use crate::session::{Audience, Presence, PresentMember, SessionId};

/// How long a record is kept unless it is renewed.
const TTL: Duration = Duration::from_secs(60);

/// How many go to the engine in one call.
const BATCH: usize = 512;

/// How many are shown on one page.
const LONGEST_PAGE: usize = 1000;

/// What other nodes have told and nobody has been told here yet, at most. Of more, nobody is told: events are told at most once.
const MOST_NOTICES: usize = 10_000;

/// Who is present.
pub(crate) struct Presences {
    engine: Arc<dyn Engine>,
    own: NodeId,
    surroundings: Box<dyn Surroundings>,
    book: Mutex<Book>,
    /// What could not be taken out of the store.
    failed: Mutex<Failed>,
    dead: Mutex<Dead>,
    /// What others have told.
    notices: Mutex<VecDeque<(Arc<str>, Notice)>>,
    /// Held by who brings the store up to date, so that what is renewed is not what another has just taken out.
    turn: Turn<()>,
    changed: Notify,
    renew: Notify,
    died: Notify,
    noticed: Notify,
}

/// What presence knows of everything else.
pub(crate) trait Surroundings: Send + Sync + 'static {
    /// Whether a room is to have presence.
    fn has_presence(&self, room: &str) -> bool;

    /// Whose session this is.
    fn user(&self, session: SessionId) -> Option<String>;

    /// Whether a node lives.
    fn standing(&self, node: NodeId) -> Standing;

    /// Tells the application.
    fn tell(&self, event: ApplicationEvent);
}

impl Presences {
    pub(crate) fn new(engine: Arc<dyn Engine>, own: NodeId, surroundings: impl Surroundings) -> Self {
        Presences {
            engine,
            own,
            surroundings: Box::new(surroundings),
            book: Mutex::default(),
            failed: Mutex::default(),
            dead: Mutex::default(),
            notices: Mutex::default(),
            turn: Turn::default(),
            changed: Notify::new(),
            renew: Notify::new(),
            died: Notify::new(),
            noticed: Notify::new(),
        }
    }

    /// Whether a room has presence.
    fn has(&self, room: &str) -> bool {
        self.surroundings.has_presence(room)
    }

    /// A session of this node has joined a room. Never waits.
    pub(crate) fn joined(&self, room: &str, session: SessionId) {
        let known = self.book().knows(room);
        if known || self.has(room) {
            self.book().joined(room, session);
            self.changed.notify_one();
        }
    }

    /// A session of this node has left a room. Never waits.
    pub(crate) fn left(&self, room: &str, session: SessionId, how: Leaving) {
        let mut book = self.book();
        if book.knows(room) {
            book.left(Instant::now(), room, session, how);
            drop(book);
            self.changed.notify_one();
        }
    }

    /// A session of this node goes on where another has ended, on whichever node, and joins the rooms of the other next: nobody is told that
    /// the one has left and the other has come.
    #[cfg_attr(not(feature = "json"), allow(dead_code, reason = "then no session is ever resumed"))]
    pub(crate) fn resumed(&self, old: SessionId, new: SessionId) {
        self.book().resumed(Instant::now(), old, new);
    }

    /// Another node has told who has come into a room and left it. Never waits. Says whether it could be read.
    pub(crate) fn arrived(&self, room: &Arc<str>, origin: NodeId, payload: &Bytes) -> bool {
        let Ok(notice) = Notice::decode(payload) else { return false };
        if origin == self.own {
            return true;
        }
        let mut notices = lock(&self.notices);
        if notices.len() < MOST_NOTICES {
            notices.push_back((Arc::clone(room), notice));
        }
        drop(notices);
        self.noticed.notify_one();
        true
    }

    /// A node is gone: somebody has to clear up after it.
    pub(crate) fn gone(&self, node: NodeId, how: Departure) {
        lock(&self.dead).add(Instant::now(), node, how);
        self.died.notify_one();
    }

    /// Others may have taken this node for dead, and its records with it.
    pub(crate) fn away(&self) {
        self.renew.notify_one();
    }

    /// A page of who is in a room, on all nodes that live.
    pub(crate) async fn present(
        &self,
        room: &str,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Presence, EngineError> {
        let channel = Channel::room(room);
        let limit = limit.clamp(1, LONGEST_PAGE);
        let mut behind = after.map(|id| id.to_string());
        let mut presence = Presence::default();
        let mut hidden = 0;
        loop {
            // One more shows whether there is another page.
            let wanted = limit + 1 - presence.members.len();
            let found = self.engine.present(&channel, behind.as_deref(), wanted).await?;
            presence.count = found.count;
            let Some(last) = found.page.last() else { break };
            let whole = found.page.len() < wanted;
            behind = Some(last.id.clone());
            for record in &found.page {
                let Some(member) = member(record) else { continue };
                let node = NodeId::new(member.id.node());
                if self.is_dead(node) {
                    hidden += 1;
                    self.gone(node, Departure::Silence);
                    // Its members stand next to each other.
                    behind = Some(last_of(node));
                } else {
                    behind = Some(record.id.clone());
                    presence.members.push(member);
                }
            }
            if whole || presence.members.len() > limit {
                break;
            }
        }
        presence.count = presence.count.saturating_sub(hidden);
        if presence.members.len() > limit {
            presence.members.truncate(limit);
            presence.next = presence.members.last().map(|member| member.id);
        }
        Ok(presence)
    }

    /// Whether the members of a node are there no more. Those of one that has said goodbye may be resumed yet.
    fn is_dead(&self, node: NodeId) -> bool {
        self.surroundings.standing(node) == Standing::Gone(Departure::Silence)
    }

    /// Tells the application who has come and who has left.
    fn tell(&self, room: &Arc<str>, notice: Notice) {
        let Notice { entered, left, more_entered, more_left } = notice;
        let room = || Arc::clone(room);
        for member in left {
            self.surroundings.tell(ApplicationEvent::Left { room: room(), member });
        }
        for member in entered {
            self.surroundings.tell(ApplicationEvent::Entered { room: room(), member });
        }
        if more_entered + more_left > 0 {
            let event = ApplicationEvent::Crowded { room: room(), entered: more_entered, left: more_left };
            self.surroundings.tell(event);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

impl Audience {
    /// Who is in a room that has presence, on all nodes: how many, and a page of them, sorted by id, behind `after`. At most 1,000 are on a
    /// page.
    ///
    /// ```
    /// # async fn f(sessions: &endpoint_runtime::Sessions) -> endpoint_runtime::Result<()> {
    /// let mut after = None;
    /// loop {
    ///     let page = sessions.room("blue").present(after, 100).await?;
    ///     for member in &page.members {
    ///         println!("{}", member.user.as_deref().unwrap_or("somebody"));
    ///     }
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// The engine of the cluster keeps it, so that it costs one call, however many nodes there are. It is some tenths of a second old; who was on
    /// a node that is dead is there no longer than ten seconds; and a session that was lost, and can be resumed, stays for fifteen. Those
    /// [excepted](Self::except) are not taken out. Without a cluster, or narrowed to [this process](Self::local), it is who is in the room here.
    ///
    /// # Errors
    /// The engine cannot be reached, or does not answer within `cluster_deadline`. Or the cluster does not note who is present: this
    /// is no room, or one without presence.
    pub async fn present(&self, after: Option<SessionId>, limit: usize) -> Result<Presence, ClusterError> {
        let node = if self.is_local() { None } else { Node::of(self.sessions()) };
        let Some(node) = node else { return Ok(self.present_here(after, limit.clamp(1, LONGEST_PAGE))) };
        let presences = node.present().zip(self.as_room());
        let Some((presences, room)) = presences.filter(|(presences, room)| presences.has(room)) else {
            return Err(ClusterError::Unsupported("presence of these sessions"));
        };
        match timeout(node.deadline(), presences.present(room, after, limit)).await {
            Ok(found) => Ok(found?),
            Err(_) => Err(ClusterError::Timeout),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the engine keeps of a member: the name of its user.
fn record(id: SessionId, user: Option<&str>) -> Recorded {
    let user = user.filter(|user| user.len() <= LONGEST_USER).unwrap_or_default();
    Recorded { id: id.to_string(), info: Bytes::copy_from_slice(user.as_bytes()) }
}

fn member(record: &Recorded) -> Option<PresentMember> {
    let id = record.id.parse().ok()?;
    let user = str::from_utf8(&record.info).ok().filter(|user| !user.is_empty());
    Some(PresentMember::new(id, user.map(str::to_owned)))
}

/// The ids of a node's sessions stand behind this, and not behind [`last_of`] it.
fn before(node: NodeId) -> String {
    SessionId::new(node.get(), 0).to_string()
}

fn last_of(node: NodeId) -> String {
    SessionId::new(node.get(), u64::MAX).to_string()
}

impl fmt::Debug for Presences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presences").field("own", &self.own).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

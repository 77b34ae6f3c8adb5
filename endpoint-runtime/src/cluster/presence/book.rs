//! [`Book`]: who of this node is in which rooms, and what others do not know of it yet. Pure: it reads no clock and tells nobody.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::session::SessionId;

/// How long a session that can be resumed may be away without having left.
pub(super) const GRACE: Duration = Duration::from_secs(15);

/// How long it is known which session has resumed which.
const MEMORY: Duration = Duration::from_secs(60);

/// Sessions of which that is known at most.
#[cfg_attr(not(feature = "json"), allow(dead_code, reason = "then no session is ever resumed"))]
const MOST_SUCCESSORS: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Book {
    /// Those that have members.
    rooms: HashMap<Arc<str>, HashMap<SessionId, Member>>,
    /// Those of which something is to be told.
    changed: HashSet<Arc<str>>,
    /// Who will have left, when, and where.
    leaving: BTreeSet<(Instant, SessionId, Arc<str>)>,
    /// Whom a session has resumed, and when.
    successors: HashMap<SessionId, (SessionId, Instant)>,
}

#[derive(Debug)]
struct Member {
    state: State,
    /// Whose session others think it is.
    user: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Others do not know yet.
    Coming,
    Here,
    /// Will have left by then, unless somebody resumes the session.
    Away(Instant),
    /// Has left, which others do not know yet.
    Leaving(Farewell),
}

/// What is to be said of somebody who has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// That it has.
    Told,
    /// The same, unless the session was resumed: then somebody has taken it out of the store already.
    Unless,
    /// Nothing.
    Silent,
}

/// How a session leaves a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// For good.
    Left,
    /// Its connection is lost; it can be resumed.
    Lost,
    /// Another session, of whichever node, has resumed it.
    Resumed,
}

/// What has become otherwise in a room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) room: Arc<str>,
    /// Nobody was there before.
    pub(super) opened: bool,
    /// Nobody is there any more.
    pub(super) emptied: bool,
    /// Who has come; and whom it has resumed.
    pub(super) entered: Vec<(SessionId, Option<SessionId>)>,
    /// Who has left.
    pub(super) left: Vec<Gone>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) id: SessionId,
    pub(super) user: Option<Arc<str>>,
    pub(super) farewell: Farewell,
}

impl Book {
    pub(super) fn knows(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    pub(super) fn joined(&mut self, room: &str, id: SessionId) {
        let room = self.name(room);
        let members = self.rooms.entry(Arc::clone(&room)).or_default();
        match members.get_mut(&id).map(|member| &mut member.state) {
            Some(State::Coming | State::Here) => return,
            Some(state) => *state = State::Here,
            None => drop(members.insert(id, Member { state: State::Coming, user: None })),
        }
        self.changed.insert(room);
    }

    pub(super) fn left(&mut self, now: Instant, room: &str, id: SessionId, how: Leaving) {
        let room = self.name(room);
        let Some(members) = self.rooms.get_mut(&room) else { return };
        let Some(Member { state, .. }) = members.get_mut(&id) else { return };
        match (&*state, how) {
            // Who came and went before anybody knew has not been there.
            (State::Coming, _) => drop(members.remove(&id)),
            (_, Leaving::Resumed) => *state = State::Leaving(Farewell::Silent),
            (State::Here, Leaving::Lost) => {
                *state = State::Away(now + GRACE);
                self.leaving.insert((now + GRACE, id, room));
                return;
            }
            (State::Here | State::Away(_), _) => *state = State::Leaving(Farewell::Told),
            (State::Leaving(_), _) => return,
        }
        self.changed.insert(room);
    }

    /// A session goes on where another has ended, perhaps on another node.
    #[cfg_attr(not(feature = "json"), allow(dead_code, reason = "then no session is ever resumed"))]
    pub(super) fn resumed(&mut self, now: Instant, old: SessionId, new: SessionId) {
        if self.successors.len() >= MOST_SUCCESSORS {
            self.successors.retain(|_, (_, since)| now.saturating_duration_since(*since) < MEMORY);
        }
        if self.successors.len() < MOST_SUCCESSORS {
            self.successors.insert(new, (old, now));
        }
    }

    /// When somebody will have left.
    pub(super) fn next(&self) -> Option<Instant> {
        self.leaving.first().map(|(due, ..)| *due)
    }

    #[cfg(test)]
    pub(super) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What is to be told by now. It is told once.
    pub(super) fn news(&mut self, now: Instant) -> Vec<News> {
        while let Some((due, id, room)) = self.leaving.first().cloned() {
            if due > now {
                break;
            }
            self.leaving.pop_first();
            let member = self.rooms.get_mut(&room).and_then(|members| members.get_mut(&id));
            let state = member.map(|member| &mut member.state);
            // It may have been resumed meanwhile, or have left all the same.
            if let Some(state) = state.filter(|state| **state == State::Away(due)) {
                *state = State::Leaving(Farewell::Unless);
                self.changed.insert(room);
            }
        }
        self.successors.retain(|_, (_, since)| now.saturating_duration_since(*since) < MEMORY);
        let changed = mem::take(&mut self.changed);
        changed.into_iter().filter_map(|room| self.news_of(room)).collect()
    }

    fn news_of(&mut self, room: Arc<str>) -> Option<News> {
        let members = self.rooms.get_mut(&room)?;
        let (mut entered, mut left) = (Vec::new(), Vec::new());
        let mut known = false;
        members.retain(|id, member| match member.state {
            State::Coming => {
                entered.push((*id, self.successors.get(id).map(|(old, _)| *old)));
                member.state = State::Here;
                true
            }
            State::Leaving(farewell) => {
                known = true;
                left.push(Gone { id: *id, user: member.user.take(), farewell });
                false
            }
            State::Here | State::Away(_) => {
                known = true;
                true
            }
        });
        let emptied = members.is_empty();
        if emptied {
            self.rooms.remove(&room);
        }
        let any = !entered.is_empty() || !left.is_empty();
        any.then_some(News { room, opened: !known, emptied, entered, left })
    }

    /// Who is in which rooms, as others are to know: those that are away are in the stores for as long as they may be.
    pub(super) fn here(&self) -> Vec<(Arc<str>, Vec<SessionId>)> {
        let here = |members: &HashMap<SessionId, Member>| {
            members.iter().filter(|(_, member)| member.state == State::Here).map(|(id, _)| *id).collect()
        };
        self.rooms.iter().map(|(room, members)| (Arc::clone(room), here(members))).collect()
    }

    pub(super) fn is_here(&self, room: &str, id: SessionId) -> bool {
        let member = self.rooms.get(room).and_then(|members| members.get(&id));
        member.is_some_and(|member| member.state == State::Here)
    }

    /// Others are told whose session it is.
    pub(super) fn is_users(&mut self, room: &str, id: SessionId, user: Option<&str>) {
        let member = self.rooms.get_mut(room).and_then(|members| members.get_mut(&id));
        if let Some(member) = member.filter(|member| member.user.as_deref() != user) {
            member.user = user.map(Arc::from);
        }
    }

    /// How many of this node are in a room.
    #[cfg(test)]
    pub(super) fn count(&self, room: &str) -> usize {
        self.rooms.get(room).map_or(0, HashMap::len)
    }

    fn name(&self, room: &str) -> Arc<str> {
        self.rooms.get_key_value(room).map_or_else(|| room.into(), |(name, _)| Arc::clone(name))
    }
}

#[cfg(test)]
mod tests;

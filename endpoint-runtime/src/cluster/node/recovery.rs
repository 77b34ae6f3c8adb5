//! What is told to the sessions of this process in recoverable rooms: messages to all, and what else there is to know to those whose clients
//! understand control messages.

use std::sync::Arc;

use bytes::Bytes;

use super::super::counters::{Tally, add};
use super::super::envelope::Envelope;
use super::super::feed::{Hall, Notice, Ready, To};
use super::Node;
use super::arrivals::message_of;
#[cfg(feature = "json")]
use crate::message::control;
use crate::session::outbox::Shared;
use crate::session::{Audience, GroupKey, Position, Session, SessionId, Sessions, Target, WeakSessions};
#[cfg(feature = "json")]
use crate::session::{Epoch, Place};

/// The sessions of this process, as who is told.
pub(super) struct Sessionwise {
    sessions: WeakSessions,
    tally: Arc<Tally>,
}

impl Sessionwise {
    pub(super) fn new(sessions: WeakSessions, tally: Arc<Tally>) -> Self {
        Sessionwise { sessions, tally }
    }
}

impl Hall for Sessionwise {
    fn tell(&self, room: &str, to: To<'_>, notice: Notice<'_>) {
        let Some(sessions) = self.sessions.upgrade() else { return };
        let (position, message) = match notice {
            Notice::Message { position, message } => (position, message),
            Notice::Broken { position } => return say_broken(&sessions, room, to, position),
            Notice::Here { position } => return say_joined(&sessions, room, to, position),
            Notice::Recovered { whole, position } => {
                return say_recovered(&sessions, room, to, whole, position);
            }
        };
        let Some(Ready { message, except: excepted }) =
            message.ready(|message| ready(message, room, position))
        else {
            // It has its place all the same.
            return add(&self.tally.unreadable, 1);
        };
        match to {
            To::All { except } => {
                let key = GroupKey::Room(room.into());
                let members = Audience::new(sessions.clone(), Target::Group(key.clone())).local();
                let nobody = excepted.iter().chain(except.iter());
                members.except_all(nobody.copied()).deliver(Arc::clone(message));
                let excepted = excepted.iter().filter(|id| !except.contains(id));
                let excepted = excepted.filter(|id| sessions.is_member(&key, id));
                for session in excepted.filter_map(|id| sessions.get(id)) {
                    say_passed(&session, room, position);
                }
            }
            To::One(id) => {
                let Some(session) = sessions.get(id) else { return };
                if is_excepted(&session, excepted) {
                    say_passed(&session, room, position);
                } else {
                    session.give_back(Arc::clone(message));
                }
            }
        }
    }

    fn is_full(&self, room: &str) -> bool {
        let Some(sessions) = self.sessions.upgrade() else { return false };
        let members = Audience::new(sessions, Target::Group(GroupKey::Room(room.into()))).local();
        members.iter().any(|member| 2 * member.queued_bytes() > member.limits().send_buffer)
    }
}

/// A message as it was appended, for those who are in the room here.
fn ready(message: &Bytes, room: &str, position: &Position) -> Option<Ready> {
    let envelope = Envelope::decode(message.clone()).ok()?;
    let message = placed(message_of(&envelope)?, room, position);
    Some(Ready { message: Arc::new(message), except: envelope.except().into() })
}

/// Whether it was excepted; or the session that it has resumed was: to the client that is one.
fn is_excepted(session: &Session, except: &[SessionId]) -> bool {
    let before = session.resumed().map(|resumed| *resumed.before());
    except.iter().any(|id| id == session.id() || Some(*id) == before)
}

/// The members of a room here who are told something.
#[cfg(feature = "json")]
fn members(sessions: &Sessions, room: &str, to: To<'_>) -> Vec<Session> {
    match to {
        To::All { except } => {
            let room = Target::Group(GroupKey::Room(room.into()));
            let members = Audience::new(sessions.clone(), room).local();
            members.except_all(except.iter().copied()).iter().collect()
        }
        To::One(id) => sessions.get(id).into_iter().collect(),
    }
}

#[cfg(feature = "json")]
fn placed(message: Shared, room: &str, Position { epoch, offset }: &Position) -> Shared {
    // Before each message, to those whose clients understand it.
    message.headed(control::at(room, &epoch.0, *offset))
}

#[cfg(feature = "json")]
fn say_broken(sessions: &Sessions, room: &str, to: To<'_>, Position { epoch, offset }: &Position) {
    let text = control::broken(room, &epoch.0, *offset);
    members(sessions, room, to).iter().for_each(|member| member.say(text.clone()));
}

/// A message of a room in which it is goes by a client that understands it: otherwise it would ask for that message when it comes back.
#[cfg(feature = "json")]
fn say_passed(session: &Session, room: &str, Position { epoch, offset }: &Position) {
    if session.speaks() {
        session.say(control::joined(room, &epoch.0, *offset));
    }
}

#[cfg(feature = "json")]
fn say_joined(sessions: &Sessions, room: &str, to: To<'_>, Position { epoch, offset }: &Position) {
    let text = control::joined(room, &epoch.0, *offset);
    members(sessions, room, to).iter().for_each(|member| member.say(text.clone()));
}

/// Whole, or from which place on.
#[cfg(feature = "json")]
fn say_recovered(sessions: &Sessions, room: &str, to: To<'_>, whole: bool, position: &Position) {
    if whole {
        let text = control::recovered(room, true);
        return members(sessions, room, to).iter().for_each(|member| member.say(text.clone()));
    }
    say_broken(sessions, room, to, position);
}

#[cfg(not(feature = "json"))]
fn placed(message: Shared, _: &str, _: &Position) -> Shared {
    message
}

#[cfg(not(feature = "json"))]
fn say_passed(_: &Session, _: &str, _: &Position) {}

#[cfg(not(feature = "json"))]
fn say_broken(_: &Sessions, _: &str, _: To<'_>, _: &Position) {}

#[cfg(not(feature = "json"))]
fn say_joined(_: &Sessions, _: &str, _: To<'_>, _: &Position) {}

#[cfg(not(feature = "json"))]
fn say_recovered(_: &Sessions, _: &str, _: To<'_>, _: bool, _: &Position) {}

impl Node {
    /// Lets a session go on in a room where its client is; `None` if the room is not recoverable.
    #[cfg(feature = "json")]
    pub(in crate::cluster) fn enter_at(
        &self,
        session: &Session,
        room: &str,
        place: &Place,
        join: &mut dyn FnMut() -> bool,
    ) -> Option<bool> {
        self.rules().keep(room)?;
        let (epoch, offset) = place;
        let from = Position { epoch: Epoch(epoch.as_str().into()), offset: *offset };
        Some(self.feeds()?.resume(room, *session.id(), from, join))
    }

    /// Tells a client that understands it where it is in a room that its session has joined.
    pub(super) fn tell_place(&self, room: &str, session: &Session) {
        #[cfg(feature = "json")]
        if let Some(feeds) = self.feeds().filter(|_| session.speaks()) {
            feeds.tell_place(room, session.id(), |Position { epoch, offset }| {
                session.say(control::joined(room, &epoch.0, *offset));
            });
        }
        #[cfg(not(feature = "json"))]
        let _ = (room, session);
    }
}

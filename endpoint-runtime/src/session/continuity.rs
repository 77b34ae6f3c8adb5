//! [`Continuity`]: what a session has that can go on over another connection, to this server or another: what its client has not seen yet,
//! what it says about the session, and who keeps all that ([`Keeper`]).
//!
//! Only a session has one whose endpoint is annotated with `resume` or `recover` and whose client has asked for it. The others do not know of it.

#[cfg(not(feature = "json"))]
mod absent;
mod ask;
#[cfg(feature = "json")]
mod hearing;
#[cfg(feature = "json")]
mod journal;

use std::fmt;

#[cfg(not(feature = "json"))]
pub(crate) use self::absent::{Continuity, Heard, Journal};
pub use self::ask::AskError;
#[cfg(feature = "json")]
pub(crate) use self::{
    hearing::Heard,
    journal::{Journal, Unseen},
    present::{Continuity, Keeper, Place},
};
use super::{Session, SessionId};
use crate::message::{CloseCode, CloseReason, ClosedBy};

/// What a session has taken over from the one before it: see [`Session::resumed`].
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "json"), allow(dead_code, reason = "then no session is ever resumed"))]
pub struct Resumed {
    pub(crate) before: SessionId,
    pub(crate) was_open: bool,
    pub(crate) rooms: Vec<String>,
    pub(crate) replayed: usize,
    pub(crate) lost: Option<u64>,
}

impl Resumed {
    /// The session before: its id is not this one's, which names another connection.
    pub fn before(&self) -> &SessionId {
        &self.before
    }

    /// Whether it was still open, because its connection had not been found out to be lost: then it has been closed with 4009, and its
    /// `#[on_close]` may be running just now.
    pub fn was_open(&self) -> bool {
        self.was_open
    }

    /// The rooms that it was in, and that this one has joined.
    pub fn rooms(&self) -> &[String] {
        &self.rooms
    }

    /// How many messages are sent again that the client had not seen.
    pub fn replayed(&self) -> usize {
        self.replayed
    }

    /// How many messages the client had not seen and will never get; `None` if nobody knows, because the server that had the session is
    /// gone. Messages of recoverable rooms are not among them: each of these rooms says for itself whether anything is missing.
    pub fn lost(&self) -> Option<u64> {
        self.lost
    }
}

impl fmt::Debug for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resumed")
            .field("before", &self.before)
            .field("was_open", &self.was_open)
            .field("rooms", &self.rooms)
            .field("replayed", &self.replayed)
            .field("lost", &self.lost)
            .finish()
    }
}

/// Whether a session that has ended like this may go on: it was lost, or it was not its client's or its application's will that it ended for good.
pub(crate) fn may_come_back(reason: &CloseReason) -> bool {
    match reason.closed_by() {
        ClosedBy::Network => true,
        ClosedBy::Application => false,
        ClosedBy::Peer => matches!(reason.code(), CloseCode::Away | CloseCode::Abnormal),
        ClosedBy::Container => matches!(
            reason.code(),
            CloseCode::Abnormal | CloseCode::Away | CloseCode::Restart | CloseCode::Again
        ),
    }
}

impl Session {
    /// What this session has taken over from one before it, whose client has come back: its rooms, its user, its
    /// [carried](crate::ServerEndpointExporter::carry) attributes, all of them in place before `#[on_open]` runs. `None` for a client that
    /// is new, or whose session could not be resumed, or that does not resume sessions at all.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    ///
    /// #[server_endpoint("/chat/{room}", resume = "2m")]
    /// struct Chat;
    ///
    /// #[handlers]
    /// impl Chat {
    ///     #[on_open]
    ///     fn open(&self, session: &Session, #[path] room: String) -> String {
    ///         match session.resumed() {
    ///             Some(resumed) => format!("welcome back to {:?}", resumed.rooms()),
    ///             None => {
    ///                 session.join(&room);
    ///                 format!("welcome to {room}")
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    pub fn resumed(&self) -> Option<&Resumed> {
        self.continuity()?.resumed()
    }

    /// What it has that can go on over another connection, if it can.
    pub(crate) fn continuity(&self) -> Option<&Continuity> {
        self.0.continuity.get()
    }

    /// Whether its client understands control messages.
    pub(crate) fn speaks(&self) -> bool {
        self.continuity().is_some()
    }

    /// Its rooms or its user have changed.
    #[inline]
    pub(super) fn note_change(&self) {
        if let Some(continuity) = self.continuity() {
            continuity.changed(self);
        }
    }

    /// Joins a room by `join`; where the client knows its place in the room, from there on.
    #[inline]
    pub(super) fn enter_room(&self, room: &str, mut join: impl FnMut() -> bool) -> bool {
        match self.continuity() {
            None => join(),
            Some(continuity) => continuity.enter(self, room, &mut join),
        }
    }
}

#[cfg(feature = "json")]
mod present {
    use std::collections::BTreeMap;
    use std::fmt;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use bytes::Bytes;
    use once_cell::race::OnceBox;

    use super::super::outbox::{Credit, Frame, Outgoing};
    use super::ask::Asked;
    use super::hearing::Hearing;
    use super::{Heard, Journal, Resumed};
    use crate::message::control::First;
    use crate::message::{CloseReason, Message};
    use crate::session::Session;
    use crate::session::outbox::DataKind;

    /// A place in a room's history: epoch and offset.
    pub(crate) type Place = (String, u64);

    /// Who keeps what sessions need to go on: see `cluster::resume`. Nothing here waits.
    pub(crate) trait Keeper: fmt::Debug + Send + Sync {
        /// How long a client has for its first message.
        fn first_within(&self) -> Duration;

        /// A client has come: its session begins, or goes on. Gives what the client is to be told before anything else.
        fn open<'a>(
            &'a self,
            session: &'a Session,
            first: First,
        ) -> Pin<Box<dyn Future<Output = Vec<Frame>> + Send + 'a>>;

        /// Rooms, user or attributes of the session have changed since this was last said.
        fn changed(&self, session: &Session);

        /// The session has ended; what it was is still there.
        fn ended(&self, session: &Session, reason: &CloseReason);

        /// Lets the session join, by `join`, a room in which its client knows its place, from there on, and says whether it is new to it. The
        /// client will hear what became of that. `None`: the room is not recoverable, and nothing was done.
        fn enter(
            &self,
            session: &Session,
            room: &str,
            place: &Place,
            join: &mut dyn FnMut() -> bool,
        ) -> Option<bool>;
    }

    /// What a session has that can go on over another connection.
    #[derive(Debug)]
    pub(crate) struct Continuity {
        keeper: Arc<dyn Keeper>,
        journal: Arc<Journal>,
        hearing: Mutex<Hearing>,
        pub(super) asked: Asked,
        resumed: OnceBox<Resumed>,
        /// Where the client has named its place, until the session joins.
        places: Mutex<BTreeMap<String, Place>>,
        /// The keeper has been told of a change, and has not looked yet.
        dirty: AtomicBool,
    }

    impl Continuity {
        pub(crate) fn new(session: &Session, keeper: Arc<dyn Keeper>) -> Self {
            let credit = Credit::of(session.sessions().ledger());
            let limits = session.limits();
            // Of a session that nobody can resume nothing is sent again, but what its rooms have.
            let kept = limits.resume.map_or(0, |_| limits.send_buffer);
            Continuity {
                keeper,
                journal: Arc::new(Journal::new(kept, credit)),
                hearing: Mutex::default(),
                asked: Asked::default(),
                resumed: OnceBox::new(),
                places: Mutex::default(),
                dirty: AtomicBool::new(false),
            }
        }

        pub(crate) fn journal(&self) -> &Arc<Journal> {
            &self.journal
        }

        pub(crate) fn keeper(&self) -> &Arc<dyn Keeper> {
            &self.keeper
        }

        pub(super) fn resumed(&self) -> Option<&Resumed> {
            self.resumed.get()
        }

        /// The session goes on where another was. Said once, if at all.
        pub(crate) fn set_resumed(&self, resumed: Resumed) {
            let _ = self.resumed.set(Box::new(resumed));
        }

        /// Where the client knows its place.
        pub(crate) fn set_places(&self, places: BTreeMap<String, Place>) {
            *self.places() = places;
        }

        /// The rooms that the client has named and that the session has not joined, or that are not recoverable.
        pub(crate) fn take_places(&self) -> BTreeMap<String, Place> {
            std::mem::take(&mut *self.places())
        }

        fn places(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
            self.places.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(super) fn enter(&self, session: &Session, room: &str, join: &mut dyn FnMut() -> bool) -> bool {
            let Some(place) = self.places().remove(room) else { return join() };
            self.keeper.enter(session, room, &place, join).unwrap_or_else(|| {
                // It hears that nothing is known of this room.
                self.places().insert(room.to_owned(), place);
                join()
            })
        }

        /// The keeper is told once until it looks.
        pub(crate) fn changed(&self, session: &Session) {
            if !self.dirty.swap(true, Ordering::AcqRel) {
                self.keeper.changed(session);
            }
        }

        /// The keeper looks now.
        pub(crate) fn is_looked_at(&self) {
            self.dirty.store(false, Ordering::Release);
        }

        pub(in crate::session) fn ended(&self, session: &Session, reason: &CloseReason) {
            self.journal.seal();
            self.asked.give_up();
            self.keeper.ended(session, reason);
        }

        // ---- for the connection

        /// A whole message, or a part of one, has come.
        pub(crate) fn hear(&self, kind: DataKind, part: &[u8], last: bool) -> Heard {
            let mut hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
            hearing.hear(kind, part, last, &self.journal, |number, answer: Message| {
                self.asked.answer(number, answer);
            })
        }

        /// What the client has said first, once.
        pub(crate) fn first(&self) -> Option<First> {
            self.hearing.lock().unwrap_or_else(PoisonError::into_inner).first.take()
        }
    }

    impl Session {
        /// Says something to a client that understands control messages, behind all that was sent before; to another, nothing.
        pub(crate) fn say(&self, control: Bytes) {
            if self.speaks() {
                // A session that is full, or closed, has other ways to find out.
                let _ = self.push(Outgoing { frame: Frame::Control(control), done: None });
            }
        }

        /// The session can go on over another connection. Said before anything else is, and once.
        pub(crate) fn go_on_by(&self, keeper: Arc<dyn Keeper>) {
            let _ = self.0.continuity.set(Box::new(Continuity::new(self, keeper)));
        }
    }
}

//! [`Feeds`]: the recoverable rooms that this node has members of.
//!
//! Each is a [machine](machine) that says what is to be read of the history and what is told to whom; here are its clock, its lock and its
//! readings. Of one room there is one reading at a time, whoever waits for it, and of all rooms a limited number. Where nothing seems to be
//! missing, the places of [many rooms](comparing) are compared with the engine's at once.

mod agenda;
mod appended;
mod comparing;
mod counters;
mod machine;
#[cfg(test)]
mod model;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use self::agenda::Agenda;
pub(crate) use self::appended::{Appended, Ready};
use self::comparing::Comparisons;
use self::counters::Counted;
pub use self::counters::FeedCounters;
use self::machine::{Feed, Limits, Want};
use self::reading::Reading;
use super::{Arrival, Channel, Engine, Position};
use crate::session::SessionId;

/// How many rooms read their history at the same time.
const READINGS: usize = 64;

/// What is told to sessions in a recoverable room.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice<'a> {
    /// A message.
    Message { position: &'a Position, message: &'a Appended },
    /// What a session has missed was passed on, whole, or cannot be had. From this place on nothing is missing.
    Recovered { whole: bool, position: &'a Position },
    /// Messages are missing before this place, and none from there on.
    Broken { position: &'a Position },
    /// The room stands here: from this place on nothing is missing.
    Here { position: &'a Position },
}

/// Whom it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    /// All members but those who wait for what they have missed.
    All { except: &'a Waiting<SessionId> },
    /// One of them.
    One(&'a SessionId),
}

/// Who tells the sessions of this node. It never waits.
pub(crate) trait Hall: Send + Sync + 'static {
    /// Called for one message of a room after the other, in their order.
    fn tell(&self, room: &str, to: To<'_>, notice: Notice<'_>);

    /// Whether somebody in a room has so much to send off that it is better not told more at once.
    fn is_full(&self, room: &str) -> bool;
}

/// Who waits for what they have missed.
#[derive(Debug)]
pub(crate) struct Waiting<K>(HashMap<K, (Position, u64)>);

impl<K> Default for Waiting<K> {
    fn default() -> Self {
        Waiting(HashMap::new())
    }
}

impl<K: Eq + Hash> Waiting<K> {
    /// Whether nobody does.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn remove(&mut self, who: &K) {
        self.0.remove(who);
    }

    /// Who does.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    /// Whether this one does.
    pub(crate) fn contains(&self, who: &K) -> bool {
        self.0.contains_key(who)
    }
}

/// What a [`Feed`] tells, of one room.
trait Told<K> {
    fn all(&mut self, except: &Waiting<K>, notice: Notice<'_>);
    fn one(&mut self, who: &K, notice: Notice<'_>);
}

/// The recoverable rooms that this node has members of. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feeds(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    hall: Arc<dyn Hall>,
    rooms: RwLock<HashMap<Arc<str>, Arc<Room>>>,
    readings: Semaphore,
    comparisons: Arc<Comparisons>,
    agenda: Agenda,
    /// It has become known where some room stands.
    placed: Notify,
    runtime: Handle,
    random: RandomState,
    counted: Counted,
}

/// One of them.
struct Room {
    name: Arc<str>,
    channel: Channel,
    state: Mutex<State>,
}

struct State {
    /// It has ended, and whoever is in a room of this name is in another one: what still comes for this one is told to nobody.
    is_over: bool,
    /// Whether the subscription holds. What was read before would leave a hole between it and what arrives.
    has_begun: bool,
    /// Whether it has members. It may have some again before the subscription that was for others has ended.
    has_members: bool,
    /// When it is looked at again, as the agenda has it.
    noted: Option<Instant>,
    /// It is known where the room stands, and who waited for that knows.
    is_placed: bool,
    feed: Feed<SessionId>,
}

impl Feeds {
    /// No rooms yet. They are looked after in this runtime until the last clone is dropped.
    pub(crate) fn new(engine: Arc<dyn Engine>, hall: Arc<dyn Hall>, runtime: Handle) -> Self {
        let inner = Arc::new(Inner {
            engine,
            hall,
            rooms: RwLock::default(),
            readings: Semaphore::new(READINGS),
            comparisons: Arc::default(),
            agenda: Agenda::default(),
            placed: Notify::new(),
            runtime,
            random: RandomState::new(),
            counted: Counted::default(),
        });
        inner.runtime.spawn(comparing::look_after(Arc::downgrade(&inner), Arc::clone(&inner.comparisons)));
        Feeds(inner)
    }

    /// A recoverable room has members from now on, and is about to be subscribed to.
    pub(crate) fn open(&self, room: &str) {
        self.0.hold(room, |state| state.has_members = true);
    }

    /// It has no members any more, and is about to be no longer subscribed to.
    pub(crate) fn close(&self, room: &str) {
        if let Some(room) = self.0.room(room) {
            room.lock().has_members = false;
        }
    }

    /// Whether it has been said that this room is recoverable.
    pub(crate) fn knows(&self, room: &str) -> bool {
        self.0.room(room).is_some()
    }

    /// The subscription to a channel holds: if it is a recoverable room, nothing of it goes missing unnoticed from here on.
    pub(crate) fn began(&self, channel: &Channel) {
        let Channel::Room(room) = channel else { return };
        let Some(room) = self.0.room(room) else { return };
        let mut state = room.lock();
        state.has_begun = true;
        // It may be a room that had no members for a moment.
        state.feed.missed();
        self.0.go_on(&room, &mut state);
    }

    /// The subscription to a channel has ended.
    pub(crate) fn ended(&self, channel: &Channel) {
        let Channel::Room(room) = channel else { return };
        let mut rooms = self.0.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let Some(ended) = rooms.get(room).cloned() else { return };
        let mut state = ended.lock();
        state.has_begun = false;
        if state.has_members {
            // They have come since then. What they miss until it is subscribed to again is found when that holds.
            return;
        }
        state.is_over = true;
        rooms.remove(room);
        // Who has just asked to go on is about to join it again.
        if state.feed.is_awaited() {
            let feed = state.feed.anew(Instant::now(), self.0.random.hash_one(room));
            rooms.insert(Arc::clone(&ended.name), Arc::new(Room::new(Arc::clone(&ended.name), feed)));
        }
    }

    /// Waits until it is known where a recoverable room stands. Who has joined it gets all that is appended from then on; before, what was
    /// appended may be taken for what was there already.
    pub(crate) async fn placed(&self, channel: &Channel) {
        let Channel::Room(name) = channel else { return };
        loop {
            let mut placed = pin!(self.0.placed.notified());
            placed.as_mut().enable();
            if self.0.room(name).is_none_or(|room| room.lock().feed.position().is_some()) {
                return;
            }
            placed.await;
        }
    }

    /// A message has arrived, with its place. If nobody here is in its room it is dropped.
    pub(crate) fn arrived(&self, arrival: Arrival) {
        let (Channel::Room(name), Some(position)) = (&arrival.channel, arrival.position) else { return };
        let Some(room) = self.0.room(name) else { return };
        let mut state = room.lock();
        if state.is_over || !state.has_begun && state.feed.position().is_none() {
            // It is of a subscription before. When that of the room that has its name now holds, nothing of it goes missing.
            return;
        }
        let now = Instant::now();
        state.feed.arrived(position, arrival.message, now, &mut self.0.teller(&room));
        self.0.go_on(&room, &mut state);
    }

    /// Messages of these channels may be missing, of all if there is none.
    pub(crate) fn missed(&self, channels: &[Channel]) {
        let inner = &self.0;
        let missed = |room: &Arc<Room>| {
            let mut state = room.lock();
            state.feed.missed();
            inner.go_on(room, &mut state);
        };
        if channels.is_empty() {
            return inner.all().iter().for_each(missed);
        }
        let rooms = channels.iter().filter_map(|channel| match channel {
            Channel::Room(name) => inner.room(name),
            _ => None,
        });
        rooms.for_each(|room| missed(&room));
    }

    /// The engine is back, and its subscriptions hold: every room compares its place with the engine's, and gets what it has missed.
    pub(crate) fn back(&self) {
        self.missed(&[]);
    }

    /// A session goes on in a room behind a place: `join` lets it join. It is told what it has missed before anything else of the room, and then
    /// once whether that was [all](Notice::Recovered).
    #[cfg_attr(not(feature = "json"), allow(dead_code, reason = "then no client says where it is"))]
    pub(crate) fn resume(
        &self,
        room: &str,
        session: SessionId,
        from: Position,
        join: impl FnOnce() -> bool,
    ) -> bool {
        self.0.hold(room, |state| state.feed.expect(session, from, Instant::now()));
        // Now nothing that comes is told to it before that.
        let joined = join();
        // Meanwhile the room may have ended, and begun anew.
        let Some(room) = self.0.room(room) else { return joined };
        let mut state = room.lock();
        if !joined {
            state.feed.left(&session);
        } else if state.has_begun {
            state.feed.tell(&session, &mut self.0.teller(&room));
            self.0.go_on(&room, &mut state);
        }
        joined
    }

    /// A session has left a room.
    pub(crate) fn left(&self, room: &str, session: &SessionId) {
        if let Some(room) = self.0.room(room) {
            room.lock().feed.left(session);
        }
    }

    /// Tells a session that has joined a room where it is, if that is known and it has not asked to be elsewhere: before anything else of the
    /// room is told.
    #[cfg_attr(not(feature = "json"), allow(dead_code, reason = "then no client says where it is"))]
    pub(crate) fn tell_place(&self, room: &str, session: &SessionId, tell: impl FnOnce(&Position)) {
        if let Some(room) = self.0.room(room) {
            let room = room.lock();
            if let Some(place) = room.feed.position().filter(|_| !room.feed.is_waiting(session)) {
                tell(place);
            }
        }
    }

    /// What has happened so far.
    pub(crate) fn counters(&self) -> FeedCounters {
        self.0.counted.read()
    }
}

impl Inner {
    fn room(&self, name: &str) -> Option<Arc<Room>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Changes a room, which is new if there was none. A room that is [ended](Feeds::ended) meanwhile was changed before, or is not the one.
    fn hold(&self, name: &str, change: impl FnOnce(&mut State)) {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(name) {
            return change(&mut room.lock());
        }
        drop(rooms);
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(Room::new(
                name.into(),
                Feed::new(Limits::default(), Instant::now(), self.random.hash_one(name)),
            ))
        };
        change(&mut rooms.entry(name.into()).or_insert_with(new).lock());
    }

    fn all(&self) -> Vec<Arc<Room>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn teller<'a>(&'a self, room: &'a Room) -> Teller<'a> {
        Teller { hall: &*self.hall, room: &room.name }
    }

    /// Begins to ask the engine what is to be asked now.
    fn go_on(self: &Arc<Self>, room: &Arc<Room>, state: &mut State) {
        self.counted.add(std::mem::take(&mut state.feed.tally));
        if !state.is_placed && state.feed.position().is_some() {
            state.is_placed = true;
            self.placed.notify_waiters();
        }
        if !state.has_begun {
            return;
        }
        match state.feed.wants(Instant::now()) {
            Some(Want::Read(read)) => {
                let reading = Reading::new(Arc::clone(self), Arc::clone(room));
                self.runtime.spawn(reading.run(read));
            }
            Some(Want::Compare) => self.comparisons.add(room),
            None => {}
        }
        self.note(room, state);
    }

    /// Notes when the room is to be looked at if nothing happens before.
    fn note(&self, room: &Arc<Room>, state: &mut State) {
        let due = state.feed.next_look().max(Instant::now());
        if state.noted.is_none_or(|noted| due < noted) {
            state.noted = Some(due);
            self.agenda.add(due, room);
        }
    }

    /// Sees to the rooms whose time has come.
    fn look_at_due(self: &Arc<Self>) {
        for (noted, room) in self.agenda.take_due(Instant::now()) {
            let mut state = room.lock();
            // Of two times that are noted for a room, the later means nothing.
            if state.noted == Some(noted) {
                state.noted = None;
                self.go_on(&room, &mut state);
            }
        }
    }
}

impl Room {
    fn new(name: Arc<str>, feed: Feed<SessionId>) -> Self {
        let state = State {
            is_over: false,
            has_begun: false,
            has_members: false,
            noted: None,
            is_placed: false,
            feed,
        };
        Room { channel: Channel::Room(Arc::clone(&name)), name, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the sessions in one room.
struct Teller<'a> {
    hall: &'a dyn Hall,
    room: &'a str,
}

impl Told<SessionId> for Teller<'_> {
    fn all(&mut self, except: &Waiting<SessionId>, notice: Notice<'_>) {
        self.hall.tell(self.room, To::All { except }, notice);
    }

    fn one(&mut self, who: &SessionId, notice: Notice<'_>) {
        self.hall.tell(self.room, To::One(who), notice);
    }
}

impl fmt::Debug for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rooms = self.0.rooms.read().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "Feeds({rooms} rooms)")
    }
}

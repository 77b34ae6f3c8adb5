//! [`Sessions`]: every session of a server, by id, endpoint, room and user.
//!
//! The maps are sharded, and no lock is held while a message is queued or code of the user's runs: who sends to a group takes a snapshot
//! of its members, which is made once and kept until somebody joins or leaves.

mod set;

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use self::set::Set;
use super::audience::{Audience, Target};
use super::outbox::Run;
use super::{Elsewhere, Home, Session, SessionId};
use crate::ledger::{Ledger, Queues, Tally};

const SHARDS: usize = 16;

/// Every session of a server, and of all others of its [cluster](crate::ServerEndpointExporter::cluster): to find, count, address and close
/// them.
///
/// A handler takes `&Sessions` as a parameter, an endpoint or component has it injected, and anything else gets it from the
/// [`Server`](crate::Server). Cheap to clone.
///
/// ```
/// # use endpoint_runtime::{Session, Sessions};
/// # async fn f(sessions: &Sessions, session: &Session) {
/// sessions.room("blue").except(session).send("hello, blue ones").await;
/// sessions.user("bo").close(endpoint_runtime::CloseReason::away("logged out")).await;
/// assert!(sessions.get(session.id()).is_some());
/// # }
/// ```
#[derive(Clone)]
pub struct Sessions(Arc<Registry>);

struct Registry {
    /// Names this server in session ids.
    node: u64,
    serial: AtomicU64,
    open: AtomicUsize,
    /// Users that have sessions.
    users: AtomicUsize,
    /// Those, too, that have ended and whose `on_close` still runs: nobody finds them, but a server that stops waits for them.
    by_id: [RwLock<Set>; SHARDS],
    groups: [Mutex<HashMap<GroupKey, Arc<Group>>>; SHARDS],
    hasher: RandomState,
    /// The endpoint types that have a home here.
    endpoints: RwLock<Vec<EndpointType>>,
    /// What is counted of them, and of who would have liked to be one.
    ledger: Arc<Ledger>,
    /// The way to the sessions of other nodes, if there is a cluster.
    elsewhere: OnceLock<Arc<dyn Elsewhere>>,
}

/// Sessions for those whom the registry itself holds.
#[derive(Clone, Debug)]
pub(crate) struct WeakSessions(Weak<Registry>);

impl WeakSessions {
    pub(crate) fn upgrade(&self) -> Option<Sessions> {
        self.0.upgrade().map(Sessions)
    }
}

/// An endpoint type. In this process it is known by its id, to others by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndpointType {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl PartialEq for EndpointType {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for EndpointType {}

impl Hash for EndpointType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// What a session may be a member of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GroupKey {
    Endpoint(EndpointType),
    Room(Box<str>),
    User(Box<str>),
}

impl EndpointType {
    pub(crate) fn of<E: 'static>() -> Self {
        EndpointType { id: TypeId::of::<E>(), name: type_name::<E>() }
    }
}

impl GroupKey {
    fn is_user(&self) -> bool {
        matches!(self, GroupKey::User(_))
    }

    /// Whether it has a name that the application has given it.
    fn is_named(&self) -> bool {
        !matches!(self, GroupKey::Endpoint(_))
    }
}

/// A set of sessions that is cheap to iterate.
#[derive(Default)]
pub(crate) struct Group {
    members: Mutex<Members>,
    /// The last broadcast to it, while somebody has it in the queue.
    last: Mutex<Weak<Run>>,
}

#[derive(Default)]
struct Members {
    all: Set,
    snapshot: Option<Arc<[Session]>>,
}

impl Group {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members at this moment.
    pub(crate) fn snapshot(&self) -> Arc<[Session]> {
        self.members().snapshot()
    }

    /// The last broadcast to it, if somebody still has it in the queue.
    pub(crate) fn last(&self) -> Option<Arc<Run>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    pub(crate) fn set_last(&self, run: &Arc<Run>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(run);
    }

    /// Says whether the session is new to it.
    pub(super) fn add(&self, session: &Session) -> bool {
        self.members().add(session)
    }

    pub(super) fn remove(&self, id: SessionId) {
        let removed = self.members().remove(id);
        // What belongs to the session, and to others, is dropped after the lock is.
        drop(removed);
    }
}

impl Members {
    fn add(&mut self, session: &Session) -> bool {
        let new = self.all.insert(session);
        if new {
            self.snapshot = None;
        }
        new
    }

    /// Takes the session out. What is to be dropped is handed out, to be dropped when no lock is held.
    fn remove(&mut self, id: SessionId) -> Option<(Session, Option<Arc<[Session]>>)> {
        let session = self.all.take(id)?;
        Some((session, self.snapshot.take()))
    }

    /// The members in the order in which their sessions began, as they also lie in memory.
    fn snapshot(&mut self) -> Arc<[Session]> {
        let made = self.snapshot.get_or_insert_with(|| {
            let mut list: Vec<_> = self.all.iter().cloned().collect();
            list.sort_unstable_by_key(|session| session.id().serial());
            list.into()
        });
        Arc::clone(made)
    }
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let hasher = RandomState::new();
        Sessions(Arc::new(Registry {
            // Random enough to name a server: the keys of the hash maps come from the system's source of randomness.
            node: hasher.hash_one("node").max(1),
            serial: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            users: AtomicUsize::new(0),
            by_id: Default::default(),
            groups: Default::default(),
            hasher,
            endpoints: RwLock::default(),
            ledger: Arc::default(),
            elsewhere: OnceLock::new(),
        }))
    }

    pub(crate) fn downgrade(&self) -> WeakSessions {
        WeakSessions(Arc::downgrade(&self.0))
    }

    /// The way to other nodes, if there is a cluster.
    #[inline]
    pub(crate) fn elsewhere(&self) -> Option<&Arc<dyn Elsewhere>> {
        self.0.elsewhere.get()
    }

    /// From now on there are others. Their way is told of the groups that have members already.
    pub(crate) fn join_others(&self, elsewhere: Arc<dyn Elsewhere>) {
        if self.0.elsewhere.set(Arc::clone(&elsewhere)).is_err() {
            return;
        }
        for shard in &self.0.groups {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.keys().filter(|key| key.is_named()).for_each(|key| elsewhere.began(key));
        }
    }

    /// The rooms that have members in this process.
    pub(crate) fn rooms_here(&self) -> Vec<GroupKey> {
        let of = |shard: &Mutex<HashMap<GroupKey, Arc<Group>>>| -> Vec<GroupKey> {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.keys().filter(|key| matches!(key, GroupKey::Room(_))).cloned().collect()
        };
        self.0.groups.iter().flat_map(of).collect()
    }

    /// The session of this id, if it is open, and of this process; [`session`](Self::session) is any of a cluster.
    pub fn get(&self, id: &SessionId) -> Option<Session> {
        let shard = self.shard(*id).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(*id).filter(|session| !session.has_ended()).cloned()
    }

    /// The session of this id, even if it has ended, as long as its connection still runs.
    pub(super) fn unforgotten(&self, id: SessionId) -> Option<Session> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// How many sessions of this process are open.
    pub fn count(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Every session.
    pub fn all(&self) -> Audience {
        Audience::new(self.clone(), Target::All)
    }

    /// The sessions in a room: see [`Session::join`].
    pub fn room(&self, name: &str) -> Audience {
        Audience::new(self.clone(), Target::Group(GroupKey::Room(name.into())))
    }

    /// The sessions of a user: see [`Session::set_user`].
    pub fn user(&self, name: &str) -> Audience {
        Audience::new(self.clone(), Target::Group(GroupKey::User(name.into())))
    }

    /// The sessions of the endpoint type `E`.
    pub fn endpoint<E: 'static>(&self) -> Audience {
        Audience::new(self.clone(), Target::Group(GroupKey::Endpoint(EndpointType::of::<E>())))
    }

    /// How many users have sessions.
    pub(crate) fn users(&self) -> usize {
        self.0.users.load(Ordering::Relaxed)
    }

    /// How many sessions each endpoint type has, by its name.
    pub(crate) fn census(&self) -> Vec<(&'static str, usize)> {
        let endpoints = self.0.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone();
        let count = |endpoint| self.member_count(&GroupKey::Endpoint(endpoint));
        endpoints.into_iter().map(|endpoint| (endpoint.name, count(endpoint))).collect()
    }

    /// The rooms that have members in this process, sorted.
    pub fn rooms(&self) -> Vec<String> {
        let mut rooms = Vec::new();
        for shard in &self.0.groups {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            rooms.extend(shard.keys().filter_map(|key| match key {
                GroupKey::Room(name) => Some(name.to_string()),
                _ => None,
            }));
        }
        rooms.sort_unstable();
        rooms
    }

    /// What is counted of them, and of who would have liked to be one.
    pub(crate) fn tally(&self) -> &Tally {
        &self.0.ledger.tally
    }

    /// What their queues hold together.
    pub(crate) fn queues(&self) -> &Queues {
        &self.0.ledger.queues
    }

    /// Both.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.0.ledger
    }

    /// What names this server; never zero.
    pub(crate) fn node(&self) -> u64 {
        self.0.node
    }

    pub(crate) fn next_id(&self) -> SessionId {
        SessionId::new(self.0.node, self.0.serial.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn insert(&self, session: &Session) {
        self.shard(*session.id()).write().unwrap_or_else(PoisonError::into_inner).insert(session);
        self.0.open.fetch_add(1, Ordering::Relaxed);
    }

    /// The session has ended, once: nobody finds it any more.
    pub(crate) fn ended(&self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// The session's `on_close` has run: nothing is left of it.
    pub(crate) fn forget(&self, id: SessionId) {
        let forgotten = self.shard(id).write().unwrap_or_else(PoisonError::into_inner).take(id);
        // What belongs to the session is dropped after the lock is.
        drop(forgotten);
    }

    /// Every session whose connection still runs.
    pub(crate) fn unfinished(&self) -> Vec<Session> {
        let mut all = Vec::with_capacity(self.count());
        for shard in &self.0.by_id {
            all.extend(shard.read().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        }
        all
    }

    pub(crate) fn join(&self, key: GroupKey, session: &Session) -> bool {
        let mut groups = self.groups(&key);
        let group = match groups.entry(key) {
            Entry::Occupied(group) => group.into_mut(),
            Entry::Vacant(place) => {
                // Under the lock, so that other nodes hear of beginnings and ends in their order.
                if let Some(elsewhere) = self.elsewhere() {
                    elsewhere.began(place.key());
                }
                self.0.users.fetch_add(place.key().is_user().into(), Ordering::Relaxed);
                place.insert(Arc::default())
            }
        };
        group.members().add(session)
    }

    pub(crate) fn leave(&self, key: &GroupKey, id: SessionId) -> bool {
        let mut groups = self.groups(key);
        let Some(group) = groups.get(key) else { return false };
        let mut members = group.members();
        let removed = members.remove(id);
        let empty = members.all.is_empty();
        drop(members);
        if empty {
            groups.remove(key);
            self.0.users.fetch_sub(key.is_user().into(), Ordering::Relaxed);
            if let Some(elsewhere) = self.elsewhere() {
                elsewhere.ended(key);
            }
        }
        drop(groups);
        removed.is_some()
    }

    /// The group of an endpoint type, for whoever is at home there: it need not be looked up for each session, and stays when it is empty.
    pub(crate) fn group_of_endpoint(&self, endpoint: EndpointType) -> Arc<Group> {
        let mut endpoints = self.0.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
        drop(endpoints);
        let key = GroupKey::Endpoint(endpoint);
        Arc::clone(self.groups(&key).entry(key).or_default())
    }

    /// The endpoint types of this name. Usually it is one: two versions of a crate may have one each.
    pub(crate) fn endpoints_named(&self, name: &str) -> Vec<EndpointType> {
        let endpoints = self.0.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        endpoints.iter().filter(|endpoint| endpoint.name == name).copied().collect()
    }

    /// The sessions of an endpoint type at this moment.
    pub(crate) fn of_endpoint(&self, home: &Home) -> Arc<[Session]> {
        self.members(&GroupKey::Endpoint(home.endpoint_type())).unwrap_or_default()
    }

    /// The members of a group at this moment.
    pub(crate) fn members(&self, key: &GroupKey) -> Option<Arc<[Session]>> {
        self.group(key).map(|group| group.snapshot())
    }

    /// A group that has members.
    pub(crate) fn group(&self, key: &GroupKey) -> Option<Arc<Group>> {
        self.groups(key).get(key).cloned()
    }

    pub(crate) fn member_count(&self, key: &GroupKey) -> usize {
        self.groups(key).get(key).map_or(0, |group| group.members().all.len())
    }

    pub(crate) fn is_member(&self, key: &GroupKey, id: &SessionId) -> bool {
        self.groups(key).get(key).is_some_and(|group| group.members().all.get(*id).is_some())
    }

    /// Every session at this moment.
    pub(crate) fn snapshot(&self) -> Vec<Session> {
        let mut all = self.unfinished();
        all.retain(|session| !session.has_ended());
        all
    }

    fn shard(&self, id: SessionId) -> &RwLock<Set> {
        &self.0.by_id[id.serial() as usize % SHARDS]
    }

    fn groups(&self, key: &GroupKey) -> MutexGuard<'_, HashMap<GroupKey, Arc<Group>>> {
        let shard = &self.0.groups[self.0.hasher.hash_one(key) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({} sessions)", self.members().all.len())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({} open)", self.count())
    }
}

//! Resuming sessions: [`Resumption`] keeps what a session needs to go on where another was, on this server or another.
//!
//! A session that can be resumed has a [record](record::Record) in the engine's store: its rooms, its user, its carried attributes, and,
//! when it has ended, the messages that its client has not seen. The record lies under a hash of a secret token. Who takes the record away
//! owns the session, and of several who try one gets it. If the session before is still open, because nobody has noticed that its connection is
//! lost, its server is asked for what it knows, and closes it with 4009.
//!
//! A server that has lost its way to the others while its session was taken over finds its record gone when it is to be renewed. It may also
//! be that the engine has lost it; so whoever takes a record says so beside it, well before anybody concludes from its silence that nobody has.

mod carried;
mod record;
mod shelf;
mod token;
mod upkeep;

use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, timeout};

pub(crate) use self::carried::Carried;
use self::record::Record;
use self::shelf::{Shelf, What};
use self::token::{Key, Token};
use self::upkeep::SETTLED;
use super::{Arrival, Channel, Engine, EngineError, Local, Node, Put, Receiver};
use crate::message::control::{self, First, Told};
use crate::message::{CloseCode, CloseReason, ClosedBy};
use crate::session::outbox::Frame;
use crate::session::{Keeper, Place, Resumed, Session, SessionId, Unseen, may_come_back};

/// How long changes are gathered before the record is renewed.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// How soon something is tried again that the engine could not do.
const RETRY: Duration = Duration::from_secs(1);

/// Who takes a record says so beside it within this time, or does not go on with it.
const TAKING: Duration = Duration::from_secs(3);

/// How long a session that is replaced has to write down what its client has not seen.
const SEALING: Duration = Duration::from_millis(500);

/// How long a server that stops waits for the engine.
const FLUSHING: Duration = Duration::from_secs(2);

/// Records that are written at the same time.
const AT_ONCE: usize = 64;

/// The largest record, bytes, where the engine would take a larger one; and what it needs beside it.
const MAX_RECORD: usize = 4 * 1024 * 1024;
const ENVELOPE: usize = 1024;

/// What is handed over of a session that is not to be resumed: no record.
const OVER: Bytes = Bytes::new();

/// What takes a while.
type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The other servers, as far as they have something to do with it.
pub(crate) trait Peers: std::fmt::Debug + Send + Sync {
    /// Has the server of a session hand over what it knows of it: what its [`Resumption::hand_over`] gives for this key.
    fn hand_over(&self, session: SessionId, key: [u8; 32]) -> Later<'_, Option<Bytes>>;

    /// A session of this server goes on where another has ended; it joins the rooms of the other next.
    fn resumed(&self, old: SessionId, new: SessionId);

    /// Lets a session go on in a room where its client is: see [`Keeper::enter`].
    fn enter(
        &self,
        session: &Session,
        room: &str,
        place: &Place,
        join: &mut dyn FnMut() -> bool,
    ) -> Option<bool>;
}

/// What keeps the sessions of one server that can be resumed, and resumes those of all.
#[derive(Debug)]
pub(crate) struct Resumption {
    engine: Arc<dyn Engine>,
    peers: Option<Arc<dyn Peers>>,
    carried: Carried,
    first_within: Duration,
    shelf: Shelf,
    /// Whether somebody sees to what is due.
    running: OnceLock<()>,
    me: Weak<Resumption>,
}

/// A session that was taken over.
struct Taken {
    record: Record,
    unseen: Vec<Unseen>,
    lost: Option<u64>,
    was_open: bool,
}

impl Resumption {
    /// `first_within`: how long a client has to say which session it resumes.
    fn new(
        engine: Arc<dyn Engine>,
        peers: Option<Arc<dyn Peers>>,
        carried: Carried,
        first_within: Duration,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Resumption {
            engine,
            peers,
            carried,
            first_within,
            shelf: Shelf::default(),
            running: OnceLock::new(),
            me: Weak::clone(me),
        })
    }

    /// By the engine of a node, and with the other nodes.
    pub(crate) fn of_node(node: &Arc<Node>, carried: Carried, first_within: Duration) -> Arc<Self> {
        let peers = Arc::clone(node) as Arc<dyn Peers>;
        let this = Self::new(Arc::clone(node.engine()), Some(peers), carried, first_within);
        node.set_resumption(&this);
        this
    }

    /// By an engine that nobody else has.
    pub(crate) fn alone(carried: Carried, first_within: Duration) -> Arc<Self> {
        let engine = Local::new();
        // It is ready at once, and there is nobody whom it could fail to reach.
        let _ = engine.start(Arc::new(Nobody)).now_or_never();
        Self::new(Arc::new(engine), None, carried, first_within)
    }

    /// The name of the engine, if it can keep no records.
    pub(crate) fn unfit(&self) -> Option<&'static str> {
        (!self.engine.capabilities().store).then(|| self.engine.name())
    }

    // ---- a client has come

    /// Resumes the session that the client names, or begins another, and says what the client is to be told.
    async fn open(&self, session: &Session, first: First) -> Vec<Frame> {
        let (Some(continuity), ttl) = (session.continuity(), session.limits().resume) else {
            return Vec::new();
        };
        let taken = match (&first.token, ttl) {
            (Some(token), Some(_)) => self.take_over(session, token, first.seen).await,
            _ => None,
        };
        continuity.set_places(first.at);
        let weak = session.downgrade();
        session.attributes().watch(move || {
            if let Some(session) = weak.upgrade()
                && let Some(continuity) = session.continuity()
            {
                continuity.changed(&session);
            }
        });
        let (resumed, lost) = (taken.is_some(), taken.as_ref().map(|taken| taken.lost));
        let unseen = taken.map(|taken| self.restore(session, taken)).unwrap_or_default();
        let token = match ttl {
            Some(ttl) => Some(self.keep(session, ttl).await),
            None => None,
        };
        let (token, ttl) = (token.as_ref().map(Token::text), ttl.unwrap_or_default().as_secs());
        let told = control::session(Told { token: token.as_deref(), resumed, ttl, lost });
        let again = unseen.into_iter().map(|(kind, payload)| kind.whole(payload));
        [Frame::Control(told)].into_iter().chain(again).collect()
    }

    /// Takes the record of a token, if this client may have it, and whatever else is known of the session.
    async fn take_over(&self, session: &Session, token: &str, seen: u64) -> Option<Taken> {
        let begun = Instant::now();
        let key = Token::parse(token)?.key(session);
        let bytes = match self.engine.take(&key.record()).await {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::warn!(session = %session.id(), %error, "a session cannot be resumed");
                return None;
            }
        };
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(session = %session.id(), %error, "a session cannot be resumed");
                return None;
            }
        };
        let ttl = 3 * session.limits().resume.unwrap_or_default() + SETTLED;
        let said = self.engine.put(&key.gone(), Bytes::new(), ttl, Put::New).await;
        if said.is_err() || begun.elapsed() > TAKING {
            // Whoever has the session now may conclude that nobody has taken it.
            tracing::warn!(session = %session.id(), "a session is not resumed: the engine is too slow");
            return None;
        }
        if !record.open {
            let (unseen, lost) = record.clone().since(seen);
            return Some(Taken { record, unseen, lost: Some(lost), was_open: false });
        }
        let handed = match &self.peers {
            _ if record.session.node() == session.id().node() => self.hand_over(key.bytes()).await,
            Some(peers) => peers.hand_over(record.session, key.bytes()).await,
            None => None,
        };
        if handed.as_ref().is_some_and(|bytes| *bytes == OVER) {
            return None;
        }
        match handed.and_then(|bytes| Record::decode(bytes).ok()) {
            Some(record) => {
                let was_open = record.open;
                let (unseen, lost) = record.clone().since(seen);
                Some(Taken { record, unseen, lost: Some(lost), was_open })
            }
            None => Some(Taken { record, unseen: Vec::new(), lost: None, was_open: false }),
        }
    }

    /// Gives a session what was another's, and back what its client is to be sent again.
    fn restore(&self, session: &Session, taken: Taken) -> Vec<Unseen> {
        let Taken { record, unseen, lost, was_open } = taken;
        self.carried.load(session.attributes(), &record.attributes);
        if let Some(user) = &record.user {
            session.set_user(user);
        }
        if let Some(continuity) = session.continuity() {
            continuity.set_resumed(Resumed {
                before: record.session,
                was_open,
                rooms: record.rooms.iter().map(ToString::to_string).collect(),
                replayed: unseen.len(),
                lost,
            });
        }
        if let Some(peers) = &self.peers {
            peers.resumed(record.session, *session.id());
        }
        for room in &record.rooms {
            session.join(room);
        }
        tracing::debug!(session = %session.id(), before = %record.session, ?lost, "resumed");
        unseen
    }

    /// Keeps a session from now on.
    async fn keep(&self, session: &Session, ttl: Duration) -> Token {
        self.run();
        let token = Token::random();
        let serial = session.id().serial();
        // Not due before this has written it, unless it cannot.
        self.shelf.put(serial, token.key(session), ttl, session.clone(), Instant::now() + RETRY);
        self.attend(serial).await;
        token
    }

    /// What is to be known of a session. Of one that is open, its server knows which messages its client has not seen.
    fn record(&self, session: &Session, open: bool) -> Record {
        let (unseen, sent, lost) = match session.continuity() {
            Some(continuity) => continuity.journal().unseen(),
            None => (Vec::new(), 0, 0),
        };
        // Who the client is, it will say again.
        let identity = session.identity();
        let known = identity.as_ref().and_then(|identity| identity.name());
        let user = session.user().filter(|user| known != Some(user.as_str()));
        Record {
            session: *session.id(),
            open,
            user: user.map(Arc::from),
            rooms: session.rooms().into_iter().map(Arc::from).collect(),
            attributes: self.carried.save(session.attributes()),
            unseen: if open { Vec::new() } else { unseen },
            sent,
            lost,
            dropped: session.dropped(),
        }
    }

    /// How large a record may be.
    fn limit(&self) -> usize {
        self.engine.max_message().saturating_sub(ENVELOPE).min(MAX_RECORD)
    }

    // ---- for other servers, and for this one

    /// Somebody has taken the record of this key: what is known of the session, which is closed if it is still open, or [`OVER`].
    pub(crate) async fn hand_over(&self, key: [u8; 32]) -> Option<Bytes> {
        let session = match self.shelf.remove_by_key(&Key::new(key))?.what {
            What::Open(session) => session,
            What::Ended(record, _) => return Some(record),
            What::Over(_) => return Some(OVER),
        };
        session.begin_close(&replaced());
        let journal = session.continuity()?.journal();
        // A connection that does nothing for so long will not write any more either.
        let _ = timeout(SEALING, journal.sealed()).await;
        let record = Record { open: true, ..self.record(&session, false) };
        journal.clear();
        record.encode(self.limit()).ok()
    }

    /// The server was away for a while: looks at once whether its sessions have gone on elsewhere, and closes those that have.
    pub(crate) async fn look_again(&self) {
        let all = self.shelf.doubt_all();
        stream::iter(all).for_each_concurrent(AT_ONCE, |serial| self.attend(serial)).await;
    }

    /// Writes what is to be written of sessions that have ended: the server stops.
    pub(crate) async fn flush(&self) {
        let all = stream::iter(self.shelf.ended()).for_each_concurrent(AT_ONCE, |serial| self.attend(serial));
        if timeout(FLUSHING, all).await.is_err() {
            tracing::warn!("not all sessions can be resumed elsewhere: the engine is too slow");
        }
    }
}

impl Keeper for Resumption {
    fn first_within(&self) -> Duration {
        self.first_within
    }

    fn open<'a>(&'a self, session: &'a Session, first: First) -> Later<'a, Vec<Frame>> {
        Box::pin(self.open(session, first))
    }

    fn changed(&self, session: &Session) {
        self.shelf.hurry(session.id().serial(), Instant::now() + DEBOUNCE);
    }

    fn ended(&self, session: &Session, reason: &CloseReason) {
        let serial = session.id().serial();
        let Some(kept) = self.shelf.get(serial) else { return };
        let record = may_come_back(reason).then(|| self.record(session, false).encode(self.limit()));
        let until = Instant::now() + kept.ttl;
        let what = match record {
            Some(Ok(record)) => What::Ended(record, until),
            Some(Err(record::TooLarge)) | None => What::Over(until),
        };
        self.shelf.change(serial, Instant::now(), |kept| kept.what = what);
        if let Some(continuity) = session.continuity() {
            continuity.journal().clear();
        }
    }

    fn enter(
        &self,
        session: &Session,
        room: &str,
        place: &Place,
        join: &mut dyn FnMut() -> bool,
    ) -> Option<bool> {
        self.peers.as_ref()?.enter(session, room, place, join)
    }
}

impl Drop for Resumption {
    fn drop(&mut self) {
        self.shelf.earlier.notify_one();
    }
}

/// Nothing comes from an engine that nobody else has.
struct Nobody;

impl Receiver for Nobody {
    fn receive(&self, _: Arrival) {}

    fn lost(&self, _: &EngineError) {}

    fn back(&self) {}

    fn missed(&self, _: &[Channel]) {}
}

/// 4009: the session goes on over another connection.
fn replaced() -> CloseReason {
    CloseReason::new(CloseCode::from(4009), "replaced").by(ClosedBy::Container)
}

//! Sessions: the handle on one connection ([`Session`]), all of them ([`Sessions`]), and what goes out through them.

mod access;
mod attributes;
mod audience;
mod config;
mod continuity;
mod current;
mod elsewhere;
mod extension;
pub(crate) mod fan_out;
mod forms;
mod fragments;
mod handshake;
mod home;
mod id;
mod message_handlers;
mod message_id;
mod nodes;
mod objects;
pub(crate) mod outbox;
mod position;
mod presence;
mod registry;
mod send;
mod sending;
mod tuning;
mod writer;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use once_cell::race::OnceBox;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::access::Refreshed;
pub use self::attributes::Attributes;
pub(crate) use self::attributes::Seeds;
pub(crate) use self::audience::Target;
pub use self::audience::{Audience, Delivery};
pub use self::config::EndpointConfig;
pub use self::continuity::{AskError, Resumed};
pub(crate) use self::continuity::{Continuity, Heard, Journal, may_come_back};
#[cfg(feature = "json")]
pub(crate) use self::continuity::{Keeper, Place, Unseen};
pub(crate) use self::current::{Current, enter};
pub(crate) use self::elsewhere::{Addressees, Elsewhere, Passage};
pub use self::elsewhere::{ClusterError, Crossing};
pub(crate) use self::extension::{DEFLATE, is_token};
pub use self::extension::{Extension, InvalidExtensions};
pub use self::handshake::Handshake;
pub(crate) use self::handshake::{Ends, NamedHost, cookies, form_pairs};
pub(crate) use self::home::{Home, Limits};
pub use self::id::{InvalidSessionId, NodeId, SessionId};
use self::message_handlers::MessageHandlers;
pub(crate) use self::message_handlers::{Call, Route};
pub use self::message_handlers::{HandlerConflict, MessageHandlerId};
pub use self::message_id::{InvalidMessageId, MessageId};
pub use self::nodes::{ClusterState, NodeInfo};
use self::outbox::Outbox;
pub use self::position::{Epoch, Position};
pub use self::presence::{Presence, PresentMember};
use self::registry::Group;
pub use self::registry::Sessions;
pub(crate) use self::registry::{EndpointType, GroupKey, WeakSessions};
pub use self::send::{Batch, Receipt, SendError, TrySendError};
use self::tuning::Tuning;
pub use self::writer::{BinaryWriter, TextWriter};
use crate::context::{ApplicationContext, Injected};
use crate::endpoint::Encoders;
use crate::error::Result;
use crate::message::{CloseCode, CloseReason, ClosedBy};
use crate::wire::Deflate;

/// One WebSocket connection, as a handle: cheap to clone, to be kept and used from any task or thread.
///
/// What is sent by one task goes out in its order; messages of several tasks are never mixed up. All readers (`id`, `uri`,
/// `attributes`, …) work after the session has closed; sending gives [`SendError::Closed`].
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    id: SessionId,
    home: Arc<Home>,
    handshake: Handshake,
    outbox: Outbox,
    phase: AtomicU8,
    /// What the connection is to look at: [`TIMER`], [`RETUNED`], [`ABORTED`].
    signals: AtomicU8,
    /// The limits that were changed for this session.
    tuning: OnceBox<Tuning>,
    memberships: Mutex<Memberships>,
    /// Cancels what was spawned through the session; made when first asked for.
    scope: OnceBox<CancellationToken>,
    reason: OnceBox<CloseReason>,
    /// The endpoint's encoders, if it has any; made before the session is opened.
    encoders: OnceBox<Encoders>,
    /// Message handlers; made when there is the first one.
    handlers: OnceBox<MessageHandlers>,
    /// Who the peer is now, if that is not what the handshake says.
    refreshed: OnceBox<Refreshed>,
    /// What can go on over another connection, if anything can.
    continuity: OnceBox<Continuity>,
}

#[derive(Default)]
struct Memberships {
    /// Made for the first room or user.
    named: Option<Box<Named>>,
    /// The session has left the registry, and joins nothing any more.
    gone: bool,
}

/// What a connection is told from elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signals {
    /// A timer has come due: see `connection::timers`.
    pub(crate) timer: bool,
    /// The session's limits or message handlers were changed.
    pub(crate) retuned: bool,
    /// The connection is to end without further ado. This stays.
    pub(crate) aborted: bool,
}

const TIMER: u8 = 1;
const RETUNED: u8 = 2;
const ABORTED: u8 = 4;

impl Inner {
    fn signal(&self, signal: u8) {
        self.signals.fetch_or(signal, Ordering::Release);
    }
}

/// What a session is a member of, by name.
#[derive(Default)]
struct Named {
    rooms: Vec<Box<str>>,
    user: Option<Box<str>>,
}

impl Memberships {
    fn rooms(&self) -> &[Box<str>] {
        self.named.as_ref().map_or(&[], |named| &named.rooms)
    }

    fn user(&self) -> Option<&str> {
        self.named.as_ref()?.user.as_deref()
    }

    fn named(&mut self) -> &mut Named {
        self.named.get_or_insert_default()
    }
}

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;

impl Session {
    /// A session that has just been upgraded, not yet in the registry.
    pub(crate) fn new(home: Arc<Home>, handshake: Handshake) -> Self {
        let outbox = Outbox::among(home.sessions.ledger());
        Session(Arc::new(Inner {
            id: home.sessions.next_id(),
            home,
            handshake,
            outbox,
            phase: AtomicU8::new(OPEN),
            signals: AtomicU8::new(0),
            tuning: OnceBox::new(),
            memberships: Mutex::default(),
            scope: OnceBox::new(),
            reason: OnceBox::new(),
            encoders: OnceBox::new(),
            handlers: OnceBox::new(),
            refreshed: OnceBox::new(),
            continuity: OnceBox::new(),
        }))
    }

    // ---- what it is

    /// Its identity, unique in the whole cluster.
    pub fn id(&self) -> &SessionId {
        &self.0.id
    }

    /// The opening handshake: headers, URI, addresses, extensions.
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// The URI of the opening request as it was sent, usually path and query; [`Handshake::url`] has the whole of it.
    pub fn uri(&self) -> &http::Uri {
        self.0.handshake.uri()
    }

    /// What is configured for the endpoint.
    pub fn config(&self) -> &EndpointConfig {
        self.0.home.config()
    }

    /// The path template of the endpoint; on a client the path of the URL.
    pub fn path(&self) -> &str {
        &self.0.home.path
    }

    /// The value of a variable of the endpoint's path, decoded.
    pub fn path_param(&self, name: &str) -> Option<&str> {
        self.0.handshake.path_param(name)
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.handshake.subprotocol()
    }

    /// The extensions that were agreed on, in their order; none if there are none (Jakarta SES-11).
    pub fn extensions(&self) -> &[Extension] {
        self.0.handshake.agreed_extensions()
    }

    /// The version of the protocol: `"13"` (Jakarta SES-09).
    pub fn protocol_version(&self) -> &'static str {
        "13"
    }

    /// Whether the connection is encrypted.
    pub fn is_secure(&self) -> bool {
        self.0.handshake.is_secure()
    }

    /// Whether messages can still be sent.
    pub fn is_open(&self) -> bool {
        self.0.phase.load(Ordering::Acquire) == OPEN
    }

    /// Whether it is over, and `#[on_close]` is running or has run.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.phase.load(Ordering::Acquire) == CLOSED
    }

    /// Why the session has ended; `None` while it has not.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.0.reason.get()
    }

    /// Values of the application that belong to the session, by type; a configurator may have put some there.
    pub fn attributes(&self) -> &Attributes {
        self.0.handshake.attributes()
    }

    /// All sessions of the server.
    pub fn sessions(&self) -> &Sessions {
        &self.0.home.sessions
    }

    /// The sessions of the same endpoint, this one too (Jakarta SES-30).
    pub fn siblings(&self) -> Audience {
        Audience::new(self.sessions().clone(), Target::Group(GroupKey::Endpoint(self.0.home.endpoint_type())))
    }

    /// The components of the application.
    pub fn application(&self) -> &ApplicationContext {
        &self.0.home.application
    }

    // ---- closing

    /// Closes the session: what is queued goes first, then the close frame; the peer's answer is awaited in the background, and
    /// `#[on_close]` gets this reason. Closing twice does nothing. A message in fragments that is open remains unfinished, and what
    /// waited for its end is dropped.
    ///
    /// # Errors
    /// A code that must not be sent: 1004, 1006, 1015, below 1000, or above 4999. 1005 (`CloseCode::Status`) sends an empty close frame.
    pub async fn close(&self, reason: CloseReason) -> Result<(), SendError> {
        let code = reason.code();
        if code != CloseCode::Status && !crate::wire::may_be_sent(code) {
            return Err(SendError::InvalidCloseCode(code.into()));
        }
        // It may be another session's, which somebody else has closed.
        self.begin_close(&reason.by(ClosedBy::Application));
        Ok(())
    }

    /// Closes, and says whether the session was open until now.
    pub(crate) fn begin_close(&self, reason: &CloseReason) -> bool {
        let first = self.0.outbox.close(reason, false);
        let _ = self.0.phase.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire);
        first
    }

    // ---- belonging

    /// Enters a room; says whether it was new to this session. A closed session enters nothing.
    pub fn join(&self, room: &str) -> bool {
        let mut memberships = self.memberships();
        if memberships.gone {
            return false;
        }
        if !self.enter_room(room, || self.sessions().join(GroupKey::Room(room.into()), self)) {
            return false;
        }
        memberships.named().rooms.push(room.into());
        // Under the lock, so that a session's comings and goings are told in their order.
        if let Some(elsewhere) = self.sessions().elsewhere() {
            elsewhere.joined(room, self);
        }
        drop(memberships);
        self.note_change();
        true
    }

    /// Leaves a room; says whether it was in it.
    pub fn leave(&self, room: &str) -> bool {
        let mut memberships = self.memberships();
        let Some(position) = memberships.rooms().iter().position(|joined| **joined == *room) else {
            return false;
        };
        memberships.named().rooms.swap_remove(position);
        let left = self.sessions().leave(&GroupKey::Room(room.into()), *self.id());
        if let Some(elsewhere) = self.sessions().elsewhere() {
            elsewhere.left(room, self, false);
        }
        drop(memberships);
        self.note_change();
        left
    }

    /// Waits until what other nodes send to its rooms and to its user arrives: to [join](Self::join) does not wait for that. Says whether it
    /// does, within `cluster_deadline`; without a cluster there is nothing to wait for.
    ///
    /// An `#[on_open]` that tells its peer which room it has joined waits for this first.
    pub async fn reachable(&self) -> bool {
        let Some(elsewhere) = self.sessions().elsewhere() else { return true };
        let groups = {
            let memberships = self.memberships();
            let rooms = memberships.rooms().iter().cloned().map(GroupKey::Room);
            rooms.chain(memberships.user().map(|name| GroupKey::User(name.into()))).collect()
        };
        elsewhere.reached(groups).await
    }

    /// The rooms it is in, or was in when it closed.
    pub fn rooms(&self) -> Vec<String> {
        self.memberships().rooms().iter().map(ToString::to_string).collect()
    }

    /// Says whose session this is, so that [`Sessions::user`] finds it. A user may have several sessions.
    ///
    /// A session whose peer has an [`Identity`](crate::Identity) with a name is that user's from the beginning, without this.
    pub fn set_user(&self, name: &str) {
        self.become_users(&mut self.memberships(), Some(name));
        self.note_change();
    }

    fn become_users(&self, memberships: &mut Memberships, name: Option<&str>) {
        if memberships.gone {
            return;
        }
        if let Some(before) = memberships.named().user.take() {
            self.sessions().leave(&GroupKey::User(before), *self.id());
        }
        if let Some(name) = name {
            memberships.named().user = Some(name.into());
            self.sessions().join(GroupKey::User(name.into()), self);
        }
    }

    /// Whose session this is.
    pub fn user(&self) -> Option<String> {
        self.memberships().user().map(ToOwned::to_owned)
    }

    fn memberships(&self) -> MutexGuard<'_, Memberships> {
        self.0.memberships.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the session has ended, and says why. `#[on_close]` may still be running then.
    ///
    /// ```no_run
    /// # use endpoint_runtime as runtime;
    /// # use endpoint_runtime::prelude::*;
    /// # #[client_endpoint] struct Listener;
    /// # #[handlers] impl Listener { #[on_message] fn hear(&self, text: String) { println!("{text}") } }
    /// # async fn f() -> runtime::Result<()> {
    /// let session = runtime::client().connect(Listener, "wss://host/chat/blue").await?;
    /// println!("{}", session.closed().await);
    /// # Ok(()) }
    /// ```
    pub async fn closed(&self) -> CloseReason {
        let scope = self.0.scope.get_or_init(Box::default);
        // Who ends the session sets the reason first, and then looks whether there is somebody to be told.
        if self.close_reason().is_none() {
            scope.cancelled().await;
        }
        self.close_reason().cloned().unwrap_or_else(|| CloseReason::lost("the connection was lost"))
    }

    /// Spawns a task that ends with the session: when it has closed, the task is cancelled at its next `.await`.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let scope = self.0.scope.get_or_init(Box::default).clone();
        if self.has_ended() {
            scope.cancel();
        }
        tokio::spawn(async move { scope.run_until_cancelled(future).await })
    }

    // ---- for the connection that runs it

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.0.home
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.home.limits
    }

    /// What was agreed on about compression, if anything was.
    pub(crate) fn deflate(&self) -> Option<Deflate> {
        self.0.handshake.deflate
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }

    /// Whether the connection has been told something since the last look.
    #[inline]
    pub(crate) fn is_signalled(&self) -> bool {
        self.0.signals.load(Ordering::Relaxed) != 0
    }

    /// What the connection has been told since the last look.
    pub(crate) fn take_signals(&self) -> Signals {
        let signals = self.0.signals.fetch_and(ABORTED, Ordering::AcqRel);
        Signals {
            timer: signals & TIMER != 0,
            retuned: signals & RETUNED != 0,
            aborted: signals & ABORTED != 0,
        }
    }

    /// Ends the connection without a closing handshake, whatever it is doing.
    pub(crate) fn abort(&self) {
        self.0.signal(ABORTED);
        self.0.outbox.wake();
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.0.signals.load(Ordering::Acquire) & ABORTED != 0
    }

    /// Puts it where others find it.
    pub(crate) fn enter_registry(&self) {
        self.sessions().insert(self);
        self.0.home.group.add(self);
        if let Some(identity) = self.handshake().identity() {
            self.go_by(None, identity);
        }
        // Whoever undeploys looks for sessions after having said so: either it finds this one, or this one finds that out.
        if self.0.home.is_gone() {
            self.begin_close(&undeployed());
        }
    }

    /// The session is over: nobody finds it any more, and what was spawned through it is cancelled.
    pub(crate) fn end(&self, reason: &CloseReason) {
        self.0.outbox.close(reason, true);
        self.0.phase.store(CLOSED, Ordering::Release);
        // Set once: a session ends once.
        let _ = self.0.reason.set(Box::new(reason.clone()));
        let id = *self.id();
        let mut memberships = self.memberships();
        memberships.gone = true;
        for room in memberships.rooms() {
            self.sessions().leave(&GroupKey::Room(room.clone()), id);
            if let Some(elsewhere) = self.sessions().elsewhere() {
                elsewhere.left(room, self, true);
            }
        }
        if let Some(user) = memberships.user() {
            self.sessions().leave(&GroupKey::User(user.into()), id);
        }
        drop(memberships);
        if let Some(continuity) = self.continuity() {
            continuity.ended(self, reason);
        }
        if let Some(refreshed) = self.0.refreshed.get() {
            refreshed.leave();
        }
        self.0.home.group.remove(id);
        self.sessions().ended();
        if let Some(scope) = self.0.scope.get() {
            scope.cancel();
        }
    }
}

/// What the sessions of an endpoint are told that is undeployed.
pub(crate) fn undeployed() -> CloseReason {
    CloseReason::away("the endpoint was undeployed").by(ClosedBy::Container)
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Session {}

impl std::hash::Hash for Session {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", self.id()).field("path", &self.path()).finish_non_exhaustive()
    }
}

/// A session, if somebody still holds it.
#[derive(Clone)]
pub(crate) struct WeakSession(Weak<Inner>);

impl fmt::Debug for WeakSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakSession")
    }
}

impl WeakSession {
    #[cfg(feature = "json")]
    pub(crate) fn upgrade(&self) -> Option<Session> {
        self.0.upgrade().map(Session)
    }

    /// Tells the connection that a timer has come due.
    pub(crate) fn ring(&self) {
        if let Some(inner) = self.0.upgrade() {
            inner.signal(TIMER);
            inner.outbox.wake();
        }
    }
}

impl Injected for Sessions {
    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok((*context.get::<Sessions>()?).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small() {
        // Each connection has one: `docs/memory.md`.
        assert!(size_of::<Inner>() <= 390, "{}", size_of::<Inner>());
    }
}

//! [`ReconnectingClient`] and [`Connection`]: one endpoint's connection that is made again whenever it is lost.
//!
//! One task drives it: it runs the session, and when that has ended pauses, connects again and runs the next, with the same instance.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Driver, Hook, Opened};
use super::plan::Plan;
use super::{Backoff, Client, ClientEndpoint, ClientInstance, ConnectError, Connecting};
use crate::connection::Upgraded;
use crate::error::Result;
use crate::message::{CloseCode, CloseReason, ClosedBy, IntoMessage};
use crate::session::outbox::Frame;
use crate::session::{SendError, Session};
use crate::wire::may_be_sent;

/// What was lost: a connection that stood, or the attempt to make one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Lost<'a> {
    /// The session has ended.
    Session(&'a CloseReason),
    /// It could not be made.
    Attempt(&'a ConnectError),
}

impl Lost<'_> {
    /// What is tried again unless [`retry_if`](ReconnectingClient::retry_if) says otherwise.
    ///
    /// Sessions that ended with 1001 (going away), 1006 (lost), 1011 (an error), 1012 (restart), 1013 (try again
    /// later) or 1014 (bad gateway); attempts that failed for [a passing reason](ConnectError::is_transient). Not what is
    /// finished (1000, or no code at all), nor what would go wrong in the same way again.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Lost::Session(reason) => matches!(u16::from(reason.code()), 1001 | 1006 | 1011..=1014),
            Lost::Attempt(error) => error.is_transient(),
        }
    }
}

impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Session(reason) => reason.fmt(f),
            Lost::Attempt(error) => error.fmt(f),
        }
    }
}

type RetryIf = Arc<dyn Fn(Lost<'_>) -> bool + Send + Sync>;

/// A [`Client`] whose connections are made again when they are lost: see [`Client::reconnect`].
///
/// ```no_run
/// # async fn f() -> endpoint_runtime::Result<()> {
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{Backoff, Endpoint};
///
/// struct Listener;
/// impl Endpoint for Listener {}
///
/// let connection = endpoint_runtime::client()
///     .reconnect(Backoff::default())
///     .on_reconnect(async |session| {
///         session.send("subscribe: news").await?;
///         Ok(())
///     })
///     .connect(Listener, "wss://host/news")
///     .await?;
/// connection.send("subscribe: news").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a client does nothing until it connects"]
pub struct ReconnectingClient {
    client: Client,
    backoff: Backoff,
    hook: Option<Hook>,
    retry_if: RetryIf,
    patient: bool,
}

impl ReconnectingClient {
    pub(super) fn new(client: Client, backoff: Backoff) -> Self {
        let retry_if: RetryIf = Arc::new(|lost| lost.is_worth_retrying());
        ReconnectingClient { client, backoff, hook: None, retry_if, patient: false }
    }

    /// What is to be done with each connection but the first, when its `on_open` has returned: subscribe again, say.
    ///
    /// Those who wait in [`Connection::send`] go on when it has returned. An error goes to the endpoint's `on_error` and closes the
    /// session with 1011, so that it is tried again.
    pub fn on_reconnect<F, R>(mut self, act: F) -> Self
    where
        F: Fn(Session) -> R + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |session| Box::pin(act(session))));
        self
    }

    /// Decides what is tried again, instead of [`Lost::is_worth_retrying`]. A session that this application has closed is not asked
    /// about, and stays closed.
    pub fn retry_if(mut self, decide: impl Fn(Lost<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.retry_if = Arc::new(decide);
        self
    }

    /// Whether the first connection is tried again too, so that it does not matter which of two programs starts first. Default:
    /// no, so that a wrong URL is noticed at once.
    pub fn patient(mut self, patient: bool) -> Self {
        self.patient = patient;
        self
    }

    /// Connects as [`Client::connect`] does, and again when the connection is lost. All its sessions have the same instance of the
    /// endpoint: `on_open` and `on_close` are called for each.
    ///
    /// # Errors
    /// The first connection was not made; if this client is [patient](Self::patient), the last error before it gave up.
    pub fn connect<E, Via>(&self, endpoint: E, url: impl AsRef<str>) -> Connecting<Connection>
    where
        E: ClientEndpoint<Via>,
    {
        Connecting::new(self.clone().connect_instance(endpoint.into_instance(), url.as_ref().to_owned()))
    }

    async fn connect_instance(
        self,
        instance: ClientInstance,
        url: String,
    ) -> Result<Connection, ConnectError> {
        let ClientInstance { about, driver } = instance;
        let Client { options, container } = &self.client;
        let plan = Plan::new(options, container, about, &url)?;
        let _under_way = container.tasks.token();
        let stopped = CancellationToken::new();
        let mut keeper = Keeper { policy: self.clone(), plan, stopped, attempts: watch::Sender::new(0) };
        let first = match keeper.plan.open().await {
            Err(error) if self.patient => keeper.again(Failed::Attempt(error)).await?,
            opened => opened?,
        };
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State { session: first.session.clone(), ready: false, ended: None }),
            stop: keeper.stopped.clone(),
            own_reason: Mutex::default(),
            attempts: keeper.attempts.subscribe(),
            send_timeout: keeper.plan.home.limits.send_timeout,
        });
        let connection = Connection { shared: Arc::clone(&shared) };
        container.tasks.spawn(keeper.keep(shared, driver, first));
        Ok(connection)
    }
}

impl fmt::Debug for ReconnectingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectingClient")
            .field("client", &self.client)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

/// A connection that is made again when it is lost, as a handle: cheap to clone.
///
/// Like a session it goes on whether or not anybody holds it, until it is [closed](Self::close), its client is shut down, or what
/// happened is not worth another attempt.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    state: watch::Sender<State>,
    /// No more connections are made.
    stop: CancellationToken,
    /// Why, if it was the application's wish.
    own_reason: Mutex<Option<CloseReason>>,
    attempts: watch::Receiver<u32>,
    send_timeout: Duration,
}

struct State {
    /// The current session, or the last.
    session: Session,
    /// It has opened, and the hook is done.
    ready: bool,
    /// There will be no other.
    ended: Option<CloseReason>,
}

impl Connection {
    /// The current session; while there is none, the last.
    pub fn session(&self) -> Session {
        self.shared.state.borrow().session.clone()
    }

    /// Whether there is a session that can be sent to now.
    pub fn is_connected(&self) -> bool {
        let state = self.shared.state.borrow();
        state.ready && state.session.is_open()
    }

    /// How many attempts were made since the connection was lost; 0 while it stands.
    pub fn attempts(&self) -> u32 {
        *self.shared.attempts.borrow()
    }

    /// Waits for a session that can be sent to: the current one, or the next.
    ///
    /// # Errors
    /// There will be none, for this reason.
    pub async fn connected(&self) -> Result<Session, CloseReason> {
        let mut states = self.shared.state.subscribe();
        loop {
            {
                let state = states.borrow_and_update();
                if let Some(reason) = &state.ended {
                    return Err(reason.clone());
                }
                if state.ready && state.session.is_open() {
                    return Ok(state.session.clone());
                }
            }
            // The sender lives in `self`.
            let _ = states.changed().await;
        }
    }

    /// Sends a message, by the current session or the next: waits for it, at most `send_timeout`, and then as
    /// [`Session::send`] does. A message that was sent when the connection was lost may be lost with it.
    ///
    /// # Errors
    /// As [`Session::send`]; [`SendError::Full`] if there was no connection in that time.
    pub async fn send(&self, message: impl IntoMessage) -> Result<(), SendError> {
        let frame = Frame::of(message)?;
        let deadline = Instant::now() + self.shared.send_timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let session = match timeout(left, self.connected()).await {
                Ok(session) => session.map_err(SendError::Closed)?,
                Err(_) => return Err(SendError::Full),
            };
            match session.send_frame(frame.clone()).await {
                // It was lost while we looked. It will not be shown to us again.
                Err(SendError::Closed(_)) => {}
                sent => return sent,
            }
        }
    }

    /// Closes the current session, if there is one, and makes no other.
    ///
    /// # Errors
    /// As [`Session::close`].
    pub async fn close(&self, reason: CloseReason) -> Result<(), SendError> {
        let code = reason.code();
        if code != CloseCode::Status && !may_be_sent(code) {
            return Err(SendError::InvalidCloseCode(code.into()));
        }
        let reason = reason.by(ClosedBy::Application);
        // In this order: a session that begins now finds the reason, or is found.
        self.shared.own_reason().get_or_insert_with(|| reason.clone());
        self.session().begin_close(&reason);
        self.shared.stop.cancel();
        Ok(())
    }

    /// Waits until there will be no more sessions, and says why: what the last one ended with, or that no other could be made.
    pub async fn closed(&self) -> CloseReason {
        let mut states = self.shared.state.subscribe();
        loop {
            if let Some(reason) = &states.borrow_and_update().ended {
                return reason.clone();
            }
            // The sender lives in `self`.
            let _ = states.changed().await;
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("session", &self.session())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn own_reason(&self) -> std::sync::MutexGuard<'_, Option<CloseReason>> {
        self.own_reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was lost, to be kept until something better comes.
enum Failed {
    Session(CloseReason),
    Attempt(ConnectError),
}

impl Failed {
    fn lost(&self) -> Lost<'_> {
        match self {
            Failed::Session(reason) => Lost::Session(reason),
            Failed::Attempt(error) => Lost::Attempt(error),
        }
    }
}

/// Who keeps a connection up.
struct Keeper {
    policy: ReconnectingClient,
    plan: Plan,
    /// The application wants no more.
    stopped: CancellationToken,
    /// Attempts since the last connection stood; of those in a row, see `again`.
    attempts: watch::Sender<u32>,
}

impl Keeper {
    /// Runs session after session.
    async fn keep(mut self, shared: Arc<Shared>, mut driver: Box<dyn Driver>, first: Upgraded) {
        // Whatever happens here, nobody waits for a connection that nobody makes.
        let mut end = End { shared: &shared, reason: CloseReason::lost("the client has stopped") };
        let mut next = first;
        let mut hook = None;
        let mut in_a_row = 0;
        loop {
            let began = Instant::now();
            let (back, reason) = self.plan.run(driver, next, Some(opened(&shared, hook.clone()))).await;
            shared.state.send_modify(|state| state.ready = false);
            end.reason = reason.clone();
            let Some(back) = back else { return };
            driver = back;
            if began.elapsed() >= self.policy.backoff.lasting {
                in_a_row = 0;
            }
            next = match self.again_after(Failed::Session(reason), &mut in_a_row).await {
                Ok(upgraded) => upgraded,
                Err(failed) => {
                    if let Some(own) = shared.own_reason().take() {
                        // The session may have been lost before it could be closed.
                        end.reason = own;
                    } else if let Failed::Attempt(error) = failed {
                        end.reason = CloseReason::lost(format!("not connected again: {error}"));
                    }
                    return;
                }
            };
            hook.clone_from(&self.policy.hook);
            shared.state.send_modify(|state| state.session = next.session.clone());
            if let Some(own) = shared.own_reason().as_ref() {
                // `close` saw the session before this one.
                next.session.begin_close(own);
            }
        }
    }

    /// The first connection, for a patient client.
    async fn again(&mut self, failed: Failed) -> Result<Upgraded, ConnectError> {
        match self.again_after(failed, &mut 0).await {
            Ok(upgraded) => Ok(upgraded),
            Err(Failed::Attempt(error)) => Err(error),
            Err(Failed::Session(_)) => Err(ConnectError::ShutDown),
        }
    }

    /// Pauses and connects, until there is a connection or no point in trying. `in_a_row` counts the attempts since a connection
    /// lasted.
    async fn again_after(&mut self, mut failed: Failed, in_a_row: &mut u32) -> Result<Upgraded, Failed> {
        let backoff = self.policy.backoff.clone();
        let stop = self.plan.container.stop.clone();
        loop {
            let is_over = self.stopped.is_cancelled() || stop.is_cancelled() || !self.is_worth_it(&failed);
            if is_over || backoff.attempts.is_some_and(|most| *in_a_row >= most) {
                tracing::info!(url = %self.plan.target, attempts = *in_a_row, reason = %failed.lost(), "not connecting again");
                return Err(failed);
            }
            *in_a_row = in_a_row.saturating_add(1);
            let mut pause = backoff.delay(*in_a_row);
            if let Failed::Attempt(error) = &failed {
                pause = pause.max(error.retry_after().unwrap_or_default().min(backoff.max));
            }
            tracing::info!(url = %self.plan.target, attempt = *in_a_row, ?pause, reason = %failed.lost(), "connecting again");
            let attempt = async {
                sleep(pause).await;
                self.attempts.send_modify(|attempts| *attempts += 1);
                self.plan.open().await
            };
            let opened = tokio::select! {
                () = self.stopped.cancelled() => return Err(failed),
                () = stop.cancelled() => return Err(failed),
                opened = attempt => opened,
            };
            match opened {
                Ok(upgraded) => {
                    self.attempts.send_replace(0);
                    return Ok(upgraded);
                }
                Err(error) => failed = Failed::Attempt(error),
            }
        }
    }

    fn is_worth_it(&self, failed: &Failed) -> bool {
        match failed {
            Failed::Session(reason) if reason.closed_by() == ClosedBy::Application => false,
            failed => (self.policy.retry_if)(failed.lost()),
        }
    }
}

/// When a session has opened: first what the application wants done, then whoever waits.
fn opened(shared: &Arc<Shared>, hook: Option<Hook>) -> Opened {
    let shared = Arc::clone(shared);
    let ready = Box::new(move |_: &Session| shared.state.send_modify(|state| state.ready = true));
    Opened { hook, ready }
}

/// Leaving scope, it tells everybody that there will be no more sessions.
struct End<'a> {
    shared: &'a Shared,
    reason: CloseReason,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.shared.state.send_modify(|state| {
            state.ready = false;
            state.ended = Some(self.reason.clone());
        });
    }
}

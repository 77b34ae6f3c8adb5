//! [`Link`]: the connection to the server while the engine runs. It finds out that the connection is lost, and when all subscriptions hold
//! again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Event, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::listening::Listening;
use super::{refused, unavailable};
use crate::cluster::{Channel, EngineError, Receiver};

/// How often the state of the connection is looked at even if nothing was said about it, and how often it is told at most that messages
/// are missing.
const LOOK: Duration = Duration::from_millis(250);

/// How often a message is sent to ourselves.
const PROBE: Duration = Duration::from_secs(2);

/// A connection on which none of them has come back for so long is given up, even if the server says something now and then.
const DEAF: Duration = Duration::from_millis(4500);

/// How long something that was wrong may be why the connection is lost.
const RECENT: Duration = Duration::from_secs(5);

/// What the client library says about the connection. It says it from a short queue of its own and drops what does not fit, so nothing
/// here depends on any single one of them.
#[derive(Default)]
pub(super) struct Signs {
    changed: Notify,
    slow: AtomicBool,
    stopped: AtomicBool,
    /// What was last wrong, and when.
    why: Mutex<Option<(String, Instant)>>,
}

impl Signs {
    pub(super) fn note(&self, event: Event) {
        match event {
            Event::SlowConsumer(_) => self.slow.store(true, Ordering::Release),
            Event::ServerError(error) => {
                tracing::warn!(%error, "the server of the cluster's engine refuses something");
                self.blame(error.to_string());
            }
            Event::ClientError(error) => self.blame(error.to_string()),
            _ => self.changed.notify_one(),
        }
    }

    fn blame(&self, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some((why, Instant::now()));
    }

    /// Why there is no connection.
    pub(super) fn why(&self) -> EngineError {
        match &*self.why.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((why, when)) if when.elapsed() < RECENT => unavailable(why.clone()),
            _ => unavailable("no connection to the NATS server"),
        }
    }

    /// Nobody needs the connection any more: the library would try for ever all the same.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// A running engine.
pub(super) struct Link {
    client: Client,
    signs: Arc<Signs>,
    prefix: Arc<str>,
    timeout: Duration,
    receiver: Arc<dyn Receiver>,
    listening: tokio::sync::Mutex<Listening>,
    echo: Echo,
    tasks: Mutex<JoinSet<()>>,
}

impl Link {
    /// Begins to supervise the connection. Unless it is there and works within the timeout, the receiver hears that it is lost, and
    /// whether that is so is returned.
    pub(super) async fn start(
        client: Client,
        signs: Arc<Signs>,
        prefix: Arc<str>,
        limit: Duration,
        receiver: Arc<dyn Receiver>,
    ) -> Result<(Arc<Self>, bool), EngineError> {
        let (echo, echoes) = Echo::new(&client, &prefix).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(echo.listen(echoes));
        let listening = tokio::sync::Mutex::default();
        let tasks = Mutex::new(tasks);
        let link = Arc::new(Link { client, signs, prefix, timeout: limit, receiver, listening, echo, tasks });

        let first = timeout(limit, link.first()).await.ok();
        if first.is_none() {
            link.receiver.lost(&link.signs.why());
        }
        {
            let mut tasks = link.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.spawn(link.clone().supervise(first));
            tasks.spawn(link.clone().probe());
        }
        Ok((link, first.is_some()))
    }

    /// The number of the first connection, when it works.
    async fn first(&self) -> u64 {
        loop {
            if let Some(connection) = self.connection()
                && self.restore().await.is_ok()
                && self.connection() == Some(connection)
            {
                return connection;
            }
            let _ = timeout(LOOK, self.signs.changed.notified()).await;
        }
    }

    /// Which connection there is now, the first, the second and so on; none if there is none.
    pub(super) fn connection(&self) -> Option<u64> {
        (self.client.connection_state() == State::Connected)
            .then(|| self.client.statistics().connects.load(Ordering::Acquire))
    }

    /// The client, if it has a connection. Without one it would keep what it is given until there is one again.
    pub(super) fn client(&self) -> Result<&Client, EngineError> {
        match self.connection() {
            _ if self.signs.is_stopped() => Err(unavailable("the engine has stopped")),
            Some(_) => Ok(&self.client),
            None => Err(self.signs.why()),
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Subscribes to channels. If that cannot be done now, they are still wanted, and are subscribed to with all others before the
    /// receiver hears that the engine is back.
    pub(super) async fn subscribe(&self, channels: &[Channel]) -> Result<(), EngineError> {
        let subscribed = timeout(self.timeout, async {
            let mut listening = self.listening.lock().await;
            listening.want(channels);
            let client = self.client()?;
            listening.catch_up(client, &self.prefix, &self.receiver).await?;
            drop(listening);
            self.echo.come_back(client).await
        });
        subscribed.await.unwrap_or(Err(EngineError::Timeout))
    }

    pub(super) async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), EngineError> {
        let forgotten = timeout(self.timeout, async {
            self.listening.lock().await.forget(channels);
        });
        forgotten.await.map_err(|_| EngineError::Timeout)
    }

    /// Subscribes to what is missing, and makes certain that all subscriptions hold.
    async fn restore(&self) -> Result<(), EngineError> {
        self.subscribe(&[]).await
    }

    /// Tells the receiver when the connection is lost, when it is back, and when messages are missing, until the engine stops.
    async fn supervise(self: Arc<Self>, mut working: Option<u64>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.signs.changed.notified() => {}
                _ = look.tick() => {
                    // The library does not say which channel it was in a way that could be relied on.
                    if self.signs.slow.swap(false, Ordering::AcqRel) {
                        tracing::warn!("messages have come faster from the cluster than they were taken, and some were dropped");
                        self.receiver.missed(&[]);
                    }
                }
            }
            let connection = self.connection();
            if working.is_some() && connection != working {
                working = None;
                let why = self.signs.why();
                tracing::warn!(%why, "the connection to the cluster's engine is lost");
                self.receiver.lost(&why);
            }
            // The library has subscribed again by itself; that its subscriptions hold is for us to find out.
            if working.is_none()
                && connection.is_some()
                && self.restore().await.is_ok()
                && self.connection() == connection
            {
                working = connection;
                tracing::info!("the connection to the cluster's engine is back");
                self.receiver.back();
            }
        }
    }

    /// Gives up a connection on which nothing of what we say comes back.
    async fn probe(self: Arc<Self>) {
        let mut heard = (None, Instant::now());
        let mut next = interval(PROBE);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            let connection = self.connection();
            let Ok(client) = self.client() else { continue };
            let probed = timeout(self.timeout, self.echo.come_back(client)).await;
            if matches!(probed, Ok(Ok(()))) || heard.0 != connection {
                heard = (connection, Instant::now());
            } else if heard.1.elapsed() > DEAF {
                self.signs.blame("the NATS server does not answer".to_owned());
                heard.1 = Instant::now();
                let _ = timeout(self.timeout, client.force_reconnect()).await;
            }
        }
    }

    /// Has something done until the engine stops.
    pub(super) fn look_after(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(work);
    }

    /// Sends what waits to be sent, and ends everything.
    pub(super) async fn stop(&self) {
        if let Ok(client) = self.client() {
            let _ = timeout(self.timeout, client.flush()).await;
        }
        self.signs.stopped.store(true, Ordering::Relaxed);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        *self.listening.lock().await = Listening::default();
        let _ = timeout(self.timeout, self.client.drain()).await;
    }
}

/// A subject of this process alone: what is published to it comes back once the server has done all that it was told before, on the same
/// connection. The library's `flush` is done when that has been written, and the server may be 20 ms behind.
struct Echo {
    subject: Subject,
    sent: AtomicU64,
    returned: watch::Sender<u64>,
}

impl Echo {
    async fn new(client: &Client, prefix: &str) -> Result<(Self, Subscriber), EngineError> {
        let subject = Subject::from(format!("{prefix}.echo.{:016x}", rand::random::<u64>()));
        let echoes = client.subscribe(subject.clone()).await.map_err(refused)?;
        Ok((Echo { subject, sent: AtomicU64::new(0), returned: watch::Sender::new(0) }, echoes))
    }

    /// Notes what comes back.
    fn listen(&self, mut echoes: Subscriber) -> impl Future<Output = ()> + Send + use<> {
        let returned = self.returned.clone();
        async move {
            while let Some(echo) = echoes.next().await {
                if let Some(bytes) = echo.payload.first_chunk() {
                    let number = u64::from_be_bytes(*bytes);
                    returned.send_if_modified(|last| {
                        let later = number > *last;
                        *last = number.max(*last);
                        later
                    });
                }
            }
        }
    }

    /// Waits until the server has done all that it was told before this call. A later one that comes back says the same.
    async fn come_back(&self, client: &Client) -> Result<(), EngineError> {
        let mut returned = self.returned.subscribe();
        let number = self.sent.fetch_add(1, Ordering::AcqRel) + 1;
        let message = Bytes::copy_from_slice(&number.to_be_bytes());
        client.publish(self.subject.clone(), message).await.map_err(refused)?;
        returned.wait_for(|last| *last >= number).await.map(drop).map_err(unavailable)
    }
}

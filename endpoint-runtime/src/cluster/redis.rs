//! [`Redis`]: an engine that is a Redis or a Valkey server.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use redis::{Client, Cmd, Pipeline, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{
    Appended, Capabilities, Channel, Engine, EngineError, History, MessageId, Pending, Position, Present,
    Published, Put, Receiver, Recorded, Retention,
};

mod frame;
mod history;
mod link;
mod names;
mod presence;
mod scripts;
mod subscriptions;
mod supervisor;

use self::frame::Volatile;
use self::link::{Link, cannot};
use self::names::Names;
use self::subscriptions::Subscriptions;
use self::supervisor::{Change, Request, Supervisor, again};

/// The largest message, bytes. A server drops a subscriber that has more than 32 MiB waiting, unless it is told otherwise, so a few of
/// them have to fit.
const MAX_MESSAGE: usize = 8 * 1024 * 1024;
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(1);
const PREFIX: &str = "endpoint";

/// A Redis server (6.2 or newer), or a Valkey server, as the engine of a cluster. Needs the feature `redis`.
///
/// ```no_run
/// # use endpoint_runtime::cluster::Redis;
/// # async fn f() -> Result<(), endpoint_runtime::cluster::EngineError> {
/// let engine = Redis::connect("redis://localhost:6379").await?.prefix("chat");
/// # let _ = engine;
/// # Ok(())
/// # }
/// ```
///
/// The URL is `redis://[user:password@]host[:port][/database]`; with `rediss://` the connection is encrypted, which needs the feature
/// `tls`; `valkey://` and `valkeys://` mean the same. The name of the host is looked up anew for each connection.
///
/// # What it needs
///
/// Two connections of each node to one server that is a primary; no configuration. Whoever restricts what users of the server may do has to
/// let this one use keys and channels that begin with the [prefix](Self::prefix), and `INFO`, `PUBLISH`, `SUBSCRIBE`, `MULTI`, `EVAL` and what the
/// scripts call: commands of hashes, streams, sorted sets and strings. A server that is a part of a Redis Cluster will not do yet.
///
/// What it keeps is in the server's memory. A server that removes keys when its memory is full (`maxmemory-policy`) may remove
/// histories: that is noticed, as any other loss of a history.
///
/// # What it promises
///
/// * A message that is [published](Engine::publish) reaches each node that has subscribed to its channel, and is connected, at most once.
///   [`receivers`](Published::receivers) says how many: 0 is nobody.
/// * A message that is [appended](Engine::append) is kept, and has a position, or that is an error. The same id within five minutes is the
///   same message. [`EngineError::Timeout`] means that nobody knows whether it has been done: with the same id it can be done again.
/// * A history is of one run of one server. One that has been restarted, with its data or without, and a replica that has taken over begin new
///   ones, with other epochs: they may have lost what was acknowledged, and so nobody takes another message for one that is lost.
/// * A server that does not answer is given up within 6 seconds, whether or not TCP has noticed, and one that is back is found within a
///   second, however long it was away. Then everything is subscribed to again before the receiver is told so.
pub struct Redis {
    client: Client,
    prefix: String,
    timeout: Duration,
    /// Whether there need not be a server to begin with.
    lazy: bool,
    running: OnceLock<Running>,
}

impl Redis {
    /// Connects to a server, to see whether there is one that will do.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unavailable`] if there is none now, or none that lets us in; [`EngineError::Refused`] if the URL is none, or the
    /// server too old.
    pub async fn connect(url: &str) -> Result<Self, EngineError> {
        let redis = Redis { lazy: false, ..Self::lazy(url)? };
        match Link::connect(&redis.client, TIMEOUT, None).await {
            Ok(_) => Ok(redis),
            Err(why) => Err(redis.not_there(why)),
        }
    }

    /// Why there is no server, and where it should be.
    fn not_there(&self, why: EngineError) -> EngineError {
        let at = |why: &dyn fmt::Display| format!("{}: {why}", link::address(&self.client)).into();
        match why {
            EngineError::Unavailable(why) => EngineError::Unavailable(at(&why)),
            EngineError::Timeout => EngineError::Unavailable(at(&EngineError::Timeout)),
            why => why,
        }
    }

    /// Takes a server that need not be there yet. Until it is, the cluster is degraded.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] if the URL is none.
    pub fn lazy(url: &str) -> Result<Self, EngineError> {
        Ok(Redis {
            client: link::client(url)?,
            prefix: PREFIX.to_owned(),
            timeout: TIMEOUT,
            lazy: true,
            running: OnceLock::new(),
        })
    }

    /// What the names of all keys and channels begin with: another one for each application that shares the server. By default `endpoint`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// How long a call may take until it ends as [`EngineError::Timeout`]. By default one second. Less gives up on a server that is only
    /// slow; more lets senders wait for one that is not there.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn running(&self) -> Result<&Running, EngineError> {
        self.running.get().ok_or_else(|| EngineError::Unavailable("the engine has not been started".into()))
    }

    fn shared(&self) -> Result<&Shared, EngineError> {
        self.running().map(|running| &*running.shared)
    }

    async fn begin(&self, receiver: Arc<dyn Receiver>) -> Result<(), EngineError> {
        let names = Names::new(&self.prefix);
        let shared = Arc::new(Shared {
            client: self.client.clone(),
            address: link::address(&self.client),
            timeout: self.timeout,
            probe: names.probe(rand::random()),
            names,
            subscriptions: Arc::default(),
            link: RwLock::new(Err("the engine is being started".to_owned())),
        });
        let (requests, requested) = mpsc::unbounded_channel();
        let (begun, has_begun) = oneshot::channel();
        let supervisor =
            Supervisor { shared: Arc::clone(&shared), receiver, requests: requested, begun: Some(begun) };
        let task = tokio::spawn(supervisor.run());
        let running = Running { shared, requests, task: Mutex::new(Some(task)) };
        let outcome = has_begun.await.unwrap_or(Err(EngineError::Timeout));
        if let (Err(why), false) = (outcome, self.lazy) {
            return Err(self.not_there(why));
        }
        self.running
            .set(running)
            .map_err(|_| EngineError::Refused("the engine has been started already".into()))
    }

    /// Has the supervisor do it, and waits until it has.
    async fn change(&self, what: Change) -> Result<(), EngineError> {
        let running = self.running()?;
        let (done, is_done) = oneshot::channel();
        let gone = || EngineError::Unavailable("the engine has been stopped".into());
        running.requests.send(Request { what, done }).map_err(|_| gone())?;
        // It looks at the time of each command; this is in case that it has very many to give.
        let patience = self.timeout.saturating_mul(10);
        timeout(patience, is_done).await.map_err(|_| EngineError::Timeout)?.map_err(|_| gone())?
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("address", &link::address(&self.client))
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What an engine has that has been started.
struct Running {
    shared: Arc<Shared>,
    requests: mpsc::UnboundedSender<Request>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Running {
    /// Ends the supervisor; its end can be waited for.
    fn abort(&self) -> Option<JoinHandle<()>> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        task.abort();
        Some(task)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort();
    }
}

/// What those who send and the supervisor share.
struct Shared {
    client: Client,
    address: String,
    timeout: Duration,
    names: Names,
    /// The channel of the probes.
    probe: String,
    subscriptions: Arc<Subscriptions>,
    /// The link that works now, or why there is none.
    link: RwLock<Result<Arc<Link>, String>>,
}

impl Shared {
    fn link(&self) -> Result<Arc<Link>, EngineError> {
        match &*self.link.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(link) => Ok(Arc::clone(link)),
            Err(why) => Err(EngineError::Unavailable(why.clone().into())),
        }
    }

    fn found(&self, link: Arc<Link>) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Ok(link);
    }

    fn lost(&self, why: &EngineError) {
        let why = match again(why) {
            EngineError::Unavailable(why) => why.to_string(),
            why => why.to_string(),
        };
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Err(why);
    }

    async fn send(&self, command: &Cmd) -> Result<Value, EngineError> {
        self.link()?.send(command).await.map_err(cannot)
    }
}

impl Engine for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { history: true, store: true, presence: true, interest: true }
    }

    fn max_message(&self) -> usize {
        MAX_MESSAGE
    }

    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()> {
        Box::pin(self.begin(receiver))
    }

    /// While there is no server, it is an error, and the channels are subscribed to when there is one.
    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async move {
            let names = &self.shared()?.names;
            let named = channels.iter().map(|channel| (names.channel(channel), channel.clone()));
            self.change(Change::Subscribe(named.collect())).await
        })
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async move {
            let names = &self.shared()?.names;
            let names = channels.iter().map(|channel| names.channel(channel));
            self.change(Change::Unsubscribe(names.collect())).await
        })
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        Box::pin(async move {
            fits(&message)?;
            let shared = self.shared()?;
            published(shared.send(&publishing(&shared.names.channel(channel), &message)).await?)
        })
    }

    fn publish_all<'a>(&'a self, channel: &'a Channel, messages: &'a [Bytes]) -> Pending<'a, Vec<Published>> {
        Box::pin(async move {
            let shared = self.shared()?;
            let name = shared.names.channel(channel);
            let mut pipeline = Pipeline::with_capacity(messages.len());
            for message in messages {
                fits(message)?;
                pipeline.add_command(publishing(&name, message));
            }
            let answers = shared.link()?.send_all(&pipeline).await.map_err(cannot)?;
            answers.into_iter().map(published).collect()
        })
    }

    fn append<'a>(
        &'a self,
        channel: &'a Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Pending<'a, Appended> {
        Box::pin(async move {
            fits(&message)?;
            let appended = history::append_all(self.shared()?, channel, &[(id, message)], keep).await?;
            appended.into_iter().next().ok_or_else(|| EngineError::Refused("it has not been appended".into()))
        })
    }

    fn append_all<'a>(
        &'a self,
        channel: &'a Channel,
        messages: &'a [(MessageId, Bytes)],
        keep: Retention,
    ) -> Pending<'a, Vec<Appended>> {
        Box::pin(async move {
            messages.iter().try_for_each(|(_, message)| fits(message))?;
            history::append_all(self.shared()?, channel, messages, keep).await
        })
    }

    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History> {
        Box::pin(async move { history::history(self.shared()?, channel, after, limit).await })
    }

    fn tops<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, Vec<Option<Position>>> {
        Box::pin(async move { history::tops(self.shared()?, channels).await })
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration, how: Put) -> Pending<'a, bool> {
        Box::pin(async move {
            fits(&value)?;
            let shared = self.shared()?;
            let how = match how {
                Put::New => "NX",
                Put::Again => "XX",
            };
            let mut command = redis::cmd("SET");
            command.arg(shared.names.value(key)).arg(&*value).arg("PX").arg(millis(ttl)).arg(how);
            Ok(shared.send(&command).await? == Value::Okay)
        })
    }

    fn take<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Bytes>> {
        Box::pin(async move {
            let shared = self.shared()?;
            let mut command = redis::cmd("GETDEL");
            command.arg(shared.names.value(key));
            let value: Option<Vec<u8>> = history::read(shared.send(&command).await?)?;
            Ok(value.map(Bytes::from))
        })
    }

    fn enter<'a>(&'a self, channel: &'a Channel, members: &'a [Recorded], ttl: Duration) -> Pending<'a, ()> {
        Box::pin(async move { presence::enter(self.shared()?, channel, members, ttl).await })
    }

    fn exit<'a>(&'a self, channel: &'a Channel, members: &'a [String]) -> Pending<'a, ()> {
        Box::pin(async move { presence::exit(self.shared()?, channel, members).await })
    }

    fn present<'a>(
        &'a self,
        channel: &'a Channel,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Present> {
        Box::pin(async move { presence::present(self.shared()?, channel, after, limit).await })
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        Box::pin(async move {
            let Some(running) = self.running.get() else { return Ok(()) };
            if let Some(task) = running.abort() {
                // Aborted, it has nothing to say.
                let _ = task.await;
            }
            running.shared.lost(&EngineError::Unavailable("the engine has been stopped".into()));
            Ok(())
        })
    }
}

fn publishing(name: &str, message: &[u8]) -> Cmd {
    let mut command = redis::cmd("PUBLISH");
    command.arg(name).arg(Volatile(message));
    command
}

fn published(answer: Value) -> Result<Published, EngineError> {
    Ok(Published { receivers: Some(history::read(answer)?) })
}

fn fits(message: &[u8]) -> Result<(), EngineError> {
    if message.len() > MAX_MESSAGE {
        return Err(EngineError::TooLarge { bytes: message.len(), limit: MAX_MESSAGE });
    }
    Ok(())
}

/// As Redis counts time; no time at all is no time that it understands.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52)
}

//! [`Nats`]: a cluster over NATS.

mod history;
mod idle;
mod link;
mod listening;
mod options;
mod order;
mod stream;
mod subject;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::Client;
use async_nats::client::PublishError;
use bytes::Bytes;
use tokio::time::timeout;

use self::history::Histories;
use self::link::{Link, Signs};
pub use self::options::NatsOptions;
use self::stream::HEADERS;
use self::subject::{Place, frame, head, token};
use super::{
    Appended, Capabilities, Channel, Engine, EngineError, History, MessageId, Pending, Position, Present,
    Published, Put, Receiver, Recorded, Retention,
};
use crate::error::BoxError;

/// What is left free for the name of a room or user before each message. With a longer name, messages have to be shorter.
const HEAD: usize = 1024;

/// What this engine keeps only if it is asked to.
const HISTORY: &str = "history (`Nats::options(url)?.history(replicas)` has JetStream keep one)";

/// What servers allow that are not configured otherwise.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// An engine over [NATS](https://nats.io): the nodes of a cluster talk through its subjects.
///
/// ```no_run
/// # async fn f() -> endpoint_runtime::Result<()> {
/// use endpoint_runtime::cluster::Nats;
///
/// let engine = Nats::connect("nats://localhost:4222").await?.prefix("shop");
/// # drop(engine); Ok(())
/// # }
/// ```
///
/// It carries messages, each at most once. It keeps them only if it is asked to, see [History](#history). It has no
/// [store](Capabilities::store) and no list of who is [present](Capabilities::presence): an endpoint that needs one of these (`resume`,
/// `presence`) needs another engine. Any server from 2.2 on will do; several that are connected to each other are as good as one, and a
/// node goes to another of them when it loses its own.
///
/// # Who we are
///
/// | the server wants | |
/// |---|---|
/// | a user and a password | `nats://user:password@host:4222`, with `%40` for an `@` and so on |
/// | a token | `nats://token@host:4222` |
/// | a signature of an NKey | [`Nats::options`]`(url)?`[`.nkey(seed)`](NatsOptions::nkey) |
/// | a JWT | [`.credentials_file("shop.creds")`](NatsOptions::credentials_file) |
/// | encryption | `tls://host:4222`, and [`.authority("ca.pem")`](NatsOptions::authority) unless this machine trusts the server's |
/// | our certificate | [`.certificate("chain.pem", "key.pem")`](NatsOptions::certificate) |
///
/// What stands in the first of several addresses that says who we are holds for all of them. Who is not let in gets
/// [`EngineError::Refused`] at the start; later, it is logged, and tried again.
///
/// # Subjects
///
/// `app` being the [prefix](Nats::prefix): `app.ctl` and `app.all` for every node, `app.n.<node>` for one, and `app.r.<bucket>` and
/// `app.u.<bucket>` for rooms and users, which are hashed into 16,384 buckets each; `app.echo.<random>` is how a node finds out that its
/// subscriptions hold. These are what it needs permission to publish and subscribe to.
///
/// A node subscribes to the buckets of the rooms and users that it has, 5 KB of memory each, 160 MB if it has all of them. It gets,
/// and drops, what is for others in the same bucket: with 10,000 users it is in 46 % of the buckets of users, with 100,000 in all of them.
///
/// # Failures
///
/// A connection that does not answer is given up after about 5 seconds, and a new one is tried at once and then every quarter to half
/// a second, for ever. While there is none, nothing is kept to be sent later: what is published fails at once with
/// [`EngineError::Unavailable`]. What is published before the loss is noticed may be lost without an error.
///
/// With several servers that are connected to each other, a subscription holds on the node's own server when [`Engine::subscribe`]
/// is done, and a moment later on the others.
///
/// # History
///
/// ```no_run
/// # use endpoint_runtime::cluster::Nats;
/// # async fn f() -> endpoint_runtime::Result<()> {
/// let engine = Nats::options("nats://localhost:4222")?.history(1).connect().await?;
/// # drop(engine); Ok(())
/// # }
/// ```
///
/// With [`NatsOptions::history`] rooms may be [recoverable](crate::cluster::Rooms::recoverable): JetStream, which is a part of NATS that has to
/// be enabled, keeps what is appended, in files. It needs NATS 2.9 or later, and permission for `$JS.API.>`, `_INBOX.>` and `app.h.>`.
/// Each channel has a stream of its own; what it takes it publishes again to the live subject of the channel, with its number, which is the
/// offset.
///
/// * A stream costs its server about 70 KB of memory, 30 KB of files, some milliseconds to be made, and 4 ms at each start of
///   the server: thousands of recoverable rooms are no matter, a million is too many for any server. Redis is the engine for that.
/// * When nothing is kept of a room any more its stream stays, so that whoever comes back and has missed nothing can be told so. An hour
///   ([`forget_after`](NatsOptions::forget_after)) after it was last used it is deleted by one of the nodes, which look for such streams
///   every ten minutes.
/// * Messages are kept for `ttl` each, and not all of them until `ttl` after the last one. The same id is the same message for five minutes, or
///   for `ttl` if that is shorter.
/// * An append that nobody answers for, as while a stream changes its leader, is tried again with the same id until the
///   [timeout](Nats::timeout). A change of leaders takes up to 8 s: with a timeout of 10 s senders wait for it instead of getting an error.
/// * The epoch of a history is made up when its stream is made. It goes on when servers are restarted with their files, and it is another one
///   when they have lost them. A server acknowledges what it has written and not yet forced to its disk (`sync_interval`, two minutes), so one
///   that loses its power, and keeps the only copy, may forget what it had acknowledged: each node compares what it has itself appended
///   or read with what is there after every new connection, and if that is less, or something else, a new epoch begins. What none of the
///   running nodes has seen, nobody misses: three replicas, or `sync_interval: always` (NATS 2.10), keep it from being lost.
pub struct Nats {
    options: NatsOptions,
    prefix: Arc<str>,
    timeout: Duration,
    signs: Arc<Signs>,
    /// There from the start with [`Nats::connect`], and when the engine has started with [`Nats::lazy`].
    client: OnceLock<Client>,
    started: AtomicBool,
    link: OnceLock<Arc<Link>>,
    /// There when the engine has started, if messages are kept.
    histories: OnceLock<Arc<Histories>>,
}

impl Nats {
    /// Connects to a server: `nats://host:4222`, `tls://host:4222`, with `user:password@` or `token@` before the host if it asks for
    /// that. Several addresses are separated by commas.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] if the address is none, or the server does not accept who we are; [`EngineError::Unavailable`] if none of
    /// the servers answers within 2 seconds.
    pub async fn connect(url: &str) -> Result<Self, EngineError> {
        Self::options(url)?.connect().await
    }

    /// Connects when the cluster starts, and goes on trying if no server answers then: until one does, the node is alone, and its cluster
    /// is [degraded](Receiver::lost).
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] if the address is none.
    pub fn lazy(url: &str) -> Result<Self, EngineError> {
        Self::options(url)?.lazy()
    }

    /// What can be said before connecting to these servers: who we are, whom we trust, and whether messages are kept.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] if the address is none.
    pub fn options(url: &str) -> Result<NatsOptions, EngineError> {
        NatsOptions::new(url)
    }

    fn new(options: NatsOptions, signs: Arc<Signs>, client: Option<Client>) -> Self {
        Nats {
            options,
            prefix: "endpoint".into(),
            timeout: Duration::from_secs(1),
            signs,
            client: client.map_or_else(OnceLock::new, OnceLock::from),
            started: AtomicBool::new(false),
            link: OnceLock::new(),
            histories: OnceLock::new(),
        }
    }

    /// What all its subjects begin with: `endpoint` if nothing is said. Clusters that share a server but not their sessions have
    /// different ones. What a subject cannot hold is escaped.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = token(prefix).into();
        self
    }

    /// How long anything that is asked of the engine may take, before it ends as [`EngineError::Timeout`]: 1 second if nothing is said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn link(&self) -> Result<&Arc<Link>, EngineError> {
        self.link.get().ok_or_else(|| unavailable("the engine has not started"))
    }

    /// One after the other, in the order in which the server is to get them.
    async fn publish_now(&self, channel: &Channel, messages: &[Bytes]) -> Result<(), EngineError> {
        let link = self.link()?;
        let client = link.client()?;
        messages.iter().try_for_each(|message| self.fits(client, head(channel), message))?;
        let subject = Place::of(channel).subject(link.prefix());
        let publishing = async {
            for message in messages {
                client.publish(subject.clone(), frame(channel, message.clone())).await?;
            }
            Ok::<_, PublishError>(())
        };
        match timeout(self.timeout, publishing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unavailable(error)),
            Err(_) => Err(EngineError::Timeout),
        }
    }

    async fn start_now(&self, receiver: Arc<dyn Receiver>) -> Result<(), EngineError> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Err(refused("this engine has been started before"));
        }
        let (client, may_be_down) = match self.client.get() {
            Some(client) => (client.clone(), false),
            None => (self.options.connect_some_time(&self.signs).await?, true),
        };
        let client = self.client.get_or_init(|| client).clone();
        let signs = self.signs.clone();
        let (link, works) = Link::start(client, signs, self.prefix.clone(), self.timeout, receiver).await?;
        let kept = match works {
            true => self.try_histories_out().await,
            false if may_be_down => Ok(()),
            false => Err(self.signs.why()),
        };
        // Who may come later may also be able to do something later.
        if let Err(error) = kept
            && !(may_be_down && matches!(error, EngineError::Unavailable(_) | EngineError::Timeout))
        {
            link.stop().await;
            return Err(error);
        }
        if let Some(histories) = self.histories() {
            link.look_after(idle::look_after(histories.clone(), link.clone()));
        }
        self.link.get_or_init(|| link);
        Ok(())
    }

    async fn try_histories_out(&self) -> Result<(), EngineError> {
        match self.histories() {
            Some(histories) => histories.try_out().await,
            None => Ok(()),
        }
    }

    /// Nothing if no messages are kept, or there is no client yet.
    fn histories(&self) -> Option<&Arc<Histories>> {
        let (replicas, forget) = self.options.kept()?;
        let client = self.client.get()?;
        let new = || Histories::new(client.clone(), self.prefix.clone(), replicas, self.timeout, forget);
        Some(self.histories.get_or_init(|| new().into()))
    }

    /// What keeps messages, and the connection to it.
    fn history_and_link(&self) -> Result<(&Histories, &Link), EngineError> {
        match (self.options.kept(), self.histories()) {
            (None, _) => Err(EngineError::Unsupported(HISTORY)),
            (_, None) => Err(unavailable("the engine has not started")),
            (_, Some(histories)) => Ok((histories, self.link()?)),
        }
    }

    /// Whether there is room for a message with so much before it.
    fn fits(&self, client: &Client, before: usize, message: &Bytes) -> Result<(), EngineError> {
        let limit = client.max_payload().saturating_sub(before).min(self.max_message());
        match message.len() {
            bytes if bytes > limit => Err(EngineError::TooLarge { bytes, limit }),
            _ => Ok(()),
        }
    }

    /// A message as it is appended.
    fn framed(&self, link: &Link, channel: &Channel, message: &Bytes) -> Result<Bytes, EngineError> {
        self.fits(link.client()?, head(channel) + HEADERS, message)?;
        Ok(frame(channel, message.clone()))
    }

    async fn append_now(
        &self,
        channel: &Channel,
        messages: &[(MessageId, Bytes)],
        keep: Retention,
    ) -> Result<Vec<Appended>, EngineError> {
        let (histories, link) = self.history_and_link()?;
        let framed = |(id, message): &(MessageId, Bytes)| Ok((*id, self.framed(link, channel, message)?));
        let messages = messages.iter().map(framed).collect::<Result<Vec<_>, EngineError>>()?;
        histories.append(link, channel, &messages, keep).await
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("options", &self.options).field("prefix", &self.prefix).finish()
    }
}

impl Engine for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { interest: true, history: self.options.kept().is_some(), ..Capabilities::default() }
    }

    fn remedy(&self, lacking: &str) -> Option<&'static str> {
        (lacking == "history").then_some("`Nats::options(url)?.history(replicas)` has JetStream keep one")
    }

    /// What the server has said it allows, less 1 KB.
    fn max_message(&self) -> usize {
        self.client.get().map_or(MAX_PAYLOAD, Client::max_payload).saturating_sub(HEAD)
    }

    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()> {
        Box::pin(self.start_now(receiver))
    }

    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async { self.link()?.subscribe(channels).await })
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async { self.link()?.unsubscribe(channels).await })
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        Box::pin(async move {
            self.publish_now(channel, &[message]).await?;
            Ok(Published::default())
        })
    }

    fn publish_all<'a>(&'a self, channel: &'a Channel, messages: &'a [Bytes]) -> Pending<'a, Vec<Published>> {
        Box::pin(async move {
            self.publish_now(channel, messages).await?;
            Ok(vec![Published::default(); messages.len()])
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
            let appended = self.append_now(channel, &[(id, message)], keep).await?;
            appended.into_iter().next().ok_or(EngineError::Timeout)
        })
    }

    fn append_all<'a>(
        &'a self,
        channel: &'a Channel,
        messages: &'a [(MessageId, Bytes)],
        keep: Retention,
    ) -> Pending<'a, Vec<Appended>> {
        Box::pin(self.append_now(channel, messages, keep))
    }

    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History> {
        Box::pin(async move {
            let (histories, link) = self.history_and_link()?;
            histories.read(link, channel, after, limit).await
        })
    }

    fn tops<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, Vec<Option<Position>>> {
        Box::pin(async move {
            let (histories, link) = self.history_and_link()?;
            histories.tops(link, channels).await
        })
    }

    fn put<'a>(&'a self, _key: &'a str, _value: Bytes, _ttl: Duration, _how: Put) -> Pending<'a, bool> {
        unsupported("store")
    }

    fn take<'a>(&'a self, _key: &'a str) -> Pending<'a, Option<Bytes>> {
        unsupported("store")
    }

    fn enter<'a>(
        &'a self,
        _channel: &'a Channel,
        _members: &'a [Recorded],
        _ttl: Duration,
    ) -> Pending<'a, ()> {
        unsupported("presence")
    }

    fn exit<'a>(&'a self, _channel: &'a Channel, _members: &'a [String]) -> Pending<'a, ()> {
        unsupported("presence")
    }

    fn present<'a>(
        &'a self,
        _channel: &'a Channel,
        _after: Option<&'a str>,
        _limit: usize,
    ) -> Pending<'a, Present> {
        unsupported("presence")
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        Box::pin(async {
            if let Ok(link) = self.link() {
                link.stop().await;
            }
            Ok(())
        })
    }
}

fn unavailable(error: impl Into<BoxError>) -> EngineError {
    EngineError::Unavailable(error.into())
}

fn refused(error: impl Into<BoxError>) -> EngineError {
    EngineError::Refused(error.into())
}

fn unsupported<'a, T>(what: &'static str) -> Pending<'a, T>
where
    T: Send + 'a,
{
    Box::pin(std::future::ready(Err(EngineError::Unsupported(what))))
}

//! [`Sharded`]: several engines as one, each of which has a part of the channels.

mod place;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};

use self::place::{of_channel, of_key};
use self::ways::Ways;
use super::{
    Appended, Capabilities, Channel, Engine, EngineError, History, MessageId, Pending, Position, Present,
    Published, Put, Receiver, Recorded, Retention,
};

/// Several engines as one, each of which has a part of the rooms, users and nodes: for a cluster that is too large for one server.
///
/// Which of them has a room is computed from its name, so nobody looks anything up, and every engine has about as many. **All nodes have to
/// list the same engines in the same order**, and so have [publishers](super::Publisher); nodes that do not would talk past each other. To add
/// one, start the nodes anew under another prefix, or all at once: rooms that move begin a new epoch, which their clients are told.
///
/// What nodes say of themselves goes through all engines. So when one of them fails, the cluster is
/// [degraded](super::ClusterState::Degraded) and its part of the rooms and users stands still, as it does without this, but nobody takes
/// the nodes for dead, and the other parts go on.
///
/// ```no_run
/// # #[cfg(feature = "redis")]
/// # async fn f() -> endpoint_runtime::Result<()> {
/// use endpoint_runtime as runtime;
/// use endpoint_runtime::cluster::{Redis, Sharded};
///
/// let one = Redis::connect("redis://one:6379").await?;
/// let other = Redis::connect("redis://other:6379").await?;
/// runtime::export_all().cluster(Sharded::new([one, other])?).serve().await
/// # }
/// ```
#[derive(Debug)]
pub struct Sharded<E> {
    /// At least one.
    shards: Vec<E>,
    ways: Arc<Ways>,
}

impl<E: Engine> Sharded<E> {
    /// These engines, in this order.
    ///
    /// # Errors
    /// There is none.
    pub fn new(engines: impl IntoIterator<Item = E>) -> Result<Self, EngineError> {
        let shards: Vec<E> = engines.into_iter().collect();
        if shards.is_empty() {
            return Err(EngineError::Refused("no engine to share the channels among".into()));
        }
        Ok(Sharded { ways: Arc::new(Ways::of(shards.len())), shards })
    }

    fn of(&self, channel: &Channel) -> &E {
        &self.shards[of_channel(channel, self.shards.len())]
    }

    fn keeping(&self, key: &str) -> &E {
        &self.shards[of_key(key, self.shards.len())]
    }

    /// Each engine with those of the channels that it has; one that has none is left out.
    fn parts(&self, channels: &[Channel]) -> impl Iterator<Item = (&E, Vec<Channel>)> {
        let mut parts = vec![Vec::new(); self.shards.len()];
        for channel in channels {
            match channel {
                Channel::Control => parts.iter_mut().for_each(|part| part.push(channel.clone())),
                channel => parts[of_channel(channel, self.shards.len())].push(channel.clone()),
            }
        }
        self.shards.iter().zip(parts).filter(|(_, part)| !part.is_empty())
    }

    /// Publishes by every engine that has a way, and is content when one of them has done it.
    async fn publish_everywhere(&self, message: &Bytes) -> Result<Published, EngineError> {
        let open = self.shards.iter().zip(self.ways.open());
        let open = open.filter_map(|(shard, is_open)| is_open.then_some(shard));
        let published = join_all(open.map(|shard| shard.publish(&Channel::Control, message.clone()))).await;
        let mut last = EngineError::Unavailable("none of the engines can be reached".into());
        let mut done = None;
        for result in published {
            match result {
                Ok(published) => done = done.or(Some(published)),
                Err(error) => last = error,
            }
        }
        done.ok_or(last)
    }
}

/// Another node of the same cluster, where clones of its engines are.
impl<E: Engine + Clone> Clone for Sharded<E> {
    fn clone(&self) -> Self {
        Sharded { shards: self.shards.clone(), ways: Arc::new(Ways::of(self.shards.len())) }
    }
}

impl<E: Engine> Engine for Sharded<E> {
    fn name(&self) -> &'static str {
        self.shards[0].name()
    }

    /// What all of them can do.
    fn capabilities(&self) -> Capabilities {
        let all = |what: fn(Capabilities) -> bool| self.shards.iter().all(|shard| what(shard.capabilities()));
        Capabilities {
            history: all(|can| can.history),
            store: all(|can| can.store),
            presence: all(|can| can.presence),
            interest: all(|can| can.interest),
        }
    }

    fn remedy(&self, lacking: &str) -> Option<&'static str> {
        self.shards.iter().find_map(|shard| shard.remedy(lacking))
    }

    fn max_message(&self) -> usize {
        self.shards.iter().map(Engine::max_message).min().unwrap_or_default()
    }

    fn shard(&self, channel: &Channel) -> usize {
        match channel {
            Channel::Control => self.shards.len(),
            channel => of_channel(channel, self.shards.len()),
        }
    }

    fn start<'a>(&'a self, receiver: Arc<dyn Receiver>) -> Pending<'a, ()> {
        Box::pin(async move {
            let gates = (0..).map(|number| self.ways.gate(number, &receiver));
            try_join_all(self.shards.iter().zip(gates).map(|(shard, gate)| shard.start(gate))).await?;
            Ok(())
        })
    }

    fn subscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async move {
            let parts: Vec<_> = self.parts(channels).collect();
            let all = join_all(parts.iter().map(|(shard, part)| shard.subscribe(part))).await;
            all.into_iter().collect()
        })
    }

    fn unsubscribe<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, ()> {
        Box::pin(async move {
            let parts: Vec<_> = self.parts(channels).collect();
            let all = join_all(parts.iter().map(|(shard, part)| shard.unsubscribe(part))).await;
            all.into_iter().collect()
        })
    }

    fn publish<'a>(&'a self, channel: &'a Channel, message: Bytes) -> Pending<'a, Published> {
        match channel {
            Channel::Control => Box::pin(async move { self.publish_everywhere(&message).await }),
            channel => self.of(channel).publish(channel, message),
        }
    }

    fn publish_all<'a>(&'a self, channel: &'a Channel, messages: &'a [Bytes]) -> Pending<'a, Vec<Published>> {
        match channel {
            Channel::Control => Box::pin(async move {
                let mut published = Vec::with_capacity(messages.len());
                for message in messages {
                    published.push(self.publish_everywhere(message).await?);
                }
                Ok(published)
            }),
            channel => self.of(channel).publish_all(channel, messages),
        }
    }

    fn append<'a>(
        &'a self,
        channel: &'a Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Pending<'a, Appended> {
        self.of(channel).append(channel, message, id, keep)
    }

    fn append_all<'a>(
        &'a self,
        channel: &'a Channel,
        messages: &'a [(MessageId, Bytes)],
        keep: Retention,
    ) -> Pending<'a, Vec<Appended>> {
        self.of(channel).append_all(channel, messages, keep)
    }

    fn history<'a>(&'a self, channel: &'a Channel, after: u64, limit: usize) -> Pending<'a, History> {
        self.of(channel).history(channel, after, limit)
    }

    fn tops<'a>(&'a self, channels: &'a [Channel]) -> Pending<'a, Vec<Option<Position>>> {
        Box::pin(async move {
            let mut tops = vec![None; channels.len()];
            for (shard, engine) in self.shards.iter().enumerate() {
                let (places, theirs): (Vec<_>, Vec<_>) = channels
                    .iter()
                    .cloned()
                    .enumerate()
                    .filter(|(_, channel)| self.shard(channel) == shard)
                    .unzip();
                if theirs.is_empty() {
                    continue;
                }
                for (place, top) in places.into_iter().zip(engine.tops(&theirs).await?) {
                    tops[place] = top;
                }
            }
            Ok(tops)
        })
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration, how: Put) -> Pending<'a, bool> {
        self.keeping(key).put(key, value, ttl, how)
    }

    fn take<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Bytes>> {
        self.keeping(key).take(key)
    }

    fn enter<'a>(&'a self, channel: &'a Channel, members: &'a [Recorded], ttl: Duration) -> Pending<'a, ()> {
        self.of(channel).enter(channel, members, ttl)
    }

    fn exit<'a>(&'a self, channel: &'a Channel, members: &'a [String]) -> Pending<'a, ()> {
        self.of(channel).exit(channel, members)
    }

    fn present<'a>(
        &'a self,
        channel: &'a Channel,
        after: Option<&'a str>,
        limit: usize,
    ) -> Pending<'a, Present> {
        self.of(channel).present(channel, after, limit)
    }

    fn stop<'a>(&'a self) -> Pending<'a, ()> {
        Box::pin(async move {
            let stopped = join_all(self.shards.iter().map(Engine::stop)).await;
            stopped.into_iter().collect()
        })
    }
}

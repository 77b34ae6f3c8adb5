//! The client libraries of the engines without the engines: what the cluster is compared with.

use std::sync::Arc;

use endpoint_runtime::Bytes;
use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, Value};

use crate::Result;

/// How many commands may wait to be written, with Redis.
const WAITING: usize = 1024;
/// How many messages may wait for who reads them, with NATS: the library drops what is more.
const UNREAD: usize = 1 << 20;
/// An offset, an epoch, the stream, and the message with its place to whoever subscribes: the least that a history takes.
const SCRIPT: &str = "
local epoch = redis.call('HGET', KEYS[1], 'e')
if not epoch then epoch = ARGV[3]; redis.call('HSET', KEYS[1], 'e', epoch) end
local offset = redis.call('HINCRBY', KEYS[1], 's', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', 100, offset .. '-0', 'm', ARGV[2])
redis.call('PEXPIRE', KEYS[2], 300000)
redis.call('SET', KEYS[3], offset, 'PX', 300000)
redis.call('PUBLISH', ARGV[1], epoch .. ':' .. offset .. ':' .. ARGV[2])
return {epoch, offset}
";

/// A connection that publishes.
#[derive(Clone)]
pub(crate) enum Library {
    Redis { commands: MultiplexedConnection, script: Arc<redis::Script>, channel: &'static str },
    Nats { client: async_nats::Client, channel: &'static str },
}

/// What keeps a subscription.
pub(crate) type Subscription = Box<dyn Send + Sync>;

impl Library {
    /// One that publishes to this channel.
    pub(crate) async fn connect(url: &str, channel: &'static str) -> Result<Self> {
        if url.starts_with("nats") {
            return Ok(Library::Nats { client: async_nats::connect(url).await?, channel });
        }
        let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(WAITING);
        let commands = resp3(url)?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Library::Redis { commands, script: Arc::new(redis::Script::new(SCRIPT)), channel })
    }

    /// Has everything that is published to a channel heard, over a connection of its own.
    pub(crate) async fn subscribe(
        url: &str,
        channel: &'static str,
        heard: impl Fn(&[u8]) + Send + Sync + 'static,
    ) -> Result<Subscription> {
        if url.starts_with("nats") {
            let options = async_nats::ConnectOptions::new().subscription_capacity(UNREAD);
            let client = options.connect(url).await?;
            let mut messages = client.subscribe(channel).await?;
            // The server has the subscription when this comes back.
            client.publish(channel, Bytes::new()).await?;
            messages.next().await.ok_or("the subscription has ended")?;
            tokio::spawn(async move {
                while let Some(message) = messages.next().await {
                    heard(&message.payload);
                }
            });
            return Ok(Box::new(client));
        }
        let config = AsyncConnectionConfig::new().set_push_sender(move |info: PushInfo| {
            if let (PushKind::Message, Some(Value::BulkString(message))) = (info.kind, info.data.last()) {
                heard(message);
            }
            Ok::<(), redis::aio::SendError>(())
        });
        let mut subscriber = resp3(url)?.get_multiplexed_async_connection_with_config(&config).await?;
        subscriber.subscribe(&[channel]).await?;
        Ok(Box::new(subscriber))
    }

    pub(crate) async fn publish(&self, message: Bytes) -> Result<()> {
        match self {
            Library::Redis { commands, channel, .. } => {
                let mut command = redis::cmd("PUBLISH");
                command.arg(channel).arg(&*message);
                command.exec_async(&mut commands.clone()).await?;
            }
            Library::Nats { client, channel } => client.publish(*channel, message).await?,
        }
        Ok(())
    }

    /// Publishes a message with a place in a history; with NATS, without.
    pub(crate) async fn append(&self, message: Bytes) -> Result<()> {
        let Library::Redis { commands, script, channel } = self else { return self.publish(message).await };
        let once = format!("i:raw:{:032x}", endpoint_runtime::cluster::MessageId::random().0);
        let mut call = script.key("m:raw");
        call.key("h:raw").key(once).arg(channel).arg(&*message).arg("epoch");
        let _: (String, u64) = call.invoke_async(&mut commands.clone()).await?;
        Ok(())
    }

    /// Reads the newest messages of the history.
    pub(crate) async fn history(&self, count: usize) -> Result<usize> {
        let Library::Redis { commands, .. } = self else { return Ok(0) };
        let mut command = redis::cmd("XREVRANGE");
        command.arg("h:raw").arg("+").arg("-").arg("COUNT").arg(count);
        let entries: Vec<Value> = command.query_async(&mut commands.clone()).await?;
        Ok(entries.len())
    }
}

fn resp3(url: &str) -> Result<Client> {
    let info = Client::open(url)?.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(Client::open(info.set_redis_settings(settings))?)
}

//! [`Link`]: a connection for commands and one for what arrives, both to the same run of the same server.
//!
//! Both are plain connections of the library, and the [supervisor](super::supervisor) makes new ones, not the library's own manager: that
//! one gives up, does not notice a server that is silent, and may be connected to another server than a moment ago without telling. Here
//! every command goes to the server whose identity was read from the same connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline,
    ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::EngineError;
use super::subscriptions::Ear;

/// How long a connection may take to come about, its handshakes and all.
const TO_CONNECT: Duration = Duration::from_secs(1);
/// How many commands wait for their turn to be written before those who send them do.
const WAITING: usize = 1024;
/// The oldest server with all that is needed: GETDEL, and HELLO 3 as it is used.
const OLDEST: (u32, u32) = (6, 2);

/// Where the server is, for all connections to come. The name is resolved at each of them.
///
/// # Errors
///
/// If that is no URL of a Redis server.
pub(super) fn client(url: &str) -> Result<Client, EngineError> {
    let refused = |why: String| EngineError::Refused(why.into());
    // The URL is not repeated: there may be a password in it.
    let info =
        url.into_connection_info().map_err(|error| refused(format!("no URL of a Redis server: {error}")))?;
    if !info.addr().is_supported() {
        return Err(refused("rediss:// needs the feature `tls`".to_owned()));
    }
    // A server that is silent is noticed by the probes; these are for what is sent while nobody probes, and for the server's name being
    // moved to another address.
    let keep_alive = TcpKeepalive::new()
        .with_time(Duration::from_secs(2))
        .with_interval(Duration::from_secs(1))
        .with_retries(3);
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let tcp = tcp.set_user_timeout(Duration::from_secs(4));
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_tcp_settings(tcp).set_redis_settings(settings)).map_err(cannot)
}

/// The address as people know it, without what is secret in the URL.
pub(super) fn address(client: &Client) -> String {
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => match host.parse() {
            Ok(IpAddr::V6(host)) => format!("[{host}]:{port}"),
            _ => format!("{host}:{port}"),
        },
        other => other.to_string(),
    }
}

/// The two connections.
#[derive(Debug)]
pub(super) struct Link {
    commands: MultiplexedConnection,
    pushes: MultiplexedConnection,
    server: Server,
    pulse: Arc<Pulse>,
}

/// Which run of which server, in which role.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    /// Another one after each start.
    run: String,
    /// Another one after each promotion.
    lineage: String,
}

impl Link {
    /// Connects, and makes certain that this is a server to work with.
    pub(super) async fn connect(
        client: &Client,
        timeout: Duration,
        ear: Option<Ear>,
    ) -> Result<Self, EngineError> {
        let pulse = Arc::new(Pulse::new());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TO_CONNECT))
            .set_response_timeout(Some(timeout))
            .set_pipeline_buffer_size(WAITING);
        let for_commands = config.clone().set_push_sender(Commands(Arc::clone(&pulse)));
        let for_pushes = config.set_push_sender(Pushes { ear, pulse: Arc::clone(&pulse) });
        provide_cryptography(client);
        let (mut commands, mut pushes) = tokio::try_join!(
            client.get_multiplexed_async_connection_with_config(&for_commands),
            client.get_multiplexed_async_connection_with_config(&for_pushes),
        )
        .map_err(unavailable)?;
        let (server, other) = tokio::try_join!(Server::of(&mut commands), Server::of(&mut pushes))?;
        if server != other {
            // A name of several addresses, or one that is being moved.
            return Err(EngineError::Unavailable("two connections lead to two servers".into()));
        }
        Ok(Link { commands, pushes, server, pulse })
    }

    /// Sends a command, and says what the server answers; an error of the server's is an error.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = self.commands.clone().send_packed_command(command).await.and_then(Value::extract_error);
        self.look_at(answer)
    }

    /// Sends commands together, which the server carries out one after the other, and says what it answers to each; the first error is all.
    pub(super) async fn send_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.commands.clone().send_packed_commands(pipeline, 0, pipeline.len()).await;
        self.look_at(answers.and_then(|answers| answers.into_iter().map(Value::extract_error).collect()))
    }

    /// Sends commands of which the server carries out all, with nobody else's between, and says what it answers to each; the first error is
    /// all.
    pub(super) async fn send_atomically(&self, commands: Pipeline) -> RedisResult<Value> {
        let mut commands = commands;
        commands.atomic();
        // It says that it begins, then of each that it stands in line, and then, as one answer, what all of them gave.
        let answers = self.commands.clone().send_packed_commands(&commands, commands.len() + 1, 1).await;
        let answer = answers.map(|answers| answers.into_iter().next().unwrap_or(Value::Nil));
        self.look_at(answer.and_then(Value::extract_error))
    }

    fn look_at<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        {
            // It has been demoted: the primary is elsewhere.
            self.pulse.ended.notify_one();
        }
        answer
    }

    /// Subscribes to channels at once. When this is done, the server has.
    pub(super) async fn subscribe(&self, names: &[String]) -> RedisResult<()> {
        self.pushes.clone().subscribe(names).await
    }

    pub(super) async fn unsubscribe(&self, names: &[String]) -> RedisResult<()> {
        self.pushes.clone().unsubscribe(names).await
    }

    /// What a history on this server is marked with.
    pub(super) fn owner(&self) -> String {
        format!("{:.16}{:.16}", self.server.run, self.server.lineage)
    }

    /// An epoch that there has never been.
    pub(super) fn epoch(&self) -> String {
        format!("{:016x}.{:.8}", rand::random::<u64>(), self.server.run)
    }

    /// Asks whether it is still the server that it was, and sends a message to ourselves.
    pub(super) async fn probe(&self, channel: &str) -> Result<(), EngineError> {
        let mut commands = self.commands.clone();
        let mut probe = redis::cmd("PUBLISH");
        probe.arg(channel).arg("");
        let (sent, lineage) = tokio::join!(self.send(&probe), lineage(&mut commands));
        sent.map_err(cannot)?;
        if lineage? != self.server.lineage {
            return Err(EngineError::Unavailable("another server has taken over".into()));
        }
        Ok(())
    }

    /// How long nothing has been heard on the connection for what arrives.
    pub(super) fn silence(&self) -> Duration {
        self.pulse.silence()
    }

    /// Waits until one of the connections has ended.
    pub(super) async fn ended(&self) {
        self.pulse.ended.notified().await;
    }
}

impl Server {
    async fn of(connection: &mut MultiplexedConnection) -> Result<Self, EngineError> {
        let server = info(connection, "server").await?;
        let version = field(&server, "redis_version").unwrap_or_default();
        if parsed(version).is_none_or(|version| version < OLDEST) {
            let (major, minor) = OLDEST;
            return Err(EngineError::Refused(
                format!(
                    "the server is of version {version:?}, and {major}.{minor} is the oldest that will do"
                )
                .into(),
            ));
        }
        let run = field(&server, "run_id").unwrap_or_default().to_owned();
        Ok(Server { run, lineage: lineage(connection).await? })
    }
}

/// What names a server as the primary that it is.
async fn lineage(connection: &mut MultiplexedConnection) -> Result<String, EngineError> {
    let replication = info(connection, "replication").await?;
    if field(&replication, "role") != Some("master") {
        return Err(EngineError::Unavailable("the server is a replica".into()));
    }
    Ok(field(&replication, "master_replid").unwrap_or_default().to_owned())
}

async fn info(connection: &mut MultiplexedConnection, section: &str) -> Result<String, EngineError> {
    redis::cmd("INFO").arg(section).query_async(connection).await.map_err(cannot)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn parsed(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What is known of whether a link works.
#[derive(Debug)]
struct Pulse {
    began: Instant,
    /// When something was heard last, ms since then.
    heard: AtomicU64,
    /// One of the connections has ended.
    ended: Notify,
}

impl Pulse {
    fn new() -> Self {
        Pulse { began: Instant::now(), heard: AtomicU64::new(0), ended: Notify::new() }
    }

    fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.heard.load(Ordering::Relaxed)))
    }
}

/// Gets what the server says of itself on the connection for commands: nothing but that it is gone.
struct Commands(Arc<Pulse>);

impl AsyncPushSender for Commands {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        if info.kind == PushKind::Disconnection {
            self.0.ended.notify_one();
        }
        Ok(())
    }
}

/// Gets what arrives. It never fails, for whose fails may be called no more.
struct Pushes {
    ear: Option<Ear>,
    pulse: Arc<Pulse>,
}

impl AsyncPushSender for Pushes {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        self.pulse.beat();
        match info.kind {
            PushKind::Message => {
                if let Some(ear) = &self.ear {
                    ear.hear(info.data);
                }
            }
            PushKind::Disconnection => self.pulse.ended.notify_one(),
            _ => {}
        }
        Ok(())
    }
}

/// The library encrypts with what the process has chosen, and panics where there is more than one to choose from.
#[cfg(feature = "tls")]
fn provide_cryptography(client: &Client) {
    use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

    let encrypted = matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
    if encrypted && CryptoProvider::get_default().is_none() {
        // Whoever was faster has chosen.
        let _ = ring::default_provider().install_default();
    }
}

#[cfg(not(feature = "tls"))]
fn provide_cryptography(_: &Client) {}

/// Why something cannot be done that perhaps has been sent already: then nobody knows whether it has been done.
pub(super) fn cannot(error: RedisError) -> EngineError {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};

    if error.is_timeout() || error.is_io_error() || error.is_connection_dropped() {
        return EngineError::Timeout;
    }
    match error.kind() {
        ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain) => unavailable(error),
        _ => EngineError::Refused(error.into()),
    }
}

fn unavailable(error: RedisError) -> EngineError {
    EngineError::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_read() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrun:x\r\n";
        assert_eq!(
            (field(info, "run_id"), field(info, "run"), field(info, "ru")),
            (Some("abc"), Some("x"), None)
        );
        assert_eq!(parsed("7.0.15"), Some((7, 0)));
        assert_eq!(parsed("6.2.0-rc1"), Some((6, 2)));
        assert_eq!((parsed(""), parsed("7"), parsed("x.y")), (None, None, None));
    }

    #[test]
    fn the_address_is_told_without_secrets() {
        for (url, expected) in [
            ("redis://bo:secret@example.org:7000/3", "example.org:7000"),
            ("redis://[::1]", "[::1]:6379"),
            ("valkey://127.0.0.1", "127.0.0.1:6379"),
        ] {
            assert_eq!(address(&client(url).unwrap()), expected);
        }
        let error = client("http://bo:secret@example.org").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(client("rediss://example.org").is_ok(), cfg!(feature = "tls"));
    }
}

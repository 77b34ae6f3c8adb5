//! [`NatsOptions`]: how to get to the servers of a [`Nats`], who we are there, and what they are asked to keep.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use tokio::time::timeout;

use super::link::Signs;
use super::{Nats, history, refused, unavailable};
use crate::cluster::EngineError;

/// How long [`NatsOptions::connect`] tries.
const CONNECT: Duration = Duration::from_secs(2);

/// How long one server may take to answer a new connection.
const ANSWER: Duration = Duration::from_secs(1);

/// The library gives up a connection after three intervals without a word from the server: 4.5 s, where its default is three minutes.
const PING: Duration = Duration::from_millis(1500);

/// The longest that is waited between two attempts to connect again, and as much again by chance, so that not all nodes come at once.
/// The default is 4 s, and everything published meanwhile is lost.
const BACK_OFF: Duration = Duration::from_millis(250);

/// What may wait in the library to be written. A publisher that finds it full waits, for no longer than the timeout.
const WAITING: usize = 256;

/// What may wait in the library to be received, of each subscription. What comes then is dropped, and told to `Receiver::missed`.
const UNREAD: usize = 16_384;

/// How long the place of a channel is known after nothing of it is kept any more.
const FORGET: Duration = Duration::from_secs(3600);

/// As many copies as JetStream makes of anything.
const MOST_REPLICAS: usize = 5;

/// How to get to the servers of a [`Nats`], who we are there, and whether they are to keep messages: made by [`Nats::options`].
///
/// ```no_run
/// # async fn f() -> endpoint_runtime::Result<()> {
/// use endpoint_runtime::cluster::Nats;
///
/// let engine = Nats::options("tls://one:4222,tls://two:4222")?
///     .authority("/etc/nats/ca.pem")
///     .credentials_file("/etc/nats/shop.creds")?
///     .history(3)
///     .connect()
///     .await?;
/// # drop(engine); Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until they connect"]
pub struct NatsOptions {
    servers: Vec<ServerAddr>,
    who: Option<Who>,
    authority: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    history: Option<usize>,
    forget: Duration,
}

/// Who we are, beside what stands in the addresses.
#[derive(Clone)]
enum Who {
    Seed(String),
    /// What stands in the file.
    Credentials(String),
}

impl NatsOptions {
    pub(super) fn new(url: &str) -> Result<Self, EngineError> {
        let servers = url.split(',').map(|url| server(url.trim())).collect::<Result<_, _>>()?;
        Ok(NatsOptions {
            servers,
            who: None,
            authority: None,
            certificate: None,
            history: None,
            forget: FORGET,
        })
    }

    /// The seed of an NKey (`SU...`) by which the servers know us: a secret, of which they are never shown more than a signature.
    pub fn nkey(mut self, seed: &str) -> Self {
        self.who = Some(Who::Seed(seed.trim().to_owned()));
        self
    }

    /// A file of credentials (`.creds`) with a JWT and the seed of its NKey, as `nsc` writes it. It is read now.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] if it cannot be read, or holds something else.
    pub fn credentials_file(mut self, path: impl AsRef<Path>) -> Result<Self, EngineError> {
        let path = path.as_ref();
        let unfit = |error: std::io::Error| refused(format!("the credentials {}: {error}", path.display()));
        let credentials = std::fs::read_to_string(path).map_err(unfit)?;
        ConnectOptions::with_credentials(&credentials).map_err(unfit)?;
        self.who = Some(Who::Credentials(credentials));
        Ok(self)
    }

    /// A file (PEM) with the authorities whose servers are trusted, instead of those that this machine trusts. With an address `tls://`, or if the
    /// server wants it, a connection is encrypted.
    pub fn authority(mut self, path: impl Into<PathBuf>) -> Self {
        self.authority = Some(path.into());
        self
    }

    /// Files (PEM) with a chain of certificates and its key, for servers that want to see one.
    pub fn certificate(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((chain.into(), key.into()));
        self
    }

    /// Has JetStream keep what is sent to recoverable rooms, in files on so many servers, 1 to 5: see [`Nats`], "History". More copies outlive
    /// more failures and take longer to be made; three are what a cluster of NATS servers is for, one is what a single server can do.
    pub fn history(mut self, replicas: usize) -> Self {
        self.history = Some(replicas);
        self
    }

    /// How long after nothing is kept of a room any more, and nobody has used it, its stream is deleted: 1 hour if nothing is said. More costs
    /// servers the memory of more streams; a client that has missed nothing, and comes back later than that, is told that it may have.
    pub fn forget_after(mut self, time: Duration) -> Self {
        self.forget = time;
        self
    }

    /// Connects to one of the servers, and looks whether it can do what it is to do.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] if the server does not accept who we are, or cannot keep a [history](Self::history) that it is to keep;
    /// [`EngineError::Unavailable`] if none of the servers answers within 2 seconds, or JetStream does not.
    pub async fn connect(self) -> Result<Nats, EngineError> {
        self.check()?;
        let signs = Arc::default();
        let connecting = self.connecting(&signs)?.connect(self.servers.clone());
        let client = match timeout(CONNECT, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(self.unreachable(error.kind(), error)),
            Err(_) => return Err(self.unreachable(ConnectErrorKind::TimedOut, "it does not answer")),
        };
        if self.history.is_some() {
            history::check(&client, CONNECT).await.map_err(|error| self.at(error))?;
        }
        Ok(Nats::new(self, signs, Some(client)))
    }

    /// Connects when the cluster starts, and goes on trying if no server answers then: see [`Nats::lazy`].
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] if these options cannot be meant.
    pub fn lazy(self) -> Result<Nats, EngineError> {
        self.check()?;
        Ok(Nats::new(self, Arc::default(), None))
    }

    fn check(&self) -> Result<(), EngineError> {
        match self.history {
            Some(replicas) if !(1..=MOST_REPLICAS).contains(&replicas) => {
                Err(refused(format!("a history is kept by 1 to {MOST_REPLICAS} servers, not by {replicas}")))
            }
            Some(_) if self.forget.is_zero() => Err(refused("histories cannot be forgotten at once")),
            _ => Ok(()),
        }
    }

    /// Connects, and tries again for ever if there is nobody.
    pub(super) async fn connect_some_time(&self, signs: &Arc<Signs>) -> Result<Client, EngineError> {
        let options = self.connecting(signs)?.retry_on_initial_connect();
        options.connect(self.servers.clone()).await.map_err(unavailable)
    }

    fn connecting(&self, signs: &Arc<Signs>) -> Result<ConnectOptions, EngineError> {
        let mut options = ConnectOptions::new();
        if let Some(server) = self.servers.iter().find(|server| server.has_user_pass()) {
            let user = decoded(server.username().unwrap_or_default());
            options = match server.password() {
                Some(password) => options.user_and_password(user, decoded(password)),
                None => options.token(user),
            };
        }
        options = match &self.who {
            Some(Who::Seed(seed)) => options.nkey(seed.clone()),
            Some(Who::Credentials(credentials)) => options.credentials(credentials).map_err(refused)?,
            None => options,
        };
        if let Some(authority) = &self.authority {
            options = options.add_root_certificates(authority.clone());
        }
        if let Some((chain, key)) = &self.certificate {
            options = options.add_client_certificate(chain.clone(), key.clone());
        }
        let (told, asked) = (signs.clone(), signs.clone());
        Ok(options
            .name("endpoint-runtime")
            .connection_timeout(ANSWER)
            .ping_interval(PING)
            .client_capacity(WAITING)
            .subscription_capacity(UNREAD)
            .skip_subject_validation(true)
            .reconnect_delay_callback(move |attempts| back_off(attempts, &asked))
            .event_callback(move |event| {
                told.note(event);
                std::future::ready(())
            }))
    }

    /// How many copies are kept, and how long an idle channel is known, if anything is.
    pub(super) fn kept(&self) -> Option<(usize, Duration)> {
        self.history.map(|replicas| (replicas, self.forget))
    }

    /// Why the server cannot be had, in words that name it and not its password.
    fn unreachable(&self, kind: ConnectErrorKind, error: impl fmt::Display) -> EngineError {
        let message = format!("NATS at {}: {error}", self.addresses().join(", "));
        match kind {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => refused(message),
            _ => unavailable(message),
        }
    }

    /// The error, with where it has happened.
    fn at(&self, error: EngineError) -> EngineError {
        let servers = self.addresses().join(", ");
        match error {
            EngineError::Unavailable(why) => unavailable(format!("NATS at {servers}: {why}")),
            EngineError::Refused(why) => refused(format!("NATS at {servers}: {why}")),
            error => error,
        }
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect()
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let history = &self.history;
        f.debug_struct("NatsOptions").field("servers", &self.addresses()).field("history", history).finish()
    }
}

/// The address of a server.
fn server(url: &str) -> Result<ServerAddr, EngineError> {
    let invalid = |why: &dyn fmt::Display| refused(format!("this is no address of a NATS server: {why}"));
    let server = url.parse::<ServerAddr>().map_err(|error| invalid(&error))?;
    if server.host().is_empty() {
        return Err(invalid(&"it names no host"));
    }
    if server.is_websocket() {
        return Err(invalid(&"NATS over WebSocket is not built in; use nats:// or tls://"));
    }
    Ok(server)
}

/// A part of an address, without the escapes that it needs there.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// How long to wait before this attempt to connect.
fn back_off(attempts: usize, signs: &Signs) -> Duration {
    if signs.is_stopped() {
        // Nothing else makes the library end its attempts.
        return Duration::from_secs(60 * 60);
    }
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(5);
    let longest = (Duration::from_millis(10) * 2_u32.pow(doublings)).min(BACK_OFF);
    longest + longest.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_at_once_and_passwords_are_not_shown() {
        let nats = Nats::lazy("nats://bo:secret@one:4333, two").unwrap();
        let shown = format!("{nats:?}");
        assert!(shown.contains("one:4333") && shown.contains("two:4222"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
        for wrong in ["", "http://one", "nats://", "ws://one", "nats://one,,"] {
            assert!(matches!(Nats::lazy(wrong), Err(EngineError::Refused(_))), "{wrong}");
        }
    }

    #[test]
    fn attempts_come_quickly_and_not_all_at_the_same_time() {
        let signs = Signs::default();
        for attempts in [0, 1, 2, 6, 1_000_000, usize::MAX] {
            assert!(back_off(attempts, &signs) <= BACK_OFF * 2, "{attempts}");
        }
        let first = back_off(10, &signs);
        assert!((0..100).any(|_| back_off(10, &signs) != first));
        assert!(first >= BACK_OFF);
    }
}

//! Listeners: TCP and Unix sockets, bound before the first is opened, or passed by the service manager.

#[cfg(unix)]
mod passed;
mod port;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::arrival::arrive;
use super::door::Door;
use super::listen::{Listen, Rules};
use crate::session::Ends;
use crate::settings::{Address, Settings};

/// The scheme that names a Unix socket.
const UNIX: &str = "unix:";
/// The scheme that names sockets of the service manager.
const SYSTEMD: &str = "systemd:";
/// How many connections may wait to be accepted; the system may allow fewer (Linux: `net.core.somaxconn`, 4096 by default). Of those who
/// come when all of an application reconnects at once, each one beyond it loses a second or more, until it asks again.
const BACKLOG: u32 = 4096;
/// How long those who are half connected have to get through before a listener beside which there are others is closed: some round trips.
const SETTLE: Duration = Duration::from_millis(500);

/// An address to listen on, as it is written: `127.0.0.1:8080`, `localhost:0`, `unix:/run/app.sock`, `systemd:web`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Tcp(String),
    Unix(PathBuf),
    /// The sockets of this name that the service manager passes, or all of them.
    Passed(Option<String>),
}

impl Binding {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return match path {
                "" => Err(format!("`{text}` names no file: write `unix:/run/app.sock`")),
                _ if cfg!(not(unix)) => Err(format!("`{text}`: this system has no Unix sockets")),
                _ => Ok(Binding::Unix(path.into())),
            };
        }
        if let Some(name) = text.strip_prefix(SYSTEMD) {
            return match name {
                _ if cfg!(not(unix)) => Err(format!("`{text}`: this system passes no sockets")),
                "" => Ok(Binding::Passed(None)),
                name => Ok(Binding::Passed(Some(name.to_owned()))),
            };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Binding::Tcp(text.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is not an address: write `127.0.0.1:8080`, `[::]:8080`, `unix:/run/app.sock` or `systemd:`"
            )),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Binding::Tcp(address) => f.write_str(address),
            Binding::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Binding::Passed(name) => write!(f, "{SYSTEMD}{}", name.as_deref().unwrap_or_default()),
        }
    }
}

/// A bound socket. The file of a Unix socket goes with it, if it is ours.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    address: Address,
    owner: Owner,
    rules: Arc<Rules>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// Who else there is for those who come to the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody.
    Alone,
    /// Perhaps other processes, with sockets of their own.
    Beside,
    /// Whoever the service manager passes the same socket to.
    #[cfg_attr(not(unix), allow(dead_code))]
    Manager,
}

impl Listener {
    /// Binds what is written there: one socket, or as many as the service manager has passed.
    pub(crate) async fn bind(
        binding: &Binding,
        listen: &Listen,
        settings: &Settings,
    ) -> io::Result<Vec<Self>> {
        let (socket, address, owner) = match binding {
            Binding::Tcp(address) => {
                let owner = if listen.reuses_port(settings) { Owner::Beside } else { Owner::Alone };
                let listener = port::bind(address, owner == Owner::Beside).await?;
                let address = Address::Tcp(listener.local_addr()?);
                (Socket::Tcp(listener), address, owner)
            }
            #[cfg(unix)]
            Binding::Unix(path) => {
                remove_stale_socket(path)?;
                let listener = UnixListener::bind(path)?;
                // It listens already, for a few: this only lets more wait.
                SockRef::from(&listener).listen(BACKLOG.cast_signed())?;
                (Socket::Unix(listener), Address::Unix(path.clone()), Owner::Alone)
            }
            #[cfg(unix)]
            Binding::Passed(name) => {
                let sockets = passed::named(name.as_deref())?.into_iter();
                return sockets.map(|socket| Self::passed(socket, listen, settings)).collect();
            }
            #[cfg(not(unix))]
            Binding::Unix(_) | Binding::Passed(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let rules = listen.rules(&address, owner != Owner::Alone, settings);
        Ok(vec![Listener { socket, address, owner, rules }])
    }

    #[cfg(unix)]
    fn passed(socket: passed::Passed, listen: &Listen, settings: &Settings) -> io::Result<Self> {
        let (socket, address) = match socket {
            passed::Passed::Tcp(socket) => {
                let address = Address::Tcp(socket.local_addr()?);
                (Socket::Tcp(TcpListener::from_std(socket)?), address)
            }
            passed::Passed::Unix(socket) => {
                let path = socket.local_addr()?.as_pathname().map(PathBuf::from);
                (Socket::Unix(UnixListener::from_std(socket)?), Address::Unix(path.unwrap_or_default()))
            }
        };
        let rules = listen.rules(&address, true, settings);
        Ok(Listener { socket, address, owner: Owner::Manager, rules })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether others take over when this one closes.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.rules.handed_over
    }

    #[cfg(feature = "tls")]
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Accepts connections until the listener is to be closed, and then those who wait already. They are served until they are told to stop.
    pub(crate) async fn accept(self, door: Arc<Door>, close: CancellationToken, stop: CancellationToken) {
        let mut pause = Pause::default();
        let mut closed = std::pin::pin!(close.cancelled());
        loop {
            let accepted = tokio::select! {
                () = &mut closed => break,
                accepted = self.accept_one(&door, &stop) => accepted,
            };
            match accepted {
                Ok(()) => pause = Pause::default(),
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    // Out of file descriptors, most likely. To try again at once would only burn the processor.
                    tracing::error!(address = %self.address, %error, "cannot accept connections");
                    tokio::select! {
                        () = &mut closed => break,
                        () = tokio::time::sleep(pause.next()) => {}
                    }
                }
            }
        }
        self.leave(&door, &stop).await;
    }

    async fn accept_one(&self, door: &Arc<Door>, stop: &CancellationToken) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                self.welcome(door, stream, Some(remote), stop);
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                self.send_off(door, stream, Ends::default(), stop);
            }
        }
        Ok(())
    }

    fn welcome(
        &self,
        door: &Arc<Door>,
        stream: TcpStream,
        remote: Option<SocketAddr>,
        stop: &CancellationToken,
    ) {
        // Small messages must not wait for company; a socket that refuses is as good as closed.
        let _ = stream.set_nodelay(true);
        let ends = Ends { remote, local: self.local_end_of(&stream), ..Ends::default() };
        self.send_off(door, stream, ends, stop);
    }

    /// A task of its own for each connection. A server that stops waits for all of them.
    fn send_off<I>(&self, door: &Arc<Door>, stream: I, ends: Ends, stop: &CancellationToken)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let rules = Arc::clone(&self.rules);
        let arriving = arrive(door.admit(), rules, stream, ends, stop.clone());
        tokio::spawn(door.tasks().track_future(arriving));
    }

    /// Sees to it that closing the socket turns away as few as possible: see [`port`].
    async fn leave(&self, door: &Arc<Door>, stop: &CancellationToken) {
        match (self.owner, &self.socket) {
            // Who waits there is accepted by somebody else, now or later.
            (Owner::Manager, _) => return,
            (Owner::Beside, Socket::Tcp(listener)) => {
                if let Err(error) = port::turn_to_the_others(listener) {
                    tracing::debug!(address = %self.address, %error, "who connects at the last moment may be turned away");
                }
                let end = Instant::now() + SETTLE;
                while let Ok(accepted) = timeout_at(end, self.accept_one(door, stop)).await {
                    if accepted.is_err_and(|error| !is_the_peers(&error)) {
                        break;
                    }
                }
            }
            _ => {}
        }
        self.accept_who_waits(door, stop);
    }

    /// Empties the queue of the socket, which is asked itself: what tokio knows of it may be a moment old.
    fn accept_who_waits(&self, door: &Arc<Door>, stop: &CancellationToken) {
        for _ in 0..BACKLOG {
            let accepted = match &self.socket {
                Socket::Tcp(listener) => SockRef::from(listener).accept().and_then(|(socket, remote)| {
                    socket.set_nonblocking(true)?;
                    let stream = TcpStream::from_std(socket.into())?;
                    self.welcome(door, stream, remote.as_socket(), stop);
                    Ok(())
                }),
                #[cfg(unix)]
                Socket::Unix(listener) => SockRef::from(listener).accept().and_then(|(socket, _)| {
                    socket.set_nonblocking(true)?;
                    let stream = UnixStream::from_std(std::os::fd::OwnedFd::from(socket).into())?;
                    self.send_off(door, stream, Ends::default(), stop);
                    Ok(())
                }),
            };
            if accepted.is_err_and(|error| !is_the_peers(&error)) {
                return;
            }
        }
    }

    /// Our address. Only who listens on all of them has to ask which one a connection came to.
    fn local_end_of(&self, stream: &TcpStream) -> Option<SocketAddr> {
        match self.address {
            Address::Tcp(address) if !address.ip().is_unspecified() => Some(address),
            _ => stream.local_addr().ok(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let (Address::Unix(path), Owner::Alone) = (&self.address, self.owner) {
            // It may be gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A socket that nobody listens on any more is in the way; one that somebody does is not ours to take.
#[cfg(unix)]
fn remove_stale_socket(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
                Err(_) => std::fs::remove_file(path),
            }
        }
        // Bind will say what is wrong with any other file.
        _ => Ok(()),
    }
}

/// An error of the connection that was to be accepted, not of the listener.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Ever longer pauses, up to a second.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    fn next(&mut self) -> Duration {
        self.0 = (self.0 + 1).min(8);
        Duration::from_millis(5 << self.0).min(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings() {
        for good in ["127.0.0.1:8080", "localhost:0", "[::1]:80", "0.0.0.0:65535"] {
            assert_eq!(Binding::parse(good), Ok(Binding::Tcp(good.to_owned())));
        }
        assert_eq!(Binding::parse("unix:/run/a.sock"), Ok(Binding::Unix("/run/a.sock".into())));
        assert_eq!(Binding::parse("systemd:"), Ok(Binding::Passed(None)));
        assert_eq!(Binding::parse("systemd:web"), Ok(Binding::Passed(Some("web".to_owned()))));
        for bad in ["", "8080", ":8080", "localhost", "localhost:http", "1.2.3.4:70000", "unix:"] {
            assert!(Binding::parse(bad).is_err(), "{bad}");
        }
    }
}

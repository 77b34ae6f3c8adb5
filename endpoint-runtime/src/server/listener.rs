//! Listeners: TCP and Unix sockets, bound before the first is opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::arrival::arrive;
use super::door::Door;
use crate::session::Ends;

/// The scheme that names a Unix socket.
const UNIX: &str = "unix:";

/// An address to listen on, as it is written: `127.0.0.1:8080`, `localhost:0`, `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Tcp(String),
    Unix(PathBuf),
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
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Binding::Tcp(text.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is not an address: write `127.0.0.1:8080`, `[::]:8080` or `unix:/run/app.sock`"
            )),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Binding::Tcp(address) => f.write_str(address),
            Binding::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// An address that a server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket, by its path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// A bound socket. The file of a Unix socket goes with it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    address: Address,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    pub(crate) async fn bind(binding: &Binding) -> io::Result<Self> {
        match binding {
            Binding::Tcp(address) => {
                let listener = TcpListener::bind(address.as_str()).await?;
                let address = Address::Tcp(listener.local_addr()?);
                Ok(Listener { socket: Socket::Tcp(listener), address })
            }
            #[cfg(unix)]
            Binding::Unix(path) => {
                remove_stale_socket(path)?;
                let listener = UnixListener::bind(path)?;
                Ok(Listener { socket: Socket::Unix(listener), address: Address::Unix(path.clone()) })
            }
            #[cfg(not(unix))]
            Binding::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Accepts connections until told to stop.
    pub(crate) async fn accept(self, door: Arc<Door>, stop: CancellationToken) {
        let mut pause = Pause::default();
        let mut stopped = std::pin::pin!(stop.cancelled());
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => return,
                accepted = self.accept_one(&door, &stop) => accepted,
            };
            match accepted {
                Ok(()) => pause = Pause::default(),
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    // Out of file descriptors, most likely. To try again at once would only burn the processor.
                    tracing::error!(address = %self.address, %error, "cannot accept connections");
                    tokio::time::sleep(pause.next()).await;
                }
            }
        }
    }

    async fn accept_one(&self, door: &Arc<Door>, stop: &CancellationToken) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                // Small messages must not wait for company; a socket that refuses is as good as closed.
                let _ = stream.set_nodelay(true);
                let ends = Ends { remote: Some(remote), local: self.local_end_of(&stream), secure: false };
                tokio::spawn(arrive(Arc::clone(door), stream, ends, stop.clone()));
            }
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(arrive(Arc::clone(door), stream, Ends::default(), stop.clone()));
            }
        }
        Ok(())
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
        if let Address::Unix(path) = &self.address {
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
        for bad in ["", "8080", ":8080", "localhost", "localhost:http", "1.2.3.4:70000", "unix:"] {
            assert!(Binding::parse(bad).is_err(), "{bad}");
        }
    }
}

//! A running server: its listeners, its door, and how it stops.

mod arrival;
mod body;
mod container;
mod deployments;
mod door;
mod drain;
mod endpoint;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod isolation;
mod limits;
mod listen;
mod listener;
mod mounted;
mod proxies;
#[cfg(feature = "json")]
mod publishing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "http2")]
mod version;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::body::{Answer, boxed};
pub use self::body::{EndpointService, ResponseBody};
pub use self::container::Container;
pub(crate) use self::deployments::{Planned, announce, conflict, mount, planned};
pub(crate) use self::door::{Door, endpoints};
pub(crate) use self::drain::LAST_MOMENT;
pub use self::endpoint::{ServerEndpointConfig, ServerEndpointConfigBuilder};
#[cfg(feature = "tls")]
pub(crate) use self::listen::Encryption;
pub use self::listen::Listen;
pub(crate) use self::listener::{Binding, Listener};
pub use self::mounted::{Mounted, MountedService};
#[cfg(feature = "json")]
pub(crate) use self::publishing::Publishing;
#[cfg(feature = "tls")]
pub use self::tls::{ClientAuthorities, Tls};
#[cfg(feature = "json")]
use crate::cluster::resume::Resumption;
use crate::context::ApplicationEvent;
use crate::session::{Current, Sessions};
use crate::settings::Address;

/// A running server, as [`start`](crate::ServerEndpointExporter::start) returns it. Dropping the handle stops nothing abruptly but
/// leaves nobody to stop it gracefully: see [`shutdown`](Self::shutdown).
pub struct Server {
    door: Arc<Door>,
    addresses: Vec<Address>,
    accepting: TaskTracker,
    timers: JoinHandle<()>,
    /// Listeners are to close.
    close: CancellationToken,
    /// Connections are to end.
    stop: CancellationToken,
    /// No time is left.
    at_once: CancellationToken,
    /// Whether others take over an address.
    handed_over: bool,
    /// The certificates of the listeners.
    #[cfg(feature = "tls")]
    tls: Vec<Tls>,
    _current: Current,
}

impl Server {
    /// Opens the door: listeners that are bound already start to accept.
    pub(crate) fn open(door: Door, listeners: Vec<Listener>, current: Current) -> Self {
        let door = Arc::new(door);
        door.container().attach(&door);
        let allowance = limits::Allowance::of(door.settings());
        door.sessions().queues().bound(allowance.bytes);
        tracing::info!("{allowance}");
        let (close, stop) = (CancellationToken::new(), CancellationToken::new());
        let handed_over = listeners.iter().any(Listener::is_handed_over);
        #[cfg(feature = "tls")]
        let tls = tls::watched(&listeners, door.settings().tls_reload_interval, &stop);
        let addresses = listeners.iter().map(|listener| listener.address().clone()).collect();
        let accepting = TaskTracker::new();
        for listener in listeners {
            accepting.spawn(listener.accept(Arc::clone(&door), close.clone(), stop.clone()));
        }
        accepting.close();
        let timers = tokio::spawn(door.timers().clone().run());
        current.started();
        door.container().set_ready(true);
        if let Some(cluster) = door.container().cluster() {
            let state = cluster.node().watch();
            tokio::spawn(isolation::mind(Arc::downgrade(&door), state));
        }
        Server {
            door,
            addresses,
            accepting,
            timers,
            close,
            stop,
            at_once: CancellationToken::new(),
            handed_over,
            #[cfg(feature = "tls")]
            tls,
            _current: current,
        }
    }

    /// The address of the first TCP listener, with the port that was really bound; `0.0.0.0:0` if there is none, as with Unix
    /// sockets only.
    pub fn local_addr(&self) -> SocketAddr {
        let tcp = self.addresses.iter().find_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            _ => None,
        });
        tcp.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The addresses of all listeners.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Every session.
    pub fn sessions(&self) -> &Sessions {
        self.door.sessions()
    }

    /// Reads the certificates of all listeners from their files again: see [`Tls::reload`].
    ///
    /// # Errors
    /// All that is wrong with them. Where something is, the certificate stays the one that it was.
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self) -> crate::Result<()> {
        let faults: Vec<String> = self.tls.iter().filter_map(|tls| tls.load().err()).flatten().collect();
        if faults.is_empty() { Ok(()) } else { Err(crate::Error::msg(faults.join("; "))) }
    }

    /// Serves a connection that came in some other way than through a listener.
    #[cfg(feature = "test")]
    pub(crate) fn serve_in_memory(&self, stream: tokio::io::DuplexStream) {
        let ends = crate::session::Ends::default();
        tokio::spawn(arrival::arrive(self.door.admit(), Arc::default(), stream, ends, self.stop.clone()));
    }

    /// What makes a shutdown that goes on end at once.
    pub(crate) fn at_once(&self) -> CancellationToken {
        self.at_once.clone()
    }

    /// How long a shutdown may take.
    #[cfg(unix)]
    pub(crate) fn time_to_stop(&self) -> std::time::Duration {
        let settings = self.door.settings();
        // Listeners take a moment too, and so does what is cut off.
        let drain = settings.drain_delay + settings.drain_timeout + 2 * LAST_MOMENT;
        drain.saturating_add(settings.destroy_timeout.saturating_mul(self.door.context().to_destroy()))
    }

    pub(super) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Stops gracefully: the server says that it is no longer [ready](Container::is_ready), and after `drain_delay` accepts no more
    /// connections; handshakes under way get 503, sessions are closed with 1001 in rounds, every `#[on_close]` runs; what is not done within
    /// `drain_timeout` is cut off. Then the components are destroyed, the last that was built first.
    ///
    /// Where others take over an address, with [`reuse_port`](crate::Settings::reuse_port) or on a socket
    /// [of the service manager](Listen::systemd), nobody who has come to it is refused: handshakes under way become sessions, and all are
    /// closed with 1012.
    pub async fn shutdown(self) {
        tracing::info!(sessions = self.sessions().count(), "shutting down");
        self.door.context().publish(&ApplicationEvent::ShuttingDown);
        self.container().set_ready(false);
        self.stop_accepting().await;
        self.door.start_draining();
        self.stop.cancel();
        drain::drain(&self.door, &drain::reason(self.handed_over), &self.at_once).await;
        self.timers.abort();
        #[cfg(feature = "json")]
        if let Some(resumption) = self.door.context().find::<Resumption>() {
            resumption.flush().await;
        }
        let cluster = self.container().cluster();
        if let Some(cluster) = &cluster {
            cluster.node().leave().await;
        }
        self.door.context().destroy().await;
        if let Some(cluster) = cluster {
            cluster.node().stop().await;
        }
        tracing::info!("stopped");
    }

    /// Returns when all listeners are closed.
    async fn stop_accepting(&self) {
        let delay = self.door.settings().drain_delay;
        if !delay.is_zero() {
            tracing::info!(?delay, "not ready any more; still accepting connections");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.at_once.cancelled() => {}
            }
        }
        self.close.cancel();
        tokio::select! {
            // They end by themselves when told to stop; one that panicked has ended too.
            () = self.accepting.wait() => {}
            () = self.at_once.cancelled() => {}
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .field("sessions", self.sessions())
            .finish()
    }
}

//! A running server: its listeners, its door, and how it stops.

mod arrival;
mod body;
mod container;
mod deployments;
mod door;
mod drain;
mod http1;
mod listen;
mod listener;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::body::{Answer, boxed};
pub use self::body::{EndpointService, ResponseBody};
pub use self::container::Container;
pub(crate) use self::deployments::Deployed;
pub(crate) use self::door::{Door, endpoints};
pub use self::listen::Listen;
pub use self::listener::Address;
pub(crate) use self::listener::{Binding, Listener};
use crate::context::ApplicationEvent;
use crate::session::{Current, Sessions};

/// A running server, as [`start`](crate::ServerEndpointExporter::start) returns it. Dropping the handle stops nothing abruptly but
/// leaves nobody to stop it gracefully: see [`shutdown`](Self::shutdown).
pub struct Server {
    door: Arc<Door>,
    addresses: Vec<Address>,
    accepting: Vec<JoinHandle<()>>,
    timers: JoinHandle<()>,
    stop: CancellationToken,
    _current: Current,
}

impl Server {
    /// Opens the door: listeners that are bound already start to accept.
    pub(crate) fn open(door: Door, listeners: Vec<Listener>, current: Current) -> Self {
        let door = Arc::new(door);
        door.container().attach(&door);
        let stop = CancellationToken::new();
        let addresses = listeners.iter().map(|listener| listener.address().clone()).collect();
        let accepting = listeners
            .into_iter()
            .map(|listener| tokio::spawn(listener.accept(Arc::clone(&door), stop.clone())))
            .collect();
        let timers = tokio::spawn(door.timers().clone().run());
        current.started();
        Server { door, addresses, accepting, timers, stop, _current: current }
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

    /// Serves a connection that came in some other way than through a listener.
    #[cfg(feature = "test")]
    pub(crate) fn serve_in_memory(&self, stream: tokio::io::DuplexStream) {
        let ends = crate::session::Ends::default();
        tokio::spawn(http1::serve(Arc::clone(&self.door), stream, ends, self.stop.clone()));
    }

    /// Stops gracefully: no new connections, handshakes under way get 503, sessions are closed with 1001 in rounds, every
    /// `#[on_close]` runs; what is not done within `drain_timeout` is cut off. Then the components are destroyed, the last that was built
    /// first.
    pub async fn shutdown(self) {
        tracing::info!(sessions = self.sessions().count(), "shutting down");
        self.door.context().publish(&ApplicationEvent::ShuttingDown);
        self.door.start_draining();
        self.stop.cancel();
        for accepting in self.accepting {
            // It ends by itself when told to stop; if it panicked it has ended too.
            let _ = accepting.await;
        }
        drain::drain(&self.door).await;
        self.timers.abort();
        self.door.context().destroy().await;
        tracing::info!("stopped");
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

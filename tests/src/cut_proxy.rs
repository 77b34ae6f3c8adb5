//! A proxy between a client and a server that can be cut like a cable: both ways, one way, for good, or so that nobody notices.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What a [`CutProxy`] lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Everything.
    #[default]
    Nothing,
    /// Nothing, and nobody is told: the connections stay, new ones are accepted, and not a byte passes. As with a cut cable, what was on
    /// its way arrives when the cut is healed, if anybody still waits for it.
    Both,
    /// Nothing from the client to the server, without a word; what the server says arrives.
    ToServer,
    /// Nothing from the server to the client, without a word; what the client says arrives.
    ToClient,
    /// The connections there are go on. New ones are reset at once.
    Refuse,
}

impl Cut {
    fn passes(self, way: Way) -> bool {
        match self {
            Cut::Nothing | Cut::Refuse => true,
            Cut::Both => false,
            Cut::ToServer => way == Way::ToClient,
            Cut::ToClient => way == Way::ToServer,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

#[derive(Clone, Copy, Debug)]
struct State {
    cut: Cut,
    target: SocketAddr,
    /// How often all connections have been closed.
    closed: usize,
}

/// A TCP proxy in this process. All ends with this value.
#[derive(Debug)]
pub struct CutProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl CutProxy {
    /// Listens on a free port of 127.0.0.1, and lets everything through to a server.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (state, watched) = watch::channel(State { cut: Cut::Nothing, target, closed: 0 });
        let accepted = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, watched, Arc::clone(&accepted)));
        CutProxy { address, state, accepted, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets through what this says, from now on.
    pub fn cut(&self, cut: Cut) {
        self.state.send_modify(|state| state.cut = cut);
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.cut(Cut::Nothing);
    }

    /// Connects new clients to another server. Connections that exist stay where they are.
    pub fn redirect(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Closes all connections, whatever is cut.
    pub fn close(&self) {
        self.state.send_modify(|state| state.closed += 1);
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for CutProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: watch::Receiver<State>, accepted: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        while connections.try_join_next().is_some() {}
        if state.borrow().cut == Cut::Refuse {
            // Closed without lingering, a connection is reset.
            let _ = client.set_zero_linger();
            continue;
        }
        connections.spawn(carry(client, state.clone()));
    }
}

/// One connection, until both sides have ended it or it is closed.
async fn carry(client: TcpStream, mut state: watch::Receiver<State>) -> io::Result<()> {
    let State { target, closed, .. } = *state.borrow();
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, Way::ToServer, state.clone());
    let back = pump(from_server, to_client, Way::ToClient, state.clone());
    tokio::select! {
        done = async { tokio::try_join!(there, back) } => done.map(drop),
        _ = state.wait_for(|state| state.closed != closed) => Ok(()),
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        passes(&mut state, way).await?;
        let read = tokio::select! {
            read = from.read(&mut bytes) => read?,
            changed = state.changed() => {
                changed.map_err(|_| io::ErrorKind::BrokenPipe)?;
                continue;
            }
        };
        // Cut since: it waits with what it has read.
        passes(&mut state, way).await?;
        match read {
            0 => return to.shutdown().await,
            read => to.write_all(&bytes[..read]).await?,
        }
    }
}

async fn passes(state: &mut watch::Receiver<State>, way: Way) -> io::Result<()> {
    state
        .wait_for(|state| state.cut.passes(way))
        .await
        .map(drop)
        .map_err(|_| io::ErrorKind::BrokenPipe.into())
}

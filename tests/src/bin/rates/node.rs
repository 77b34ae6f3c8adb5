//! One of the processes that messages cross between: `rates node KIND from|to URL`.
//!
//! It listens on a free port, says `ready PORT`, and ends with its standard input. A message that comes to its WebSocket is sent to the
//! members of a room elsewhere. Told `volatile 4096`, or `kept 4096`, it sends so many more by itself.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endpoint_runtime as runtime;
use runtime::cluster::{Nats, Redis};
use runtime::prelude::*;
use runtime::{Server, ServerEndpointConfig, ServerEndpointExporter};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::Semaphore;

use crate::library::{Library, Subscription};
use crate::{Result, SIZE, STEP};

/// Who sends at the same time.
const SENDERS: usize = 256;
/// How many messages each of them sends when it is its turn.
const TURN: u32 = 64;

/// The rooms that messages are sent to.
pub(crate) const VOLATILE: &str = "open";
pub(crate) const KEPT: &str = "kept";

/// What carries messages from one process to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A cluster.
    Ours,
    /// A server without a cluster, and a client library that is called by what is written around it.
    ByHand,
    /// The client library alone, without a WebSocket.
    Raw,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ours => "ours",
            Kind::ByHand => "by-hand",
            Kind::Raw => "raw",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Kind::Ours, Kind::ByHand, Kind::Raw];
        all.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("what is {name}?"))
    }
}

/// What this process sends with.
#[derive(Clone)]
enum Carrier {
    Cluster,
    Library(Library),
}

impl Carrier {
    async fn send(&self, sessions: &Sessions, room: &str, message: Bytes) -> Result<()> {
        match self {
            Carrier::Cluster => {
                let delivery = sessions.room(room).send(message).await;
                delivery.elsewhere().error().map_or(Ok(()), |error| Err(error.to_string().into()))
            }
            Carrier::Library(library) if room == KEPT => library.append(message).await,
            Carrier::Library(library) => library.publish(message).await,
        }
    }
}

#[server_endpoint("/{room}", send_buffer = 16_777_216)]
struct Hall {
    #[inject]
    carrier: Arc<Carrier>,
}

#[handlers]
impl Hall {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String) -> &'static str {
        session.join(&room);
        session.reachable().await;
        "open"
    }

    #[on_message]
    async fn message(&self, message: Bytes, sessions: &Sessions) -> runtime::Result<()> {
        let sent = self.carrier.send(sessions, VOLATILE, message).await;
        sent.map_err(|error| Error::msg(error.to_string()))
    }
}

/// Where clients go on that were away.
#[server_endpoint("/kept/{room}", recover(size = 100, ttl = "5m", rooms = "kept*"), send_buffer = 16_777_216)]
struct Archive;

#[handlers]
impl Archive {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String) {
        session.join(&room);
    }
}

fn server() -> ServerEndpointExporter {
    runtime::export_all().bind("127.0.0.1:0").configure(|settings| {
        settings.max_connections_per_address = 0;
        settings.max_connections = 20_000;
        settings.handshake_timeout = Duration::from_secs(60);
        // Whoever counts bytes does not answer, and clients wait for each other.
        settings.ping_interval = None;
    })
}

async fn started(server: ServerEndpointExporter) -> Result<Server> {
    server.start().await.map_err(|error| error.to_string().into())
}

/// What has to live as long as the process.
struct Running {
    carrier: Carrier,
    server: Server,
    _subscription: Option<Subscription>,
}

async fn start(kind: Kind, receives: bool, url: &str) -> Result<Running> {
    if kind == Kind::Ours {
        let server = server().provide(Carrier::Cluster);
        let server = if url.starts_with("nats") {
            server.only(ServerEndpointConfig::is::<Hall>).cluster(Nats::connect(url).await?)
        } else {
            server.cluster(Redis::connect(url).await?)
        };
        return Ok(Running {
            carrier: Carrier::Cluster,
            server: started(server).await?,
            _subscription: None,
        });
    }
    let carrier = Carrier::Library(Library::connect(url, kind.name()).await?);
    let server = started(server().provide(carrier.clone())).await?;
    let room = server.sessions().room(VOLATILE).local();
    let deliver = move |message: &[u8]| drop(room.post(Bytes::copy_from_slice(message)));
    // As a node whose sessions are in no room, who only sends has subscribed to nothing.
    let subscription = match kind {
        _ if !receives => None,
        Kind::Raw => Some(Library::subscribe(url, kind.name(), counting()).await?),
        _ => Some(Library::subscribe(url, kind.name(), deliver).await?),
    };
    Ok(Running { carrier, server, _subscription: subscription })
}

/// Says how many have come.
fn counting() -> impl Fn(&[u8]) {
    let count = AtomicUsize::new(0);
    move |_| {
        if (count.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(STEP) {
            println!("got {STEP}");
        }
    }
}

/// Sends to a room whenever there are permits to.
fn send_to(room: &'static str, carrier: &Carrier, sessions: &Sessions) -> Arc<Semaphore> {
    let permits = Arc::new(Semaphore::new(0));
    let message = Bytes::from(vec![b'x'; SIZE]);
    for _ in 0..SENDERS {
        let (permits, carrier, message) = (Arc::clone(&permits), carrier.clone(), message.clone());
        let sessions = sessions.clone();
        tokio::spawn(async move {
            while let Ok(turn) = permits.acquire_many(TURN).await {
                turn.forget();
                for _ in 0..TURN {
                    if let Err(error) = carrier.send(&sessions, room, message.clone()).await {
                        eprintln!("not sent: {error}");
                    }
                }
            }
        });
    }
    permits
}

pub(crate) async fn run(kind: Kind, receives: bool, url: &str) -> Result<()> {
    let running = start(kind, receives, url).await?;
    let rooms = [VOLATILE, KEPT].map(|room| send_to(room, &running.carrier, running.server.sessions()));
    println!("ready {}", running.server.local_addr().port());
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (which, count) = line.split_once(' ').ok_or("which, and how many?")?;
        rooms[usize::from(which == "kept")].add_permits(count.parse()?);
    }
    Ok(())
}

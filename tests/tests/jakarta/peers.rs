//! One endpoint on either side of a connection ([`Stage`]): deployed at the start, deployed while serving, or as a client; with our
//! session at one end and a peer made of bytes at the other.

mod clock;
mod wire;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::RunningApp;
use endpoint_runtime::{
    self as runtime, Client, Connecting, Server, ServerEndpointConfig, Sessions, Settings,
};
use tokio::net::{TcpListener, TcpStream};

pub(crate) use self::clock::StoppedClock;
pub(crate) use self::wire::{BINARY, Came, PING, PONG, Peer, TEXT, binary, closed, text};
use crate::told::{Heard, Told, diary, soon, until};

/// Where our end of the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A server, in memory, that has the endpoint from the start.
    Server,
    /// A server, over TCP, that the endpoint is deployed to while it serves.
    Deployed,
    /// A client of a server made of bytes.
    Client,
}

pub(crate) const SIDES: [Place; 2] = [Place::Server, Place::Client];
pub(crate) const PLACES: [Place; 3] = [Place::Server, Place::Deployed, Place::Client];

/// An endpoint for either side.
#[derive(Clone, Copy)]
pub(crate) struct Both {
    pub(crate) path: &'static str,
    pub(crate) config: fn() -> ServerEndpointConfig,
    pub(crate) connect: fn(&Client, &Arc<Told>, &str) -> Connecting<Session>,
}

/// Declares a module with an annotated endpoint twice, for a server and for clients; `BOTH` is the two of them. Their methods have
/// `self.told` to tell what happens.
macro_rules! on_both_sides {
    ($(#[$doc:meta])* $name:ident at $path:literal [$($option:tt)*] { $($methods:tt)* }) => {
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use std::sync::Arc;

            #[endpoint_runtime::server_endpoint($path, $($option)*)]
            pub(crate) struct OnServer {
                #[inject]
                told: Arc<crate::told::Told>,
            }

            #[endpoint_runtime::handlers]
            impl OnServer {
                $($methods)*
            }

            #[endpoint_runtime::client_endpoint($($option)*)]
            pub(crate) struct OnClient {
                told: Arc<crate::told::Told>,
            }

            #[endpoint_runtime::handlers]
            impl OnClient {
                $($methods)*
            }

            pub(crate) const BOTH: crate::peers::Both = crate::peers::Both {
                path: $path,
                config: || endpoint_runtime::ServerEndpointConfig::of::<OnServer>(),
                connect: |client, told, url| client.connect(OnClient { told: Arc::clone(told) }, url),
            };
        }
    };
}
pub(crate) use on_both_sides;

/// Where connections of one endpoint are made.
pub(crate) struct Stage {
    host: Host,
    pub(crate) heard: Heard,
    known: Mutex<HashSet<SessionId>>,
}

enum Host {
    App(RunningApp),
    Server(Server),
    Client(Listening),
}

/// A client, and a server made of bytes.
struct Listening {
    client: Client,
    listener: TcpListener,
    told: Arc<Told>,
    connect: fn(&Client, &Arc<Told>, &str) -> Connecting<Session>,
}

impl Stage {
    pub(crate) async fn new(place: Place, endpoint: Both) -> Self {
        let (told, heard) = diary();
        let told = Arc::new(told);
        let config = (endpoint.config)();
        let host = match place {
            Place::Server => {
                let app = runtime::test::app().provide_shared(told).endpoint(config);
                let app = app.with(|exporter| exporter.only(move |config| config.path() == endpoint.path));
                Host::App(app.start().await)
            }
            Place::Deployed => {
                let exporter = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0");
                let exporter = exporter.provide_shared(told).only(|_| false).allow_empty();
                let server = exporter.start().await.unwrap();
                server.deploy(config).unwrap();
                Host::Server(server)
            }
            Place::Client => {
                let client = runtime::client().provide_shared(Arc::clone(&told));
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                Host::Client(Listening { client, listener, told, connect: endpoint.connect })
            }
        };
        Stage { host, heard, known: Mutex::default() }
    }

    /// One more connection. The path must be one of the endpoint's, and may have a query string.
    pub(crate) async fn connect(&self, path: &str) -> (Session, Peer) {
        match &self.host {
            Host::App(app) => {
                let peer = Peer::connect(app.connect_raw(), "test", path).await;
                (self.newest(app.sessions()).await, peer)
            }
            Host::Server(server) => {
                let address = server.local_addr();
                let stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let peer = Peer::connect(stream, &address.to_string(), path).await;
                (self.newest(server.sessions()).await, peer)
            }
            Host::Client(Listening { client, listener, told, connect }) => {
                let url = format!("ws://{}{path}", listener.local_addr().unwrap());
                let serve = async {
                    let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    Peer::accept(stream).await
                };
                let (session, peer) = tokio::join!(connect(client, told, &url), serve);
                (session.unwrap(), peer)
            }
        }
    }

    /// The session that was not there before.
    async fn newest(&self, sessions: &Sessions) -> Session {
        let mut newest = None;
        until("a session", || {
            newest = sessions.all().iter().find(|session| self.known.lock().unwrap().insert(*session.id()));
            newest.is_some()
        })
        .await;
        newest.unwrap()
    }

    /// Host and port, as they are in a URL.
    pub(crate) fn authority(&self) -> String {
        match &self.host {
            Host::App(_) => "test".to_owned(),
            Host::Server(server) => server.local_addr().to_string(),
            Host::Client(Listening { listener, .. }) => listener.local_addr().unwrap().to_string(),
        }
    }

    /// Every session of the server, or of the client.
    pub(crate) fn sessions(&self) -> &Sessions {
        match &self.host {
            Host::App(app) => app.sessions(),
            Host::Server(server) => server.sessions(),
            Host::Client(Listening { client, .. }) => client.sessions(),
        }
    }
}

/// A stage with a connection.
pub(crate) struct Pair {
    pub(crate) session: Session,
    pub(crate) peer: Peer,
    pub(crate) stage: Stage,
}

impl Pair {
    pub(crate) async fn open(place: Place, endpoint: Both) -> Self {
        Self::open_at(place, endpoint, endpoint.path).await
    }

    pub(crate) async fn open_at(place: Place, endpoint: Both, path: &str) -> Self {
        let stage = Stage::new(place, endpoint).await;
        let (session, peer) = stage.connect(path).await;
        Pair { session, peer, stage }
    }

    /// The next thing that the endpoint told.
    pub(crate) async fn told(&mut self) -> String {
        self.stage.heard.next().await
    }
}

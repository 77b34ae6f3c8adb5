//! The rest of group R: instances, session ids, the idle timeout that ends in 1006, containers, and requests that are upgraded.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    self as runtime, Container, Endpoint, PathParams, ResponseBody, ServerEndpointConfig, Settings,
};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::peers::{Both, Came, PLACES, Pair, Peer, Place, Stage, on_both_sides, text};
use crate::table::each;
use crate::told::{Told, soon, until};

fn told(session: &Session) -> Arc<Told> {
    session.application().get().unwrap()
}

/// Every place, for each of these.
fn everywhere<T: Clone>(rows: impl IntoIterator<Item = (&'static str, T)>) -> Vec<(String, (T, Place))> {
    let rows = rows.into_iter();
    rows.flat_map(|(name, row)| PLACES.map(|place| (format!("{name} ({place:?})"), (row.clone(), place))))
        .collect()
}

// ---- T-LIFE

/// Counts its own messages.
struct Counter(u32);

impl Endpoint for Counter {
    async fn on_message(&mut self, session: &Session, _: Message) -> Result<()> {
        session.send(self.0).await?;
        self.0 += 1;
        Ok(())
    }
}

const COUNTER_BY_HAND: Both = Both {
    path: "/containers/counter-by-hand",
    config: || ServerEndpointConfig::builder("/containers/counter-by-hand", || Counter(0)).build(),
    connect: |client, _, url| client.connect(Counter(0), url),
};

mod counter {
    use super::*;

    #[server_endpoint("/containers/counter")]
    pub(super) struct OnServer {
        count: u32,
    }

    #[handlers]
    impl OnServer {
        #[on_message]
        fn message(&mut self, _text: &str) -> u32 {
            self.count += 1;
            self.count - 1
        }
    }

    #[client_endpoint]
    pub(super) struct OnClient {
        pub(super) count: u32,
    }

    #[handlers]
    impl OnClient {
        #[on_message]
        fn message(&mut self, _text: &str) -> u32 {
            self.count += 1;
            self.count - 1
        }
    }
}

const COUNTER: Both = Both {
    path: "/containers/counter",
    config: ServerEndpointConfig::of::<counter::OnServer>,
    connect: |client, _, url| client.connect(counter::OnClient { count: 0 }, url),
};

/// serverLifeCycleTest, WSC-2.1.1-1: each connection has an instance of its own, so that each counts from 0.
#[test]
fn each_connection_has_its_instance() {
    each(
        everywhere([("annotated", COUNTER), ("by hand", COUNTER_BY_HAND)]),
        async |(endpoint, place): (Both, Place)| {
            let stage = Stage::new(place, endpoint).await;
            let (_one, mut first) = stage.connect(endpoint.path).await;
            let (_two, mut second) = stage.connect(endpoint.path).await;
            for expected in ["0", "1"] {
                for peer in [&mut first, &mut second] {
                    peer.text("x").await;
                    assert_eq!(peer.next().await, text(expected));
                }
            }
        },
    );
}

// ---- T-CLOSE

const AT_ONCE: Duration = Duration::from_millis(1);

/// Tells why it was closed.
struct Teller;

impl Endpoint for Teller {
    async fn on_close(&mut self, session: &Session, reason: &CloseReason) {
        told(session).tell(format_args!("close {} {:?}", u16::from(reason.code()), reason.closed_by()));
    }
}

const BY_OPTION: Both = Both {
    path: "/containers/idle-option",
    config: || {
        ServerEndpointConfig::builder("/containers/idle-option", || Teller)
            .idle_timeout(Some(AT_ONCE))
            .build()
    },
    connect: |client, _, url| client.clone().idle_timeout(Some(AT_ONCE)).connect(Teller, url),
};

on_both_sides! {
    by_annotation at "/containers/idle-annotation" [idle_timeout = "1ms"] {
        #[on_close]
        fn close(&self, reason: &CloseReason) {
            self.told.tell(format_args!("close {} {:?}", u16::from(reason.code()), reason.closed_by()));
        }
    }
}

/// Is told when it opens.
struct InOnOpen;

impl Endpoint for InOnOpen {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        session.set_idle_timeout(AT_ONCE);
        Ok(())
    }

    async fn on_close(&mut self, session: &Session, reason: &CloseReason) {
        Teller.on_close(session, reason).await;
    }
}

const IN_ON_OPEN: Both = Both {
    path: "/containers/idle-open",
    config: || ServerEndpointConfig::builder("/containers/idle-open", || InOnOpen).build(),
    connect: |client, _, url| client.connect(InOnOpen, url),
};

/// idleTimeoutTest, WSC-2.1.5-1: with 1 ms the session is closed within 5 s, and `on_close` sees 1006, which is never on the wire.
#[test]
fn who_is_idle_is_closed_with_1006() {
    let ways = [("annotation", by_annotation::BOTH), ("option", BY_OPTION), ("in on_open", IN_ON_OPEN)];
    each(everywhere(ways), async |(endpoint, place): (Both, Place)| {
        let begin = Instant::now();
        let mut pair = Pair::open(place, endpoint).await;
        assert!(matches!(pair.peer.next().await, Came::Close(1001, _)));
        pair.peer.close(1001, "").await;
        pair.peer.hang_up().await;
        assert_eq!(pair.told().await, "close 1006 Container");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert!(!pair.session.is_open());
    });
}

// ---- T-ID

on_both_sides! {
    /// Tells the id of its session at each call.
    identified at "/containers/identified" [] {
        #[on_open]
        fn open(&self, session: &Session) {
            session.attributes().insert(session.clone());
            self.told.tell(format_args!("open {}", session.id()));
        }

        #[on_message]
        fn message(&self, _text: &str, session: &Session) {
            let same = session.attributes().get::<Session>().as_ref() == Some(session);
            self.told.tell(format_args!("message {} {same}", session.id()));
        }

        #[on_close]
        fn close(&self, session: Session) {
            let same = session.attributes().remove::<Session>().as_deref() == Some(&session);
            self.told.tell(format_args!("close {} {same}", session.id()));
        }
    }
}

/// WSC-2.1.2-1, SES-01, SES-19: one session per connection, the same at each call and for who connected; five are five.
#[test]
fn a_session_is_the_same_for_everybody() {
    each(everywhere([("five", ())]), async |((), place): ((), Place)| {
        let mut stage = Stage::new(place, identified::BOTH).await;
        let mut connections = Vec::new();
        for _ in 0..5 {
            let (session, peer) = stage.connect(identified::BOTH.path).await;
            assert_eq!(stage.heard.next().await, format!("open {}", session.id()));
            assert!(
                connections
                    .iter()
                    .all(|(other, _): &(Session, Peer)| *other != session && other.id() != session.id())
            );
            connections.push((session, peer));
        }
        for (session, peer) in &mut connections {
            peer.text("x").await;
            assert_eq!(stage.heard.next().await, format!("message {} true", session.id()));
            assert_eq!(stage.sessions().get(session.id()).as_ref(), Some(&*session));
        }
        for (session, peer) in &mut connections {
            peer.close(1000, "").await;
            assert_eq!(stage.heard.next().await, format!("close {} true", session.id()));
        }
        until("the end", || stage.sessions().count() == 0).await;
    });
}

// ---- T-CONT

/// Takes its container as a parameter, and deploys to it.
#[server_endpoint("/containers/deploying")]
struct Deploying;

#[handlers]
impl Deploying {
    #[on_message]
    fn message(&self, path: String, container: Container) -> Result<usize> {
        container.deploy(ServerEndpointConfig::builder(path, || Counter(0)).build())?;
        Ok(container.endpoints().len())
    }
}

const DEPLOYING: Both = Both {
    path: "/containers/deploying",
    config: ServerEndpointConfig::of::<Deploying>,
    connect: |_, _, _| panic!("not on a client"),
};

/// sessionTest of `containers`, WSC-2.1.7-1: all connections of a server have the same container, whose changes they all see.
#[test]
fn connections_share_their_container() {
    let rows = [Place::Server, Place::Deployed].map(|place| (format!("{place:?}"), place));
    each(rows, async |place| {
        let stage = Stage::new(place, DEPLOYING).await;
        let (one, mut first) = stage.connect(DEPLOYING.path).await;
        let (two, mut second) = stage.connect(DEPLOYING.path).await;
        first.text("/containers/one").await;
        assert_eq!(first.next().await, text("2"));
        second.text("/containers/two").await;
        assert_eq!(second.next().await, text("3"));
        for session in [&one, &two] {
            let container = session.container();
            let paths: Vec<_> = container.endpoints().iter().map(|config| config.path().to_owned()).collect();
            assert_eq!(paths, [DEPLOYING.path, "/containers/one", "/containers/two"]);
            assert_eq!(container.sessions().count(), 2);
        }
    });
}

// ---- T-UP

/// The application's own handler of requests: `/up/annotated/{name}` and `/up/by-hand` become sessions.
#[derive(Clone)]
struct Front;

impl Service<Request<Incoming>> for Front {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        Box::pin(async move {
            let container = request.extensions().get::<Container>().unwrap().clone();
            let (config, params) = match request.uri().path().strip_prefix("/up/annotated/") {
                Some(name) => (ServerEndpointConfig::of::<Upgraded>(), PathParams::from([("name", name)])),
                None => (ServerEndpointConfig::builder("/", || Counter(7)).build(), PathParams::default()),
            };
            Ok(container.upgrade(request, &config, params).await.unwrap())
        })
    }
}

#[server_endpoint("/up/{name}")]
struct Upgraded;

#[handlers]
impl Upgraded {
    #[on_message]
    fn echo(&self, text: &str, #[path] name: String) -> String {
        format!("{name}: {text}")
    }
}

/// upgradeHttpToWebSocket: a handler of one's own makes a session of a request, with an endpoint that is at no path.
#[test]
fn requests_are_upgraded() {
    let rows = [("/up/annotated/bo", "bo: x", "bo: x"), ("/up/by-hand", "7", "8")];
    each(rows.map(|row| (row.0.to_owned(), row)), async |(path, first, second)| {
        let exporter = runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0");
        let exporter = exporter.only(|_| false).allow_empty().fallback(Front);
        let server = soon("the start", exporter.start()).await.unwrap();
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let mut peer = Peer::connect(stream, "test", path).await;
        for says in [first, second] {
            peer.text("x").await;
            assert_eq!(peer.next().await, text(says));
        }
        assert_eq!(server.sessions().count(), 1);
        assert_eq!(server.container().endpoints().len(), 0);
    });
}

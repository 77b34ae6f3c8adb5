//! Servers whose engine is down, at their start or later: what goes on, what does not, and how it shows.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use endpoint_runtime::cluster::{Cluster, ClusterError, Crossing, Redis};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{App, Peer, RunningApp};
use endpoint_tests::redis_server::RedisServer;
use futures_util::StreamExt;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::suite::PATIENCE;

/// Joins a room, whether or not others reach it there.
#[server_endpoint("/post/{room}")]
struct Post;

#[handlers]
impl Post {
    #[on_open]
    fn open(&self, session: &Session, #[path] room: String) -> &'static str {
        session.join(&room);
        "open"
    }
}

fn app() -> App {
    endpoint_runtime::test::app().only::<Post>()
}

fn exporter() -> endpoint_runtime::ServerEndpointExporter {
    endpoint_runtime::export_all().settings(Default::default()).only(ServerEndpointConfig::is::<Post>)
}

async fn enter(node: &RunningApp) -> Peer {
    let mut peer = node.connect("/post/blue").await.unwrap();
    assert_eq!(peer.text().await, "open");
    peer
}

async fn becomes(cluster: &Cluster, connected: bool) {
    let mut state = cluster.watch();
    let changed = state.wait_for(|state| state.is_connected() == connected);
    timeout(PATIENCE, changed).await.expect("the state of the cluster").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_engine_is_down_does_not_start_and_says_why() {
    let mut server = RedisServer::start().await;
    let engine = Redis::connect(&server.url()).await.unwrap();
    server.kill().await;
    let error = exporter().bind("127.0.0.1:0").cluster(engine).start().await.unwrap_err().to_string();
    for said in ["redis", &server.address().to_string(), "cannot be started"] {
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_be_started_before_its_engine_if_that_is_asked_for() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    server.kill().await;
    let lazy = || Redis::lazy(&url).unwrap();
    let nodes = [
        app().with(|exporter| exporter.cluster(lazy())).start().await,
        app().with(|exporter| exporter.cluster(lazy())).start().await,
    ];
    let clusters = nodes.each_ref().map(|node| (*node.context().get::<Cluster>().unwrap()).clone());
    let mut peers = [enter(&nodes[0]).await, enter(&nodes[1]).await];
    for (node, cluster) in nodes.iter().zip(&clusters) {
        assert!(!cluster.state().is_connected());
        assert_eq!(cluster.nodes().len(), 1);
        let room = node.sessions().room("blue");
        let delivery = room.send("here").await;
        assert_eq!(delivery.queued(), 1);
        assert!(matches!(delivery.elsewhere().error(), Some(ClusterError::Unavailable(_))), "{delivery:?}");
        let count = room.count_exact().await;
        assert_eq!((count.total, count.complete), (1, false), "{count:?}");
        assert!(cluster.counters().failed >= 1, "{:?}", cluster.counters());
    }
    for peer in &mut peers {
        assert_eq!(peer.text().await, "here");
    }
    server.start_again().await;
    for (node, cluster) in nodes.iter().zip(&clusters) {
        becomes(cluster, true).await;
        for session in node.sessions().all().local().iter() {
            while !session.reachable().await {}
        }
    }
    let delivery = nodes[0].sessions().room("blue").send("everywhere").await;
    assert!(matches!(delivery.elsewhere(), Crossing::Handed { .. }), "{delivery:?}");
    for peer in &mut peers {
        assert_eq!(peer.text().await, "everywhere");
    }
}

/// What a load balancer asks, and what a supervisor.
async fn ready(State(container): State<Container>) -> StatusCode {
    if container.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The status of a page.
async fn status(address: SocketAddr, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Asks until the answer is this one, and says how long it took. It has to be alive all the time.
async fn until_ready(address: SocketAddr, expected: u16) -> Duration {
    let began = Instant::now();
    let answered = async {
        while status(address, "/ready").await != expected {
            assert_eq!(status(address, "/live").await, 200);
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("it does not become {expected}"));
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_engine_goes_down_goes_on_and_tells_the_load_balancer() {
    let mut server = RedisServer::start().await;
    let engine = Redis::connect(&server.url()).await.unwrap();
    let mounted = exporter().cluster(engine).mount().await.unwrap();
    let pages = axum::Router::new()
        .route("/ready", get(ready))
        .route("/live", get(|| async {}))
        .with_state(mounted.container().clone())
        .merge(mounted.service().into_router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, pages).await });
    let cluster = mounted.container().cluster().unwrap();
    let (mut client, _) =
        tokio_tungstenite::connect_async(format!("ws://{address}/post/blue")).await.unwrap();
    let mut hears = async || client.next().await.unwrap().unwrap().into_text().unwrap().to_string();
    assert_eq!(hears().await, "open");
    assert_eq!(status(address, "/ready").await, 200);

    server.kill().await;
    becomes(&cluster, false).await;
    let room = mounted.sessions().room("blue");
    let (sent, posted) = (room.send("sent").await, room.post("posted"));
    assert_eq!((sent.queued(), posted.queued()), (1, 1));
    assert!(matches!(sent.elsewhere(), Crossing::Failed(ClusterError::Unavailable(_))), "{sent:?}");
    assert!(matches!(posted.elsewhere(), Crossing::Queued | Crossing::Failed(_)), "{posted:?}");
    assert_eq!((hears().await, hears().await), ("sent".into(), "posted".into()));
    let waited = until_ready(address, 503).await;
    assert!(waited > Duration::from_secs(2), "a short loss is nobody's business: {waited:?}");
    assert_eq!(status(address, "/live").await, 200);
    assert_eq!((room.send("still").await.queued(), hears().await), (1, "still".to_owned()));
    let counters = cluster.counters();
    assert!(counters.failed + counters.expired >= 3 && counters.lost >= 1, "{counters:?}");

    server.start_again().await;
    until_ready(address, 200).await;
    becomes(&cluster, true).await;
    assert!(matches!(room.send("again").await.elsewhere(), Crossing::Handed { .. }));
    assert_eq!(hears().await, "again");
    mounted.shutdown().await;
}

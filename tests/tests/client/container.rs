//! The container of a client's sessions: registry, rooms, the end of them all.

use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ConnectError, Endpoint};

use super::support::{Raw, close_frame, soon, start_echo, teller, url};

#[tokio::test]
async fn rooms_and_broadcasts_work_as_on_a_server() {
    let server = start_echo().await;
    let client = runtime::client();
    let (mut sessions, mut all_heard) = (Vec::new(), Vec::new());
    for index in 0..3 {
        let (teller, mut heard) = teller();
        let session = client.connect(teller, url(server.local_addr(), "/echo")).await.unwrap();
        heard.expect("open 1").await;
        if index > 0 {
            session.join("blue");
        }
        sessions.push(session);
        all_heard.push(heard);
    }
    assert_eq!(client.sessions().count(), 3);
    // Clones share the container.
    assert_eq!(client.clone().subprotocols(["x"]).sessions().count(), 3);
    client.sessions().room("blue").except(&sessions[1]).send("to the blue ones").await;
    all_heard[2].expect("text to the blue ones").await;
    client.sessions().all().send("to all").await;
    for heard in &mut all_heard {
        heard.expect("text to all").await;
    }
    assert_eq!(sessions[0].siblings().count(), 3);
    assert_eq!(client.sessions().get(sessions[0].id()), Some(sessions[0].clone()));
}

#[tokio::test]
async fn a_shutdown_closes_all_with_1001_and_waits() {
    let server = start_echo().await;
    let client = runtime::client();
    let mut all_heard = Vec::new();
    for _ in 0..3 {
        let (teller, heard) = teller();
        client.connect(teller, url(server.local_addr(), "/echo")).await.unwrap();
        all_heard.push(heard);
    }
    let raw = Raw::bind().await;
    let (busy, _heard) = teller();
    let connecting = client.connect(busy, raw.url("/"));
    // A connection that is being made is not waited for.
    let (refused, ()) = tokio::join!(soon("connecting", connecting), async {
        let _peer = raw.accept().await;
        soon("the shutdown", client.shutdown()).await;
    });
    assert!(matches!(refused, Err(ConnectError::ShutDown)), "{refused:?}");
    assert_eq!(client.sessions().count(), 0);
    for heard in &mut all_heard {
        heard.expect("open 1").await;
        heard.expect("close 1001 Container").await;
        heard.gone().await;
    }
    let (late, _heard) = teller();
    let refused = client.connect(late, url(server.local_addr(), "/echo")).await;
    assert!(matches!(refused, Err(ConnectError::ShutDown)), "{refused:?}");
}

#[tokio::test]
async fn a_shutdown_tells_the_server_1001() {
    let raw = Raw::bind().await;
    let client = runtime::client();
    let (teller, _heard) = teller();
    let (_session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    let serve = async {
        assert_eq!(peer.close_code().await, 1001);
        peer.write(&close_frame(1001)).await;
        drop(peer);
    };
    tokio::join!(soon("the shutdown", client.shutdown()), serve);
}

/// Holds a component, so that one sees when the container has gone.
struct Quiet;

impl Endpoint for Quiet {}

#[tokio::test]
async fn the_container_lives_as_long_as_its_sessions_and_no_longer() {
    let server = start_echo().await;
    let alive = std::sync::Arc::new(());
    let client = runtime::client().provide_shared(std::sync::Arc::clone(&alive));
    let session = client.connect(Quiet, url(server.local_addr(), "/echo")).await.unwrap();
    drop(client);
    // The session needs no client, not even its timers do.
    session.send_and_flush("still here").await.unwrap();
    assert_eq!(session.sessions().count(), 1);
    assert_eq!(std::sync::Arc::strong_count(&alive), 2);
    session.close(CloseReason::normal()).await.unwrap();
    drop(session);
    soon("the end of the container", async {
        while std::sync::Arc::strong_count(&alive) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// One client, two runtimes one after the other: nothing of the first is needed by the second.
#[test]
fn a_client_outlives_its_runtime() {
    let client = runtime::client().ping_interval(Some(Duration::from_millis(50)));
    for _ in 0..2 {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let raw = Raw::bind().await;
            let (teller, mut heard) = teller();
            let (_session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
            heard.expect("open 1").await;
            assert_eq!(peer.frame().await.unwrap().first, 0x89, "the timers run here too");
        });
    }
}

/// Says which registry is current in its handler.
struct Looker(tokio::sync::mpsc::UnboundedSender<bool>);

impl Endpoint for Looker {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let found = runtime::Sessions::current().get(session.id()).is_some();
        Ok(self.0.send(found)?)
    }
}

#[tokio::test]
async fn a_handler_finds_the_sessions_of_its_client() {
    let server = start_echo().await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let client = runtime::client();
    client.connect(Looker(sender), url(server.local_addr(), "/echo")).await.unwrap();
    assert_eq!(soon("a look", receiver.recv()).await, Some(true));
}

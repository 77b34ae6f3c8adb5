//! The closing handshake from both sides, and who closes TCP (RFC 6455 7.1.1: the server, first).

use std::time::{Duration, Instant};

use endpoint_runtime::{self as runtime, CloseCode, CloseReason, ServerEndpointConfig};
use tokio::io::AsyncReadExt;

use super::support::{Closer, Raw, close_frame, frame, soon, start, start_echo, teller, url};

#[tokio::test]
async fn the_client_closes() {
    let server = start_echo().await;
    for code in [1000u16, 1001, 3000, 4999] {
        let (teller, mut heard) = teller();
        let client = runtime::client();
        let session = client.connect(teller, url(server.local_addr(), "/echo")).await.unwrap();
        heard.expect("open 1").await;
        session.send("first").await.unwrap();
        heard.expect("text first").await;
        session.close(CloseReason::new(code, "bye")).await.unwrap();
        heard.expect(&format!("close {code} Application")).await;
        heard.gone().await;
        assert!(session.send("too late").await.is_err());
        assert_eq!(session.close_reason().unwrap().text(), "bye");
    }
}

#[tokio::test]
async fn the_server_closes() {
    let server = start([ServerEndpointConfig::builder("/close", || Closer).build()]).await;
    for code in [1000u16, 1001, 1011, 3000, 4999] {
        let (teller, mut heard) = teller();
        let client = runtime::client();
        let session = client.connect(teller, url(server.local_addr(), "/close")).await.unwrap();
        session.send(code.to_string()).await.unwrap();
        heard.expect("open 1").await;
        heard.expect(&format!("close {code} Peer")).await;
        assert_eq!(session.close_reason().unwrap().text(), "as you like");
        heard.gone().await;
    }
}

#[tokio::test]
async fn the_close_frame_gets_its_own_code_back() {
    for (sent, code) in [(close_frame(1000), 1000), (close_frame(4321), 4321), (frame(0x88, b""), 1005)] {
        let raw = Raw::bind().await;
        let (teller, mut heard) = teller();
        let client = runtime::client();
        let (_session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
        peer.write(&sent).await;
        assert_eq!(peer.close_code().await, code);
        heard.expect("open 1").await;
        heard.expect(&format!("close {code} Peer")).await;
        // The client waits for us to close TCP.
        let early = tokio::time::timeout(Duration::from_millis(300), peer.stream.read_u8()).await;
        assert!(early.is_err(), "the client closed TCP before the server did");
        drop(peer);
        heard.gone().await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_close_tcp_is_not_waited_for_long() {
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    let client = runtime::client();
    let (session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    session.unwrap().close(CloseReason::normal()).await.unwrap();
    assert_eq!(peer.close_code().await, 1000);
    peer.write(&close_frame(1000)).await;
    heard.expect("open 1").await;
    heard.expect("close 1000 Application").await;
    let begin = Instant::now();
    assert!(peer.frame().await.is_none());
    let waited = begin.elapsed();
    assert!((Duration::from_millis(1500)..Duration::from_secs(20)).contains(&waited), "{waited:?}");
    heard.gone().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_close_frame_is_given_up() {
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    let client = runtime::client().close_timeout(Duration::from_millis(100));
    let (session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    session.unwrap().close(CloseReason::away("bye")).await.unwrap();
    assert_eq!(peer.close_code().await, 1001);
    heard.expect("open 1").await;
    heard.expect("close 1001 Application").await;
    assert!(peer.frame().await.is_none());
    heard.gone().await;
}

#[tokio::test]
async fn a_connection_that_is_lost_is_1006() {
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    let client = runtime::client();
    let (session, peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    drop(peer);
    heard.expect("open 1").await;
    heard.expect("close 1006 Network").await;
    heard.gone().await;
    assert_eq!(session.unwrap().close_reason().unwrap().code(), CloseCode::Abnormal);
}

#[tokio::test]
async fn what_was_queued_goes_before_the_close_frame() {
    let raw = Raw::bind().await;
    let (teller, _heard) = teller();
    let client = runtime::client();
    let (session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    let session = session.unwrap();
    for round in 0..10 {
        session.send(round).await.unwrap();
    }
    session.close(CloseReason::normal()).await.unwrap();
    for round in 0..10 {
        assert_eq!(soon("a text", peer.text()).await, round.to_string());
    }
    assert_eq!(peer.close_code().await, 1000);
}

//! Messages both ways: masked, in order, large, and right behind the 101.

use std::collections::HashSet;

use endpoint_runtime::{self as runtime, Bytes};

use super::support::{Raw, frame, soon, start_echo, switching, teller, url};

#[tokio::test]
async fn messages_go_and_come() {
    let server = start_echo().await;
    let (teller, mut heard) = teller();
    let client = runtime::client().max_message_size(32 << 20).send_buffer(64 << 20);
    let session =
        soon("connecting", client.connect(teller, url(server.local_addr(), "/echo"))).await.unwrap();
    heard.expect("open 1").await;
    for length in [0, 1, 125, 126, 127, 8 * 1024, 65_535, 65_536, 16 << 20] {
        session.send(vec![7u8; length]).await.unwrap();
        heard.expect(&format!("binary {length}")).await;
    }
    for round in 0..1000 {
        session.send(format!("message {round}")).await.unwrap();
    }
    for round in 0..1000 {
        heard.expect(&format!("text message {round}")).await;
    }
    session.ping(b"there?").await.unwrap();
    heard.expect("pong there?").await;
}

#[tokio::test]
async fn every_frame_is_masked_with_a_key_of_its_own() {
    let raw = Raw::bind().await;
    let (teller, _heard) = teller();
    let client = runtime::client().send_buffer(64 << 20);
    let (session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    let session = session.unwrap();
    let mut keys = HashSet::new();
    for round in 0..100 {
        session.send("the same text again").await.unwrap();
        let frame = peer.frame().await.unwrap();
        assert_eq!(frame.payload, b"the same text again", "{round}");
        assert!(frame.key == [0; 4] || frame.masked != frame.payload);
        keys.insert(frame.key);
    }
    // Of a hundred keys of 32 bits no two are alike, but for once in a million runs.
    assert!(keys.len() >= 99, "{keys:?}");
    let pattern: Vec<u8> = (0..100_000u32).map(|index| index as u8).collect();
    // One that nobody else holds is masked where it lies; the other must stay as it is.
    let shared = Bytes::from(pattern.clone());
    session.send(pattern.clone()).await.unwrap();
    session.send(shared.clone()).await.unwrap();
    session.send(shared.clone()).await.unwrap();
    for _ in 0..3 {
        let frame = peer.frame().await.unwrap();
        assert_eq!(frame.first, 0x82);
        assert!(frame.payload == pattern, "the payload has been damaged");
        assert!(keys.insert(frame.key), "the key of another frame");
    }
    assert_eq!(shared, pattern);
    // Control frames too: the answer to a ping, and the close frame.
    peer.write(&frame(0x89, b"ping")).await;
    let pong = peer.frame().await.unwrap();
    assert_eq!((pong.first, &pong.payload[..]), (0x8a, &b"ping"[..]));
    session.close(runtime::CloseReason::normal()).await.unwrap();
    assert_eq!(peer.close_code().await, 1000);
}

#[tokio::test]
async fn frames_in_the_packet_of_the_101_are_not_lost() {
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    let client = runtime::client();
    let serve = async {
        let mut peer = raw.accept().await;
        let request = peer.request().await;
        let all = [
            switching(&request, "").into_bytes(),
            frame(0x81, b"early"),
            frame(0x82, &[1; 300]),
            vec![0x81, 4, b'h'],
        ];
        peer.write(&all.concat()).await;
        peer
    };
    let (session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), serve);
    heard.expect("open 1").await;
    heard.expect("text early").await;
    heard.expect("binary 300").await;
    peer.write(b"alf").await;
    heard.expect("text half").await;
    assert!(session.unwrap().is_open());
}

#[tokio::test]
async fn a_server_that_masks_breaks_the_rules() {
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    let client = runtime::client();
    let (_session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    peer.write(&[0x81, 0x81, 0, 0, 0, 0, b'x']).await;
    assert_eq!(peer.close_code().await, 1002);
    heard.expect("open 1").await;
    assert!(heard.next().await.starts_with("error "));
    heard.expect("close 1002 Container").await;
}

#[tokio::test]
async fn limits_hold_on_the_clients_side_too() {
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    let client = runtime::client().max_message_size(10);
    let (_session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    peer.write(&frame(0x81, b"just right")).await;
    peer.write(&frame(0x81, b"one too many")).await;
    assert_eq!(peer.close_code().await, 1009);
    heard.expect("open 1").await;
    heard.expect("text just right").await;
    assert!(heard.next().await.starts_with("error "));
    heard.expect("close 1009 Container").await;
}

#[tokio::test]
async fn a_silent_server_is_pinged_and_given_up() {
    use std::time::Duration;
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    let client = runtime::client()
        .ping_interval(Some(Duration::from_millis(50)))
        .pong_timeout(Duration::from_millis(50));
    let (_session, mut peer) = tokio::join!(client.connect(teller, raw.url("/")), raw.open());
    assert_eq!(peer.frame().await.unwrap().first, 0x89);
    peer.write(&frame(0x8a, b"")).await;
    assert_eq!(peer.frame().await.unwrap().first, 0x89);
    assert_eq!(peer.close_code().await, 1001);
    heard.expect("open 1").await;
    heard.expect("pong ").await;
    heard.expect("close 1006 Container").await;
}

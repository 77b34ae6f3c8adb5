//! A client that we did not write, tokio-tungstenite, over TCP.

use std::time::Duration;

use endpoint_runtime::Endpoint;
use endpoint_runtime::ServerEndpointConfig;
use endpoint_runtime::prelude::*;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes as TungsteniteBytes, Message as Frame};

use super::support::{
    Client, Echo, closed, connect, connect_with, next, next_text, only, only_these, says_back, soon, start,
};

const LARGE: usize = 16 * 1024 * 1024;

/// Takes and gives back sixteen megabytes.
#[server_endpoint("/large", max_message_size = 16_777_216, send_buffer = 33_554_432)]
struct Large;

#[handlers]
impl Large {
    #[on_message]
    fn binary(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    #[on_message]
    fn text(&self, text: Text) -> usize {
        text.len()
    }
}

async fn send(client: &mut Client, frame: Frame) {
    soon("sending", client.send(frame)).await.unwrap();
}

fn part(opcode: Data, last: bool, bytes: &[u8]) -> Frame {
    Frame::Frame(RawFrame::message(TungsteniteBytes::copy_from_slice(bytes), OpCode::Data(opcode), last))
}

#[tokio::test]
async fn messages_of_both_kinds_and_all_lengths() {
    let server = start(only::<Echo>()).await;
    let mut client = connect(server.local_addr(), "/echo").await;
    for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
        let text = "ä".repeat(length / 2) + &"x".repeat(length % 2);
        says_back(&mut client, &text).await;
        let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
        send(&mut client, Frame::binary(bytes.clone())).await;
        assert_eq!(next(&mut client).await, Some(Frame::binary(bytes)), "{length}");
    }
}

#[tokio::test]
async fn many_messages_keep_their_order() {
    const MESSAGES: usize = 2000;
    let server = start(only::<Echo>()).await;
    let (mut sink, mut stream) = connect(server.local_addr(), "/echo").await.split();
    let sending = tokio::spawn(async move {
        for index in 0..MESSAGES {
            sink.send(Frame::text(index.to_string())).await.unwrap();
        }
    });
    for index in 0..MESSAGES {
        let frame = soon("a message", stream.next()).await.unwrap().unwrap();
        assert_eq!(frame.to_text().unwrap(), index.to_string());
    }
    sending.await.unwrap();
}

#[tokio::test]
async fn fragments_are_one_message_with_pings_between() {
    let server = start(only::<Echo>()).await;
    let mut client = connect(server.local_addr(), "/echo").await;
    // A character of two bytes is torn apart.
    send(&mut client, part(Data::Text, false, b"gr\xc3")).await;
    send(&mut client, Frame::Ping("between".into())).await;
    assert_eq!(next(&mut client).await, Some(Frame::Pong("between".into())));
    send(&mut client, part(Data::Continue, false, b"\xbc")).await;
    send(&mut client, part(Data::Continue, false, b"")).await;
    send(&mut client, part(Data::Continue, true, "ße".as_bytes())).await;
    assert_eq!(next_text(&mut client).await, "grüße");
    send(&mut client, part(Data::Binary, false, &[1, 2])).await;
    send(&mut client, part(Data::Continue, true, &[3])).await;
    assert_eq!(next(&mut client).await, Some(Frame::binary(vec![1, 2, 3])));
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let server = start(only::<Echo>()).await;
    let mut client = connect(server.local_addr(), "/echo").await;
    for payload in [vec![], vec![0, 255, 7], vec![b'x'; 125]] {
        send(&mut client, Frame::Ping(payload.clone().into())).await;
        assert_eq!(next(&mut client).await, Some(Frame::Pong(payload.into())));
    }
    send(&mut client, Frame::Pong("nobody asked".into())).await;
    says_back(&mut client, "and it goes on").await;
}

/// A clean close frame gets its own code back, and then the server closes TCP.
#[tokio::test]
async fn a_close_gets_its_own_code_back() {
    let server = start(only::<Echo>()).await;
    for code in [1000, 1001, 1008, 1011, 3000, 4999] {
        let mut client = connect(server.local_addr(), "/echo").await;
        let frame = CloseFrame { code: code.into(), reason: "goodbye".into() };
        soon("closing", client.close(Some(frame))).await.unwrap();
        assert_eq!(closed(client).await.unwrap().0, code);
    }
    let mut client = connect(server.local_addr(), "/echo").await;
    soon("closing", client.close(None)).await.unwrap();
    assert_eq!(closed(client).await, Some((1005, String::new())));
}

/// Closes as soon as it is spoken to.
struct Brief;

impl Endpoint for Brief {
    async fn on_message(&mut self, session: &Session, _: Message) -> Result<()> {
        session.send("that is all").await?;
        Ok(session.close(CloseReason::new(4000, "thank you")).await?)
    }
}

#[tokio::test]
async fn the_server_may_close_first() {
    let server = start(only_these([ServerEndpointConfig::builder("/brief", || Brief).build()])).await;
    let mut client = connect(server.local_addr(), "/brief").await;
    send(&mut client, "hello".into()).await;
    assert_eq!(next_text(&mut client).await, "that is all");
    assert_eq!(closed(client).await, Some((4000, "thank you".into())));
}

#[tokio::test]
async fn sixteen_megabytes_where_they_are_admitted() {
    let server = start(only::<Large>()).await;
    let config = tokio_tungstenite::tungstenite::protocol::WebSocketConfig::default()
        .max_frame_size(None)
        .max_message_size(None);
    let stream = tokio::net::TcpStream::connect(server.local_addr()).await.unwrap();
    let url = format!("ws://{}/large", server.local_addr());
    let (mut client, _) =
        tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await.unwrap();
    let bytes: Vec<u8> = (0..LARGE).map(|index| (index / 7) as u8).collect();
    send(&mut client, Frame::binary(bytes.clone())).await;
    let Some(Frame::Binary(back)) = next(&mut client).await else { panic!("no message came") };
    assert!(back == bytes, "other bytes came back");
    send(&mut client, Frame::text("ü".repeat(LARGE / 2))).await;
    assert_eq!(next_text(&mut client).await, LARGE.to_string());
}

#[tokio::test]
async fn one_byte_more_is_1009_that_names_the_limit_and_the_setting() {
    let server = start(only::<Large>()).await;
    let mut client = connect(server.local_addr(), "/large").await;
    // Its end may not be taken any more.
    let _ = soon("sending", client.send(Frame::binary(vec![0; LARGE + 1]))).await;
    let (code, text) = closed(client).await.unwrap();
    assert_eq!(code, 1009);
    assert!(text.contains("16777216") && text.contains("max_message_size"), "{text}");
}

/// 64 KiB is the default.
#[tokio::test]
async fn the_default_limit_is_64_kib() {
    let server = start(only::<Echo>()).await;
    let mut client = connect(server.local_addr(), "/echo").await;
    says_back(&mut client, &"x".repeat(65_536)).await;
    let _ = soon("sending", client.send(Frame::text("x".repeat(65_537)))).await;
    let (code, text) = closed(client).await.unwrap();
    assert_eq!(code, 1009);
    assert!(text.contains("65536") && text.contains("max_message_size"), "{text}");
}

/// tungstenite checks what was agreed on, as browsers do.
#[tokio::test]
async fn a_subprotocol_is_agreed_on() {
    let config =
        ServerEndpointConfig::builder("/spoken/foreign", || Brief).subprotocols(["v2", "v1"]).build();
    let server = start(only_these([config])).await;
    let offer = [("sec-websocket-protocol", "v1, v2")];
    let mut client = connect_with(server.local_addr(), "/spoken/foreign", &offer).await;
    send(&mut client, "hello".into()).await;
    assert_eq!(next_text(&mut client).await, "that is all");
}

/// The server asks whether a silent peer lives, and an answer is enough.
#[tokio::test]
async fn silent_peers_are_pinged() {
    let config = ServerEndpointConfig::builder("/pinged", || Brief)
        .ping_interval(Some(Duration::from_millis(50)))
        .build();
    let server =
        start(only_these([config]).configure(|settings| settings.pong_timeout = Duration::from_secs(30)))
            .await;
    let mut client = connect(server.local_addr(), "/pinged").await;
    for _ in 0..3 {
        // tungstenite answers while it is read from.
        assert!(matches!(next(&mut client).await, Some(Frame::Ping(_))));
    }
    send(&mut client, "hello".into()).await;
    while let Some(frame) = next(&mut client).await {
        if let Frame::Text(text) = frame {
            assert_eq!(text.as_str(), "that is all");
            return;
        }
    }
    panic!("it was closed");
}

//! A server that we did not write, tokio-tungstenite.

use endpoint_runtime::{self as runtime, CloseReason};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message as Frame, protocol::WebSocketConfig};

use super::support::{soon, teller, url};

#[tokio::test]
async fn says_everything_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let mut peer = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await.unwrap();
        while let Some(Ok(frame)) = peer.next().await {
            match frame {
                Frame::Text(_) | Frame::Binary(_) => peer.send(frame).await.unwrap(),
                Frame::Close(frame) => {
                    return frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
                }
                _ => {}
            }
        }
        None
    });
    let (teller, mut heard) = teller();
    let client = runtime::client().max_message_size(16 << 20).send_buffer(64 << 20);
    let session = soon("connecting", client.connect(teller, url(address, "/"))).await.unwrap();
    heard.expect("open 1").await;
    for length in [0, 125, 126, 65_535, 65_536, 16 << 20] {
        session.send(vec![1u8; length]).await.unwrap();
        heard.expect(&format!("binary {length}")).await;
    }
    session.send("grüße").await.unwrap();
    heard.expect("text grüße").await;
    session.ping(b"x").await.unwrap();
    heard.expect("pong x").await;
    session.close(CloseReason::new(4000, "enough")).await.unwrap();
    heard.expect("close 4000 Application").await;
    assert_eq!(soon("the server", server).await.unwrap(), Some((4000, "enough".to_owned())));
}

#[tokio::test]
async fn closes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = tokio_tungstenite::accept_async(stream).await.unwrap();
        let reason = CloseFrame { code: 1001.into(), reason: "bye".into() };
        peer.close(Some(reason)).await.unwrap();
        // The answer, and then the end without a word of complaint.
        let mut frames = Vec::new();
        while let Some(frame) = peer.next().await {
            frames.push(frame.unwrap());
        }
        frames
    });
    let (teller, mut heard) = teller();
    let session = soon("connecting", runtime::client().connect(teller, url(address, "/"))).await.unwrap();
    heard.expect("open 1").await;
    heard.expect("close 1001 Peer").await;
    assert_eq!(session.close_reason().unwrap().text(), "bye");
    let frames = soon("the server", server).await.unwrap();
    assert!(
        matches!(frames.as_slice(), [Frame::Close(Some(reason))] if u16::from(reason.code) == 1001),
        "{frames:?}"
    );
}

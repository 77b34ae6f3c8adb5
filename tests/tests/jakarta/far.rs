//! [`Far`]: the far end of a connection, which is tungstenite's and the same whether our side is the server or the client; and how its
//! frames are compared.

use std::fmt::Display;

use endpoint_runtime::test::{App, RunningApp};
use endpoint_runtime::{Client, ClientEndpoint, Session};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as WireFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

pub(crate) use tokio_tungstenite::tungstenite::Message as Frame;

use crate::told::soon;

trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Pipe for S {}

/// The far end of a connection.
pub(crate) struct Far {
    socket: WebSocketStream<Box<dyn Pipe>>,
    /// Our end, as long as the far one lives.
    near: Near,
}

enum Near {
    Server(RunningApp),
    Client(Client),
    /// The test itself keeps it.
    Elsewhere,
}

impl Far {
    /// A client of the endpoint `E`, which is served alone, at a path.
    pub(crate) async fn of_server<E: 'static>(path: &str) -> Self {
        Self::of(endpoint_runtime::test::app().only::<E>(), path).await
    }

    /// A client of an application of its own.
    pub(crate) async fn of(app: App, path: &str) -> Self {
        let app = app.start().await;
        let far = Self::of_app(&app, path).await;
        Far { near: Near::Server(app), ..far }
    }

    /// A client of an application.
    pub(crate) async fn of_app(app: &RunningApp, path: &str) -> Self {
        let pipe: Box<dyn Pipe> = Box::new(app.connect_raw());
        let opening =
            tokio_tungstenite::client_async_with_config(format!("ws://test{path}"), pipe, Some(no_limits()));
        let (socket, _) = soon("the handshake", opening).await.unwrap();
        Far { socket, near: Near::Elsewhere }
    }

    /// A server to which `endpoint` connects; and the session.
    pub(crate) async fn of_client<V>(client: Client, endpoint: impl ClientEndpoint<V>) -> (Self, Session) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/far?side=client", listener.local_addr().unwrap());
        let accepting = async {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let pipe: Box<dyn Pipe> = Box::new(stream);
            tokio_tungstenite::accept_async_with_config(pipe, Some(no_limits())).await.unwrap()
        };
        let both = async { tokio::join!(client.connect(endpoint, url), accepting) };
        let (session, socket) = soon("the handshake", both).await;
        (Far { socket, near: Near::Client(client) }, session.unwrap())
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        soon("room in the pipe", self.socket.send(frame)).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(Frame::text(text)).await;
    }

    /// The next message or pong; an empty close frame stands for the end without one.
    pub(crate) async fn next(&mut self) -> Frame {
        loop {
            match soon("a message", self.socket.next()).await {
                Some(Ok(Frame::Ping(_))) => {}
                Some(Ok(frame)) => return frame,
                Some(Err(_)) | None => return Frame::Close(None),
            }
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Frame {
        loop {
            match self.next().await {
                Frame::Pong(_) => {}
                frame => return frame,
            }
        }
    }

    /// The code of the close frame, which is the next that comes beside pongs; 1005 if it has none, or none comes.
    pub(crate) async fn close_code(&mut self) -> u16 {
        match self.message().await {
            Frame::Close(close) => close.map_or(1005, |close| close.code.into()),
            other => panic!("a close frame was expected, and {} came", shown(&other)),
        }
    }

    /// Closes the connection, and waits until it has ended, and our side with it.
    pub(crate) async fn close(self) {
        let Far { mut socket, near } = self;
        let closing = async {
            let _ = socket.close(None).await;
            while let Some(Ok(_)) = socket.next().await {}
        };
        soon("the closing handshake", closing).await;
        // A client waits for the server to hang up first.
        drop(socket);
        match near {
            Near::Server(app) => soon("the end of the server", app.shutdown()).await,
            Near::Client(client) => soon("the end of the client", client.shutdown()).await,
            Near::Elsewhere => {}
        }
    }
}

/// The far end never is the one that complains.
fn no_limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(None).max_frame_size(None)
}

// ---- frames

/// One message in several frames: of text if all of it is UTF-8 and `is_text`.
pub(crate) fn frames(is_text: bool, parts: &[&[u8]]) -> Vec<Frame> {
    let first = if is_text { Data::Text } else { Data::Binary };
    let count = parts.len();
    let frame = |(index, part): (usize, &&[u8])| {
        let opcode = OpCode::Data(if index == 0 { first } else { Data::Continue });
        Frame::Frame(WireFrame::message(part.to_vec(), opcode, index + 1 == count))
    };
    parts.iter().enumerate().map(frame).collect()
}

/// A frame for a failure's message: long ones are cut.
pub(crate) fn shown(frame: &Frame) -> String {
    let text = format!("{frame:?}");
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], frame.len()),
        None => text,
    }
}

/// What came is what was expected; the message of the failure is short.
#[track_caller]
pub(crate) fn same(came: &Frame, expected: &Frame, after: impl Display) {
    assert!(came == expected, "{after}: {} was expected, and {} came", shown(expected), shown(came));
}

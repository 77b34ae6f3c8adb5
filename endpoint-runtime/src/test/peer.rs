//! [`Peer`]: the other side of a session under test.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use crate::error::{Error, Result};
use crate::message::{CloseCode, CloseReason, ClosedBy, IntoMessage, Message};

/// How long something is waited for before the test fails: time that passes at once when it is paused.
const PATIENCE: Duration = Duration::from_secs(60);

/// The client side of a connection in memory: tungstenite's.
///
/// What a test expects and does not get is a panic that says what came instead.
#[derive(Debug)]
pub struct Peer {
    socket: WebSocketStream<DuplexStream>,
    subprotocol: Option<String>,
    headers: HeaderMap,
}

impl Peer {
    pub(super) async fn open(
        stream: DuplexStream,
        path: String,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self, Refused> {
        let mut request =
            format!("ws://test{path}").into_client_request().map_err(|error| Refused::other(&error))?;
        for (name, value) in headers {
            request.headers_mut().append(name, value);
        }
        let config =
            WebSocketConfig::default().read_buffer_size(4096).max_message_size(None).max_frame_size(None);
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, response)) => {
                let chosen = response.headers().get("sec-websocket-protocol");
                let subprotocol = chosen.and_then(|name| name.to_str().ok()).map(str::to_owned);
                Ok(Peer { socket, subprotocol, headers: response.headers().clone() })
            }
            Err(tungstenite::Error::Http(response)) => Err(Refused {
                status: Some(response.status()),
                headers: response.headers().clone(),
                body: response
                    .body()
                    .as_deref()
                    .map(|body| String::from_utf8_lossy(body).into_owned())
                    .unwrap_or_default(),
            }),
            Err(error) => Err(Refused::other(&error)),
        }
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The headers of the server's answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn send(&mut self, message: impl IntoMessage) -> Result<()> {
        let frame = match message.into_message()? {
            Message::Text(text) => Frame::Text(text.into()),
            Message::Binary(bytes) => Frame::Binary(bytes),
        };
        self.send_frame(frame).await
    }

    /// Sends a ping.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn ping(&mut self, payload: impl Into<Bytes>) -> Result<()> {
        self.send_frame(Frame::Ping(payload.into())).await
    }

    /// Sends a pong.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn pong(&mut self, payload: impl Into<Bytes>) -> Result<()> {
        self.send_frame(Frame::Pong(payload.into())).await
    }

    async fn send_frame(&mut self, frame: Frame) -> Result<()> {
        self.socket.send(frame).await.map_err(Error::from)
    }

    /// The next frame, control frames too; `None` when the connection has ended.
    ///
    /// # Panics
    /// Nothing comes for a minute.
    pub async fn frame(&mut self) -> Option<Frame> {
        match tokio::time::timeout(PATIENCE, self.socket.next()).await {
            Ok(Some(Ok(frame))) => Some(frame),
            Ok(None | Some(Err(_))) => None,
            Err(_) => panic!("nothing came for {PATIENCE:?}"),
        }
    }

    /// The next message; `None` when there will be none any more.
    ///
    /// # Panics
    /// Nothing comes for a minute.
    pub async fn message(&mut self) -> Option<Message> {
        loop {
            match self.frame().await? {
                Frame::Text(text) => return Some(Message::Text(text.into())),
                Frame::Binary(bytes) => return Some(Message::Binary(bytes)),
                Frame::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The next message, a text.
    ///
    /// # Panics
    /// Something else comes, or nothing.
    pub async fn text(&mut self) -> String {
        match self.message().await {
            Some(Message::Text(text)) => text.into(),
            other => panic!("a text message was expected, and {other:?} came"),
        }
    }

    /// The next message, bytes.
    ///
    /// # Panics
    /// Something else comes, or nothing.
    pub async fn binary(&mut self) -> Bytes {
        match self.message().await {
            Some(Message::Binary(bytes)) => bytes,
            other => panic!("a binary message was expected, and {other:?} came"),
        }
    }

    /// The next message, JSON.
    ///
    /// # Panics
    /// Something else comes, or nothing.
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> T {
        let text = self.text().await;
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => panic!("{error} in the message {text}"),
        }
    }

    /// Waits so long, and nothing must come.
    ///
    /// # Panics
    /// Something comes.
    pub async fn expect_nothing_for(&mut self, time: Duration) {
        if let Ok(came) = tokio::time::timeout(time, self.socket.next()).await {
            panic!("nothing was expected for {time:?}, and {came:?} came");
        }
    }

    /// Closes the connection, and waits until the server has closed it too: the server's answer.
    ///
    /// # Errors
    /// The connection is closed already.
    pub async fn close(&mut self, code: impl Into<CloseCode>, text: &str) -> Result<CloseReason> {
        self.send_frame(Frame::Close(Some(CloseFrame { code: code.into(), reason: text.into() }))).await?;
        Ok(self.closed().await)
    }

    /// Closes the connection with an empty close frame.
    ///
    /// # Errors
    /// The connection is closed already.
    pub async fn close_without_code(&mut self) -> Result<CloseReason> {
        self.send_frame(Frame::Close(None)).await?;
        Ok(self.closed().await)
    }

    /// Waits until the server closes, and says why: 1005 for an empty close frame, 1006 if none came. Messages on the way are skipped.
    ///
    /// # Panics
    /// It does not for a minute.
    pub async fn closed(&mut self) -> CloseReason {
        let mut reason = CloseReason::lost("");
        while let Some(frame) = self.frame().await {
            if let Frame::Close(close) = frame {
                reason = match close {
                    Some(close) => CloseReason::new(close.code, close.reason.as_str()).by(ClosedBy::Peer),
                    None => CloseReason::new(CloseCode::Status, "").by(ClosedBy::Peer),
                };
            }
        }
        reason
    }

    /// The pipe itself, for what the client would never do.
    pub fn into_raw(self) -> DuplexStream {
        self.socket.into_inner()
    }
}

/// The server did not upgrade: its answer.
#[derive(Clone, Debug)]
pub struct Refused {
    /// `None`: there was no answer that makes sense as HTTP.
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: String,
}

impl Refused {
    fn other(error: &tungstenite::Error) -> Self {
        Refused { status: None, headers: HeaderMap::new(), body: error.to_string() }
    }

    /// The status of the answer; 0 if what came was no answer.
    pub fn status(&self) -> u16 {
        self.status.map_or(0, |status| status.as_u16())
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its body: one line that says why.
    pub fn reason(&self) -> &str {
        self.body.trim_end()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status(), self.reason())
    }
}

impl std::error::Error for Refused {}

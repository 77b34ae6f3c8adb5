//! [`Socket`]: a WebSocket on one stream, of which each frame is at hand.

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

use super::soon;

pub(crate) struct Socket {
    pub(crate) send: SendStream<Bytes>,
    pub(crate) receive: RecvStream,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The first byte: FIN, the reserved bits, and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// How a stream ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In good order: END_STREAM.
    Closed,
    /// RST_STREAM.
    Reset(Reason),
    /// With its connection.
    Lost,
}

/// A frame as a client sends it, masked; `first` is FIN, the reserved bits, and the opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        middle @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

pub(crate) fn close(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

impl Socket {
    pub(super) fn new(send: SendStream<Bytes>, receive: RecvStream) -> Self {
        Socket { send, receive, buffer: Vec::new() }
    }

    /// Sends any bytes, as soon as there is room for them.
    pub(crate) fn say(&mut self, bytes: impl Into<Bytes>) {
        self.send.send_data(bytes.into(), false).unwrap();
    }

    /// No more is sent, but still read.
    pub(crate) fn end(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    /// Reads more, or how the stream has ended.
    async fn more(&mut self) -> Result<(), End> {
        match soon("bytes", self.receive.data()).await {
            Some(Ok(bytes)) => {
                self.receive.flow_control().release_capacity(bytes.len()).unwrap();
                self.buffer.extend_from_slice(&bytes);
                Ok(())
            }
            None => Err(End::Closed),
            Some(Err(error)) if error.is_reset() => Err(End::Reset(error.reason().unwrap())),
            Some(Err(_)) => Err(End::Lost),
        }
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// The next frame, or how the stream has ended.
    pub(crate) async fn frame(&mut self) -> Result<Frame, End> {
        let head = self.take(2).await?;
        let length = match head[1] {
            short @ 0..126 => usize::from(short),
            126 => usize::from(u16::from_be_bytes(self.take(2).await?.try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8).await?.try_into().unwrap()) as usize,
            _ => panic!("the server has masked a frame"),
        };
        Ok(Frame { first: head[0], payload: self.take(length).await? })
    }

    /// The next frame, which must be a text.
    pub(crate) async fn text(&mut self) -> String {
        match self.frame().await {
            Ok(Frame { first: 0x81, payload }) => String::from_utf8(payload).unwrap(),
            other => panic!("a text was expected, and {other:?} came"),
        }
    }

    /// The server lives, and serves this stream.
    pub(crate) async fn says_back(&mut self, payload: &str) {
        self.say(text(payload));
        assert_eq!(self.text().await, payload);
    }

    /// The next frame, which must be a close frame: its code and text.
    pub(crate) async fn reason(&mut self) -> (u16, String) {
        match self.frame().await {
            Ok(Frame { first: 0x88, payload }) => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                (code, String::from_utf8(payload[2..].to_vec()).unwrap())
            }
            other => panic!("a close frame was expected, and {other:?} came"),
        }
    }

    /// How the stream ends, of which nothing more may come.
    pub(crate) async fn ended(&mut self) -> End {
        match self.frame().await {
            Err(end) => end,
            Ok(frame) => panic!("the end was expected, and {frame:?} came"),
        }
    }
}

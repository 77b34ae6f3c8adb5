//! [`Shared`]: one message for many sessions, encoded once.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::frame::OVERHEAD;
use super::{DataKind, Frame};
use crate::wire;

/// A message as every server session sends it: the whole frame, header and payload in one piece, so that a delivery is one copy, or
/// one reference. A client masks each of its frames with a key of its own (RFC 6455 5.3), so it starts from the payload.
#[derive(Debug)]
pub(crate) struct Shared {
    kind: DataKind,
    encoded: Bytes,
    /// How much of it is header.
    header: usize,
    /// It is not to be compressed.
    plain: bool,
}

impl Shared {
    pub(crate) fn new(kind: DataKind, payload: &[u8]) -> Self {
        let mut encoded = Vec::new();
        wire::put_frame(&mut encoded, true, OpCode::Data(kind.opcode()), payload);
        let header = encoded.len() - payload.len();
        Shared { kind, encoded: encoded.into(), header, plain: false }
    }

    /// The same, not to be compressed.
    #[expect(dead_code, reason = "nothing is compressed yet")]
    pub(crate) fn plain(self) -> Self {
        Shared { plain: true, ..self }
    }

    /// The message alone.
    pub(super) fn payload(&self) -> &[u8] {
        &self.encoded[self.header..]
    }

    /// The frame as a server sends it, not compressed.
    pub(crate) fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// What it costs in each queue.
    pub(super) fn cost(&self) -> usize {
        self.payload().len() + OVERHEAD
    }

    /// Whether it must not be compressed.
    #[expect(dead_code, reason = "nothing is compressed yet")]
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The message as a frame of its own.
    pub(crate) fn whole(&self) -> Frame {
        self.kind.whole(self.encoded.slice(self.header..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn a_shared_message_is_the_frame_and_the_message() {
        // One for each length of a header (RFC 6455 5.2).
        for (length, header) in [(5, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let text = "x".repeat(length);
            let shared = Shared::new(DataKind::Text, text.as_bytes());
            assert_eq!(shared.encoded().len(), header + length);
            assert_eq!(shared.payload(), text.as_bytes());
            assert_eq!(shared.encoded()[0], 0x81);
            assert_eq!(shared.whole().into_message(), Message::Text(text.as_str().into()));
        }
        assert_eq!(Shared::new(DataKind::Binary, b"").encoded()[..], [0x82, 0]);
    }
}

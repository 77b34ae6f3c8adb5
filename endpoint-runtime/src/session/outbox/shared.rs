//! [`Shared`]: one message for many sessions, encoded once.

use std::array;
use std::sync::OnceLock;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::frame::OVERHEAD;
use super::{DataKind, Frame};
use crate::message::{EncodeError, IntoMessage};
use crate::wire::{self, Deflater, Window};

/// Sizes of windows, from the smallest that one can compress for: 9 to 15 bits.
const WINDOWS: usize = 7;
const SMALLEST: u8 = 9;

/// The frame as it is sent to those who agreed on windows of one size; `None` within: compression makes it no smaller.
type Deflated = OnceLock<Option<Bytes>>;

/// A message as every server session sends it: the whole frame, header and payload in one piece, so that a delivery is one copy, or
/// one reference. A client masks each of its frames with a key of its own (RFC 6455 5.3), so it starts from the payload.
#[derive(Debug)]
pub(crate) struct Shared {
    kind: DataKind,
    encoded: Bytes,
    /// How much of it is header.
    head: usize,
    /// It is not to be compressed.
    plain: bool,
    /// What goes before it to those who understand control messages.
    header: Option<Bytes>,
    /// Made for the first that needs one of them.
    deflated: OnceLock<Box<[Deflated; WINDOWS]>>,
}

impl Shared {
    /// A message of any form.
    ///
    /// # Errors
    /// It has no form as a message.
    pub(crate) fn of(message: impl IntoMessage) -> Result<Self, EncodeError> {
        Ok(match Frame::of(message)? {
            Frame::Text(payload) => Shared::new(DataKind::Text, &payload),
            Frame::Plain(kind, payload) => Shared::new(kind, &payload).plain(),
            // Nothing else is made of a message than these.
            other => Shared::new(DataKind::Binary, other.payload()),
        })
    }

    pub(crate) fn new(kind: DataKind, payload: &[u8]) -> Self {
        let mut encoded = Vec::new();
        wire::put_frame(&mut encoded, true, OpCode::Data(kind.opcode()), payload);
        let header = encoded.len() - payload.len();
        Shared {
            kind,
            encoded: encoded.into(),
            head: header,
            plain: false,
            header: None,
            deflated: OnceLock::new(),
        }
    }

    /// The same, not to be compressed.
    pub(crate) fn plain(self) -> Self {
        Shared { plain: true, ..self }
    }

    /// The same, with a control message before it for those who understand such: always together, with nothing between them.
    #[cfg(feature = "json")]
    pub(crate) fn headed(self, header: Bytes) -> Self {
        Shared { header: Some(header), ..self }
    }

    /// What goes before it to those who understand control messages.
    pub(crate) fn header(&self) -> Option<&Bytes> {
        self.header.as_ref()
    }

    /// The message alone.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.encoded[self.head..]
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
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The frame as a server sends it, compressed by itself for a window of so many bits: once, however many need it. `None`: it is no
    /// smaller so.
    pub(crate) fn deflated(&self, bits: u8) -> Option<&Bytes> {
        let all = self.deflated.get_or_init(|| Box::new(array::from_fn(|_| OnceLock::new())));
        let deflated = all.get(usize::from(bits.checked_sub(SMALLEST)?))?;
        deflated.get_or_init(|| self.deflate(Window { bits, takeover: false })).as_ref()
    }

    fn deflate(&self, window: Window) -> Option<Bytes> {
        Deflater::new(window)?.message(self.payload(), |payload| {
            let mut frame = Vec::new();
            wire::put_frame(&mut frame, true, OpCode::Data(self.kind.opcode()), payload);
            wire::mark_compressed(&mut frame);
            frame.into()
        })
    }

    pub(crate) fn kind(&self) -> DataKind {
        self.kind
    }

    /// The message as a frame of its own.
    pub(crate) fn whole(&self) -> Frame {
        self.kind.whole(self.message())
    }

    /// The message alone, for one who keeps it or has it masked.
    pub(crate) fn message(&self) -> Bytes {
        self.encoded.slice(self.head..)
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

    #[test]
    #[cfg(feature = "deflate")]
    fn a_shared_message_is_compressed_once_for_each_size_of_window() {
        let shared = Shared::new(DataKind::Text, "to and fro ".repeat(500).as_bytes());
        assert!(shared.deflated.get().is_none(), "nobody has needed it");
        for bits in [15, 9, 15] {
            let frame = shared.deflated(bits).expect("it is smaller");
            assert_eq!((frame[0], frame.as_ptr()), (0xc1, shared.deflated(bits).unwrap().as_ptr()));
            assert!(frame.len() < 200);
        }
        let made = shared.deflated.get().unwrap().iter().filter(|deflated| deflated.get().is_some());
        assert_eq!(made.count(), 2);
        assert_eq!(Shared::new(DataKind::Text, b"short").deflated(15), None);
        assert_eq!((shared.deflated(8), shared.deflated(16)), (None, None), "there are no such compressors");
    }
}

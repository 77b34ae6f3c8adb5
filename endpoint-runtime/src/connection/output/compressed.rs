//! Compressed messages (RFC 7692 7.2.1) on their way into the socket.
//!
//! They are compressed when it is their turn, by the connection's own task: so, where messages may refer to each other, they do so in the
//! order in which the peer will read them.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{LARGE, Output, data_opcode};
use crate::session::outbox::Frame;
use crate::wire::{self, Deflater, Role, Window};

/// What compresses, and from how many bytes on.
#[derive(Debug)]
pub(super) struct Compressing {
    deflater: Deflater,
    threshold: u32,
}

impl Compressing {
    /// Whether it is worth trying.
    #[inline]
    pub(super) fn is_for(&self, frame: &Frame) -> bool {
        match frame {
            Frame::Text(payload) | Frame::Binary(payload) => payload.len() >= self.threshold as usize,
            Frame::Shared(shared) => !shared.is_plain() && shared.payload().len() >= self.threshold as usize,
            Frame::Fragment { compressed, .. } => *compressed,
            Frame::Plain(..) | Frame::Control(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Mark => false,
        }
    }
}

impl Output {
    /// Messages of `threshold` bytes and more are compressed, if that was agreed on.
    pub(in crate::connection) fn compressing(mut self, window: Option<Window>, threshold: usize) -> Self {
        let threshold = u32::try_from(threshold).unwrap_or(u32::MAX);
        self.compressing = window.and_then(Deflater::new).map(|deflater| Compressing { deflater, threshold });
        if self.compressing.is_some() {
            self.short = self.short.min(u8::try_from(threshold).unwrap_or(u8::MAX));
        }
        self
    }

    /// Whether so many bytes, or a part of them, may be worth compressing.
    #[inline]
    pub(super) fn compresses(&self, bytes: &Bytes) -> bool {
        self.compressing.as_ref().is_some_and(|compressing| bytes.len() >= compressing.threshold as usize)
    }

    /// Puts a frame compressed; says if it did, because that makes it smaller, or because it is a fragment of a message that is.
    #[inline(never)]
    pub(super) fn put_compressed(&mut self, frame: &Frame) -> bool {
        let Some(mut compressing) = self.compressing.take() else { return false };
        let deflater = &mut compressing.deflater;
        let put = match frame {
            Frame::Text(payload) => {
                deflater.message(payload, |bytes| self.put_bytes(Data::Text, true, bytes))
            }
            Frame::Binary(payload) => {
                deflater.message(payload, |bytes| self.put_bytes(Data::Binary, true, bytes))
            }
            Frame::Shared(shared) => match deflater.window() {
                // Everybody who agreed on the same has the same frame.
                Window { bits, takeover: false } if self.role == Role::Server => {
                    shared.deflated(bits).map(|frame| self.put_encoded(frame))
                }
                _ => {
                    let opcode = shared.kind().opcode();
                    deflater.message(shared.payload(), |bytes| self.put_bytes(opcode, true, bytes))
                }
            },
            Frame::Fragment { kind, first, last, payload, .. } => {
                let opcode = data_opcode(*kind, *first);
                deflater.fragment(payload, *last, |bytes| self.put_bytes(opcode, *last, bytes))
            }
            Frame::Plain(..) | Frame::Control(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Mark => None,
        };
        self.compressing = Some(compressing);
        put.is_some()
    }

    /// Puts a frame whose payload is compressed. The first of a message says so.
    fn put_bytes(&mut self, data: Data, fin: bool, bytes: &[u8]) {
        let (opcode, first) = (OpCode::Data(data), data != Data::Continue);
        let key = (self.role == Role::Client).then(rand::random);
        let small = bytes.len() < LARGE;
        self.gather(|out| {
            let start = out.len();
            match key {
                None if small => wire::put_frame(out, fin, opcode, bytes),
                Some(key) if small => wire::put_masked(out, fin, opcode, bytes, key),
                key => wire::put_header(out, fin, opcode, bytes.len(), key),
            }
            if first {
                wire::mark_compressed(&mut out[start..]);
            }
        });
        match key {
            _ if small => {}
            None => self.put_large(Bytes::copy_from_slice(bytes)),
            Some(key) => {
                let mut masked = Vec::new();
                wire::mask_into(&mut masked, bytes, key);
                self.put_large(masked.into());
            }
        }
    }
}

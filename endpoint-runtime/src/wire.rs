//! RFC 6455 on bytes: what a WebSocket peer sent becomes messages and control frames, what we send becomes bytes.
//!
//! Nothing here does I/O, so the same code serves TCP, TLS and memory, and can be tested octet by octet. [`Decoder`]
//! works in the reader's buffer: a message that lies there as one frame is unmasked in place and lent out, and only
//! one that arrives in pieces gets memory of its own, for as long as it is incomplete. The `put_*` functions append
//! to a buffer that its owner writes out whenever the socket is ready, so that many frames cost one write.
//!
//! The vocabulary (opcodes, frame headers, close codes) is tungstenite's.

mod assembly;
mod decoder;
mod deflate;
mod encoder;
mod header;
mod mask;
pub(crate) mod spare;
#[cfg(test)]
mod tests;
mod text;
mod violation;

pub(crate) use decoder::{Decoder, Delivery, Gate, Step};
pub(crate) use deflate::{Deflate, Deflater, Window};
#[cfg(test)]
use encoder::MAX_HEADER;
pub(crate) use encoder::{
    mark_compressed, mask_in_place, mask_into, may_be_sent, put_close, put_frame, put_header, put_masked,
    put_masked_close,
};
pub(crate) use violation::Violation;

/// Which end of the connection *we* are. It decides who masks (RFC 6455, 5.1): a server refuses frames that are not
/// masked, a client those that are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// We accepted the connection.
    Server,
    /// We opened the connection.
    Client,
}

/// The most payload a control frame may carry (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

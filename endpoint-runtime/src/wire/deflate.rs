//! permessage-deflate (RFC 7692): what was agreed on, and what it makes of messages.
//!
//! Without context takeover a connection holds nothing of this between its messages: compressors, inflaters and the memory that they
//! write into belong to the thread, and a connection borrows them, for a call or for as long as a message is incomplete. With it, a
//! connection has its own from the first message on that needs them.
//!
//! What a message is, compressed (7.2.1): DEFLATE blocks that end with an empty stored block, without the four bytes that those
//! end in ([`TAIL`]).

#[cfg(not(feature = "deflate"))]
mod absent;
#[cfg(feature = "deflate")]
mod compressor;
#[cfg(feature = "deflate")]
mod inflater;
pub(super) mod scratch;

#[cfg(not(feature = "deflate"))]
pub(crate) use absent::Deflater;
#[cfg(not(feature = "deflate"))]
pub(super) use absent::Inflater;
#[cfg(feature = "deflate")]
pub(crate) use compressor::Deflater;
#[cfg(feature = "deflate")]
pub(super) use inflater::Inflater;

/// What both ends agreed on (RFC 7692 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deflate {
    /// How we compress what we send.
    pub(crate) ours: Window,
    /// How the peer compresses what it sends.
    pub(crate) theirs: Window,
}

/// How far back one end refers when it compresses, and whether beyond the message (RFC 7692 7.1.1 and 7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    /// The base-2 logarithm of the window's size in bytes: 9 to 15 where we compress, 8 to 15 where the peer does.
    pub(crate) bits: u8,
    /// Whether a message may refer to those before it.
    pub(crate) takeover: bool,
}

/// What is cut off the end of a compressed message, and is to be put there again (RFC 7692 7.2.1 and 7.2.2).
#[cfg(feature = "deflate")]
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// What a peer compressed cannot be read, or not to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

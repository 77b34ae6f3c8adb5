//! permessage-deflate (RFC 7692): what was agreed on, and what it makes of messages.

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

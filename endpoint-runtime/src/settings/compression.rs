//! Whether messages are compressed.

use std::fmt;

/// Whether messages are compressed on connections whose peer can do it too (permessage-deflate, RFC 7692).
///
/// A message is compressed when it has [`Settings::compression_threshold`](super::Settings::compression_threshold) bytes or more, and
/// only if that makes it smaller. What a peer sends may be compressed whatever its size, and counts by its size afterwards.
///
/// Compression costs time, and needs care where secrets and what a stranger chooses stand in one message: the length of what is
/// sent tells how much the two are alike (RFC 7692 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Each message by itself: `server_no_context_takeover` and `client_no_context_takeover` are agreed on, and a connection at rest
    /// holds nothing for it.
    #[default]
    On,
    /// With what was said before in mind, unless the peer does not want that: small messages that are alike become much smaller. Each
    /// connection that compresses holds a compressor and a window for that, a few hundred kilobytes.
    Context,
    /// Not at all: it is neither offered nor agreed on.
    Off,
}

impl Compression {
    pub(super) const ALL: [Self; 3] = [Self::On, Self::Context, Self::Off];

    /// Its name in settings and attributes: `on`, `context` or `off`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Context => "context",
            Self::Off => "off",
        }
    }

    /// Whether it may be agreed on. Without the feature `deflate` there is nobody to do it.
    pub(crate) const fn is_possible(self) -> bool {
        cfg!(feature = "deflate") && !matches!(self, Self::Off)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

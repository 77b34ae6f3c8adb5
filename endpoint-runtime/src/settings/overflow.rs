//! What becomes of a message for which there is no room.

use std::fmt;

/// What to do with a message when the buffer of a slow peer is full.
///
/// The buffer's size is [`Settings::send_buffer`](super::Settings::send_buffer). Whole messages only: never
/// is half of one dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// Closes the session with 1013, "too slow". The peer knows that it missed something, and may come again.
    #[default]
    Disconnect,
    /// Lets the sender wait for room, up to [`Settings::send_timeout`](super::Settings::send_timeout). A
    /// broadcast never waits.
    Wait,
    /// Drops the message that finds no room: the peer lags behind, with gaps before the present.
    DropNewest,
    /// Drops the messages that wait longest: the peer stays up to date, with gaps in the past.
    DropOldest,
}

impl Overflow {
    pub(super) const ALL: [Self; 4] = [Self::Disconnect, Self::Wait, Self::DropNewest, Self::DropOldest];

    /// Its name in settings and attributes: `disconnect`, `wait`, `drop_newest` or `drop_oldest`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Wait => "wait",
            Self::DropNewest => "drop_newest",
            Self::DropOldest => "drop_oldest",
        }
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

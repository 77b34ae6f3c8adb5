//! [`Position`]: a place in the history of a room.

use std::sync::Arc;

/// Which history of a channel: another one after all was lost, or after another server has taken over. Opaque, at most 80 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub Arc<str>);

/// A place in the history of a channel. Offsets begin at 1 and have no gaps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history.
    pub epoch: Epoch,
    /// Which message of it; 0 is before the first.
    pub offset: u64,
}

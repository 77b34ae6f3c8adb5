//! [`Appended`]: a message of a recoverable room, and what it is made into for the sessions of this node.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::session::SessionId;
use crate::session::outbox::Shared;

/// A message, as it was appended. When thousands come back at once and want the same messages again, those are made ready for them once.
#[derive(Debug)]
pub(crate) struct Appended {
    bytes: Bytes,
    ready: OnceLock<Option<Ready>>,
}

/// What sessions get.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) message: Arc<Shared>,
    /// Who does not get it.
    pub(crate) except: Box<[SessionId]>,
}

impl Appended {
    pub(super) fn new(bytes: Bytes) -> Self {
        Appended { bytes, ready: OnceLock::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The message, made ready if nobody has wanted it so far; `None` if that cannot be done.
    pub(crate) fn ready(&self, make: impl FnOnce(&Bytes) -> Option<Ready>) -> Option<&Ready> {
        self.ready.get_or_init(|| make(&self.bytes)).as_ref()
    }
}

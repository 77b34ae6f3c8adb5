//! [`Options`]: what one endpoint has otherwise than the others.

use std::borrow::Cow;
use std::time::Duration;

use super::{Compression, OverRate, Overflow, Rate};

/// What may be set for one endpoint; what is not comes from the [`Settings`](crate::Settings).
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) subprotocols: Vec<String>,
    pub(crate) require_subprotocol: bool,
    /// The roles of which the peer must be in one, if there are any.
    pub(crate) require: Vec<String>,
    pub(crate) max_message_size: Option<usize>,
    pub(crate) idle_timeout: Option<Option<Duration>>,
    pub(crate) ping_interval: Option<Option<Duration>>,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) overflow: Option<Overflow>,
    pub(crate) compression: Option<Compression>,
    pub(crate) compression_threshold: Option<usize>,
    pub(crate) message_rate: Option<Option<Rate>>,
    pub(crate) byte_rate: Option<Option<Rate>>,
    pub(crate) over_rate: Option<OverRate>,
    pub(crate) resume: Option<Duration>,
    pub(crate) origins: Option<Vec<String>>,
    /// Rooms whose messages are kept.
    pub(crate) recover: Option<Recover>,
    /// Whether it is noted who is present in these rooms, or in all.
    pub(crate) presence: bool,
}

/// How much is kept of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recover {
    pub(crate) size: usize,
    pub(crate) ttl: Duration,
    /// Their name, or its beginning and a `*`.
    pub(crate) rooms: Cow<'static, str>,
}

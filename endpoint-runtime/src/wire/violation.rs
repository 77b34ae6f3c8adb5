//! What a peer did wrong, in the form in which we tell it: a close code and a reason.

use std::borrow::Cow;

use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::coding::CloseCode;

/// A peer broke the protocol or a limit; the connection must be failed (RFC 6455, 7.1.7) by closing it with this code
/// and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// 1002, 1007, 1008 or 1009.
    pub(crate) code: CloseCode,
    /// At most 123 bytes: it fits into a close frame.
    pub(crate) reason: Cow<'static, str>,
}

impl Violation {
    /// 1002: the frames themselves are wrong.
    #[cold]
    pub(super) fn protocol(reason: &'static str) -> Self {
        Self { code: CloseCode::Protocol, reason: Cow::Borrowed(reason) }
    }

    /// 1007: what is declared to be text is not UTF-8 (RFC 6455, 8.1).
    #[cold]
    pub(super) fn not_utf8(reason: &'static str) -> Self {
        Self { code: CloseCode::Invalid, reason: Cow::Borrowed(reason) }
    }

    /// 1007: what is declared to be compressed is not, or not whole.
    #[cold]
    pub(super) fn corrupt(reason: &'static str) -> Self {
        Self { code: CloseCode::Invalid, reason: Cow::Borrowed(reason) }
    }

    /// 1008: what the peer says about its session is against the rules for that.
    #[cold]
    pub(crate) fn policy(reason: &'static str) -> Self {
        Self { code: CloseCode::Policy, reason: Cow::Borrowed(reason) }
    }

    /// 1009: the message is, or announces to be, longer than `limit` bytes. The reason names the setting, because the
    /// one who reads it is usually looking for it.
    #[cold]
    pub(super) fn too_large(limit: usize) -> Self {
        let reason = format!("message of more than {limit} bytes; see max_message_size");
        Self { code: CloseCode::Size, reason: Cow::Owned(reason) }
    }
}

//! Why a session ended: [`CloseReason`] and its [`CloseCode`].

use std::fmt;

use super::Text;

/// A close code (RFC 6455 7.4), as tungstenite names them: `Normal` 1000, `Away` 1001, `Protocol` 1002, … A number from 3000 to
/// 4999, which has no name, is the application's own: `CloseCode::from(4000)`.
pub use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Bytes of text that fit into a close frame: 125, less two for the code (RFC 6455 5.5).
const MAX_TEXT: usize = 123;

/// Who ended the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClosedBy {
    /// The peer, by a close frame.
    Peer,
    /// This application, by [`Session::close`](crate::Session::close) or the like.
    Application,
    /// The runtime: a time or size limit, a broken rule, a failed handler, a shutdown.
    Container,
    /// Nobody: the connection was lost.
    Network,
}

/// Why a session ended: code, text, and who ended it.
///
/// Codes 1005 (`CloseCode::Status`: the peer gave none) and 1006 (`CloseCode::Abnormal`: no closing handshake, or the runtime
/// ended it) are only ever reported, never sent.
///
/// ```
/// use endpoint_runtime::{CloseCode, CloseReason};
///
/// let reason = CloseReason::new(CloseCode::Away, "see you");
/// assert_eq!(reason.code(), CloseCode::Away);
/// assert_eq!(reason.to_string(), "1001 see you");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CloseReason {
    code: CloseCode,
    text: Text,
    by: ClosedBy,
}

impl CloseReason {
    /// A reason to close with. A close frame holds 123 bytes of text: a longer one is cut, at a character.
    pub fn new(code: impl Into<CloseCode>, text: impl Into<Text>) -> Self {
        let text = text.into();
        let text = if text.len() <= MAX_TEXT {
            text
        } else {
            Text::from(&text[..floor_char_boundary(&text, MAX_TEXT)])
        };
        CloseReason { code: code.into(), text, by: ClosedBy::Application }
    }

    /// 1000: the purpose is fulfilled.
    pub fn normal() -> Self {
        Self::new(CloseCode::Normal, Text::default())
    }

    /// 1001: going away.
    pub fn away(text: impl Into<Text>) -> Self {
        Self::new(CloseCode::Away, text)
    }

    /// 1008: what the peer did is against a policy.
    pub fn policy(text: impl Into<Text>) -> Self {
        Self::new(CloseCode::Policy, text)
    }

    /// 1011: the server met something unexpected.
    pub fn error(text: impl Into<Text>) -> Self {
        Self::new(CloseCode::Error, text)
    }

    pub(crate) fn by(mut self, by: ClosedBy) -> Self {
        self.by = by;
        self
    }

    pub(crate) fn lost(text: impl Into<Text>) -> Self {
        Self::new(CloseCode::Abnormal, text).by(ClosedBy::Network)
    }

    /// The close code.
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// The text, empty if there is none.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Who ended the session.
    pub fn closed_by(&self) -> ClosedBy {
        self.by
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u16::from(self.code))?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

impl fmt::Debug for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseReason({self}, by {:?})", self.by)
    }
}

/// The end of the last whole character within so many bytes; `str` has this since Rust 1.91.
pub(crate) fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let reason = CloseReason::new(CloseCode::Normal, "é".repeat(100));
        assert_eq!(reason.text().len(), 122);
        assert_eq!(CloseReason::new(4000, "x".repeat(123)).text().len(), 123);
    }
}

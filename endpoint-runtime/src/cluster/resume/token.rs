//! [`Token`]: the secret that resumes a session, and [`Key`], under which an engine keeps what it resumes.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::session::Session;

/// 128 random bits, known to the client and to nobody else: an engine sees only a hash of it, and no log does.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token([u8; 16]);

/// What is kept for a token: a hash of it, of the path that the client has connected to, and of who it is. So a token that is presented
/// anywhere else, or by anybody else, is the key to nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key([u8; 32]);

impl Token {
    pub(super) fn random() -> Self {
        Token(rand::random())
    }

    /// As a client has it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Token)
    }

    pub(super) fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// The key of this token, presented by the client of this session.
    pub(super) fn key(&self, session: &Session) -> Key {
        let handshake = session.handshake();
        let principal = handshake.identity().and_then(|identity| identity.name());
        self.key_for(handshake.path(), principal)
    }

    fn key_for(&self, path: &str, principal: Option<&str>) -> Key {
        // Each part says how long it is, so that none can pass for a part of the next.
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update((path.len() as u64).to_be_bytes());
        hash.update(path);
        hash.update([u8::from(principal.is_some())]);
        hash.update(principal.unwrap_or_default());
        Key(hash.finalize().into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Key {
    pub(super) fn new(hash: [u8; 32]) -> Self {
        Key(hash)
    }

    pub(super) fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Where the record is kept.
    pub(super) fn record(&self) -> String {
        format!("s:{}", BASE64URL_NOPAD.encode(&self.0))
    }

    /// Where it is said that somebody has taken the record.
    pub(super) fn gone(&self) -> String {
        format!("g:{}", BASE64URL_NOPAD.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_never_shown() {
        let token = Token::random();
        assert_eq!(token.text().len(), 22);
        assert_eq!(Token::parse(&token.text()), Some(token.clone()));
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert_ne!(token, Token::random());
        for wrong in
            ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAA!", "AAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB"]
        {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_for_one_token_one_path_and_one_principal() {
        let token = Token::random();
        let key = token.key_for("/a", Some("bo"));
        assert_eq!(key, token.key_for("/a", Some("bo")));
        assert_eq!(key.record().len(), 2 + 43);
        assert!(!key.record().contains(&token.text()));
        let others = [
            Token::random().key_for("/a", Some("bo")),
            token.key_for("/b", Some("bo")),
            token.key_for("/a", Some("eve")),
            token.key_for("/a", None),
            token.key_for("/a", Some("")),
            token.key_for("/ab", Some("o")),
        ];
        for other in others {
            assert_ne!(key, other);
        }
    }
}

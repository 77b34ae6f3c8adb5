//! Which version of HTTP a connection speaks: agreed on under TLS, or told by its first bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// With what a client begins that knows that we speak HTTP/2 (RFC 9113 3.4). No request of HTTP/1.1 begins like that.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much is read at first: the head of most requests, so that it costs them nothing to be looked at.
const FIRST: usize = 1024;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// HTTP/2 among the protocols of TLS (RFC 9113 3.2).
#[cfg(feature = "tls")]
pub(super) const PROTOCOL: &[u8] = b"h2";

impl Version {
    /// What was agreed on under TLS (RFC 7301).
    #[cfg(feature = "tls")]
    pub(super) fn of_protocol(agreed: Option<&[u8]>) -> Self {
        if agreed == Some(PROTOCOL) { Version::Http2 } else { Version::Http1 }
    }

    /// What a client speaks who says nothing before its first request, and what it has said so far.
    pub(super) async fn of_first_bytes<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<(Self, Vec<u8>)> {
        let mut bytes = Vec::with_capacity(FIRST);
        loop {
            // At the end there is nothing to answer, in whatever version.
            if io.read_buf(&mut bytes).await? == 0 {
                return Ok((Version::Http1, bytes));
            }
            let known = bytes.len().min(PREFACE.len());
            if bytes[..known] != PREFACE[..known] {
                return Ok((Version::Http1, bytes));
            }
            if known == PREFACE.len() {
                return Ok((Version::Http2, bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn the_first_bytes_tell() {
        let table: &[(&[&str], Version)] = &[
            (&["GET / HTTP/1.1\r\n"], Version::Http1),
            (&["P", "OST / HTTP/1.1\r\n"], Version::Http1),
            (&["PRI", " * HTTP/1.1\r\n"], Version::Http1),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], Version::Http2),
            (&["P", "R", "I * HTTP/2.0\r\n\r\nSM\r\n\r", "\n"], Version::Http2),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more"], Version::Http2),
            (&["PRI * HTTP/2.0"], Version::Http1),
            (&[], Version::Http1),
        ];
        for (said, version) in table {
            // As large as one of them: they come one at a time.
            let longest = said.iter().map(|piece| piece.len()).max().unwrap_or(1);
            let (mut theirs, mut ours) = tokio::io::duplex(longest);
            let saying = async {
                for piece in *said {
                    theirs.write_all(piece.as_bytes()).await.unwrap();
                }
                drop(theirs);
            };
            let (told, ()) = tokio::join!(Version::of_first_bytes(&mut ours), saying);
            let (found, bytes) = told.unwrap();
            assert_eq!(found, *version, "{said:?}");
            assert!(said.concat().as_bytes().starts_with(&bytes), "{said:?}");
        }
    }
}

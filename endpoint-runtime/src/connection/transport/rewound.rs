//! [`Rewound`]: a stream of which the beginning has been looked at.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of which the beginning has been read, and is read once more.
#[derive(Debug)]
pub(crate) struct Rewound<I> {
    beginning: Vec<u8>,
    /// How much of the beginning was read again.
    read: usize,
    io: I,
}

impl<I> Rewound<I> {
    pub(crate) fn new(beginning: Vec<u8>, io: I) -> Self {
        Rewound { beginning, read: 0, io }
    }

    /// The stream, and what was read of it after these bytes and not again.
    pub(super) fn into_parts(mut self, read: Bytes) -> (I, Bytes) {
        let left = self.beginning.split_off(self.read);
        let bytes = if left.is_empty() { read } else { [&read[..], &left].concat().into() };
        (self.io, bytes)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewound<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.beginning.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let left = &self.beginning[self.read..];
        let count = left.len().min(buf.remaining());
        buf.put_slice(&left[..count]);
        self.read += count;
        if self.read == self.beginning.len() {
            (self.beginning, self.read) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewound<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn the_beginning_is_read_again() {
        let mut rewound = Rewound::new(b"abc".to_vec(), &b"defg"[..]);
        let mut two = [0; 2];
        rewound.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"ab");
        rewound.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"cd");
        let (mut io, left) = rewound.into_parts(Bytes::from_static(b"cd"));
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.unwrap();
        assert_eq!((&left[..], rest.as_str()), (&b"cd"[..], "efg"));
    }

    #[tokio::test]
    async fn what_was_not_read_again_stands_behind_what_was() {
        let mut rewound = Rewound::new(b"abcd".to_vec(), &b"ef"[..]);
        let mut two = [0; 2];
        rewound.read_exact(&mut two).await.unwrap();
        let (io, left) = rewound.into_parts(Bytes::from_static(b"b"));
        assert_eq!((&left[..], io), (&b"bcd"[..], &b"ef"[..]));
    }
}

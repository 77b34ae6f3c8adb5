//! [`Foreign`]: a stream that only hyper knows, such as one of many in an HTTP/2 connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(feature = "http2")]
use super::http2_stream::Http2Stream;

/// The most that is written at a time. hyper copies what is written to a stream of HTTP/2: so a large payload lies there once, and of what
/// a slow peer does not take there are but a few pieces beside it.
const PIECE: usize = 32 * 1024;

#[derive(Debug)]
pub(crate) struct Foreign {
    io: TokioIo<Upgraded>,
    /// Which one it is, in an HTTP/2 connection of ours.
    #[cfg(feature = "http2")]
    stream: Option<Http2Stream>,
}

impl Foreign {
    pub(super) fn new(upgraded: Upgraded) -> Self {
        Foreign {
            io: TokioIo::new(upgraded),
            #[cfg(feature = "http2")]
            stream: None,
        }
    }

    #[cfg(feature = "http2")]
    pub(super) fn is_of(&mut self, stream: Option<Http2Stream>) {
        self.stream = stream;
    }

    /// Whether there may be a buffer to be flushed. What is written to a stream of ours goes its way by itself.
    pub(super) fn may_keep(&self) -> bool {
        #[cfg(feature = "http2")]
        if self.stream.is_some() {
            return false;
        }
        true
    }
}

#[cfg(feature = "http2")]
impl Drop for Foreign {
    /// A stream that was closed is closed already. One that is cut off is reset: the peer gets nothing more, and no end that looks like one.
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.reset();
        }
    }
}

impl AsyncRead for Foreign {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Foreign {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let piece = &buf[..buf.len().min(PIECE)];
        Pin::new(&mut self.io).poll_write(cx, piece)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

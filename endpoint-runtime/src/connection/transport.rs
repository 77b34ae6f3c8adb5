//! [`Transport`]: the byte stream under a WebSocket, whatever it is.

mod foreign;
#[cfg(feature = "http2")]
mod http2_stream;
mod lent;
#[cfg(feature = "http2")]
mod rewound;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Empty, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::tcp::OwnedWriteHalf;
#[cfg(all(feature = "client", feature = "tls"))]
use tokio_rustls::client::TlsStream;
#[cfg(feature = "tls")]
use tokio_rustls::server;

use self::foreign::Foreign;
#[cfg(feature = "http2")]
pub(crate) use self::http2_stream::Http2Stream;
use self::lent::Lent;
#[cfg(feature = "http2")]
pub(crate) use self::rewound::Rewound;

/// The stream that hyper gave back, as itself where we know it: so the connection is compiled once, and reads and writes reach
/// the socket without a detour.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    /// The same, of which others may write too: see [`lend`](Self::lend).
    Lent(Box<Lent>),
    #[cfg(unix)]
    Unix(UnixStream),
    Memory(DuplexStream),
    /// A client's encrypted stream.
    #[cfg(all(feature = "client", feature = "tls"))]
    Tls(Box<TlsStream<TcpStream>>),
    /// A server's.
    #[cfg(feature = "tls")]
    ServerTls(Box<server::TlsStream<TcpStream>>),
    /// A stream of an HTTP/2 connection, or another server's, as under a foreign hyper.
    Other(Box<Foreign>),
    /// None, for the moment in which it becomes another.
    Nothing(Empty),
}

impl Transport {
    /// The stream under an upgraded connection, and what was read past the handshake.
    pub(crate) fn from_upgraded(upgraded: Upgraded) -> (Self, bytes::Bytes) {
        macro_rules! known {
            ($upgraded:expr, $($ty:ty => $variant:ident),*) => {{
                let mut upgraded = $upgraded;
                $(
                    upgraded = match upgraded.downcast::<TokioIo<$ty>>() {
                        Ok(parts) => return (Transport::$variant(parts.io.into_inner().into()), parts.read_buf),
                        Err(upgraded) => upgraded,
                    };
                )*
                upgraded
            }};
        }
        // Streams that were looked at before it was known which version of HTTP they speak.
        #[cfg(feature = "http2")]
        macro_rules! rewound {
            ($upgraded:expr, $($ty:ty => $variant:ident),*) => {{
                let mut upgraded = $upgraded;
                $(
                    upgraded = match upgraded.downcast::<TokioIo<Rewound<$ty>>>() {
                        Ok(parts) => {
                            let (io, read) = parts.io.into_inner().into_parts(parts.read_buf);
                            return (Transport::$variant(io), read);
                        }
                        Err(upgraded) => upgraded,
                    };
                )*
                upgraded
            }};
        }
        #[cfg(feature = "http2")]
        let upgraded = rewound!(upgraded, TcpStream => Tcp, DuplexStream => Memory);
        #[cfg(all(feature = "http2", unix))]
        let upgraded = rewound!(upgraded, UnixStream => Unix);
        let upgraded = known!(upgraded, TcpStream => Tcp, DuplexStream => Memory);
        #[cfg(unix)]
        let upgraded = known!(upgraded, UnixStream => Unix);
        #[cfg(all(feature = "client", feature = "tls"))]
        let upgraded = known!(upgraded, TlsStream<TcpStream> => Tls);
        // Under a server that finds out by itself which HTTP is spoken, as axum's does, the stream is wrapped once more.
        let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => {
                let stream = parts.io.into_inner();
                // Few of them do it themselves; what a socket refuses is as good as closed.
                let _ = stream.set_nodelay(true);
                return (Transport::Tcp(stream), parts.read_buf);
            }
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "tls")]
        let upgraded = known!(upgraded, server::TlsStream<TcpStream> => ServerTls);
        (Transport::Other(Box::new(Foreign::new(upgraded))), bytes::Bytes::new())
    }

    /// Which stream of an HTTP/2 connection this is, if it is one.
    #[cfg(feature = "http2")]
    pub(crate) fn of(mut self, stream: Option<Http2Stream>) -> Self {
        if let Transport::Other(foreign) = &mut self {
            foreign.is_of(stream);
        }
        self
    }

    /// Gives away the right to write, if that is possible here. What is written through the transport goes out all the same: who writes
    /// when is to be agreed on elsewhere.
    pub(super) fn lend(&mut self) -> Option<OwnedWriteHalf> {
        match std::mem::replace(self, Transport::Nothing(tokio::io::empty())) {
            Transport::Tcp(stream) => {
                let (lent, half) = Lent::new(stream);
                *self = Transport::Lent(Box::new(lent));
                Some(half)
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// Gets back what was given away. To shut the stream down takes this.
    pub(super) fn take_back(&mut self, half: OwnedWriteHalf) {
        if let Transport::Lent(lent) = self {
            lent.take_back(half);
        }
    }
}

macro_rules! each {
    ($transport:expr, $io:ident => $act:expr) => {
        match $transport {
            Transport::Tcp($io) => $act,
            #[cfg(unix)]
            Transport::Unix($io) => $act,
            Transport::Memory($io) => $act,
            #[cfg(all(feature = "client", feature = "tls"))]
            Transport::Tls($io) => $act,
            #[cfg(feature = "tls")]
            Transport::ServerTls($io) => $act,
            Transport::Other($io) => $act,
            Transport::Lent($io) => $act,
            Transport::Nothing($io) => $act,
        }
    };
}

impl Transport {
    /// Whether what was written may still lie in a buffer of the stream's own, to be flushed.
    #[inline]
    pub(super) fn may_keep(&self) -> bool {
        match self {
            Transport::Tcp(_) | Transport::Lent(_) | Transport::Memory(_) | Transport::Nothing(_) => false,
            #[cfg(unix)]
            Transport::Unix(_) => false,
            #[cfg(all(feature = "client", feature = "tls"))]
            Transport::Tls(_) => true,
            #[cfg(feature = "tls")]
            Transport::ServerTls(_) => true,
            Transport::Other(foreign) => foreign.may_keep(),
        }
    }
}

// Inlined: what is behind most connections is known after one comparison, and TCP has nothing to flush.
impl AsyncRead for Transport {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), io => Pin::new(io).poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), io => Pin::new(io).poll_write(cx, buf))
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), io => Pin::new(io).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, io => io.is_write_vectored())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::Empty;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    /// Under a server that wraps the stream, it is found all the same, and nothing that was sent early is lost.
    #[tokio::test]
    async fn a_wrapped_stream_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly")
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (upgrades, mut upgraded) = mpsc::unbounded_channel();
        let service = service_fn(|mut request: Request<Incoming>| {
            upgrades.send(hyper::upgrade::on(&mut request)).unwrap();
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let response = response.header("connection", "upgrade").header("upgrade", "x");
            async move { Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).unwrap()) }
        });
        let server = auto::Builder::new(TokioExecutor::new());
        server.serve_connection_with_upgrades(TokioIo::new(stream), service).await.unwrap();
        let (transport, read_ahead) = Transport::from_upgraded(upgraded.recv().await.unwrap().await.unwrap());
        assert!(matches!(&transport, Transport::Tcp(stream) if stream.nodelay().unwrap()), "{transport:?}");
        assert_eq!(read_ahead, "early");
    }
}

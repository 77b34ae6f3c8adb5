//! The TLS handshake of a connection that has come in, and what is said to who does not get through it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::StartHandshake;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::{Accepted, Acceptor};
use tokio_rustls::server::TlsStream;

use super::Tls;

/// Enough for the first message of most clients.
const FIRST_READ: usize = 4096;

/// How long, and for how many bytes, who is turned away is listened to, so that no reset destroys what was said to them.
const LAST_MOMENT: Duration = Duration::from_secs(1);
const LAST_BYTES: usize = 64 * 1024;

/// The answer to a request that is not encrypted.
const PLAIN: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 49\r\n\
                     Connection: close\r\n\r\nThis port speaks TLS: write https:// or wss:// .\n";

impl Tls {
    /// Agrees on encryption with a client, if that can be done in this time.
    ///
    /// Who is turned away is told why in an alert, and who speaks HTTP without TLS in a response, before the connection is closed.
    pub(in crate::server) async fn accept<I>(&self, io: I, limit: Duration) -> io::Result<TlsStream<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let too_slow = || io::Error::new(io::ErrorKind::TimedOut, format!("not within {limit:?}"));
        let failed = match timeout(limit, self.shake_hands(io)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(failed)) => failed,
            Err(_) => return Err(too_slow()),
        };
        let (error, mut io) = failed;
        let _ = timeout(LAST_MOMENT, part(&mut io)).await;
        Err(error)
    }

    async fn shake_hands<I>(&self, mut io: I) -> Result<TlsStream<I>, (io::Error, I)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(config) = self.0.current.load_full() else {
            return Err((io::Error::other("there is no certificate"), io));
        };
        match hello(&mut io).await {
            Ok(accepted) => {
                StartHandshake::from_parts(accepted, io).into_stream(config).into_fallible().await
            }
            Err(error) => Err((error, io)),
        }
    }
}

/// Reads the client's first message.
async fn hello<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Result<Accepted> {
    let mut acceptor = Acceptor::default();
    let mut buffer = vec![0; FIRST_READ];
    let mut first = true;
    loop {
        let read = io.read(&mut buffer).await?;
        let mut bytes = &buffer[..read];
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client left"));
        }
        // A message of TLS begins with a number below any letter, a request with its method.
        if std::mem::take(&mut first) && bytes[0].is_ascii_uppercase() {
            io.write_all(PLAIN.as_bytes()).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it speaks HTTP without TLS"));
        }
        while !bytes.is_empty() {
            acceptor.read_tls(&mut bytes)?;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut text = Vec::new();
                alert.write_all(&mut text)?;
                io.write_all(&text).await?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

/// Says no more, and listens for a moment.
async fn part<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Result<()> {
    io.shutdown().await?;
    let mut buffer = vec![0; FIRST_READ];
    let mut left = LAST_BYTES;
    while left > 0 {
        match io.read(&mut buffer).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// The certificates that the client has shown, its own first, if it has shown any.
pub(in crate::server) fn shown<I>(stream: &TlsStream<I>) -> Option<Arc<[CertificateDer<'static>]>> {
    stream.get_ref().1.peer_certificates().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_request_without_tls_is_as_long_as_it_says() {
        let (head, body) = PLAIN.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}

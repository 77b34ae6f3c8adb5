//! The clients' side: as much of a WebSocket as it takes, so that nothing of it is in the figures but its bytes.

use std::io::{Read, Write};
use std::net::TcpStream as Blocking;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Result, SIZE};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a message is that a server sends.
pub(crate) const FRAME: usize = 2 + SIZE;

fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A message of a client, masked with zeros.
pub(crate) fn frame(opcode: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(message.len()) {
        Ok(length) if length >= 126 => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => frame.push(0x80 | message.len() as u8),
    }
    frame.extend([0; 4]);
    frame.extend(message);
    frame
}

/// A connection that has been told `open`.
pub(crate) fn open(port: u16, path: &str) -> Result<Blocking> {
    let mut stream = Blocking::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request(path).as_bytes())?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\x81\x04open") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    Ok(stream)
}

/// A connection with nothing but the handshake behind it.
pub(crate) async fn connect(port: u16, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request(path).as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the server has closed the connection".into());
        }
    }
    Ok(stream)
}

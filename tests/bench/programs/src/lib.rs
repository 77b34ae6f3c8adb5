//! What the programs share: one thread that listens, and the frames of RFC 6455.

use std::future::Future;
use std::io;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The port to listen on, from `$PORT`.
pub fn port() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).expect("PORT is the port to listen on")
}

/// A listener for thousands that come at once.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port()).into())?;
    socket.listen(4096)
}

/// Runs `main` with the listener in one thread, as all servers are compared.
pub fn in_one_thread<F: Future<Output = io::Result<()>>>(
    main: impl FnOnce(TcpListener) -> F,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { main(listen()?).await })
}

/// Serves each connection in a task of its own.
pub fn serve<F>(connection: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    in_one_thread(async |listener| {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream));
        }
    })
}

/// The header of a frame: its first byte, how long it is itself, how long its payload is, and the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub first: u8,
    pub size: usize,
    pub payload: usize,
    pub mask: Option<[u8; 4]>,
}

impl Header {
    /// The header at the start of these bytes, if all of it is there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (payload, size) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
            length => (usize::from(length), 2),
        };
        if second & 0x80 == 0 {
            return Some(Self { first, size, payload, mask: None });
        }
        let mask = bytes.get(size..size + 4)?.try_into().ok()?;
        Some(Self { first, size: size + 4, payload, mask: Some(mask) })
    }

    /// How long the frame is.
    pub fn frame(&self) -> usize {
        self.size + self.payload
    }
}

/// A whole frame, masked or not.
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(bit | length as u8),
        length @ 126..65536 => {
            frame.push(bit | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(bit | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask.unwrap_or_default()[..if mask.is_some() { 4 } else { 0 }]);
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

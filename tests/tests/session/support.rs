//! What the tests share: what handlers tell ([`Told`], [`Heard`]), where they are held ([`Gate`]), and a peer made of bytes ([`Raw`]).

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use endpoint_runtime::Session;
use endpoint_runtime::test::RunningApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

/// How long anything is waited for. Where time is paused it passes at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: waited for {PATIENCE:?} in vain"),
    }
}

/// Waits for a state that no event announces.
pub(crate) async fn until(what: &str, mut state: impl FnMut() -> bool) {
    soon(what, async {
        while !state() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The session of the one client that has connected, which may know of it first.
pub(crate) async fn only_session(app: &RunningApp) -> Session {
    until("a session", || app.sessions().count() == 1).await;
    app.sessions().all().iter().next().unwrap()
}

/// Lets everybody else run until nobody has anything to do: where time is paused, it moves on only then.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// A component that handlers tell what they do.
#[derive(Clone)]
pub(crate) struct Told(UnboundedSender<String>);

/// What the handlers told, in its order.
pub(crate) struct Heard(UnboundedReceiver<String>);

pub(crate) fn diary() -> (Told, Heard) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Told(sender), Heard(receiver))
}

impl Told {
    pub(crate) fn tell(&self, what: impl Display) {
        // A test that is over listens no more.
        let _ = self.0.send(what.to_string());
    }
}

impl Heard {
    pub(crate) async fn next(&mut self) -> String {
        match soon("an entry in the diary", self.0.recv()).await {
            Some(entry) => entry,
            None => panic!("the application has gone"),
        }
    }

    /// The next entry, for who has a patience of his own.
    pub(crate) async fn next_whenever(&mut self) -> String {
        self.0.recv().await.unwrap_or_else(|| panic!("the application has gone"))
    }

    /// The next entry is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let entry = self.next().await;
            assert_eq!(entry, expected, "at {place}");
        }
    }

    /// All entries up to the first that begins so, that one included.
    pub(crate) async fn up_to(&mut self, last: &str) -> Vec<String> {
        let mut entries = Vec::new();
        loop {
            entries.push(self.next().await);
            if entries.last().is_some_and(|entry| entry.starts_with(last)) {
                return entries;
            }
        }
    }

    /// What there is now.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// A component that holds whoever comes until the test lets one pass.
pub(crate) struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate { arrived: Semaphore::new(0), open: Semaphore::new(0) }
    }

    /// For the handler: waits to be let through.
    pub(crate) async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    /// For the test: waits until one more handler stands at the gate.
    pub(crate) async fn arrived(&self) {
        soon("a handler at the gate", self.arrived.acquire()).await.unwrap().forget();
    }

    /// For the test: lets one through.
    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }
}

/// First bytes of frames: final, and the opcode.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// A frame as a client sends it: masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A close frame as a client sends it, with any code.
pub(crate) fn close_frame(code: u16, text: &str) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), text.as_bytes()].concat())
}

/// A peer made of bytes: it answers nothing, and reads only when it is asked to.
pub(crate) struct Raw {
    pipe: DuplexStream,
    read: Vec<u8>,
}

impl Raw {
    /// Opens a WebSocket through a pipe of 64 KiB.
    pub(crate) async fn open(app: &RunningApp, path: &str) -> Self {
        Self::open_through(app.connect_raw(), path, &[]).await
    }

    /// Opens one with this offer of extensions.
    pub(crate) async fn open_offering(app: &RunningApp, path: &str, offer: &str) -> Self {
        let line = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        Self::open_with(app.connect_raw(), path, &line, &[]).await
    }

    /// Opens one through a pipe that holds so many bytes each way.
    pub(crate) async fn open_narrow(app: &RunningApp, path: &str, bytes: usize) -> Self {
        Self::open_through(app.connect_raw_with_buffer(bytes), path, &[]).await
    }

    /// Opens one, with `behind` in the same packet as the request.
    pub(crate) async fn open_through(pipe: DuplexStream, path: &str, behind: &[u8]) -> Self {
        Self::open_with(pipe, path, "", behind).await
    }

    async fn open_with(mut pipe: DuplexStream, path: &str, lines: &str, behind: &[u8]) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
        );
        pipe.write_all(&[request.as_bytes(), behind].concat()).await.unwrap();
        let mut read = Vec::new();
        let end = loop {
            match read.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => assert_ne!(soon("an answer", pipe.read_buf(&mut read)).await.unwrap(), 0),
            }
        };
        let head = String::from_utf8(read.drain(..end).collect()).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Raw { pipe, read }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon("room in the pipe", self.pipe.write_all(bytes)).await.unwrap();
    }

    /// Writes until nothing is taken for a second. Says how many bytes were.
    pub(crate) async fn write_until_stuck(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match timeout(Duration::from_secs(1), self.pipe.write(&bytes[written..])).await {
                Ok(some) => written += some.unwrap(),
                Err(_) => break,
            }
        }
        written
    }

    /// Takes so many bytes out of the pipe, for a later [`frame`](Self::frame).
    pub(crate) async fn take_in(&mut self, bytes: usize) {
        let mut taken = vec![0; bytes];
        soon("bytes", self.pipe.read_exact(&mut taken)).await.unwrap();
        self.read.extend(taken);
    }

    /// One read: what there is, or what comes next. Empty at the end.
    pub(crate) async fn read_once(&mut self) -> Vec<u8> {
        if self.read.is_empty() {
            self.read.reserve(256 * 1024);
            soon("bytes", self.pipe.read_buf(&mut self.read)).await.unwrap();
        }
        std::mem::take(&mut self.read)
    }

    /// The next frame: its first byte and its payload. `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((frame, size)) = parse(&self.read) {
                self.read.drain(..size);
                return Some(frame);
            }
            if soon("a frame", self.pipe.read_buf(&mut self.read)).await.unwrap_or(0) == 0 {
                assert!(self.read.is_empty(), "the stream ends within a frame: {:?}", self.read);
                return None;
            }
        }
    }

    /// The next text message; other frames are skipped.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.frame().await {
                Some((TEXT, payload)) => return String::from_utf8(payload).unwrap(),
                Some((CLOSE, payload)) => panic!("a close frame came: {payload:?}"),
                Some(_) => {}
                None => panic!("the stream has ended"),
            }
        }
    }

    /// Reads to the end of the stream: the payload of the close frame, if one came.
    pub(crate) async fn closed(&mut self) -> Option<Vec<u8>> {
        soon("the end of the stream", async {
            let mut close = None;
            while let Some((first, payload)) = self.frame().await {
                if first == CLOSE {
                    close = Some(payload);
                }
            }
            close
        })
        .await
    }

    /// The code and text of the close frame at the end. 1005: it is empty; 1006: there is none.
    pub(crate) async fn close_code(&mut self) -> (u16, String) {
        match self.closed().await.as_deref() {
            None => (1006, String::new()),
            Some([]) => (1005, String::new()),
            Some([high, low, text @ ..]) => {
                (u16::from_be_bytes([*high, *low]), String::from_utf8(text.to_vec()).unwrap())
            }
            Some(half) => panic!("half a close code: {half:?}"),
        }
    }
}

/// The first frame that a server has sent in these bytes, and its size.
pub(crate) fn parse(bytes: &[u8]) -> Option<((u8, Vec<u8>), usize)> {
    let [first, short, rest @ ..] = bytes else { return None };
    let (length, header) = match short {
        126 => (u16::from_be_bytes(rest.get(..2)?.try_into().ok()?) as usize, 4),
        127 => (u64::from_be_bytes(rest.get(..8)?.try_into().ok()?) as usize, 10),
        short => {
            assert!(*short < 126, "a server does not mask");
            (*short as usize, 2)
        }
    };
    let payload = bytes.get(header..header + length)?;
    Some(((*first, payload.to_vec()), header + length))
}

//! [`TextReader`] and [`BinaryReader`]: a message as a stream, which is never in memory as a whole.
//!
//! Between the connection, which puts in what arrives, and the reader, which takes it out, lies one part of at most 64 KiB. While it has
//! not been taken nothing more is read from the socket, so that a peer that sends faster than the reader reads meets TCP backpressure.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::{CloseReason, DecodeError, FromMessage, Incoming, Kind, Text};

/// What lies between the connection and a reader.
#[derive(Default)]
struct Pipe {
    state: Mutex<State>,
    reader: AtomicWaker,
    connection: AtomicWaker,
}

#[derive(Default)]
struct State {
    part: Bytes,
    end: Option<End>,
    /// Nobody will read any more.
    abandoned: bool,
}

/// What follows the part.
enum End {
    Complete,
    /// The session ended first.
    Cut(CloseReason),
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection's end of a message that is read as a stream.
pub(crate) struct Feed(Arc<Pipe>);

/// The reader's end.
pub(crate) struct Fed(Arc<Pipe>);

impl Feed {
    /// Both ends of a message of which nothing has arrived.
    pub(crate) fn new() -> (Self, Fed) {
        let pipe = Arc::new(Pipe::default());
        (Feed(Arc::clone(&pipe)), Fed(pipe))
    }

    /// Whether the next part can be put in: the one before has been taken, or nobody reads any more.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.0.state();
        state.abandoned || state.part.is_empty()
    }

    /// Puts a part in. What nobody will read is thrown away.
    pub(crate) fn put(&self, part: &[u8], last: bool) {
        let mut state = self.0.state();
        if !state.abandoned {
            state.part = Bytes::copy_from_slice(part);
        }
        if last {
            state.end = Some(End::Complete);
        }
        drop(state);
        self.0.reader.wake();
    }

    /// The session has ended: there will be no more.
    pub(crate) fn cut(&self, reason: &CloseReason) {
        self.0.state().end.get_or_insert_with(|| End::Cut(reason.clone()));
        self.0.reader.wake();
    }

    /// Wakes the connection's task when the reader has made room.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.0.connection.register(cx.waker());
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Feed")
    }
}

impl Fed {
    /// The next part, `None` at the end.
    fn poll_part(&self, cx: &Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.0.reader.register(cx.waker());
        let mut state = self.0.state();
        if !state.part.is_empty() {
            let part = std::mem::take(&mut state.part);
            drop(state);
            self.0.connection.wake();
            return Poll::Ready(Ok(Some(part)));
        }
        match &state.end {
            None => Poll::Pending,
            Some(End::Complete) => Poll::Ready(Ok(None)),
            Some(End::Cut(reason)) => {
                let text = format!("the session ended before the message did: {reason}");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text)))
            }
        }
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.abandoned = true;
        state.part = Bytes::new();
        drop(state);
        self.0.connection.wake();
    }
}

/// What both readers are: the part that is being read, and where the next comes from.
struct Reader {
    part: Bytes,
    /// `None` when all that there is lies in `part`.
    fed: Option<Fed>,
}

impl Reader {
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.part.is_empty()
            && let Some(fed) = &self.fed
        {
            match ready!(fed.poll_part(cx))? {
                Some(part) => self.part = part,
                None => self.fed = None,
            }
        }
        Poll::Ready(Ok(&self.part))
    }

    async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_fill(cx).map_ok(|_| ())).await?;
        let part = std::mem::take(&mut self.part);
        Ok((!part.is_empty()).then_some(part))
    }

    fn poll_read(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let part = ready!(self.poll_fill(cx))?;
        let bytes = part.len().min(buf.remaining());
        buf.put_slice(&part[..bytes]);
        self.part.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident of $whole:ident by $kind:ident;)*) => {
        $(
            $(#[$doc])*
            pub struct $name(Reader);

            impl $name {
                /// A reader of a message that is being received.
                pub(crate) fn fed(fed: Fed) -> Self {
                    $name(Reader { part: Bytes::new(), fed: Some(fed) })
                }

                /// A reader of a message that is there already.
                pub fn of(message: impl Into<$whole>) -> Self {
                    let message: $whole = message.into();
                    $name(Reader { part: message.into(), fed: None })
                }
            }

            impl FromMessage for $name {
                const KIND: Kind = Kind::$kind;

                fn from_message(message: Incoming<'_>) -> Result<Self, DecodeError> {
                    match message {
                        Incoming::$kind(reader) => Ok(reader),
                        other => Err(DecodeError::unexpected(&other, "a message as a stream")),
                    }
                }
            }

            impl AsyncRead for $name {
                fn poll_read(
                    mut self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    buf: &mut ReadBuf<'_>,
                ) -> Poll<io::Result<()>> {
                    self.0.poll_read(cx, buf)
                }
            }

            impl AsyncBufRead for $name {
                fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
                    self.get_mut().0.poll_fill(cx)
                }

                fn consume(mut self: Pin<&mut Self>, bytes: usize) {
                    let bytes = bytes.min(self.0.part.len());
                    self.0.part.advance(bytes);
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(stringify!($name))
                }
            }
        )*
    };
}

readers! {
    /// A text message as a stream (Jakarta's `Reader`, MH-02): for messages of any length.
    ///
    /// The method is called when the message begins. What it reads is valid UTF-8: a peer that sends anything else ends the session with 1007.
    /// It may hand the reader to a task of its own; the next message waits until this one has been read, or the reader dropped, in
    /// which case the rest is skipped. A message has no limit in this form. If the session ends first, reading fails with
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    /// use tokio::io::AsyncBufReadExt;
    ///
    /// #[server_endpoint("/longest-line")]
    /// struct LongestLine;
    ///
    /// #[handlers]
    /// impl LongestLine {
    ///     #[on_message]
    ///     async fn find(&self, text: TextReader) -> Result<u64> {
    ///         let mut longest = 0;
    ///         let mut lines = text.lines();
    ///         while let Some(line) = lines.next_line().await? {
    ///             longest = longest.max(line.len() as u64);
    ///         }
    ///         Ok(longest)
    ///     }
    /// }
    /// ```
    TextReader of Text by TextStream;

    /// A binary message as a stream (Jakarta's `InputStream`, MH-05): for messages of any length.
    ///
    /// The method is called when the message begins. It may hand the reader to a task of its own; the next message waits until this one has
    /// been read, or the reader dropped, in which case the rest is skipped. A message has no limit in this form. If the session
    /// ends first, reading fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    ///
    /// #[server_endpoint("/upload/{name}")]
    /// struct Upload;
    ///
    /// #[handlers]
    /// impl Upload {
    ///     #[on_message]
    ///     async fn store(&self, mut body: BinaryReader, #[path] name: String) -> Result<u64> {
    ///         let mut file = tokio::fs::File::create(name).await?;
    ///         Ok(tokio::io::copy_buf(&mut body, &mut file).await?)
    ///     }
    /// }
    /// ```
    BinaryReader of Bytes by BinaryStream;
}

impl BinaryReader {
    /// What has arrived next, as it is; `None` at the end of the message.
    ///
    /// # Errors
    /// The session ended before the message did.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.0.chunk().await
    }
}

impl TextReader {
    /// What has arrived next, as it is; `None` at the end of the message.
    ///
    /// # Errors
    /// The session ended before the message did; or what was read as bytes before has cut a character in two.
    pub async fn chunk(&mut self) -> io::Result<Option<Text>> {
        let Some(part) = self.0.chunk().await? else { return Ok(None) };
        match Text::from_utf8(part) {
            Some(text) => Ok(Some(text)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "a character was read in part before")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt};
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn a_message_that_is_there_already_is_read() {
        let mut text = String::new();
        TextReader::of("one\ntwo").read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "one\ntwo");
        assert_eq!(BinaryReader::of(Bytes::new()).chunk().await.unwrap(), None);
    }

    #[tokio::test]
    async fn one_part_lies_between_the_two_ends() {
        let (feed, fed) = Feed::new();
        let mut reader = TextReader::fed(fed);
        assert!(feed.has_room());
        feed.put("a\nbü".as_bytes(), false);
        assert!(!feed.has_room());
        let mut line = String::new();
        assert_eq!(reader.read_line(&mut line).await.unwrap(), 2);
        // The part is the reader's now, so that the next one has room.
        assert!(feed.has_room());
        feed.put(b"!", true);
        assert_eq!(reader.chunk().await.unwrap().as_deref(), Some("bü"));
        assert_eq!(reader.chunk().await.unwrap().as_deref(), Some("!"));
        assert_eq!(reader.chunk().await.unwrap(), None);
        assert_eq!(reader.chunk().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let (feed, fed) = Feed::new();
        let mut reader = BinaryReader::fed(fed);
        let tasks = TaskTracker::new();
        let reading = tasks.spawn(async move { reader.chunk().await });
        tokio::task::yield_now().await;
        feed.put(b"x", false);
        assert_eq!(reading.await.unwrap().unwrap().as_deref(), Some(&b"x"[..]));
        assert!(feed.has_room(), "nobody reads any more");
    }

    #[tokio::test]
    async fn a_message_that_is_cut_off_is_an_error_behind_what_has_arrived() {
        let (feed, fed) = Feed::new();
        let mut reader = BinaryReader::fed(fed);
        feed.put(b"half", false);
        feed.cut(&CloseReason::away("bye"));
        assert_eq!(reader.chunk().await.unwrap().as_deref(), Some(&b"half"[..]));
        let error = reader.chunk().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("1001 bye"), "{error}");
    }
}

//! [`TextWriter`] and [`BinaryWriter`]: one message whose length nobody knows before its end, never held whole.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::outbox::{DataKind, NotNow, Owner, Part};
use super::{SendError, Session};
use crate::message::{CloseReason, ClosedBy};

/// So many bytes are gathered before they go out as a fragment.
const GATHERED: usize = 16 * 1024;

/// The most that one call takes.
const TAKEN: usize = 64 * 1024;

impl Session {
    /// A text message that is written piece by piece (Jakarta BAS-06): its bytes must be UTF-8, of which a write may bring any part.
    ///
    /// See [`BinaryWriter`] for how it behaves; what is not UTF-8 is [`InvalidData`](io::ErrorKind::InvalidData), at the write that
    /// shows it.
    ///
    /// ```
    /// # use endpoint_runtime::prelude::*;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # async fn f(session: Session) -> Result<()> {
    /// let mut writer = session.text_writer();
    /// for number in 0..1_000_000 {
    ///     writer.write_all(format!("{number}\n").as_bytes()).await?;
    /// }
    /// writer.finish().await?;
    /// # Ok(()) }
    /// ```
    pub fn text_writer(&self) -> TextWriter {
        TextWriter(Writer::new(self.clone(), DataKind::Text))
    }

    /// A binary message that is written piece by piece (Jakarta BAS-05).
    ///
    /// ```
    /// # use endpoint_runtime::prelude::*;
    /// # async fn f(session: Session, mut file: tokio::io::Empty) -> Result<()> {
    /// let mut writer = session.binary_writer();
    /// tokio::io::copy(&mut file, &mut writer).await?;
    /// writer.finish().await?;
    /// # Ok(()) }
    /// ```
    pub fn binary_writer(&self) -> BinaryWriter {
        BinaryWriter(Writer::new(self.clone(), DataKind::Binary))
    }
}

macro_rules! writers {
    ($($(#[$doc:meta])* $name:ident: $example:literal),*) => {$(
        $(#[$doc])*
        #[must_use = "a message that is not finished is not sent"]
        pub struct $name(Writer);

        impl $name {
            /// Asks for the message to be compressed (RFC 7692), which one in fragments is not by itself. To be said before the first
            /// write; without effect if the peers have not agreed on compression.
            ///
            /// ```
            /// # use endpoint_runtime::prelude::*;
            /// # async fn f(session: &Session) {
            #[doc = $example]
            /// # let _ = writer;
            /// # }
            /// ```
            pub fn compressed(mut self) -> Self {
                self.0.compressed |= !self.0.written;
                self
            }

            /// Ends the message; the same as [`AsyncWriteExt::shutdown`](tokio::io::AsyncWriteExt::shutdown).
            ///
            /// Without any write before it no message is sent. A write of nothing is a write: then the message is empty.
            ///
            /// # Errors
            /// As for writing. A text that ends inside a character is `InvalidData`.
            pub async fn finish(mut self) -> io::Result<()> {
                poll_fn(|cx| self.0.poll_finish(cx)).await
            }
        }

        impl AsyncWrite for $name {
            fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.0.poll_take(cx, buf)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_hand_over(cx)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_finish(cx)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0.session).finish()
            }
        }
    )*};
}

writers! {
    /// Writes one text message: see [`Session::text_writer`], and [`BinaryWriter`] for how it behaves.
    TextWriter: "let writer = session.text_writer().compressed();",

    /// Writes one binary message: see [`Session::binary_writer`].
    ///
    /// What is written is gathered, and goes out in fragments of some 16 KiB; `flush` sends what there is. A short message is one frame.
    /// However long the message, little of it is held: writing waits for room in the session's queue, at the peer's pace, and at most
    /// `send_timeout` for each fragment. While the message is open whole messages stand behind it: see [`Session::send_fragment`].
    ///
    /// # Errors
    /// Writing fails when the session closes ([`BrokenPipe`](io::ErrorKind::BrokenPipe)), when the peer takes nothing
    /// ([`TimedOut`](io::ErrorKind::TimedOut)), and when another message was open all the time
    /// ([`ResourceBusy`](io::ErrorKind::ResourceBusy)); inside is the [`SendError`]. After an error the message cannot be finished.
    ///
    /// # Dropping it
    /// A message of which nothing has gone out is not sent. One of which a part has cannot be taken back, nor be passed off as whole: the
    /// session closes with 1011.
    BinaryWriter: "let writer = session.binary_writer().compressed();"
}

type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

struct Writer {
    session: Session,
    owner: Owner,
    kind: DataKind,
    compressed: bool,
    gathered: Vec<u8>,
    /// How much of it is known to be whole characters; of binary data, all is.
    sound: usize,
    /// Something was written, were it nothing.
    written: bool,
    /// A part that waits for its turn, or for room.
    sending: Option<Sending>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Writing,
    /// The last part is queued, or on its way to be.
    Ending,
    Ended,
    /// Something was lost: the message cannot be finished.
    Failed(io::ErrorKind),
}

impl Writer {
    fn new(session: Session, kind: DataKind) -> Self {
        Writer {
            session,
            owner: Owner::writer(),
            kind,
            compressed: false,
            gathered: Vec::new(),
            sound: 0,
            written: false,
            sending: None,
            state: State::Writing,
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.may_write()?;
        if self.gathered.len() >= GATHERED || self.sending.is_some() {
            ready!(self.poll_hand_over(cx))?;
        }
        let taken = &bytes[..bytes.len().min(TAKEN)];
        self.gathered.extend_from_slice(taken);
        self.written = true;
        self.check()?;
        Poll::Ready(Ok(taken.len()))
    }

    /// Queues what is gathered.
    fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        if self.state == State::Writing && self.sound > 0 {
            self.send(false)?;
        }
        self.poll_sent(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        if self.state == State::Writing {
            if self.sound < self.gathered.len() {
                return Poll::Ready(Err(self.not_utf8()));
            }
            self.state = State::Ending;
            if self.written {
                self.send(true)?;
            }
        }
        ready!(self.poll_sent(cx))?;
        self.state = State::Ended;
        Poll::Ready(Ok(()))
    }

    /// Whether more may be written.
    fn may_write(&self) -> io::Result<()> {
        match self.state {
            State::Writing => Ok(()),
            State::Failed(kind) => Err(kind.into()),
            State::Ending | State::Ended => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the message is finished"))
            }
        }
    }

    /// Looks at what was gathered since the last look.
    fn check(&mut self) -> io::Result<()> {
        let new = &self.gathered[self.sound..];
        self.sound += match self.kind {
            DataKind::Binary => new.len(),
            DataKind::Text => match simdutf8::compat::from_utf8(new) {
                Ok(text) => text.len(),
                // The rest of a character may come with the next write.
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err(self.not_utf8()),
            },
        };
        Ok(())
    }

    fn not_utf8(&mut self) -> io::Error {
        self.state = State::Failed(io::ErrorKind::InvalidData);
        io::Error::new(io::ErrorKind::InvalidData, "a text message must be UTF-8")
    }

    /// Sends what is gathered, but for half a character, as a part of its own.
    fn send(&mut self, last: bool) -> io::Result<()> {
        let rest = self.gathered.split_off(self.sound);
        let payload = Bytes::from(std::mem::replace(&mut self.gathered, rest));
        self.sound = 0;
        let (owner, kind, compressed) = (self.owner, self.kind, self.compressed);
        let part = Part { owner, kind, payload, last, compressed };
        match self.session.try_part(part) {
            Ok(()) => Ok(()),
            Err((part, NotNow::Full | NotNow::Busy)) => {
                let session = self.session.clone();
                self.sending = Some(Box::pin(async move { session.send_part_in_time(part).await }));
                Ok(())
            }
            Err((_, NotNow::Closed(reason))) => Err(self.failed(SendError::Closed(reason))),
            Err((_, NotNow::OtherKind(open))) => {
                Err(self.failed(SendError::OtherKind { open: open.as_str() }))
            }
        }
    }

    /// Waits until the part that is on its way is queued.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Failed(kind) = self.state {
            return Poll::Ready(Err(kind.into()));
        }
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(cx));
            self.sending = None;
            sent.map_err(|error| self.failed(error))?;
        }
        Poll::Ready(Ok(()))
    }

    fn failed(&mut self, error: SendError) -> io::Error {
        let error = io::Error::from(error);
        self.state = State::Failed(error.kind());
        error
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.state == State::Ended || !self.session.outbox().is_open_by(self.owner) {
            return;
        }
        let reason = CloseReason::error("a message was left unfinished").by(ClosedBy::Container);
        if self.session.begin_close(&reason) {
            tracing::warn!(
                session = %self.session.id(),
                path = self.session.path(),
                "a writer was dropped in the middle of its message: closing with 1011"
            );
        }
    }
}

//! How sending ends: [`SendError`], [`TrySendError`], [`Receipt`]; and several messages at once: [`Batch`].

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::outbox::Frame;
use crate::message::{CloseReason, EncodeError, IntoMessage, Message};

/// A message was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The session is closing or closed, for this reason.
    Closed(CloseReason),
    /// The peer takes nothing: there was no room in the queue for `send_timeout`, or none at all for a message that could not wait.
    Full,
    /// The value could not be turned into a message.
    Encode(EncodeError),
    /// A ping or pong carries 125 bytes at most (RFC 6455 5.5).
    ControlTooLong {
        /// How many there were.
        bytes: usize,
    },
    /// A close code that must not be sent (RFC 6455 7.4).
    InvalidCloseCode(u16),
    /// Another message in fragments was open for all of `send_timeout`: see [`Session::send_fragment`](crate::Session::send_fragment).
    Busy {
        /// Which one, and whose, for people.
        holder: String,
    },
    /// A fragment of text in a message of bytes, or the reverse: the open message must end first.
    OtherKind {
        /// What is open: `"text"` or `"binary"`.
        open: &'static str,
    },
    /// Who sends has a message in fragments open, and would wait for the kernel to have this one, which goes behind it: for ever.
    Unfinished,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed(reason) => write!(f, "the session is closed: {reason}"),
            SendError::Full => f.write_str("the session's queue is full (send_buffer)"),
            SendError::Encode(error) => error.fmt(f),
            SendError::ControlTooLong { bytes } => {
                write!(f, "a ping or pong carries at most 125 bytes, and this has {bytes}")
            }
            SendError::InvalidCloseCode(code) => write!(f, "close code {code} must not be sent"),
            SendError::Busy { holder } => write!(f, "the session is busy with {holder}"),
            SendError::OtherKind { open } => {
                write!(f, "a {open} message is open, and this fragment is of the other kind")
            }
            SendError::Unfinished => f.write_str(
                "a message in fragments is open, and must end before one that goes behind it can be waited for",
            ),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SendError::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        SendError::Encode(error)
    }
}

/// For those who write to a [`BinaryWriter`](crate::BinaryWriter) as to any stream.
impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::Closed(_) => io::ErrorKind::BrokenPipe,
            SendError::Full => io::ErrorKind::TimedOut,
            SendError::Busy { .. } => io::ErrorKind::ResourceBusy,
            _ => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}

/// [`Session::try_send`](crate::Session::try_send) did not send, and gives back what it can.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrySendError {
    /// There is no room in the queue now. The message is given back.
    Full(Message),
    /// The session is closing or closed. The message is given back.
    Closed(Message, CloseReason),
    /// The value could not be turned into a message.
    Encode(EncodeError),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => f.write_str("the session's queue is full (send_buffer)"),
            TrySendError::Closed(_, reason) => write!(f, "the session is closed: {reason}"),
            TrySendError::Encode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError {}

/// How a posted message went: a future that is done when the kernel has the message, or when it is certain that it never will.
///
/// Dropping it changes nothing: the message is sent all the same. It is Java's `SendResult` and the `Future` of `AsyncRemote` in one
/// (ASY-01, ASY-02): `Ok` or the error when it is awaited; which session it was, whoever awaits knows.
///
/// ```
/// # fn f(session: &endpoint_runtime::Session) {
/// let receipt = session.post("text");
/// tokio::spawn(async move {
///     if let Err(error) = receipt.await {
///         eprintln!("not sent: {error}");
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
pub struct Receipt(State);

#[derive(Debug)]
enum State {
    Failed(Option<SendError>),
    Waiting(oneshot::Receiver<Result<(), SendError>>),
}

impl Receipt {
    pub(crate) fn failed(error: SendError) -> Self {
        Receipt(State::Failed(Some(error)))
    }

    pub(crate) fn waiting(receiver: oneshot::Receiver<Result<(), SendError>>) -> Self {
        Receipt(State::Waiting(receiver))
    }
}

impl Future for Receipt {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Failed(error) => Poll::Ready(Err(error.take().unwrap_or(SendError::Full))),
            State::Waiting(receiver) => {
                // The sender is dropped without a word only when the connection's task is: with the whole runtime.
                Pin::new(receiver).poll(cx).map(|result| {
                    result.unwrap_or_else(|_| {
                        Err(SendError::Closed(CloseReason::lost("the server has stopped")))
                    })
                })
            }
        }
    }
}

/// Several messages, queued together and so written together: see [`Session::batch`](crate::Session::batch).
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) frames: Vec<Frame>,
    pub(crate) error: Option<EncodeError>,
}

impl Batch {
    /// Adds a message. One that cannot be encoded makes the whole batch fail.
    pub fn send(&mut self, message: impl IntoMessage) -> &mut Self {
        match Frame::of(message) {
            Ok(frame) => self.frames.push(frame),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
        self
    }
}

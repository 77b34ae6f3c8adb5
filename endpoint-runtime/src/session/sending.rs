//! Sending through a [`Session`]: who waits for room in the queue, who does not, and what a full one means.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::outbox::{Broadcast, Caller, Frame, Outgoing, Refused, Shared};
use super::{Batch, CLOSING, OPEN, Receipt, SendError, Session, TrySendError, fan_out};
use crate::message::IntoMessage;
use crate::settings::Overflow;

/// The largest payload of a ping or pong, bytes (RFC 6455 5.5).
const MAX_CONTROL: usize = 125;

impl Session {
    /// Sends a message: it is queued, in order. Waits for room in the queue (`send_buffer`), at most `send_timeout`.
    ///
    /// # Errors
    /// The session is closing or closed; the value cannot be encoded; the peer took nothing for `send_timeout`, in which case
    /// `overflow = disconnect` has closed the session. Under `drop_newest` and `drop_oldest` nobody waits and a dropped message
    /// is no error, only [counted](Self::dropped).
    pub async fn send(&self, message: impl IntoMessage) -> Result<(), SendError> {
        let frame = Frame::of(message)?;
        self.queue(Outgoing { frame, done: None }).await
    }

    /// Sends what was made of a message already, as [`send`](Self::send) does.
    #[cfg(feature = "client")]
    pub(crate) async fn send_frame(&self, frame: Frame) -> Result<(), SendError> {
        self.queue(Outgoing { frame, done: None }).await
    }

    /// Sends a message if there is room in the queue now.
    ///
    /// # Errors
    /// There is none, or the session is closing or closed: the message is given back.
    pub fn try_send(&self, message: impl IntoMessage) -> Result<(), TrySendError> {
        let frame = Frame::of(message).map_err(TrySendError::Encode)?;
        self.0.outbox.try_push(Outgoing { frame, done: None }, self.limits().send_buffer).map_err(
            |(back, refused)| {
                let message = back.frame.into_message();
                match refused {
                    Refused::Full => TrySendError::Full(message),
                    Refused::Closed(reason) => TrySendError::Closed(message, reason),
                }
            },
        )
    }

    /// Sends a message and waits until the kernel has it (Java's `BasicRemote`). That says nothing of the peer.
    ///
    /// # Errors
    /// As [`send`](Self::send); or the connection ended first; or the same task has a message in fragments open, and would wait for itself.
    pub async fn send_and_flush(&self, message: impl IntoMessage) -> Result<(), SendError> {
        let (done, receiver) = oneshot::channel();
        let frame = Frame::of(message)?;
        if self.0.outbox.is_written_by(Caller::here()) {
            return Err(SendError::Unfinished);
        }
        self.queue(Outgoing { frame, done: Some(done) }).await?;
        Receipt::waiting(receiver).await
    }

    /// Sends a message and returns at once; the receipt tells how it went (Java's `AsyncRemote`). A full queue is the business
    /// of the endpoint's `overflow`.
    pub fn post(&self, message: impl IntoMessage) -> Receipt {
        let (done, receiver) = oneshot::channel();
        match Frame::of(message) {
            Ok(frame) => {
                // An error reaches the receipt by way of `done`.
                let _ = self.push(Outgoing { frame, done: Some(done) });
                Receipt::waiting(receiver)
            }
            Err(error) => Receipt::failed(error.into()),
        }
    }

    /// Waits until the kernel has all that was queued so far (Jakarta REM-03): messages of everybody, also those that stand behind a message
    /// in fragments, unless that is the same task's. That says nothing of the peer.
    ///
    /// # Errors
    /// The session is closing or closed, or ended first.
    pub async fn flush(&self) -> Result<(), SendError> {
        let (done, receiver) = oneshot::channel();
        self.0.outbox.push_mark(done, Caller::here()).map_err(SendError::Closed)?;
        Receipt::waiting(receiver).await
    }

    /// Sends several messages together: nothing comes between them, and they are written at once.
    ///
    /// ```
    /// # async fn f(session: &endpoint_runtime::Session) -> endpoint_runtime::Result<()> {
    /// session.batch(|batch| {
    ///     batch.send("one").send("two");
    /// }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); then none of them is sent.
    pub async fn batch(&self, fill: impl FnOnce(&mut Batch)) -> Result<(), SendError> {
        let mut batch = Batch::default();
        fill(&mut batch);
        if let Some(error) = batch.error {
            return Err(error.into());
        }
        let outgoing = batch.frames.into_iter().map(|frame| Outgoing { frame, done: None }).collect();
        self.queue_all(outgoing).await
    }

    /// Sends a ping with up to 125 bytes; the answer goes to the `#[on_message]` method that takes a [`Pong`](crate::Pong).
    ///
    /// # Errors
    /// As [`send`](Self::send); or there are more than 125 bytes.
    pub async fn ping(&self, payload: impl AsRef<[u8]>) -> Result<(), SendError> {
        let frame = Frame::Ping(control(payload.as_ref())?);
        self.queue(Outgoing { frame, done: None }).await
    }

    /// Sends a pong that nobody asked for, as a heartbeat (RFC 6455 5.5.3). Pings are answered without this.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub async fn pong(&self, payload: impl AsRef<[u8]>) -> Result<(), SendError> {
        let frame = Frame::Pong(control(payload.as_ref())?);
        self.queue(Outgoing { frame, done: None }).await
    }

    /// Messages that were dropped because the peer was too slow.
    pub fn dropped(&self) -> u64 {
        self.0.outbox.dropped()
    }

    /// Bytes that wait to be written, besides what is being written.
    pub fn queued_bytes(&self) -> usize {
        self.0.outbox.queued_bytes()
    }

    /// Queues one message, or waits until there is room for it.
    async fn queue(&self, outgoing: Outgoing) -> Result<(), SendError> {
        if self.drops() {
            return self.queue_or_drop(outgoing);
        }
        self.queue_or_wait(outgoing).await
    }

    /// Sends a message when there is room for it, whatever `overflow` says: so a stream of replies, which may be endless, is asked
    /// for its next item only then.
    pub(crate) async fn send_at_the_peers_pace(&self, frame: Frame) -> Result<(), SendError> {
        self.queue_or_wait(Outgoing { frame, done: None }).await
    }

    async fn queue_or_wait(&self, outgoing: Outgoing) -> Result<(), SendError> {
        match self.0.outbox.try_push(outgoing, self.limits().send_buffer) {
            Ok(()) => Ok(()),
            Err((_, Refused::Closed(reason))) => Err(SendError::Closed(reason)),
            // Rarely needed, and large: boxed, it does not weigh on every future that sends.
            Err((outgoing, Refused::Full)) => Box::pin(self.queue_when_there_is_room(vec![outgoing])).await,
        }
    }

    /// Queues all or none, or waits until there is room for them.
    async fn queue_all(&self, outgoing: Vec<Outgoing>) -> Result<(), SendError> {
        if self.drops() {
            let limits = self.limits();
            return self.0.outbox.push_all_or_drop(outgoing, limits.send_buffer, limits.overflow);
        }
        Box::pin(self.queue_when_there_is_room(outgoing)).await
    }

    /// Whether a full queue drops messages, so that nobody waits.
    fn drops(&self) -> bool {
        matches!(self.limits().overflow, Overflow::DropNewest | Overflow::DropOldest)
    }

    fn queue_or_drop(&self, outgoing: Outgoing) -> Result<(), SendError> {
        match self.push(outgoing) {
            Err(SendError::Full) => Ok(()),
            result => result,
        }
    }

    async fn queue_when_there_is_room(&self, mut outgoing: Vec<Outgoing>) -> Result<(), SendError> {
        let limits = self.limits();
        let room = poll_fn(|cx| self.0.outbox.poll_push_all(cx, &mut outgoing, limits.send_buffer));
        match within(self.send_timeout(), room).await {
            Some(result) => result.map_err(SendError::Closed),
            None => {
                if limits.overflow == Overflow::Disconnect {
                    self.too_slow();
                }
                Err(SendError::Full)
            }
        }
    }

    /// Queues without waiting, under the endpoint's `overflow`.
    pub(crate) fn push(&self, outgoing: Outgoing) -> Result<(), SendError> {
        let limits = self.limits();
        let result = self.0.outbox.push(outgoing, limits.send_buffer, limits.overflow);
        self.note_if_too_slow(&result);
        result
    }

    /// [`push`](Self::push) of what goes to others too.
    pub(super) fn push_broadcast(&self, broadcast: &mut Broadcast) -> Result<(), SendError> {
        let limits = self.limits();
        let result = self
            .0
            .outbox
            .push_broadcast(broadcast, limits.send_buffer, limits.overflow, || fan_out::note(self));
        self.note_if_too_slow(&result);
        result
    }

    /// Queues a message that has come from elsewhere, under the endpoint's `overflow`; says whether it is in the queue.
    pub(crate) fn take_in(&self, message: Shared) -> bool {
        self.push(Outgoing { frame: Frame::Shared(Arc::new(message)), done: None }).is_ok()
    }

    /// Queues a message that its client has missed, whether or not there is room: how much that is at most, others see to, and a client that has to
    /// go because of what it has missed would come back for it again and again.
    pub(crate) fn give_back(&self, message: Arc<Shared>) {
        let outgoing = Outgoing { frame: Frame::Shared(message), done: None };
        // A session that has ended will ask again.
        let _ = self.0.outbox.push(outgoing, usize::MAX, self.limits().overflow);
    }

    fn note_if_too_slow(&self, result: &Result<(), SendError>) {
        if matches!(result, Err(SendError::Full)) && self.limits().overflow == Overflow::Disconnect {
            self.note_too_slow();
        }
    }

    /// The peer takes nothing: the session closes with 1013.
    pub(crate) fn too_slow(&self) {
        self.0.outbox.overflowed();
        self.note_too_slow();
    }

    fn note_too_slow(&self) {
        if self.0.phase.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.0.home.counts.too_slow.fetch_add(1, Ordering::Relaxed);
            self.sessions().tally().too_slow.add(1);
            tracing::info!(session = %self.id(), path = self.path(), "peer is too slow, closing with 1013");
        }
    }
}

/// What a future comes to in so much time; without a limit, in any.
pub(super) async fn within<F: Future>(time: Option<Duration>, future: F) -> Option<F::Output> {
    match time {
        Some(time) => tokio::time::timeout(time, future).await.ok(),
        None => Some(future.await),
    }
}

fn control(payload: &[u8]) -> Result<Bytes, SendError> {
    if payload.len() > MAX_CONTROL {
        return Err(SendError::ControlTooLong { bytes: payload.len() });
    }
    Ok(Bytes::copy_from_slice(payload))
}

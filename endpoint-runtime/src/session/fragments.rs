//! Sending one message in parts: [`Session::send_fragment`], and what stands behind it and the writers.

use std::future::poll_fn;

use super::outbox::{DataKind, NotNow, Owner, Part};
use super::sending::within;
use super::{SendError, Session};
use crate::message::{Fragment, FragmentData, Message};
use crate::settings::Overflow;

impl Session {
    /// Sends a part of a message (RFC 6455 5.4; Jakarta BAS-03, BAS-04): in order, as a frame of its own. Waits for room in the queue
    /// (`send_buffer`), at most `send_timeout`, under every `overflow`: never is half a message dropped.
    ///
    /// Until the last part is sent the message belongs to the task that calls this, or to the thread if no task runs: another task that
    /// sends fragments waits for its turn. Whole messages, whoever sends them, stand behind this one until it has ended; pings and pongs
    /// may go between. Two futures of one task are one sender, and take care of each other themselves. So a message that is begun is to be ended soon: [`text_writer`](Self::text_writer) and
    /// [`binary_writer`](Self::binary_writer) see to it themselves.
    ///
    /// ```
    /// # use endpoint_runtime::prelude::*;
    /// # async fn f(session: &Session) -> Result<()> {
    /// session.send_fragment(Fragment::new("a message ", false)).await?;
    /// session.send_fragment(Fragment::new("in two parts", true)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The session is closing or closed; the peer took nothing for `send_timeout`, in which case `overflow = disconnect` has closed the
    /// session; another's message was open as long ([`SendError::Busy`]); this task's own is open and of the other kind. What was not
    /// sent may be sent again.
    pub async fn send_fragment<T: FragmentData>(&self, fragment: Fragment<T>) -> Result<(), SendError> {
        let (kind, payload) = match fragment.data.into_message()? {
            Message::Text(text) => (DataKind::Text, text.into_bytes()),
            Message::Binary(bytes) => (DataKind::Binary, bytes),
        };
        let (owner, last) = (Owner::here(), fragment.last);
        self.send_part(Part { owner, kind, payload, last, compressed: false }).await
    }

    async fn send_part(&self, part: Part) -> Result<(), SendError> {
        match self.try_part(part) {
            Ok(()) => Ok(()),
            Err((part, NotNow::Full | NotNow::Busy)) => Box::pin(self.send_part_in_time(part)).await,
            Err((_, NotNow::Closed(reason))) => Err(SendError::Closed(reason)),
            Err((_, NotNow::OtherKind(open))) => Err(SendError::OtherKind { open: open.as_str() }),
        }
    }

    /// Queues a part if that is possible now.
    pub(super) fn try_part(&self, part: Part) -> Result<(), (Part, NotNow)> {
        self.0.outbox.try_push_part(part, self.limits().send_buffer, &mut None)
    }

    /// Queues a part when it is its owner's turn, and there is room.
    pub(super) async fn send_part_in_time(&self, part: Part) -> Result<(), SendError> {
        let (outbox, room) = (self.outbox(), self.limits().send_buffer);
        let waits_for_turn = !part.last && !outbox.is_open_by(part.owner);
        let mut turn = None;
        let mut part = Some(part);
        let queued = within(self.send_timeout(), async {
            if waits_for_turn {
                turn = Some(outbox.turn().await.map_err(NotNow::Closed)?);
            }
            poll_fn(|cx| outbox.poll_push_part(cx, &mut part, room, &mut turn)).await
        });
        match queued.await {
            Some(Ok(())) => Ok(()),
            Some(Err(NotNow::Closed(reason))) => Err(SendError::Closed(reason)),
            Some(Err(NotNow::OtherKind(open))) => Err(SendError::OtherKind { open: open.as_str() }),
            None if waits_for_turn && turn.is_none() => Err(SendError::Busy { holder: outbox.holder() }),
            Some(Err(NotNow::Full | NotNow::Busy)) | None => {
                if self.limits().overflow == Overflow::Disconnect {
                    self.too_slow();
                }
                Err(SendError::Full)
            }
        }
    }
}

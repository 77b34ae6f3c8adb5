//! Sending values of any type: by the endpoint's encoders, or in the form that the runtime has for them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::outbox::Outgoing;
use super::{Receipt, SendError, Session};
use crate::endpoint::{Coders, Encoders};
use crate::error::{Panicked, Result};
use crate::message::{CloseReason, EncodeError, Message, Object};

impl Session {
    /// Sends a value by the endpoint's first encoder for its type (Jakarta's `sendObject`, BAS-07); without one, in the form that the
    /// runtime has for it: numbers, `bool`, `char` and texts as text messages, bytes as binary ones. [`send`](Self::send) never asks
    /// the encoders.
    ///
    /// # Errors
    /// As [`send`](Self::send); the encoder fails, or there is none for this type ([`SendError::Encode`]).
    pub async fn send_object<T: Send + Sync + 'static>(&self, value: T) -> Result<(), SendError> {
        self.send_encoded(Object::new(value)).await
    }

    /// Sends a value as [`send_object`](Self::send_object) does, and returns at once: the receipt tells how it went, and what the encoder
    /// failed with (Jakarta ASY-05). Values whose encoder is done at once go in the order in which they are posted.
    pub fn post_object<T: Send + Sync + 'static>(&self, value: T) -> Receipt {
        let (done, receiver) = oneshot::channel();
        let session = self.clone();
        let mut posting = Box::pin(async move {
            let encoded = AssertUnwindSafe(session.encode(Object::new(value))).catch_unwind().await;
            let encoded = encoded
                .unwrap_or_else(|payload| Err(EncodeError::new(Panicked::from_payload(&*payload)).into()));
            // Nobody need wait for it.
            let _ = match encoded {
                // An error reaches the receipt by way of `done`.
                Ok(Some(message)) => {
                    session.push(Outgoing { frame: message.into(), done: Some(done) }).is_ok()
                }
                Ok(None) => done.send(Ok(())).is_ok(),
                Err(error) => done.send(Err(error)).is_ok(),
            };
        });
        if posting.as_mut().now_or_never().is_none() {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(posting)),
                Err(outside) => return Receipt::failed(EncodeError::new(outside).into()),
            }
        }
        Receipt::waiting(receiver)
    }

    /// Sends what [`encode`](Self::encode) makes of it.
    pub(crate) async fn send_encoded(&self, object: Object) -> Result<(), SendError> {
        match self.encode(object).await? {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    /// The message of a value; `None`: its encoder has sent it already.
    async fn encode(&self, object: Object) -> Result<Option<Message>, SendError> {
        if let Some(encoders) = self.0.encoders.get()
            && let Some(encoded) = encoders.encode(&object, self).await
        {
            return encoded;
        }
        let type_name = object.type_name();
        match object.into_built_in() {
            Some(message) => Ok(Some(message?)),
            None => Err(self.no_encoder(type_name).into()),
        }
    }

    fn no_encoder(&self, type_name: &str) -> EncodeError {
        let encoders = self.home().reception.coders().encoders();
        if encoders.is_empty() {
            return EncodeError::new(format!("no encoder for `{type_name}`: the endpoint lists no encoders"));
        }
        let list: Vec<_> = encoders
            .iter()
            .map(|encoder| format!("`{}` is for `{}`", encoder.name, encoder.takes.name()))
            .collect();
        EncodeError::new(format!("no encoder for `{type_name}`: {}", list.join(", ")))
    }

    /// The error of who sends when the session has ended.
    pub(crate) fn closed_error(&self) -> SendError {
        let reason = self.outbox().closed();
        SendError::Closed(reason.unwrap_or_else(|| CloseReason::lost("the connection was lost")))
    }

    // ---- for the connection that runs it

    /// Makes the encoders, before anybody can send.
    pub(crate) fn start_encoders(&self, coders: &Coders) -> Result<()> {
        let mut encoders = Encoders::new(coders);
        let result = catch_unwind(AssertUnwindSafe(|| encoders.init(self)));
        // Those that are in service are taken out of it at the end, even if another one has failed.
        let _ = self.0.encoders.set(Box::new(encoders));
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Takes one encoder out of service. `None` when none is left.
    pub(crate) fn destroy_encoder(&self) -> Option<()> {
        self.0.encoders.get()?.destroy_one()
    }
}

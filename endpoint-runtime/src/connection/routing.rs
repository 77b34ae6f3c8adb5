//! Messages that do not go straight to the endpoint: through its decoders, or to a message handler of the session.

use std::pin::pin;

use super::{Connection, Outcome, attempt, call, drive, unexpected};
use crate::endpoint::{Context, Decoders, Dispatch, Reply, Slot, Undecoded};
use crate::error::{Error, Result};
use crate::message::{CloseReason, ClosedBy, Incoming, Value};
use crate::session::{Call, Route, Session};

/// What becomes of a message that does not go straight to the endpoint.
pub(super) enum Elsewhere {
    /// A handler has been called.
    Called(Outcome<Call>),
    /// It is to be decoded.
    Undecoded(Undecoded),
    /// Nobody takes it.
    Nobody,
}

/// The message, if it goes straight to the endpoint after all. What a handler takes of it is made here, while it lies in the
/// reader's buffer.
#[inline(never)]
pub(super) fn route<'m>(session: &Session, message: Incoming<'m>) -> Result<Incoming<'m>, Elsewhere> {
    match session.route(message) {
        Route::Endpoint(message) => Ok(message),
        Route::Handler(handler, message) => {
            Err(Elsewhere::Called(attempt(session, || handler.call(session, message))))
        }
        Route::Decoders(message) => Err(Elsewhere::Undecoded(message)),
        Route::Nobody => Err(Elsewhere::Nobody),
    }
}

impl Connection {
    /// Makes the coders and brings them into service, before anybody can send or receive.
    pub(super) fn start_coders(&mut self) -> Result<()> {
        let session = &self.session;
        let coders = session.home().reception.coders();
        if coders.is_empty() {
            return Ok(());
        }
        let mut decoders = None;
        let started = attempt(session, || {
            decoders.insert(Box::new(Decoders::new(coders))).init(session)?;
            if coders.encoders().is_empty() { Ok(()) } else { session.start_encoders(coders) }
        });
        self.decoders = decoders;
        let started = match started {
            Outcome::Returned(result) => result,
            Outcome::Panicked(panicked) => Err(Error::Panicked(panicked)),
            Outcome::Cancelled => Ok(()),
        };
        if let Err(error) = &started {
            let (id, path) = (session.id(), session.path());
            tracing::error!(session = %id, path, %error, "a coder could not be brought into service");
            session.begin_close(&unexpected());
        }
        started
    }

    /// Takes the coders out of service; what panics costs nobody anything.
    pub(super) fn stop_coders(&mut self) {
        let session = &self.session;
        if let Some(mut decoders) = self.decoders.take() {
            while !matches!(attempt(session, || decoders.destroy_one()), Outcome::Returned(None)) {}
        }
        while !matches!(attempt(session, || session.destroy_encoder()), Outcome::Returned(None)) {}
    }

    /// Goes on with a message that does not go straight to the endpoint.
    pub(super) async fn go_elsewhere<D: Dispatch>(
        &mut self,
        instance: &mut D,
        elsewhere: Elsewhere,
    ) -> Outcome<Reply> {
        match elsewhere {
            Elsewhere::Called(called) => self.handled(called).await,
            Elsewhere::Undecoded(message) => self.decoded(instance, message).await,
            Elsewhere::Nobody => Outcome::Returned(Reply::Unhandled),
        }
    }

    /// Drives a handler that has been called.
    async fn handled(&mut self, called: Outcome<Call>) -> Outcome<Reply> {
        let (link, session) = (&mut self.link, &self.session);
        let grace = Some(session.limits().handler_grace);
        match called {
            Outcome::Returned(future) => drive(link, session, grace, pin!(future)).await,
            Outcome::Panicked(panicked) => Outcome::Panicked(panicked),
            Outcome::Cancelled => Outcome::Cancelled,
        }
    }

    /// Decodes a message, and gives the value to who takes it. A failure is for `on_error` (Jakarta CD-09).
    async fn decoded<D: Dispatch>(&mut self, instance: &mut D, message: Undecoded) -> Outcome<Reply> {
        let (link, session) = (&mut self.link, &self.session);
        let Some(decoders) = &mut self.decoders else { return Outcome::Returned(Reply::Unhandled) };
        let grace = Some(session.limits().handler_grace);
        let native = message.native();
        let decode = || decoders.decode(message, |made| session.limit_of(native, made));
        match call(link, session, grace, decode).await {
            Outcome::Returned(Ok(value)) => self.take_value(instance, value).await,
            Outcome::Returned(Err(error)) => {
                if let Error::Protocol(violation) = &error {
                    let reason = CloseReason::new(violation.code, violation.reason.as_str());
                    session.begin_close(&reason.by(ClosedBy::Container));
                }
                Outcome::Returned(Reply::Failed(error))
            }
            Outcome::Panicked(panicked) => Outcome::Panicked(panicked),
            Outcome::Cancelled => Outcome::Cancelled,
        }
    }

    async fn take_value<D: Dispatch>(&mut self, instance: &mut D, value: Value) -> Outcome<Reply> {
        let (link, session) = (&mut self.link, &self.session);
        let value = match session.route(Incoming::Decoded(value)) {
            Route::Handler(handler, value) => {
                let called = attempt(session, || handler.call(session, value));
                return self.handled(called).await;
            }
            Route::Endpoint(value) => value,
            Route::Decoders(_) | Route::Nobody => return Outcome::Returned(Reply::Unhandled),
        };
        let grace = Some(session.limits().handler_grace);
        let context = Context::new(session);
        let mut message = Slot::new(value);
        match attempt(session, || instance.message_at_once(context, &mut message)) {
            Outcome::Returned(None) => {}
            Outcome::Returned(Some(reply)) => return Outcome::Returned(reply),
            Outcome::Panicked(panicked) => return Outcome::Panicked(panicked),
            Outcome::Cancelled => return Outcome::Cancelled,
        }
        match attempt(session, || instance.message(context, message)) {
            Outcome::Returned(future) => drive(link, session, grace, pin!(future)).await,
            Outcome::Panicked(panicked) => Outcome::Panicked(panicked),
            Outcome::Cancelled => Outcome::Cancelled,
        }
    }
}

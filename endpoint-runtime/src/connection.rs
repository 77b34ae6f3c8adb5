//! One connection's life, from the upgrade to the end: the state machine that runs the user's methods.
//!
//! A connection is one task. It waits for a message, calls the method, and drives the method's future and the connection's I/O together: pings are
//! answered and sends go out while a handler is busy, but the next message is not looked at before it is done. A method that panics or
//! fails costs its own session only; `on_close` is called exactly once, last of all, with the truth.

#[cfg(feature = "json")]
mod greeting;
mod input;
mod link;
mod output;
mod routing;
mod timers;
mod transport;

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio_util::task::TaskTracker;

use self::link::{Answer, Link};
use self::routing::{Elsewhere, route};
pub(crate) use self::timers::Timers;
pub(crate) use self::transport::Transport;
#[cfg(feature = "http2")]
pub(crate) use self::transport::{Http2Stream, Rewound};
use crate::context::ApplicationEvent;
use crate::endpoint::{Context, Decoders, Dispatch, Reply, Slot};
use crate::error::{Error, Panicked, ProtocolError, Result};
use crate::ledger::Places;
use crate::message::{CloseReason, ClosedBy, Incoming, Message};
use crate::session::outbox::Frame;
use crate::session::{SendError, Session, fan_out};
use crate::wire::Role;

/// The replies of one call.
type Items = Pin<Box<dyn Stream<Item = Reply> + Send>>;

/// An upgraded connection, ready to be run.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) session: Session,
    pub(crate) transport: Transport,
    /// What came in behind the request.
    pub(crate) read_ahead: bytes::Bytes,
    pub(crate) timers: Timers,
    /// Which end of the connection we are.
    pub(crate) role: Role,
    /// What the session has taken of what is limited.
    pub(crate) places: Option<Box<Places>>,
}

/// How a piece of the user's code ended.
enum Outcome<T> {
    Returned(T),
    Panicked(Panicked),
    /// The session had ended, and the handler's grace was over.
    Cancelled,
}

/// What came in, and what became of it.
enum Received {
    /// No more can come.
    Nothing,
    /// How the handler ended, and whether it was one of a ping or pong. For as long as it runs it counts as cancelled.
    Handled(Outcome<Reply>, bool),
    /// It does not go to a method of the endpoint, or not yet.
    Elsewhere(Box<(Elsewhere, bool)>),
    /// It was replied to, but the reply cannot be sent.
    Undelivered,
}

/// Runs one connection: makes its instance, and calls it until the session has ended. Then the instance is given back, for a client
/// that connects again.
///
/// The future lives as long as the connection, so it is kept small: what can be made before it is, and what is rarely needed is
/// boxed when it is.
#[cfg(feature = "client")]
pub(crate) fn run<D: Dispatch>(
    make: impl FnOnce(&Session) -> Result<D> + Send,
    upgraded: Upgraded,
) -> impl Future<Output = Option<D>> + Send {
    run_counted(make, upgraded, (), |instance| instance)
}

/// Runs one connection, with something that is held until nothing is left of the connection but what `end` makes of the instance.
///
/// One future and none around it: a wrapper would cost something at each message, and each connection some memory.
fn run_counted<D: Dispatch, R>(
    make: impl FnOnce(&Session) -> Result<D> + Send,
    upgraded: Upgraded,
    counted: impl Send,
    end: impl FnOnce(D) -> R + Send,
) -> impl Future<Output = Option<R>> + Send {
    let Upgraded { session, transport, read_ahead, timers, role, places } = upgraded;
    let link = Link::new(session.clone(), transport, &read_ahead, timers, role);
    let mut connection = Connection { link, session, decoders: None, places };
    // Not when it is first polled: who connects gets the session at once, to be found and to send any value.
    let coders = connection.start_coders().map_err(Box::new);
    // No turn ends here, and the first may be another thread's.
    fan_out::send();
    connection.session.enter_registry();
    connection.observe_opening();
    async move {
        let Some(mut instance) = connection.create(make) else {
            connection.wait_for_the_end().await;
            connection.close(None::<&mut D>).await;
            return None;
        };
        #[cfg(feature = "json")]
        if connection.session.speaks() && !Box::pin(connection.greet()).await {
            connection.wait_for_the_end().await;
            connection.close(None::<&mut D>).await;
            return None;
        }
        match coders {
            Ok(()) => connection.open(&mut instance).await,
            Err(error) => Box::pin(connection.fail(&mut instance, *error)).await,
        }
        #[cfg(feature = "json")]
        connection.say_what_is_not_recovered();
        connection.messages(&mut instance).await;
        connection.close(Some(&mut instance)).await;
        let end = end(instance);
        drop(counted);
        Some(end)
    }
}

/// Runs one connection as a task of its own, which counts among `tasks` until nothing is left of it.
pub(crate) fn spawn<D: Dispatch>(
    make: impl FnOnce(&Session) -> Result<D> + Send + 'static,
    upgraded: Upgraded,
    tasks: &TaskTracker,
) {
    tokio::spawn(run_counted(make, upgraded, tasks.token(), drop));
}

/// 1011: something unexpected happened on our side. The peer learns no more than that.
fn unexpected() -> CloseReason {
    CloseReason::error("unexpected condition").by(ClosedBy::Container)
}

/// Runs a piece of the user's code that is not a future.
fn attempt<T>(session: &Session, act: impl FnOnce() -> T) -> Outcome<T> {
    match catch_unwind(AssertUnwindSafe(|| session.enter(|| fan_out::collect(act)))) {
        Ok(value) => Outcome::Returned(value),
        Err(payload) => Outcome::Panicked(panicked(session, &*payload)),
    }
}

fn panicked(session: &Session, payload: &(dyn Any + Send)) -> Panicked {
    session.home().counts.panics.fetch_add(1, Ordering::Relaxed);
    let panicked = Panicked::from_payload(payload);
    tracing::error!(session = %session.id(), path = session.path(), endpoint = session.home().type_name, "{panicked}");
    panicked
}

/// What went wrong when a value that a method returned was sent. That it could not be encoded is no matter of sending.
fn sending(error: SendError) -> Error {
    match error {
        SendError::Encode(error) => Error::Encode(error),
        error => Error::Send(error),
    }
}

/// Calls a method. When the session ends meanwhile it has so much time left; `None`: as much as it takes.
async fn call<F: Future>(
    link: &mut Link,
    session: &Session,
    grace: Option<Duration>,
    make: impl FnOnce() -> F,
) -> Outcome<F::Output> {
    let future = match attempt(session, make) {
        Outcome::Returned(future) => future,
        Outcome::Panicked(panicked) => return Outcome::Panicked(panicked),
        Outcome::Cancelled => return Outcome::Cancelled,
    };
    drive(link, session, grace, pin!(future)).await
}

/// Drives the user's future, and the connection beside it.
fn drive<F: Future>(
    link: &mut Link,
    session: &Session,
    grace: Option<Duration>,
    mut future: Pin<&mut F>,
) -> impl Future<Output = Outcome<F::Output>> {
    link.handler_begins(grace);
    poll_fn(move |cx| match attempt(session, || future.as_mut().poll(cx)) {
        Outcome::Returned(Poll::Ready(value)) => Poll::Ready(Outcome::Returned(value)),
        Outcome::Panicked(panicked) => Poll::Ready(Outcome::Panicked(panicked)),
        Outcome::Returned(Poll::Pending) | Outcome::Cancelled => {
            link.poll_beside(cx).map(|()| Outcome::Cancelled)
        }
    })
}

struct Connection {
    link: Link,
    session: Session,
    /// The endpoint's decoders, if it has any.
    decoders: Option<Box<Decoders>>,
    /// What others may have when the session has ended.
    places: Option<Box<Places>>,
}

impl Connection {
    /// Makes the instance; without one the session closes.
    fn create<D>(&self, make: impl FnOnce(&Session) -> Result<D>) -> Option<D> {
        match attempt(&self.session, || make(&self.session)) {
            Outcome::Returned(Ok(instance)) => return Some(instance),
            Outcome::Returned(Err(error)) => {
                tracing::error!(path = self.session.path(), %error, "the endpoint could not be created");
            }
            Outcome::Panicked(_) | Outcome::Cancelled => {}
        }
        self.session.begin_close(&unexpected());
        None
    }

    async fn open<D: Dispatch>(&mut self, instance: &mut D) {
        let (link, session) = (&mut self.link, &self.session);
        let context = Context::new(session);
        let grace = Some(session.limits().handler_grace);
        let outcome = call(link, session, grace, || instance.open(context)).await;
        let mut settled = self.settle(outcome).await;
        if settled.is_ok() && self.session.is_open() {
            let (link, session) = (&mut self.link, &self.session);
            let outcome = call(link, session, grace, || instance.opened(Context::new(session))).await;
            settled = self.settle(outcome).await;
        }
        if let Err(error) = settled {
            Box::pin(self.fail(instance, error)).await;
            self.session.begin_close(&unexpected());
        }
    }

    /// Until no more can come.
    async fn messages<D: Dispatch>(&mut self, instance: &mut D) {
        loop {
            let outcome = match self.message(instance).await {
                Received::Nothing => return,
                Received::Handled(outcome, pong) => self.settle_at_once(outcome, pong),
                Received::Elsewhere(elsewhere) => {
                    let (elsewhere, pong) = *elsewhere;
                    let outcome = Box::pin(self.go_elsewhere(instance, elsewhere)).await;
                    self.settle_at_once(outcome, pong)
                }
                Received::Undelivered => {
                    self.undelivered().map_err(|error| Outcome::Returned(Reply::Failed(error)))
                }
            };
            if let Err(outcome) = outcome {
                Box::pin(self.settle_or_fail(instance, outcome)).await;
            }
        }
    }

    /// The next message of which there is more to do than to reply, and how its handler ended.
    ///
    /// A method that is no `async fn` is called, and its reply taken, while the message lies in the reader's buffer, one message after the
    /// other. The future of one that is, is made there, at the place where it stays, and polled there and then.
    #[inline(always)]
    async fn message<D: Dispatch>(&mut self, instance: &mut D) -> Received {
        let (link, session) = (&mut self.link, &self.session);
        let context = Context::new(session);
        let mut received = Received::Nothing;
        let mut lent = Some(instance);
        let mut running = pin!(None);
        poll_fn(|cx| {
            if running.is_none() {
                let mut within = std::task::Context::from_waker(cx.waker());
                let mut deliver = |incoming: Incoming<'_>| {
                    let pong = matches!(incoming, Incoming::Ping(_) | Incoming::Pong(_));
                    let mut message = Slot::new(incoming);
                    if !session.is_direct() {
                        match message.reroute(|incoming| route(session, incoming)) {
                            Ok(()) => {}
                            Err(other) => {
                                // Boxed: what most sessions never have does not weigh on all of them.
                                received = Received::Elsewhere(Box::new((other, pong)));
                                return Answer::Wait;
                            }
                        }
                    }
                    let handled = attempt(session, || {
                        let at_once = lent.as_deref_mut()?.message_at_once(context, &mut message);
                        if at_once.is_some() {
                            return at_once;
                        }
                        running.set(Some(lent.take()?.message(context, message.handed_on())));
                        match running.as_mut().as_pin_mut()?.poll(&mut within) {
                            Poll::Ready(reply) => Some(reply),
                            Poll::Pending => None,
                        }
                    });
                    let outcome = match handled {
                        // The instance is lent to a future, which is done but still there.
                        Outcome::Returned(Some(reply)) if lent.is_none() => Outcome::Returned(reply),
                        Outcome::Returned(Some(Reply::Nothing)) => return Answer::Nothing,
                        Outcome::Returned(Some(Reply::One(message))) => {
                            return Answer::Reply(Frame::from(message));
                        }
                        Outcome::Returned(Some(reply)) => Outcome::Returned(reply),
                        Outcome::Returned(None) | Outcome::Cancelled => Outcome::Cancelled,
                        Outcome::Panicked(panicked) => Outcome::Panicked(panicked),
                    };
                    received = Received::Handled(outcome, pong);
                    Answer::Wait
                };
                match ready!(link.poll_message(cx, &mut deliver)) {
                    link::Progress::Delivered => {}
                    link::Progress::Undelivered => {
                        received = Received::Undelivered;
                        return Poll::Ready(());
                    }
                    link::Progress::Ended => return Poll::Ready(()),
                }
                if !matches!(received, Received::Handled(Outcome::Cancelled, _)) {
                    return Poll::Ready(());
                }
                link.handler_begins(Some(session.limits().handler_grace));
            } else if let Some(future) = running.as_mut().as_pin_mut() {
                let outcome = match attempt(session, || future.poll(cx)) {
                    Outcome::Returned(Poll::Ready(reply)) => Outcome::Returned(reply),
                    Outcome::Panicked(panicked) => Outcome::Panicked(panicked),
                    Outcome::Returned(Poll::Pending) | Outcome::Cancelled => Outcome::Cancelled,
                };
                if !matches!(outcome, Outcome::Cancelled) {
                    if let Received::Handled(waiting, _) = &mut received {
                        *waiting = outcome;
                    }
                    return Poll::Ready(());
                }
            }
            link.poll_beside(cx)
        })
        .await;
        received
    }

    /// Does what most return values ask for. The others come back: it takes a future to deal with them.
    #[inline]
    fn settle_at_once(&mut self, outcome: Outcome<Reply>, pong: bool) -> Result<(), Outcome<Reply>> {
        match outcome {
            Outcome::Returned(Reply::Nothing) => Ok(()),
            Outcome::Returned(Reply::One(message)) => {
                self.answer(message).map_err(|error| Outcome::Returned(Reply::Failed(error)))
            }
            Outcome::Returned(Reply::Uncompressed(message)) => {
                self.put(Frame::plain(message)).map_err(|error| Outcome::Returned(Reply::Failed(error)))
            }
            Outcome::Returned(Reply::Unhandled) => {
                // Our own pings are answered too, and few endpoints care.
                if !pong {
                    self.discarded();
                }
                Ok(())
            }
            other => Err(other),
        }
    }

    async fn settle_or_fail<D: Dispatch>(&mut self, instance: &mut D, outcome: Outcome<Reply>) {
        if let Err(error) = self.settle(outcome).await {
            self.fail(instance, error).await;
        }
    }

    /// The last things: the session leaves the registry, `on_close` runs, the transport is closed.
    async fn close<D: Dispatch>(&mut self, instance: Option<&mut D>) {
        let reason = match self.link.reason() {
            Some(reason) => reason.clone(),
            None => CloseReason::lost("the connection was lost"),
        };
        self.session.end(&reason);
        self.places = None;
        let (id, path, by) = (self.session.id(), self.session.path(), reason.closed_by());
        tracing::debug!(session = %id, path, %reason, ?by, "closed");
        if let Some(instance) = instance {
            if let Some(violation) = self.link.take_violation() {
                let error = ProtocolError { code: violation.code, reason: violation.reason.into_owned() };
                Box::pin(self.fail(instance, Error::Protocol(error))).await;
            }
            let (link, session) = (&mut self.link, &self.session);
            let context = Context::new(session);
            // The last call takes as long as it takes.
            let outcome = call(link, session, None, || instance.close(context, &reason)).await;
            if let Err(error) = self.settle(outcome).await {
                Box::pin(self.fail(instance, error)).await;
            }
        }
        self.observe_closing(&reason);
        self.stop_coders();
        self.session.drop_message_handlers();
        poll_fn(|cx| self.link.poll_gone(cx)).await;
        self.session.sessions().forget(*self.session.id());
    }

    /// Tells those who observe the application, if there are any.
    fn observe_opening(&self) {
        let context = self.session.application();
        if context.is_observed() {
            context.publish(&ApplicationEvent::SessionOpened { session: self.session.clone() });
        }
    }

    fn observe_closing(&self, reason: &CloseReason) {
        let context = self.session.application();
        if context.is_observed() {
            let (session, reason) = (self.session.clone(), reason.clone());
            context.publish(&ApplicationEvent::SessionClosed { session, reason });
        }
    }

    /// Nothing is delivered to anybody.
    async fn wait_for_the_end(&mut self) {
        let link = &mut self.link;
        poll_fn(|cx| link.poll_message(cx, &mut |_| Answer::Nothing)).await;
    }

    /// Does what a method's return value asks for. An error is for `on_error`.
    async fn settle(&mut self, outcome: Outcome<Reply>) -> Result<()> {
        match outcome {
            Outcome::Returned(Reply::Nothing | Reply::Unhandled) => Ok(()),
            Outcome::Returned(Reply::One(message)) => self.answer(message),
            Outcome::Returned(Reply::Uncompressed(message)) => self.put(Frame::plain(message)),
            Outcome::Returned(Reply::Many(items)) => Box::pin(self.send_all(items)).await,
            Outcome::Returned(part @ (Reply::Fragment(_) | Reply::Object(_))) => {
                Box::pin(self.send_all(Box::pin(stream::iter([part])))).await
            }
            Outcome::Returned(Reply::Failed(error)) if self.is_about_the_end(&error) => self.undelivered(),
            Outcome::Returned(Reply::Failed(error)) => Err(error),
            Outcome::Panicked(panicked) => Err(Error::Panicked(panicked)),
            Outcome::Cancelled => {
                tracing::warn!(
                    session = %self.session.id(),
                    path = self.session.path(),
                    "a handler was cancelled: it went on after the session had ended, and its grace was over"
                );
                Ok(())
            }
        }
    }

    /// Sends a reply, behind everything that was sent before it.
    #[inline]
    fn answer(&mut self, message: Message) -> Result<()> {
        self.put(Frame::from(message))
    }

    fn put(&mut self, frame: Frame) -> Result<()> {
        if self.link.reply(frame) { Ok(()) } else { self.undelivered() }
    }

    /// Sends what the items of a stream come to, each when there is room for it.
    async fn send_all(&mut self, mut items: Items) -> Result<()> {
        let (link, session) = (&mut self.link, &self.session);
        let grace = Some(session.limits().handler_grace);
        let sent = call(link, session, grace, || async {
            while let Some(item) = items.next().await {
                match item {
                    Reply::Nothing | Reply::Unhandled => {}
                    Reply::One(message) => session.send_at_the_peers_pace(message.into()).await?,
                    Reply::Uncompressed(message) => {
                        session.send_at_the_peers_pace(Frame::plain(message)).await?;
                    }
                    Reply::Object(object) => session.send_encoded(object).await.map_err(sending)?,
                    Reply::Fragment(fragment) => session.send_fragment(fragment).await?,
                    Reply::Failed(error) => return Err(error),
                    Reply::Many(_) => {
                        return Err(Error::msg("a stream of replies cannot hold streams of replies"));
                    }
                }
            }
            Ok(())
        });
        match sent.await {
            Outcome::Returned(Err(Error::Send(SendError::Closed(_)))) => self.undelivered(),
            Outcome::Returned(result) => result,
            Outcome::Panicked(panicked) => Err(Error::Panicked(panicked)),
            Outcome::Cancelled => Ok(()),
        }
    }

    /// Whether a method failed because it could not send to its own peer any more.
    fn is_about_the_end(&self, error: &Error) -> bool {
        // `on_close` knows that the session has ended: if that sends, it is an error.
        let Error::Send(SendError::Closed(reason)) = error else { return false };
        self.session.close_reason().is_none() && self.session.outbox().closed().as_ref() == Some(reason)
    }

    /// A reply that cannot be sent is an error if the application closed the session (Jakarta OR-09); that a peer has gone is none.
    fn undelivered(&self) -> Result<()> {
        match self.session.outbox().closed() {
            Some(reason) if reason.closed_by() == ClosedBy::Application => {
                Err(SendError::Closed(reason).into())
            }
            _ => Ok(()),
        }
    }

    /// Tells `on_error`. A panic costs the session; anything else costs nothing.
    async fn fail<D: Dispatch>(&mut self, instance: &mut D, error: Error) {
        let (link, session) = (&mut self.link, &self.session);
        let context = Context::new(session);
        let grace = Some(session.limits().handler_grace);
        let outcome = call(link, session, grace, || instance.error(context, &error)).await;
        if let Outcome::Returned(Reply::Unhandled) = outcome {
            self.log_unhandled(&error);
        } else if let Err(again) = self.settle(outcome).await {
            let (id, path) = (self.session.id(), self.session.path());
            tracing::error!(session = %id, path, error = %again, of = %error, "on_error failed");
            if let Error::Panicked(_) = again {
                self.session.begin_close(&unexpected());
            }
        }
        if let Error::Panicked(_) = error {
            self.session.begin_close(&unexpected());
        }
    }

    /// No `on_error` takes this error (Jakarta LC-08).
    fn log_unhandled(&self, error: &Error) {
        let (session, kind) = (&self.session, error.kind());
        let (id, path, endpoint) = (session.id(), session.path(), session.home().type_name);
        match error {
            Error::Protocol(_) => {
                tracing::debug!(session = %id, path, endpoint, kind, %error, "the peer broke a rule");
            }
            // Logged where it was caught.
            Error::Panicked(_) => {}
            _ => tracing::warn!(session = %id, path, endpoint, kind, %error, "handler failed"),
        }
    }

    /// The endpoint has no method for this kind of message (Jakarta A8: as Tomcat does).
    fn discarded(&self) {
        let home = self.session.home();
        if home.counts.unhandled.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                path = home.path,
                endpoint = home.type_name,
                "a message was discarded: no `#[on_message]` method takes its kind (said once)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_holds_is_small() {
        // It lies in the task of each connection: `docs/memory.md`.
        assert!(size_of::<Connection>() <= 608, "{}", size_of::<Connection>());
    }
}

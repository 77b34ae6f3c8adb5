//! Message handlers that a session adds and removes while it lives (Jakarta SES-03…SES-08).
//!
//! They run in the connection's task, as the endpoint's methods do: never two at once. Each kind of message has one taker, a method or a
//! handler; the connection asks here for whom a message is ([`Session::route`]).

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Session;
use crate::endpoint::{Context, Form, IntoReply, Line, Native, Reception, Reply, Taker, Undecoded};
use crate::message::{BinaryReader, Bytes, FromMessage, Incoming, Kind, Made, Text, TextReader};

/// Which message handler: see [`Session::add_message_handler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageHandlerId(u64);

/// A message handler was not added (Jakarta SES-03).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerConflict {
    /// Messages of this kind have a taker already: a method of the endpoint, or another handler. That one stays.
    Taken(Kind),
    /// None of the endpoint's decoders makes values of the type of this name.
    NoDecoder(&'static str),
    /// The session has ended.
    Closed,
}

impl fmt::Display for HandlerConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            HandlerConflict::Taken(Kind::Decoded(made)) => {
                return write!(f, "a method or a message handler takes `Decoded<{}>` already", made.name());
            }
            HandlerConflict::Taken(kind) if kind.takes_text() => "text messages",
            HandlerConflict::Taken(kind) if kind.takes_binary() => "binary messages",
            HandlerConflict::Taken(Kind::Ping) => "pings",
            HandlerConflict::Taken(_) => "pongs",
            HandlerConflict::NoDecoder(name) => {
                return write!(f, "none of the endpoint's decoders makes `{name}`");
            }
            HandlerConflict::Closed => return f.write_str("the session has ended"),
        };
        write!(f, "a method or a message handler takes {kind} already")
    }
}

impl std::error::Error for HandlerConflict {}

impl Session {
    /// Adds a handler for messages that no method of the endpoint takes (Jakarta's `addMessageHandler`), from any task.
    ///
    /// What it takes is anything that an `#[on_message]` method may take, and the form in which messages are received follows it: whole, in
    /// parts, as a stream. What its future yields is a reply, as a method's return value is. Handlers and methods run one after the other.
    ///
    /// A message that has begun to arrive in parts goes on to who got its first part. The `on_message` of an
    /// [`Endpoint`](crate::Endpoint) written by hand gives way to handlers. When the session has ended its handlers are dropped.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    ///
    /// #[server_endpoint("/login")]
    /// struct Login;
    ///
    /// #[handlers]
    /// impl Login {
    ///     #[on_open]
    ///     fn open(&self, session: Session) -> Result<()> {
    ///         let this = session.clone();
    ///         session.add_message_handler(move |password: String| {
    ///             let session = this.clone();
    ///             async move {
    ///                 session.set_user(&password);
    ///                 "welcome"
    ///             }
    ///         })?;
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Messages of its kind, text or binary in whatever form, pings, or pongs, have a taker already; no decoder of the endpoint makes the
    /// `T` of its [`Decoded<T>`](crate::Decoded); or the session has ended.
    pub fn add_message_handler<M, F, R>(&self, handler: F) -> Result<MessageHandlerId, HandlerConflict>
    where
        M: FromMessage + Send + 'static,
        F: FnMut(M) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: IntoReply,
    {
        // A closure that changes what it has captured is called by the connection's task alone, so nobody ever waits here.
        let handler = Mutex::new(handler);
        let call = move |session: &Session, message: Incoming<'_>| -> Call {
            let message = match M::from_message(message) {
                Ok(message) => message,
                Err(error) => return Box::pin(ready(Reply::Failed(error.into()))),
            };
            let future = handler.lock().unwrap_or_else(PoisonError::into_inner)(message);
            let session = session.clone();
            Box::pin(async move { future.await.reply(Context::new(&session)) })
        };
        // The session ends under this lock, and what is added later would never be dropped.
        let memberships = self.memberships();
        if memberships.gone {
            return Err(HandlerConflict::Closed);
        }
        let handlers = self.0.handlers.get_or_init(Box::default);
        let added = handlers.add(M::KIND, Box::new(call), &self.home().reception);
        drop(memberships);
        self.retune();
        added
    }

    /// Removes a handler; says whether it was there (Jakarta SES-08). If it is running it finishes.
    pub fn remove_message_handler(&self, id: MessageHandlerId) -> bool {
        let removed = self.0.handlers.get().is_some_and(|handlers| handlers.remove(id));
        self.retune();
        removed
    }

    /// The handlers that there are now, and which messages each takes: a copy (Jakarta SES-07).
    pub fn message_handlers(&self) -> Vec<(MessageHandlerId, Kind)> {
        let Some(handlers) = self.0.handlers.get() else { return Vec::new() };
        handlers.state().handlers.iter().map(|handler| (handler.id, handler.kind)).collect()
    }

    /// Whether all messages go to the endpoint as they are.
    pub(crate) fn is_direct(&self) -> bool {
        !self.home().reception.decodes() && self.0.handlers.get().is_none()
    }

    /// For whom a message is.
    pub(crate) fn route<'m>(&self, message: Incoming<'m>) -> Route<'m> {
        let reception = &self.home().reception;
        if let Some(handlers) = self.0.handlers.get() {
            return handlers.route(message, reception);
        }
        match native(&message) {
            Some(native) if reception.line(native).taker == Taker::Decoders => to_decoders(message),
            _ => Route::Endpoint(message),
        }
    }

    /// Up to which size, bytes, somebody takes messages of this kind that are decoded to such values; `None`: nobody does.
    pub(crate) fn limit_of(&self, native: Native, made: Made) -> Option<usize> {
        let tuned = match native {
            Native::Text => self.tuned().max_text_size,
            Native::Binary => self.tuned().max_binary_size,
        };
        let taken = self.home().reception.takes_made(made).or_else(|| {
            let handlers = self.0.handlers.get()?;
            handlers.state().takes_made(made).then_some(None)
        });
        taken.map(|max_size| tuned.or(max_size).unwrap_or(self.limits().max_message_size))
    }

    /// The session has ended: drops the handlers, which may hold it.
    pub(crate) fn drop_message_handlers(&self) {
        if let Some(handlers) = self.0.handlers.get() {
            let dropped = std::mem::take(&mut *handlers.state());
            drop(dropped);
        }
    }
}

/// A handler at work.
pub(crate) type Call = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// For whom a message is.
#[derive(Debug)]
pub(crate) enum Route<'m> {
    /// For the endpoint.
    Endpoint(Incoming<'m>),
    /// For a handler of the session.
    Handler(Arc<MessageHandler>, Incoming<'m>),
    /// For the decoders first.
    Decoders(Undecoded),
    /// Nobody takes it, or nobody takes it as it was received.
    Nobody,
}

/// The message handlers of one session.
#[derive(Debug, Default)]
pub(crate) struct MessageHandlers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    handlers: Vec<Arc<MessageHandler>>,
    /// Who gets the rest of the message that has begun to arrive in parts (Jakarta SES-06).
    begun: Option<Target>,
}

/// One message handler.
pub(crate) struct MessageHandler {
    id: MessageHandlerId,
    kind: Kind,
    call: Box<Handle>,
}

type Handle = dyn Fn(&Session, Incoming<'_>) -> Call + Send + Sync;

impl MessageHandler {
    /// Begins to handle a message.
    pub(crate) fn call(&self, session: &Session, message: Incoming<'_>) -> Call {
        (self.call)(session, message)
    }
}

impl fmt::Debug for MessageHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageHandler")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Who takes a message.
#[derive(Clone, Debug)]
enum Target {
    /// In this form.
    Endpoint(Form),
    Handler(Arc<MessageHandler>),
    Decoders,
}

impl MessageHandlers {
    /// No code of the user's runs under this lock, not even a destructor.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        &self,
        kind: Kind,
        call: Box<Handle>,
        reception: &Reception,
    ) -> Result<MessageHandlerId, HandlerConflict> {
        let mut state = self.state();
        if let Some(conflict) = state.conflict(kind, reception) {
            drop(state);
            drop(call);
            return Err(conflict);
        }
        state.last += 1;
        let id = MessageHandlerId(state.last);
        state.handlers.push(Arc::new(MessageHandler { id, kind, call }));
        Ok(id)
    }

    fn remove(&self, id: MessageHandlerId) -> bool {
        let mut state = self.state();
        let position = state.handlers.iter().position(|handler| handler.id == id);
        let removed = position.map(|position| state.handlers.remove(position));
        drop(state);
        removed.is_some()
    }

    pub(super) fn take_pings(&self) -> bool {
        self.state().take(Kind::Ping)
    }

    /// How messages of this kind are received.
    pub(super) fn line(&self, native: Native, reception: &Reception) -> Line {
        self.state().line(native, reception)
    }

    fn route<'m>(&self, message: Incoming<'m>, reception: &Reception) -> Route<'m> {
        let mut state = self.state();
        let Some(native) = native(&message) else {
            let taker = state.handlers.iter().find(|handler| message.is(handler.kind));
            return match taker {
                Some(handler) => Route::Handler(Arc::clone(handler), message),
                None => Route::Endpoint(message),
            };
        };
        let begun = state.begun.take();
        let (is_part, is_last) = match message {
            Incoming::TextPart(_, last) | Incoming::BinaryPart(_, last) => (true, last),
            _ => (false, true),
        };
        let target = begun.filter(|_| is_part).unwrap_or_else(|| state.target(native, reception));
        if !is_last {
            state.begun = Some(target.clone());
        }
        drop(state);
        match target {
            Target::Endpoint(form) => adapted(message, form).map_or(Route::Nobody, Route::Endpoint),
            Target::Handler(handler) => match adapted(message, Form::of(handler.kind)) {
                Some(message) => Route::Handler(handler, message),
                None => Route::Nobody,
            },
            Target::Decoders => to_decoders(message),
        }
    }
}

impl State {
    fn take(&self, kind: Kind) -> bool {
        self.handlers.iter().any(|handler| handler.kind == kind)
    }

    fn takes_made(&self, made: Made) -> bool {
        self.take(Kind::Decoded(made))
    }

    fn target(&self, native: Native, reception: &Reception) -> Target {
        if let Some(handler) = self.handlers.iter().find(|handler| native.goes_to(handler.kind)) {
            return Target::Handler(Arc::clone(handler));
        }
        let line = self.line(native, reception);
        if line.taker == Taker::Decoders { Target::Decoders } else { Target::Endpoint(line.form) }
    }

    fn line(&self, native: Native, reception: &Reception) -> Line {
        if let Some(handler) = self.handlers.iter().find(|handler| native.goes_to(handler.kind)) {
            return Line::plain(Form::of(handler.kind), None);
        }
        let own = reception.line(native);
        if own.taker == Taker::Plain {
            return own;
        }
        Line::decoders(reception.decoders(native), |made| {
            reception.takes_made(made).or_else(|| self.takes_made(made).then_some(None))
        })
    }

    /// Why there cannot be a handler for this kind.
    fn conflict(&self, kind: Kind, reception: &Reception) -> Option<HandlerConflict> {
        let natives = || [(Native::Text, Kind::Text), (Native::Binary, Kind::Binary)].into_iter();
        let taken = |native, taker| self.line(native, reception).taker == taker;
        let intake = reception.intake();
        let is_taken = match kind {
            Kind::Ping => intake.pings || self.take(kind),
            Kind::Pong => intake.pongs || self.take(kind),
            Kind::Decoded(made) => {
                if !natives().any(|(native, _)| reception.makes(native, made)) {
                    return Some(HandlerConflict::NoDecoder(made.name()));
                }
                // As they are and decoded cannot both be.
                let plain = natives()
                    .find(|(native, _)| reception.makes(*native, made) && taken(*native, Taker::Plain));
                if let Some((_, native)) = plain {
                    return Some(HandlerConflict::Taken(native));
                }
                reception.takes_made(made).is_some() || self.takes_made(made)
            }
            _ => {
                let other = natives()
                    .find(|(native, _)| native.goes_to(kind) && !taken(*native, Taker::Nobody))
                    .map(|(_, native)| native);
                return other.map(HandlerConflict::Taken);
            }
        };
        is_taken.then_some(HandlerConflict::Taken(kind))
    }
}

/// Which kind of message it is, if it is one of the application's.
fn native(message: &Incoming<'_>) -> Option<Native> {
    match message {
        Incoming::Text(_) | Incoming::TextPart(..) | Incoming::TextStream(_) => Some(Native::Text),
        Incoming::Binary(_) | Incoming::BinaryPart(..) | Incoming::BinaryStream(_) => Some(Native::Binary),
        Incoming::Ping(_) | Incoming::Pong(_) | Incoming::Decoded(_) => None,
    }
}

fn to_decoders(message: Incoming<'_>) -> Route<'static> {
    Undecoded::new(message).map_or(Route::Nobody, Route::Decoders)
}

/// The message in this form. It was received in another one if handlers have changed since it began; a part is not the whole.
fn adapted(message: Incoming<'_>, form: Form) -> Option<Incoming<'_>> {
    Some(match (message, form) {
        (Incoming::Text(text), Form::Parts) => Incoming::TextPart(text, true),
        (Incoming::Text(text), Form::Stream) => Incoming::TextStream(TextReader::of(Text::from(text))),
        (Incoming::Binary(bytes), Form::Parts) => Incoming::BinaryPart(bytes, true),
        (Incoming::Binary(bytes), Form::Stream) => {
            Incoming::BinaryStream(BinaryReader::of(Bytes::from(bytes.into_owned())))
        }
        (message @ (Incoming::Text(_) | Incoming::Binary(_)), Form::Whole)
        | (message @ (Incoming::TextPart(..) | Incoming::BinaryPart(..)), Form::Parts)
        | (message @ (Incoming::TextStream(_) | Incoming::BinaryStream(_)), Form::Stream) => message,
        _ => return None,
    })
}

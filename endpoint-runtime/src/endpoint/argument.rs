//! Parameters of handlers, resolved by type at compile time.
//!
//! A parameter `T` becomes a call through [`Argument`], a parameter `&T` one through [`RefArgument`]. Each has a second type
//! parameter, the way the value is come by (from the session, from the event, from a message, from the user's own [`FromContext`]).
//! A type knows only one way, so that inference finds it, and the compiler itself says when there is none.

use std::borrow::Cow;
use std::ops::Deref;

use super::Context;
use crate::access::Principal;
use crate::context::{ApplicationContext, How, Inject, Injected, Lazy, Needs};
use crate::error::{ArgumentError, Error, Refusal, Result};
use crate::message::{CloseReason, FromMessage, Incoming, Kind};
use crate::session::{EndpointConfig, Handshake, Session, Sessions};

/// A type that any handler may take as a parameter: the user's own.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{Context, Handshake, Refusal};
///
/// struct Language(String);
///
/// impl FromContext for Language {
///     fn admit(handshake: &Handshake) -> Result<(), Refusal> {
///         // Before the upgrade: whoever does not say a language gets a 400, not a socket.
///         match handshake.header("accept-language") {
///             Some(_) => Ok(()),
///             None => Err(Refusal::bad_request("say a language")),
///         }
///     }
///
///     fn from_context(context: Context<'_>) -> Result<Self> {
///         Ok(Language(context.handshake().header("accept-language").unwrap_or("en").to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from the context",
    label = "implement `FromContext` for it to take it as a parameter"
)]
pub trait FromContext: Sized {
    /// Says which components it will ask for, so that a missing one is found before the server starts.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// Looks at the opening handshake, and may refuse it: the connection never becomes a socket.
    ///
    /// # Errors
    /// The refusal, as an HTTP response.
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        let _ = handshake;
        Ok(())
    }

    /// Makes the value, for each call of the handler.
    ///
    /// # Errors
    /// Go to `#[on_error]`; the handler is not called.
    fn from_context(context: Context<'_>) -> Result<Self>;
}

/// An event that a handler is called for.
pub trait Event {
    /// What the event carries.
    type Data<'d>;
}

/// A connection has opened.
#[derive(Debug)]
pub enum OnOpen {}
/// A message has arrived.
#[derive(Debug)]
pub enum OnMessage {}
/// A session has ended.
#[derive(Debug)]
pub enum OnClose {}
/// Something failed.
#[derive(Debug)]
pub enum OnError {}

impl Event for OnOpen {
    type Data<'d> = ();
}
impl Event for OnMessage {
    type Data<'d> = Slot<'d>;
}
impl Event for OnClose {
    type Data<'d> = &'d CloseReason;
}
/// The error goes to the one parameter that is [`Caught`].
impl Event for OnError {
    type Data<'d> = ();
}

/// A message on its way to the one parameter that takes it.
#[derive(Debug)]
pub struct Slot<'d>(Option<Incoming<'d>>);

impl<'d> Slot<'d> {
    /// Holds the message.
    pub fn new(message: Incoming<'d>) -> Self {
        Slot(Some(message))
    }

    /// Whether a method that takes `kind` takes the message.
    pub fn is(&self, kind: Kind) -> bool {
        self.0.as_ref().is_some_and(|message| message.is(kind))
    }

    /// Puts what becomes of the message in its place; nothing, if that is an error.
    pub(crate) fn reroute<E>(
        &mut self,
        route: impl FnOnce(Incoming<'d>) -> std::result::Result<Incoming<'d>, E>,
    ) -> std::result::Result<(), E> {
        if let Some(message) = self.0.take() {
            self.0 = Some(route(message)?);
        }
        Ok(())
    }

    /// The same message; nothing is left here.
    pub(crate) fn handed_on(&mut self) -> Self {
        Slot(self.0.take())
    }

    /// The message as a `T`.
    pub(crate) fn decode<T: FromMessage>(mut self) -> Result<T> {
        Ok(T::from_message(self.take()?)?)
    }

    fn take(&mut self) -> Result<Incoming<'d>> {
        // A second message parameter does not compile; this is for code written by hand against this module.
        self.0.take().ok_or_else(|| Error::msg("the message is taken already"))
    }
}

/// By the session.
#[derive(Debug)]
pub enum ViaSession {}
/// By the user's [`FromContext`].
#[derive(Debug)]
pub enum ViaContext {}
/// By [`FromMessage`].
#[derive(Debug)]
pub enum ViaMessage {}
/// By the event itself.
#[derive(Debug)]
pub enum ViaEvent {}

/// A parameter taken by value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of this handler",
    label = "not available in this handler",
    note = "every handler can have `&Session`, `Sessions`, `&Handshake`, `Inject<T>`, `ApplicationContext`, `Query<T: Deserialize>`, `Principal<T>`, `#[path] name: T`, `#[query] name: T`, and your own `T: FromContext`",
    note = "`#[on_message]` has one message: `String`, `&str`, `Text`, `char`, `bool`, a number, `Parsed<T: FromStr>`, `Json<T: Deserialize>`, `Bytes`, `Vec<u8>`, `&[u8]`, `Message`, `Decoded<T>` (by a decoder of the endpoint), `Ping`, `Pong`, or your own `T: FromMessage`; in parts `Fragment<Text>`, `Fragment<Bytes>`; as a stream `TextReader`, `BinaryReader`",
    note = "`#[on_close]` can have `&CloseReason`, and `#[on_error]` has one `&Error` or `&E`"
)]
pub trait Argument<E: Event, Via>: Sized {
    /// Which messages it takes, if it is the message.
    const KIND: Option<Kind> = None;

    /// See [`FromContext::needs`].
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// See [`FromContext::admit`].
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        let _ = handshake;
        Ok(())
    }

    /// The value for one call.
    fn take(context: Context<'_>, data: &mut E::Data<'_>) -> Result<Self>;
}

/// A parameter taken by reference.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be a parameter of this handler",
    label = "not available in this handler",
    note = "every handler can have `&Session`, `Sessions`, `&Handshake`, `Inject<T>`, `ApplicationContext`, `Query<T: Deserialize>`, `Principal<T>`, `#[path] name: T`, `#[query] name: T`, and your own `T: FromContext`",
    note = "`#[on_message]` has one message: `String`, `&str`, `Text`, `char`, `bool`, a number, `Parsed<T: FromStr>`, `Json<T: Deserialize>`, `Bytes`, `Vec<u8>`, `&[u8]`, `Message`, `Decoded<T>` (by a decoder of the endpoint), `Ping`, `Pong`, or your own `T: FromMessage`; in parts `Fragment<Text>`, `Fragment<Bytes>`; as a stream `TextReader`, `BinaryReader`",
    note = "`#[on_close]` can have `&CloseReason`, and `#[on_error]` has one `&Error` or `&E`"
)]
pub trait RefArgument<E: Event, Via> {
    /// Which messages it takes, if it is the message.
    const KIND: Option<Kind> = None;

    /// What is held while the handler looks at it.
    type Hold<'c, 'd>: Deref<Target = Self>;

    /// See [`FromContext::needs`].
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// See [`FromContext::admit`].
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        let _ = handshake;
        Ok(())
    }

    /// The value for one call.
    ///
    /// `'d: 'd` says nothing; with it `'d` is a parameter of the same kind ("early bound") whether `E::Data` is known or not, so that the
    /// implementations for one event match this declaration.
    fn hold<'c, 'd: 'd>(context: Context<'c>, data: &mut E::Data<'d>) -> Result<Self::Hold<'c, 'd>>;
}

/// A value made for one call and lent to it.
#[derive(Debug)]
pub struct Owned<T>(T);

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[diagnostic::do_not_recommend]
impl<E: Event, T: FromContext> Argument<E, ViaContext> for T {
    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }

    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        T::admit(handshake)
    }

    fn take(context: Context<'_>, _: &mut E::Data<'_>) -> Result<Self> {
        T::from_context(context)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Event, T: FromContext> RefArgument<E, ViaContext> for T {
    type Hold<'c, 'd> = Owned<T>;

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }

    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        T::admit(handshake)
    }

    fn hold<'c, 'd: 'd>(context: Context<'c>, _: &mut E::Data<'d>) -> Result<Owned<T>> {
        T::from_context(context).map(Owned)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromMessage> Argument<OnMessage, ViaMessage> for T {
    const KIND: Option<Kind> = Some(T::KIND);

    fn take(_: Context<'_>, data: &mut Slot<'_>) -> Result<Self> {
        Ok(T::from_message(data.take()?)?)
    }
}

#[diagnostic::do_not_recommend]
impl<T: FromMessage> RefArgument<OnMessage, ViaMessage> for T {
    const KIND: Option<Kind> = Some(T::KIND);
    type Hold<'c, 'd> = Owned<T>;

    fn hold<'c, 'd: 'd>(_: Context<'c>, data: &mut Slot<'d>) -> Result<Owned<T>> {
        Ok(Owned(T::from_message(data.take()?)?))
    }
}

/// Borrowed from the reader's buffer: for handlers that are done before it is needed again.
#[diagnostic::do_not_recommend]
impl RefArgument<OnMessage, ViaMessage> for str {
    const KIND: Option<Kind> = Some(Kind::Text);
    type Hold<'c, 'd> = Cow<'d, str>;

    fn hold<'c, 'd: 'd>(_: Context<'c>, data: &mut Slot<'d>) -> Result<Cow<'d, str>> {
        Ok(data.take()?.into_text()?)
    }
}

/// Borrowed from the reader's buffer: for handlers that are done before it is needed again.
#[diagnostic::do_not_recommend]
impl RefArgument<OnMessage, ViaMessage> for [u8] {
    const KIND: Option<Kind> = Some(Kind::Binary);
    type Hold<'c, 'd> = Cow<'d, [u8]>;

    fn hold<'c, 'd: 'd>(_: Context<'c>, data: &mut Slot<'d>) -> Result<Cow<'d, [u8]>> {
        Ok(data.take()?.into_binary()?)
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromContext for Inject<T> {
    fn needs(needs: &mut Needs) {
        needs.component::<T>();
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        Injected::inject(context.application()).map(Inject)
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromContext for Lazy<T> {
    fn needs(needs: &mut Needs) {
        needs.one::<T>(None, How::Lazily);
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        Ok(context.application().lazy())
    }
}

impl<T: Send + Sync + 'static> FromContext for Principal<T> {
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        match handshake.extensions().get::<Self>() {
            Some(_) => Ok(()),
            None => Err(Refusal::unauthorized("who are you?")),
        }
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        let principal = context.session().principal();
        Ok(principal.ok_or_else(|| ArgumentError::new("principal", "the peer is a stranger"))?)
    }
}

impl<T: Send + Sync + 'static> FromContext for Option<Principal<T>> {
    fn from_context(context: Context<'_>) -> Result<Self> {
        Ok(context.session().principal())
    }
}

macro_rules! via_session {
    ($($ty:ty: $method:ident),*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<E: Event> RefArgument<E, ViaSession> for $ty {
                type Hold<'c, 'd> = &'c $ty;

                fn hold<'c, 'd: 'd>(context: Context<'c>, _: &mut E::Data<'d>) -> Result<&'c $ty> {
                    Ok(context.$method())
                }
            }
        )*
    };
}

macro_rules! via_session_by_value {
    ($($ty:ty: $method:ident),*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<E: Event> Argument<E, ViaSession> for $ty {
                fn take(context: Context<'_>, _: &mut E::Data<'_>) -> Result<Self> {
                    Ok(context.$method().clone())
                }
            }
        )*
    };
}

via_session!(
    Session: session, Handshake: handshake, Sessions: sessions, EndpointConfig: config, ApplicationContext: application
);
via_session_by_value!(Session: session, Sessions: sessions, ApplicationContext: application);

#[diagnostic::do_not_recommend]
impl RefArgument<OnClose, ViaEvent> for CloseReason {
    type Hold<'c, 'd> = &'d CloseReason;

    fn hold<'c, 'd: 'd>(_: Context<'c>, data: &mut &'d CloseReason) -> Result<&'d CloseReason> {
        Ok(*data)
    }
}

#[diagnostic::do_not_recommend]
impl Argument<OnClose, ViaEvent> for CloseReason {
    fn take(_: Context<'_>, data: &mut &CloseReason) -> Result<Self> {
        Ok((*data).clone())
    }
}

/// An error as an `#[on_error]` method takes it: [`Error`] for any, or one type of error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error",
    label = "an `#[on_error]` method takes `&Error`, or `&E` where `E: std::error::Error`"
)]
pub trait Caught: 'static {
    /// The error, if it is of this type and it is this type's turn: a method for any error is asked last.
    fn caught(error: &Error, last: bool) -> Option<&Self>;
}

#[diagnostic::do_not_recommend]
impl Caught for Error {
    fn caught(error: &Error, last: bool) -> Option<&Self> {
        last.then_some(error)
    }
}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + 'static> Caught for E {
    fn caught(error: &Error, last: bool) -> Option<&Self> {
        if last { None } else { error.downcast_ref() }
    }
}

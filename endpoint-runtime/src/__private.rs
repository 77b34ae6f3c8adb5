//! The whole contract with the macros: generated code calls nothing else. Not public API.
//!
//! Generated code asks a trait for everything that depends on a type of the user's, always as `<T as Trait<..>>::function`, so that the
//! compiler says what is wrong once, in the trait's words, and at the user's `T`.

pub use std::sync::Arc;

pub use inventory::submit;

pub use crate::context::{
    ApplicationContext, ComponentConfig, ComponentDeclared, ComponentRegistration, Made, Needs, NoResult,
    NoRoles, Returned, Roles, is_whole,
};
pub use crate::endpoint::{
    AnyConfigurator, Argument, Caught, ClientDeclared, Coders, Completion, Context, Declaration, Declared,
    Handlers, Held, HeldExclusively, Intake, IntoReply, OnClose, OnError, OnMessage, OnOpen, PerConnection,
    QueryArgument, RefArgument, Reply, Scope, SegmentArgument, ServerDeclared, Singleton, Slot,
};
pub use crate::error::{Error, Place, Refusal, Result};
pub use crate::exporter::Registration;
pub use crate::message::{Bytes, CloseReason, Kind, Object, Text, Value};
pub use crate::session::Handshake;
pub use crate::settings::{Compression, Overflow};

use std::ops::Deref;

use serde::de::DeserializeOwned;

use crate::context::{Injected, InjectedByName};
use crate::endpoint::{Configurator, Decoder, Encoder, has_size, message_of};

/// The type of an `#[inject]` field, or of a parameter of a constructor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected",
    label = "not a component",
    note = "what can be injected is an `Arc<T>`, an `Option<Arc<T>>`, a `Vec<Arc<T>>`, a `Lazy<T>`, `Sessions`, `Container` or `ApplicationContext`",
    note = "a setting is asked for by `#[value(\"table.key\")]`"
)]
pub trait InjectedField: Sized {
    /// What the field called `name` needs.
    fn needs(needs: &mut Needs, name: &'static str, place: Place);

    /// The value of the field.
    fn inject(context: &ApplicationContext) -> Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: Injected> InjectedField for T {
    fn needs(needs: &mut Needs, name: &'static str, place: Place) {
        needs.asked_by(name, place).injected::<T>();
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        T::inject(context)
    }
}

/// The type of an `#[inject("name")]` field or parameter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected by name",
    label = "has no name to be found by",
    note = "what can be injected by name is an `Arc<T>`, an `Option<Arc<T>>` or a `Lazy<T>`"
)]
pub trait NamedField: Sized {
    /// What the field called `name` needs.
    fn needs(needs: &mut Needs, name: &'static str, place: Place, component: &'static str);

    /// The value of the field.
    fn inject(context: &ApplicationContext, component: &'static str) -> Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: InjectedByName> NamedField for T {
    fn needs(needs: &mut Needs, name: &'static str, place: Place, component: &'static str) {
        needs.asked_by(name, place).injected_by_name::<T>(component);
    }

    fn inject(context: &ApplicationContext, component: &'static str) -> Result<Self> {
        T::inject_named(context, component)
    }
}

/// The type of a `#[value("key")]` field or parameter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a value of the settings",
    label = "serde cannot deserialize it",
    note = "a `#[value(\"table.key\")]` is of a type that implements `serde::Deserialize` and borrows nothing: a number, a `String`, a list, a struct that derives it"
)]
pub trait ValueField: Sized {
    /// What the field called `name` needs.
    fn needs(needs: &mut Needs, name: &'static str, place: Place, key: &'static str, has_default: bool);

    /// The value of the field.
    fn value(context: &ApplicationContext, key: &'static str) -> Result<Self>;

    /// The value of the field, if it is set.
    fn value_if_set(context: &ApplicationContext, key: &'static str) -> Result<Option<Self>>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> ValueField for T {
    fn needs(needs: &mut Needs, name: &'static str, place: Place, key: &'static str, has_default: bool) {
        needs.asked_by(name, place).value::<T>(key, has_default);
    }

    fn value(context: &ApplicationContext, key: &'static str) -> Result<Self> {
        context.value(key)
    }

    fn value_if_set(context: &ApplicationContext, key: &'static str) -> Result<Option<Self>> {
        context.find_value(key)
    }
}

/// The type of a field that has neither `#[inject]` nor `#[init(..)]`.
#[diagnostic::on_unimplemented(
    message = "a field of the type `{Self}` has no initial value",
    label = "has no `Default`",
    note = "write `#[inject]` to have it from the application context, `#[init(expression)]` to make it, or derive `Default` for its type"
)]
pub trait InitialField {
    /// The value of the field in a new instance.
    fn initial() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> InitialField for T {
    fn initial() -> Self {
        T::default()
    }
}

/// A type in `decoders = [..]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decoder",
    label = "does not implement `Decoder`",
    note = "`decoders = [..]` lists types of yours that implement `Decoder`; what they make, a method takes as `Decoded<T>`"
)]
pub trait DecoderType {
    /// The list, and this type at its end.
    fn listed_in(coders: Coders) -> Coders;
}

#[diagnostic::do_not_recommend]
impl<D: Decoder> DecoderType for D {
    fn listed_in(coders: Coders) -> Coders {
        coders.decoder::<D>()
    }
}

/// A type in `encoders = [..]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an encoder",
    label = "does not implement `Encoder`",
    note = "`encoders = [..]` lists types of yours that implement `Encoder`; what they take, a method returns as `Encoded<T>`"
)]
pub trait EncoderType {
    /// The list, and this type at its end.
    fn listed_in(coders: Coders) -> Coders;
}

#[diagnostic::do_not_recommend]
impl<E: Encoder> EncoderType for E {
    fn listed_in(coders: Coders) -> Coders {
        coders.encoder::<E>()
    }
}

/// The type in `configurator = ..`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a configurator",
    label = "does not implement `Configurator` and `Default`",
    note = "a configurator is a type of yours that implements `Configurator`, and `Default`, by which the endpoint's one instance is made"
)]
pub trait ConfiguratorType {
    /// A new instance.
    fn shared() -> Arc<dyn AnyConfigurator>;
}

#[diagnostic::do_not_recommend]
impl<C: Configurator + Default> ConfiguratorType for C {
    fn shared() -> Arc<dyn AnyConfigurator> {
        Arc::new(C::default())
    }
}

/// The instance, for a method that takes `&self`.
pub fn shared<E: Handlers>(held: &Held<E>) -> &E {
    held
}

/// What is held for a parameter, for a method that takes it by reference.
pub fn lend<H: Deref>(held: &H) -> &H::Target {
    held
}

/// The reply of a method whose parameters could not be made.
pub fn failed(error: Error) -> Reply {
    Reply::Failed(error)
}

/// Two `#[on_error]` methods for one type of error implement this twice, which does not compile.
pub trait OnlyOneOnErrorMethodFor<E: ?Sized> {}

/// `#[on_message(require = ..)]`: the reply, if the peer is in none of these roles.
pub fn forbids(context: Context<'_>, roles: &'static [&'static str]) -> Option<Reply> {
    context.session().permit(roles).err().map(|error| Reply::Failed(error.into()))
}

/// A method that requires a role is a server's: what a client's peer is, its URL says.
#[track_caller]
pub const fn can_require<E: Handlers>() {
    assert!(
        !E::DECLARATION.is_client(),
        "a client endpoint's peer is the server it has connected to, which is in no role: leave `require` out"
    );
}

/// Whether a method whose parameters take messages of these kinds takes this one.
pub fn takes(message: &Slot<'_>, kinds: &[Option<Kind>]) -> bool {
    kinds.iter().flatten().any(|&kind| message.is(kind))
}

/// Exactly one parameter of an `#[on_message]` method is the message.
#[track_caller]
pub const fn takes_one_message(kinds: &[Option<Kind>]) {
    let mut messages = 0;
    let mut index = 0;
    while index < kinds.len() {
        messages += kinds[index].is_some() as usize;
        index += 1;
    }
    assert!(messages < 2, "this method takes more than one message: keep one of these parameters");
    assert!(
        messages > 0,
        "this method takes no message: add a parameter such as `text: String`, `bytes: Bytes` or `Json(value): Json<T>`"
    );
}

/// No other `#[on_message]` method may take what this one takes.
#[track_caller]
pub const fn only_one_takes(earlier: &[&[Option<Kind>]], this: &[Option<Kind>]) {
    let Some(kind) = message_of(this) else { return };
    let mut index = 0;
    while index < earlier.len() {
        match (message_of(earlier[index]), kind) {
            (Some(other), _) if !other.overlaps(kind) => {}
            (Some(Kind::Any), _) | (Some(_), Kind::Any) => {
                panic!(
                    "one of this method and another takes text and binary messages alike: keep one of the two"
                )
            }
            (Some(Kind::Pong), _) => {
                panic!("a second method for pongs: an endpoint has one for each kind of message")
            }
            (Some(Kind::Ping), _) => {
                panic!("a second method for pings: an endpoint has one for each kind of message")
            }
            (Some(_), _) if kind.takes_text() => {
                panic!("a second method for text messages: an endpoint has one for each kind of message")
            }
            (Some(_), _) => {
                panic!("a second method for binary messages: an endpoint has one for each kind of message")
            }
            (None, _) => {}
        }
        index += 1;
    }
}

/// A method with `max_size` takes what has a size: whole messages.
#[track_caller]
pub const fn takes_up_to(kinds: &[Option<Kind>], max_size: usize) {
    assert!(max_size > 0, "no message is that small: leave `max_size` out to have the limit of the endpoint");
    let Some(kind) = message_of(kinds) else { return };
    assert!(
        has_size(kind),
        "`max_size` is for whole messages: a fragment, a stream, a ping or a pong has no such limit"
    );
}

/// A `#[path]` parameter names a variable of the endpoint's path.
#[track_caller]
pub const fn path_has<E: Handlers>(name: &str) {
    assert!(
        !E::DECLARATION.is_client(),
        "a client endpoint has no path template: keep what differs between its connections in its fields, or take `#[query]` or `&Handshake`"
    );
    let path = E::DECLARATION.path();
    // Without a path the declaration is a broken one, about which the compiler says enough.
    assert!(
        path.is_empty() || crate::path::has_variable(path, name),
        "the endpoint's path has no variable of this name: add it to the path, or name one that is there, as in `#[path(\"name\")] parameter: T`"
    );
}

//! `#[handlers]`'s block: which methods take which events, and what they take with them.

use std::collections::HashMap;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, FnArg, GenericParam, LitStr, Meta, Receiver as SelfArgument, ReturnType, Signature,
    Token, Type,
};

use super::attributes;
use super::block::{Words, own_type};
use super::parameter::{self, Borrowed, Parameter, Source};
use super::value;
use crate::hint;
use crate::parse::{Argument, Arguments, Block, Member, Method, Value};
use crate::problems::Problems;

/// The handlers of one endpoint.
pub(crate) struct Handlers {
    pub(crate) impl_token: Token![impl],
    pub(crate) self_type: TokenStream,
    /// `#[cfg]`s on the block.
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) handlers: Vec<Handler>,
}

/// A method that takes an event.
pub(crate) struct Handler {
    pub(crate) event: Event,
    /// `max_size = bytes` of an `#[on_message]`
    pub(crate) max_size: Option<TokenStream>,
    /// `require = ".."` of an `#[on_message]`
    pub(crate) require: Option<Vec<LitStr>>,
    pub(crate) name: Ident,
    /// `#[cfg]`s on the method.
    pub(crate) conditions: Vec<Attribute>,
    /// `#[deprecated]`, which is not meant for the dispatch.
    pub(crate) is_deprecated: bool,
    pub(crate) is_async: bool,
    pub(crate) receiver: Receiver,
    pub(crate) parameters: Vec<Parameter>,
    /// What it returns, if it says so.
    pub(crate) returns: Option<TokenStream>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Open,
    Message,
    Close,
    Error,
}

/// How a method takes the instance.
pub(crate) enum Receiver {
    None,
    Shared,
    /// With the places of `&` and `self`.
    Exclusive([Span; 2]),
}

impl Event {
    const ALL: [Event; 4] = [Event::Open, Event::Message, Event::Close, Event::Error];

    /// The name of the attribute.
    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Event::Open => "on_open",
            Event::Message => "on_message",
            Event::Close => "on_close",
            Event::Error => "on_error",
        }
    }

    fn of(attribute: &Attribute) -> Option<Self> {
        Self::ALL.into_iter().find(|event| attributes::is(attribute, event.attribute()))
    }
}

impl Handlers {
    /// Takes our attributes off the block and says what they mean. `None` if nothing can be implemented for its type,
    /// which stands beside a problem.
    pub(crate) fn take_from(block: &mut Block, problems: &mut Problems) -> Option<Self> {
        let self_type = own_type(block, &WORDS, problems);
        let placeholder = TokenStream::new();
        let mut handlers = Vec::new();
        let mut is_empty = true;
        for member in &mut block.members {
            if let Member::Method(method) = member {
                is_empty &= !method.attributes.iter().any(|attribute| Event::of(attribute).is_some());
                handlers.extend(Handler::take_from(
                    method,
                    self_type.as_ref().unwrap_or(&placeholder),
                    problems,
                ));
            }
        }
        let self_type = self_type?;
        if is_empty {
            problems.on(
                &block.self_type,
                "no method here takes an event: put `#[on_message]`, `#[on_open]`, `#[on_close]` or `#[on_error]` on one",
            );
        }
        once_each(&handlers, problems);
        once_each_error(&handlers, problems);
        Some(Handlers {
            impl_token: block.impl_token,
            self_type,
            conditions: attributes::conditions(&block.attributes),
            handlers,
        })
    }

    pub(crate) fn of(&self, event: Event) -> impl Iterator<Item = &Handler> {
        self.handlers.iter().filter(move |handler| handler.event == event)
    }
}

const WORDS: Words = Words {
    of_a_trait: "`#[handlers]` goes on the type's own methods",
    of_many: "an endpoint is one type, and this is many: write the methods for a type without parameters",
    of_another: "an endpoint is a struct of yours, with `#[server_endpoint(\"/path\")]`",
};

/// One `#[on_open]` and one `#[on_close]`, unless conditions keep them apart.
fn once_each(handlers: &[Handler], problems: &mut Problems) {
    let mut first = HashMap::new();
    for handler in handlers.iter().filter(|handler| matches!(handler.event, Event::Open | Event::Close)) {
        let earlier = *first.entry(handler.event).or_insert(handler);
        let is_apart = !earlier.conditions.is_empty() && !handler.conditions.is_empty();
        if !std::ptr::eq(earlier, handler) && !is_apart {
            let (attribute, name) = (handler.event.attribute(), &earlier.name);
            problems.on(
                &handler.name,
                format!("a second `#[{attribute}]` method: an endpoint has one, and `{name}` is it already"),
            );
        }
    }
}

/// One `#[on_error]` for each type, unless conditions keep them apart. A type under two names is found by the compiler.
fn once_each_error(handlers: &[Handler], problems: &mut Problems) {
    let mut first = HashMap::new();
    for handler in handlers.iter().filter(|handler| handler.event == Event::Error) {
        let Some(error) =
            handler.parameters.iter().find(|parameter| matches!(parameter.source, Source::Error))
        else {
            continue;
        };
        let earlier: &Handler = first.entry(error.ty.to_string()).or_insert(handler);
        let is_apart = !earlier.conditions.is_empty() && !handler.conditions.is_empty();
        if !std::ptr::eq(earlier, handler) && !is_apart {
            let (ty, name) = (&error.ty, &earlier.name);
            problems.on(
                ty,
                format!("a second `#[on_error]` method for `{ty}`: an endpoint has one for each type of error, and `{name}` is it already"),
            );
        }
    }
}

impl Handler {
    /// `None` if the method is no handler, or beside a problem.
    fn take_from(method: &mut Method, self_type: &TokenStream, problems: &mut Problems) -> Option<Self> {
        let event = take_event(method, problems);
        let signature = &mut method.signature;
        let Some((event, arguments)) = event else {
            not_a_handler(signature, problems);
            return None;
        };
        can_be_called(signature, event, problems);
        let receiver = receiver(signature, problems);
        let mut parameters = Vec::new();
        let mut is_complete = true;
        for (index, argument) in signature.inputs.iter_mut().enumerate() {
            let FnArg::Typed(argument) = argument else { continue };
            if let Some(parameter) = one_type(&argument.ty, problems)
                .then(|| Parameter::take_from(argument, index, problems))
                .flatten()
            {
                has_a_message(event, &parameter, problems);
                let ty = parameter::outside(parameter.ty, self_type);
                parameters.push(Parameter { ty, ..parameter });
            } else {
                attributes::take(&mut argument.attrs, parameter::is_ours);
                is_complete = false;
            }
        }
        if event == Event::Error && is_complete {
            the_error(signature, &mut parameters, problems);
        }
        Some(Handler {
            event,
            max_size: arguments.max_size.map(|size| parameter::outside(size.to_token_stream(), self_type)),
            require: arguments.require,
            name: signature.ident.clone(),
            conditions: attributes::conditions(&method.attributes),
            is_deprecated: method.attributes.iter().any(|attribute| attribute.path().is_ident("deprecated")),
            is_async: signature.asyncness.is_some(),
            receiver: receiver?,
            parameters,
            returns: match &signature.output {
                ReturnType::Default => None,
                ReturnType::Type(_, ty) => Some(parameter::outside(ty.to_token_stream(), self_type)),
            },
        })
    }
}

/// Takes `#[on_…]` off a method, and says what stands in it.
fn take_event(method: &mut Method, problems: &mut Problems) -> Option<(Event, Said)> {
    let late =
        attributes::take(&mut method.attributes, |attribute| event_behind_condition(attribute).is_some());
    for attribute in late {
        let event = event_behind_condition(&attribute).map_or("on_message", Event::attribute);
        problems.on(
            attribute,
            format!(
                "`#[handlers]` comes before `cfg_attr`: write `#[cfg(..)] #[{event}]`, which makes the whole method conditional"
            ),
        );
    }
    let ours = attributes::take(&mut method.attributes, |attribute| Event::of(attribute).is_some());
    let (first, others) = ours.split_first()?;
    let event = Event::of(first)?;
    for other in others {
        let message = match Event::of(other) {
            Some(second) if second != event => {
                format!(
                    "`{}` takes one event: write a second method for `#[{}]`",
                    method.signature.ident,
                    second.attribute()
                )
            }
            _ => format!("`#[{}]` stands here twice", event.attribute()),
        };
        problems.on(other, message);
    }
    Some((event, said(first, event, problems)))
}

/// The event in `#[cfg_attr(condition, on_…)]`.
fn event_behind_condition(attribute: &Attribute) -> Option<Event> {
    if !attribute.path().is_ident("cfg_attr") {
        return None;
    }
    let arguments = attributes::arguments(attribute);
    Event::ALL.into_iter().find(|event| mentions(arguments.clone(), event.attribute()))
}

/// What an `#[on_message]` says besides its event.
#[derive(Default)]
struct Said {
    max_size: Option<Expr>,
    require: Option<Vec<LitStr>>,
}

/// The arguments that there are: `#[on_message(max_size = bytes, require = "role")]`.
fn said(attribute: &Attribute, event: Event, problems: &mut Problems) -> Said {
    let name = event.attribute();
    let (plural, has) = match event {
        Event::Message => ("no such argument", "it has `max_size` and `require`"),
        _ => ("no arguments", "it has none"),
    };
    let mut said = Said::default();
    if let Meta::NameValue(_) = attribute.meta {
        problems.on(
            attribute,
            format!("`#[{name}]` has no value: what the method takes is said by its parameters"),
        );
        return said;
    }
    let arguments = Arguments::parse(attributes::arguments(attribute), problems);
    for argument in &arguments.positional {
        let text = if event == Event::Message && value::is_named(argument, "require") {
            value::NO_ROLE.to_owned()
        } else {
            format!("`#[{name}]` has {plural}: what the method takes is said by its parameters")
        };
        problems.on(argument, text);
    }
    let mut seen: Vec<Ident> = Vec::new();
    for Argument { name: argument, value } in arguments.named {
        let is_ours = event == Event::Message && (argument == "max_size" || argument == "require");
        let (true, Value::Expression(value)) = (is_ours, value) else {
            let hint = no_such_argument(event, &argument).unwrap_or_else(|| format!(": {has}"));
            problems.on(&argument, format!("`#[{name}]` has no argument `{argument}`{hint}"));
            continue;
        };
        if seen.contains(&argument) {
            problems.on(&argument, format!("`{argument}` is set twice: keep one of them"));
        } else if argument == "require" {
            said.require = value::roles(&value, problems);
        } else {
            let zero = "no message is that small: leave it out to have the limit of the endpoint";
            said.max_size = value::size(value, zero, problems);
        }
        seen.push(argument);
    }
    said
}

/// What was meant by an argument that there is not, if that can be told.
fn no_such_argument(event: Event, name: &Ident) -> Option<String> {
    match event {
        Event::Message if is_a_size(name) => Some(", did you mean `max_size`?".to_owned()),
        Event::Message => None,
        _ if name == "require" => {
            Some(": who may connect at all is said by `require` in `#[server_endpoint]`".to_owned())
        }
        _ => None,
    }
}

/// Whether `max_size` is called so elsewhere.
fn is_a_size(name: &Ident) -> bool {
    let name = name.to_string().to_lowercase();
    name.contains("max") || name.contains("size")
}

/// Attributes of ours on the parameters of a method that is not ours.
fn not_a_handler(signature: &mut Signature, problems: &mut Problems) {
    for argument in &mut signature.inputs {
        let FnArg::Typed(argument) = argument else { continue };
        for attribute in attributes::take(&mut argument.attrs, parameter::is_ours) {
            let known: Vec<_> =
                Event::ALL.iter().map(|event| format!("`#[{}]`", event.attribute())).collect();
            problems.on(
                attribute,
                format!(
                    "`{}` takes no event, so nothing can be passed here: put one of {} on it",
                    signature.ident,
                    known.join(", ")
                ),
            );
        }
    }
}

/// What makes a function impossible to call from the dispatch.
fn can_be_called(signature: &Signature, event: Event, problems: &mut Problems) {
    let name = event.attribute();
    if let Some(token) = signature.unsafety {
        problems.on(token, format!("an `#[{name}]` method cannot be `unsafe`: the runtime calls it"));
    }
    if let Some(abi) = &signature.abi {
        problems.on(abi, format!("an `#[{name}]` method is called from Rust: remove `extern`"));
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            problems.on(
                parameter,
                format!("an `#[{name}]` method takes what its parameters' types say, so these cannot be open: write the types"),
            );
        }
    }
}

fn receiver(signature: &Signature, problems: &mut Problems) -> Option<Receiver> {
    let Some(receiver) = signature.receiver() else {
        return Some(Receiver::None);
    };
    match by_reference(receiver) {
        Some(found) => Some(found),
        None => {
            problems.on(
                receiver,
                "a handler borrows the endpoint, which goes on living: take `&self` or `&mut self`",
            );
            None
        }
    }
}

fn by_reference(receiver: &SelfArgument) -> Option<Receiver> {
    let Type::Reference(ty) = &*receiver.ty else { return None };
    // `self: &Self`, but not `self: &Arc<Self>`.
    let Type::Path(inner) = &*ty.elem else { return None };
    if !inner.path.is_ident("Self") {
        return None;
    }
    Some(match (ty.mutability, &receiver.reference) {
        (None, _) => Receiver::Shared,
        (Some(_), Some((and, _))) => Receiver::Exclusive([and.span, receiver.self_token.span]),
        // `self: &mut Self`
        (Some(_), None) => Receiver::Exclusive([ty.and_token.span, inner.span()]),
    })
}

/// What is borrowed from a message can be only where there is one. Compilers find more words for that than people need.
fn has_a_message(event: Event, parameter: &Parameter, problems: &mut Problems) {
    let name = match parameter.source {
        Source::Reference(Borrowed::Text) => "str",
        Source::Reference(Borrowed::Bytes) => "[u8]",
        _ => return,
    };
    if let Event::Open | Event::Close = event {
        problems.on(
            &parameter.ty,
            format!(
                "`&{name}` is a message, and an `#[{}]` method gets none: what the URL says is a `#[path] name: String` or \
                 a `#[query] name: String`",
                event.attribute()
            ),
        );
    }
}

/// Whether the type of a parameter is one type.
fn one_type(ty: &Type, problems: &mut Problems) -> bool {
    let is_one = !mentions(ty.to_token_stream(), "impl");
    if !is_one {
        problems.on(ty, "`impl Trait` could be many types, and a parameter's type says what it is made from: write the type");
    }
    is_one
}

/// Whether a word stands somewhere in the tokens.
pub(crate) fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Group(group) => mentions(group.stream(), word),
        proc_macro2::TokenTree::Ident(ident) => ident == word,
        _ => false,
    })
}

/// What can be taken by reference in an `#[on_error]` method without being the error.
const NOT_ERRORS: &[&str] = &["Session", "Sessions", "Handshake", "ApplicationContext"];

/// Finds the error among the parameters of an `#[on_error]` method: the one that is taken by reference and is no part of the
/// surroundings.
fn the_error(signature: &Signature, parameters: &mut [Parameter], problems: &mut Problems) {
    let mut candidates: Vec<&mut Parameter> = parameters
        .iter_mut()
        .filter(|parameter| {
            matches!(parameter.source, Source::Reference(_)) && !is_surroundings(&parameter.ty)
        })
        .collect();
    match &mut candidates[..] {
        [one] if mentions(one.ty.clone(), "dyn") => problems.on(
            &one.ty,
            "an `#[on_error]` method takes `&Error` for any error, or `&E` for one type of error, but no `&dyn`",
        ),
        [one] => one.source = Source::Error,
        [] => problems.on(
            &signature.ident,
            "this `#[on_error]` method takes no error: add `error: &Error` for any, or `error: &E` for one type of error",
        ),
        [_, others @ ..] => {
            for other in others {
                problems.on(
                    &other.ty,
                    format!(
                        "an `#[on_error]` method takes one error by reference, and this is a second one: \
                         besides the error, only {} are taken by reference here",
                        hint::list(NOT_ERRORS, "and")
                    ),
                );
            }
        }
    }
}

fn is_surroundings(ty: &TokenStream) -> bool {
    let Ok(Type::Path(path)) = syn::parse2(ty.clone()) else { return false };
    path.path.segments.last().is_some_and(|segment| NOT_ERRORS.iter().any(|known| segment.ident == known))
}

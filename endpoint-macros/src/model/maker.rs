//! A function that makes a component: a `#[constructor]` of its type, or a `#[provider]` anywhere.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Attribute, FnArg, GenericArgument, Meta, PatType, PathArguments, ReturnType, Signature, Type};

use super::attributes;
use super::block::{Words, own_type};
use super::handlers::mentions;
use super::parameter::{self, first_span, names, outside};
use super::wanted::{self, Initial, Wanted};
use crate::parse::{Block, Member, Method};
use crate::problems::Problems;

/// The block of a component's constructor.
pub(crate) struct Constructed {
    pub(crate) self_type: TokenStream,
    /// `#[cfg]`s on the block.
    pub(crate) conditions: Vec<Attribute>,
    /// One, or several under conditions that keep them apart.
    pub(crate) constructors: Vec<Maker>,
}

/// A function that makes a component.
pub(crate) struct Maker {
    pub(crate) name: Ident,
    /// `#[cfg]`s on it.
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) is_async: bool,
    pub(crate) arguments: Vec<MakerArgument>,
    /// The type of the component.
    pub(crate) component: TokenStream,
    pub(crate) returns: TokenStream,
}

pub(crate) struct MakerArgument {
    /// A name for it in generated code.
    pub(crate) local: Ident,
    pub(crate) wanted: Wanted,
}

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Constructor,
    Provider,
}

impl Role {
    const fn what(self) -> &'static str {
        match self {
            Role::Constructor => "a constructor",
            Role::Provider => "a provider",
        }
    }
}

impl Constructed {
    /// Takes our attributes off the block and says what they mean. `None` stands beside a problem.
    pub(crate) fn take_from(block: &mut Block, problems: &mut Problems) -> Option<Self> {
        let self_type = own_type(block, &WORDS, problems);
        let placeholder = TokenStream::new();
        let mut constructors: Vec<Maker> = Vec::new();
        let mut is_empty = true;
        for member in &mut block.members {
            let Member::Method(method) = member else { continue };
            if !take_constructor(method, problems) {
                not_a_constructor(&mut method.signature, problems);
                continue;
            }
            is_empty = false;
            let self_type = self_type.as_ref().unwrap_or(&placeholder);
            let Some(constructor) = Maker::constructor(method, self_type, problems) else { continue };
            if let Some(earlier) = constructors.first()
                && (earlier.conditions.is_empty() || constructor.conditions.is_empty())
            {
                problems.on(
                    &constructor.name,
                    format!(
                        "a second `#[constructor]`: a component has one, and `{}` is it already",
                        earlier.name
                    ),
                );
            }
            constructors.push(constructor);
        }
        let self_type = self_type?;
        if is_empty {
            problems.on(
                &block.self_type,
                "no function here makes the component: put `#[constructor]` on the one that does, or `#[component]` on the struct alone",
            );
        }
        let conditions = attributes::conditions(&block.attributes);
        Some(Constructed { self_type, conditions, constructors })
    }
}

const WORDS: Words = Words {
    of_a_trait: "`#[component]` goes on the type's own functions",
    of_many: "a component is one type, and this is many: make each that you need by a `#[provider]`, a function that returns it",
    of_another: "a component is a type of yours: write `#[component] impl Name { #[constructor] fn new() -> Self { … } }`",
};

/// Takes `#[constructor]` off a method, and says whether there was one.
fn take_constructor(method: &mut Method, problems: &mut Problems) -> bool {
    let ours = attributes::take(&mut method.attributes, |attribute| attributes::is(attribute, "constructor"));
    let Some((first, others)) = ours.split_first() else { return false };
    if !matches!(first.meta, Meta::Path(_)) {
        problems
            .on(first, "`#[constructor]` has no arguments: `name`, `as` and `lazy` belong to `#[component]`");
    }
    for other in others {
        problems.on(other, "`#[constructor]` stands here twice");
    }
    true
}

/// Attributes of ours on the parameters of a function that is not ours.
fn not_a_constructor(signature: &mut Signature, problems: &mut Problems) {
    let name = &signature.ident;
    for argument in &mut signature.inputs {
        let FnArg::Typed(argument) = argument else { continue };
        for attribute in wanted::take(&mut argument.attrs) {
            problems.on(
                attribute,
                format!("`{name}` is called by you, so nothing is injected here: put `#[constructor]` on the function that makes the component"),
            );
        }
    }
}

impl Maker {
    fn constructor(method: &mut Method, self_type: &TokenStream, problems: &mut Problems) -> Option<Self> {
        let returns = match &method.signature.output {
            ReturnType::Type(_, ty) => outside(ty.to_token_stream(), self_type),
            ReturnType::Default => {
                problems.on(
                    &method.signature.ident,
                    "a constructor returns the component: write `-> Self`, or `-> Result<Self>` if it may fail",
                );
                TokenStream::new()
            }
        };
        let component = self_type.clone();
        Self::take_from(method, Role::Constructor, component, returns, problems)
    }

    /// Takes our attributes off a function and says what they mean. `None` stands beside a problem.
    pub(crate) fn provider(function: &mut Method, problems: &mut Problems) -> Option<Self> {
        for attribute in
            attributes::take(&mut function.attributes, |attribute| attributes::is(attribute, "provider"))
        {
            problems.on(
                attribute,
                "`#[provider]` stands here twice: write a second function for a second component",
            );
        }
        let (component, returns) = match &function.signature.output {
            ReturnType::Type(_, ty) => (provided(ty, problems), ty.to_token_stream()),
            ReturnType::Default => {
                problems.on(
                    &function.signature.ident,
                    "a provider returns a component: write `-> Type`, or `-> Result<Type>` if it may fail",
                );
                (None, TokenStream::new())
            }
        };
        Self::take_from(function, Role::Provider, component.unwrap_or_default(), returns, problems)
    }

    fn take_from(
        function: &mut Method,
        role: Role,
        component: TokenStream,
        returns: TokenStream,
        problems: &mut Problems,
    ) -> Option<Self> {
        let signature = &mut function.signature;
        can_be_called(signature, role, problems);
        let mut arguments = Vec::new();
        for (index, input) in signature.inputs.iter_mut().enumerate() {
            match input {
                FnArg::Receiver(receiver) => problems.on(receiver, match role {
                    Role::Constructor => "a constructor makes the component, so there is none yet: remove `self`, and take what it needs as `Arc<T>`",
                    Role::Provider => "a provider is a function by itself: take what it needs as `Arc<T>`, or make it the `#[constructor]` of a component",
                }),
                FnArg::Typed(argument) => {
                    arguments.extend(MakerArgument::take_from(argument, index, role, &component, problems));
                }
            }
        }
        if mentions(returns.clone(), "impl") {
            problems.on(
                &returns,
                format!("{} returns a component of one type, by which others ask for it: write the type, or `Arc<dyn Trait>`", role.what()),
            );
            return None;
        }
        (!component.is_empty() && !returns.is_empty()).then(|| Maker {
            name: signature.ident.clone(),
            conditions: attributes::conditions(&function.attributes),
            is_async: signature.asyncness.is_some(),
            arguments,
            component,
            returns,
        })
    }
}

/// What makes a function impossible to call from generated code.
fn can_be_called(signature: &Signature, role: Role, problems: &mut Problems) {
    let what = role.what();
    if let Some(token) = signature.unsafety {
        problems.on(token, format!("{what} cannot be `unsafe`: the runtime calls it"));
    }
    if let Some(abi) = &signature.abi {
        problems.on(abi, format!("{what} is called from Rust: remove `extern`"));
    }
    if !signature.generics.params.is_empty() {
        problems.on(
            &signature.generics.params,
            format!("{what} is called for one component, so these cannot be open: write the types"),
        );
    }
}

impl MakerArgument {
    /// `None` stands beside a problem.
    fn take_from(
        argument: &mut PatType,
        index: usize,
        role: Role,
        self_type: &TokenStream,
        problems: &mut Problems,
    ) -> Option<Self> {
        let ours = wanted::take(&mut argument.attrs);
        for attribute in attributes::take(&mut argument.attrs, parameter::is_ours) {
            problems.on(attribute, format!("{} is called when the application starts, and there is no request yet: only handlers have these", role.what()));
        }
        if let Some(condition) = argument.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            problems.on(
                condition,
                format!(
                    "a parameter of {} cannot be conditional: put `#[cfg]` on the whole function",
                    role.what()
                ),
            );
        }
        let initial = Initial::of_parameter(&ours, problems);
        let (name, local) = names(&argument.pat, index);
        is_owned(&argument.ty, &initial, role, problems).then(|| MakerArgument {
            local,
            wanted: Wanted {
                name,
                span: first_span(&argument.pat),
                ty: outside(argument.ty.to_token_stream(), self_type),
                conditions: Vec::new(),
                initial,
            },
        })
    }
}

/// Whether the type of a parameter is one type, and none that is borrowed.
fn is_owned(ty: &Type, initial: &Initial, role: Role, problems: &mut Problems) -> bool {
    let reference = match ty {
        Type::Group(group) => return is_owned(&group.elem, initial, role, problems),
        Type::Paren(paren) => return is_owned(&paren.elem, initial, role, problems),
        Type::Reference(reference) => reference,
        ty if mentions(ty.to_token_stream(), "impl") => {
            problems.on(ty, "`impl Trait` could be many types, and a parameter's type says what is injected: write `Arc<dyn Trait>`");
            return false;
        }
        _ => return true,
    };
    let inner = &reference.elem;
    let name = written(&inner.to_token_stream());
    let remedy = match initial {
        Initial::Setting(_) if name == "str" => "take `String`".to_owned(),
        Initial::Setting(_) => format!("take `{name}`"),
        _ if name == "str" => "take a `String` of the settings, with `#[value(\"table.key\")]`".to_owned(),
        _ if BY_VALUE.iter().any(|known| name == *known || name.starts_with(&format!("{known}<"))) => {
            format!("take `{name}`, without `&`")
        }
        _ => format!("a component is shared: take `Arc<{name}>`"),
    };
    problems.on(ty, format!("{} cannot borrow: {remedy}", role.what()));
    false
}

/// What is injected as it is.
const BY_VALUE: &[&str] = &["ApplicationContext", "Sessions", "Container", "Arc", "Option", "Vec", "Lazy"];

/// The component in a provider's `Component`, `Arc<Component>`, `Result<Component>` or `Result<Arc<Component>>`.
fn provided(returns: &Type, problems: &mut Problems) -> Option<TokenStream> {
    let component = argument_of(returns, "Result").unwrap_or(returns);
    let component = argument_of(component, "Arc").unwrap_or(component);
    match component {
        Type::Reference(_) => problems.on(
            component,
            "a component is owned by the application: return the value itself, or an `Arc` of it",
        ),
        Type::Tuple(tuple) if tuple.elems.is_empty() => {
            problems.on(component, "a provider returns a component, and this is none");
        }
        _ => return Some(component.to_token_stream()),
    }
    None
}

/// `T` of `path::Name<T, …>`.
fn argument_of<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    match ty {
        Type::Group(group) => argument_of(&group.elem, name),
        Type::Paren(paren) => argument_of(&paren.elem, name),
        Type::Path(path) => {
            let last = path.path.segments.last().filter(|segment| segment.ident == name)?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
        }
        _ => None,
    }
}

/// A type as people write it.
pub(crate) fn written(ty: &TokenStream) -> String {
    let is_word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '+');
    let mut text = String::new();
    for word in ty.to_string().split_whitespace() {
        if text.ends_with(is_word) && word.starts_with(is_word) || text.ends_with([',', ';']) {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn types_are_named_as_people_write_them() {
        for (ty, text) in [
            (quote!(rooms::Theatre), "rooms::Theatre"),
            (quote!(dyn Audit + Send), "dyn Audit + Send"),
            (quote!(HashMap<String, Vec<u8>>), "HashMap<String, Vec<u8>>"),
            (quote!([u8; 3]), "[u8; 3]"),
        ] {
            assert_eq!(written(&ty), text);
        }
    }
}

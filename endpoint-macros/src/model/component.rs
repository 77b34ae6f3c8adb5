//! A component: the struct whose fields are filled, and what its attribute says of it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Expr, GenericParam, Generics, Item, ItemStruct, LitStr, Path, Type};

use super::attributes;
use super::field::Field;
use super::options::Side;
use super::value;
use crate::hint;
use crate::parse::{Argument, Arguments, Value};
use crate::problems::Problems;

/// A struct that is a component.
pub(crate) struct Component {
    pub(crate) name: Ident,
    /// `#[cfg]`s on the type.
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) fields: Vec<Field>,
}

/// What `#[component(..)]` or `#[provider(..)]` says.
#[derive(Default)]
pub(crate) struct ComponentOptions {
    /// `name = ".."`
    pub(crate) name: Option<LitStr>,
    /// `as = [dyn Trait]`
    pub(crate) shared_as: Vec<Type>,
    pub(crate) is_lazy: bool,
    /// `crate = path`
    pub(crate) runtime: Option<Path>,
}

impl Component {
    /// What the macro found on an item, and the item without the attributes that are ours. `None` stands beside a problem.
    pub(crate) fn new(
        item: TokenStream,
        attribute: Span,
        problems: &mut Problems,
    ) -> (Option<Self>, TokenStream) {
        match syn::parse2::<Item>(item.clone()) {
            Ok(Item::Struct(mut item)) => {
                let component = Self::of_struct(&mut item, problems);
                (component, item.into_token_stream())
            }
            Ok(other) => {
                not_a_struct(&other, attribute, problems);
                (None, item)
            }
            Err(error) => {
                problems.add(error);
                (None, item)
            }
        }
    }

    fn of_struct(item: &mut ItemStruct, problems: &mut Problems) -> Option<Self> {
        nothing_else(&mut item.attrs, problems);
        let fields = Field::take_all(&mut item.fields, problems);
        let conditions = attributes::conditions(&item.attrs);
        let is_one_type = no_generics(&item.ident, &item.generics, problems);
        is_one_type.then(|| Component { name: item.ident.clone(), conditions, fields })
    }
}

fn no_generics(name: &Ident, generics: &Generics, problems: &mut Problems) -> bool {
    let message = match generics.params.first() {
        None => return true,
        Some(GenericParam::Lifetime(_)) => format!(
            "a component lives as long as the application, and `{name}` only as long as what it borrows: own that, or share it by an `Arc`"
        ),
        Some(_) => format!(
            "a component is one type, and `{name}` is many: make each that you need by a `#[provider]`, a function that returns it, \
             or hold what varies in a field, as an `Arc<dyn Trait>` for example"
        ),
    };
    problems.on(&generics.params, message);
    false
}

/// A problem, with the remedy.
fn not_a_struct(item: &Item, attribute: Span, problems: &mut Problems) {
    match item {
        Item::Fn(item) => problems.on(
            &item.sig.ident,
            "a function that makes a component has `#[provider]`; `#[component]` goes on a struct, or on the `impl` block of its `#[constructor]`",
        ),
        Item::Enum(_) | Item::Union(_) => {
            let (name, kind) = match item {
                Item::Union(item) => (&item.ident, "a union"),
                Item::Enum(item) => (&item.ident, "an enum"),
                _ => return,
            };
            problems.on(
                name,
                format!(
                    "{kind} has no fields to fill: say how one is made, with `#[component] impl {name} {{ #[constructor] fn new() -> Self {{ … }} }}`"
                ),
            );
        }
        _ => problems.at(attribute, "`#[component]` goes on a struct, or on the `impl` block of its `#[constructor]`"),
    }
}

/// Takes off what makes the struct a second component, or an endpoint too, which it cannot be.
fn nothing_else(attrs: &mut Vec<Attribute>, problems: &mut Problems) {
    for attribute in attributes::take(attrs, |attribute| attributes::is(attribute, "component")) {
        problems.on(
            attribute,
            "`#[component]` stands here twice: of several components of one type, each is made by a `#[provider(name = \"..\")]`",
        );
    }
    for side in [Side::Server, Side::Client] {
        for attribute in attributes::take(attrs, |attribute| attributes::is(attribute, side.attribute())) {
            problems.on(attribute, BOTH);
        }
    }
}

/// What to say about a struct that is to be a component and an endpoint.
pub(super) const BOTH: &str = "a struct is a component or an endpoint, not both: keep what they share in a component, and inject it into the endpoint";

impl ComponentOptions {
    /// The names of the arguments.
    const NAMES: &[&str] = &["name", "as", "lazy", "crate"];

    /// What the arguments of the attribute called `word` say.
    pub(crate) fn new(word: &str, arguments: Arguments, problems: &mut Problems) -> Self {
        let mut options = ComponentOptions::default();
        let mut seen: Vec<String> = Vec::new();
        for argument in &arguments.positional {
            options.take_word(word, argument, problems);
        }
        for argument in arguments.named {
            let name = argument.name.to_string();
            if seen.contains(&name) {
                problems.on(&argument.name, format!("`{name}` is set twice: keep one of them"));
            } else {
                options.set(word, argument, problems);
                seen.push(name);
            }
        }
        options
    }

    /// An argument without a value.
    fn take_word(&mut self, word: &str, argument: &Expr, problems: &mut Problems) {
        match argument {
            Expr::Path(path) if path.path.is_ident("lazy") => {
                if self.is_lazy {
                    problems.on(argument, "`lazy` stands here twice");
                }
                self.is_lazy = true;
            }
            Expr::Path(path) => match path.path.get_ident() {
                Some(name) if Self::NAMES.iter().any(|known| name == known) => {
                    problems.on(name, format!("expected a value: `{name} = ..`"));
                }
                Some(name) => unknown(word, name, problems),
                None => problems.on(argument, "expected `name = value`, or `lazy`"),
            },
            other => match value::text(other) {
                Some(text) => {
                    problems.on(
                        other,
                        format!("the name of a component is written `name = \"{}\"`", text.value()),
                    );
                }
                None => problems.on(other, "expected `name = value`, or `lazy`"),
            },
        }
    }

    fn set(&mut self, word: &str, Argument { name, value }: Argument, problems: &mut Problems) {
        match (name.to_string().as_str(), value) {
            ("as", value) => self.shared_as = traits(value, problems),
            ("crate", value) => self.runtime = problems.keep(syn::parse2(value.into_token_stream())),
            ("name", Value::Expression(value)) => self.name = component_name(&value, problems),
            ("lazy", _) => {
                problems.on(&name, "`lazy` has no value: write it alone, or leave it out");
            }
            _ => unknown(word, &name, problems),
        }
    }
}

fn component_name(value: &Expr, problems: &mut Problems) -> Option<LitStr> {
    match value::text(value) {
        Some(name) if name.value().is_empty() => {
            problems.on(name, "the name is empty: leave it out if there is one component of the type");
            None
        }
        Some(name) => Some(name.clone()),
        None => {
            problems.on(value, "expected the name as a text, such as `\"main\"`");
            None
        }
    }
}

/// `[dyn Trait, …]`
fn traits(value: Value, problems: &mut Problems) -> Vec<Type> {
    let elements = match value {
        Value::Types(Some(bracket), elements) => {
            if elements.is_empty() {
                let message = "the list is empty: name at least one, such as `[dyn Audit]`, or leave it out";
                problems.at(bracket.span.join(), message);
            }
            elements
        }
        other => {
            problems.on(other, "expected a list of traits, such as `[dyn Audit]`");
            return Vec::new();
        }
    };
    let mut types: Vec<Type> = Vec::new();
    for element in elements {
        let text = |ty: &Type| ty.to_token_stream().to_string();
        if types.iter().any(|other| text(other) == text(&element)) {
            problems.on(&element, format!("`{}` stands here twice", text(&element)));
        } else if is_a_trait(&element) {
            types.push(element);
        } else {
            let message = match &element {
                Type::Path(_) => format!(
                    "a component is injected as itself anyway, and as a trait: is `dyn {}` meant?",
                    text(&element)
                ),
                _ => "expected a trait, such as `dyn Audit`".to_owned(),
            };
            problems.on(element, message);
        }
    }
    types
}

fn is_a_trait(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_a_trait(&group.elem),
        Type::Paren(paren) => is_a_trait(&paren.elem),
        Type::TraitObject(_) => true,
        _ => false,
    }
}

/// An argument that there is not.
fn unknown(word: &str, name: &Ident, problems: &mut Problems) {
    let written = name.to_string();
    let hint = match written.as_str() {
        "scope" => ": there is one of each component. Its arguments are ".to_owned(),
        _ => {
            hint::did_you_mean(&written, ComponentOptions::NAMES).unwrap_or_else(|| ".".to_owned())
                + " Its arguments are "
        }
    };
    let names = hint::list(ComponentOptions::NAMES, "and");
    problems.on(name, format!("`#[{word}]` has no argument `{written}`{hint}{names}"));
}

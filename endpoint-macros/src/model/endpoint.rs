//! The type of an endpoint: its name, its fields, and where each field's first value comes from.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, Fields, Generics, Index, Item, ItemStruct, Member, Meta, Type};

use super::attributes;
use super::options::Side;
use crate::problems::Problems;

/// A type that can be an endpoint.
pub(crate) struct Endpoint {
    pub(crate) name: Ident,
    /// `#[cfg]`s on the type.
    pub(crate) conditions: Vec<Attribute>,
    /// Those of a server endpoint, whose instances the runtime makes.
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) member: Member,
    /// What people call it.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) span: Span,
    pub(crate) ty: Type,
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) initial: Initial,
}

/// Where the first value of a field comes from.
pub(crate) enum Initial {
    /// `#[inject]`
    Inject,
    /// `#[init(expression)]`
    Expression(Expr),
    Default,
}

impl Endpoint {
    /// What the macro found on an item, and the item without the attributes that are ours.
    ///
    /// There is an endpoint even where there are problems, if there is a type that the fallback can be implemented for.
    pub(crate) fn new(
        item: TokenStream,
        side: Side,
        attribute: Span,
        problems: &mut Problems,
    ) -> (Option<Self>, TokenStream) {
        let item = match syn::parse2::<Item>(item.clone()) {
            Ok(item) => item,
            Err(error) => {
                problems.add(error);
                return (None, item);
            }
        };
        match item {
            Item::Struct(mut item) => {
                let endpoint = Self::of_struct(&mut item, side, problems);
                (endpoint, item.into_token_stream())
            }
            other => {
                let endpoint = Self::of_other(&other, side, attribute, problems);
                (endpoint, other.into_token_stream())
            }
        }
    }

    fn of_struct(item: &mut ItemStruct, side: Side, problems: &mut Problems) -> Option<Self> {
        one_endpoint(&mut item.attrs, side, problems);
        let fields = match &mut item.fields {
            Fields::Named(fields) => Some(&mut fields.named),
            Fields::Unnamed(fields) => Some(&mut fields.unnamed),
            Fields::Unit => None,
        };
        let fields = fields.into_iter().flatten().enumerate();
        let fields =
            fields.filter_map(|(index, field)| Field::take_from(field, index, side, problems)).collect();
        let conditions = attributes::conditions(&item.attrs);
        let is_one_type = no_generics(&item.ident, &item.generics, problems);
        is_one_type.then(|| Endpoint { name: item.ident.clone(), conditions, fields })
    }

    /// A problem, with the remedy.
    fn of_other(item: &Item, side: Side, attribute: Span, problems: &mut Problems) -> Option<Self> {
        let word = side.attribute();
        let (name, generics, attrs) = match item {
            Item::Enum(item) => (&item.ident, &item.generics, &item.attrs),
            Item::Union(item) => (&item.ident, &item.generics, &item.attrs),
            Item::Impl(item) => {
                problems.on(
                    item.impl_token,
                    format!("`#[{word}]` goes on the struct: on the `impl` block of its methods goes `#[handlers]`"),
                );
                return None;
            }
            Item::Fn(item) => {
                problems.on(
                    &item.sig.ident,
                    format!(
                        "`#[{word}]` goes on a struct, whose methods take the messages: \
                         `{} struct Name;` and `#[handlers] impl Name {{ #[on_message] fn … }}`",
                        side.example()
                    ),
                );
                return None;
            }
            _ => {
                problems.at(attribute, format!("`#[{word}]` goes on a struct"));
                return None;
            }
        };
        problems.on(name, "an endpoint is a struct: make this a field of one");
        let endpoint =
            Endpoint { name: name.clone(), conditions: attributes::conditions(attrs), fields: Vec::new() };
        generics.params.is_empty().then_some(endpoint)
    }
}

/// Takes off what makes the struct another endpoint beside this one, which it cannot be.
fn one_endpoint(attrs: &mut Vec<Attribute>, side: Side, problems: &mut Problems) {
    for other in [Side::Server, Side::Client] {
        for attribute in attributes::take(attrs, |attribute| attributes::is(attribute, other.attribute())) {
            let message = if other == side {
                format!(
                    "`#[{}]` stands here twice: write a second struct for a second endpoint",
                    side.attribute()
                )
            } else {
                "a struct is an endpoint of a server or of a client, not both: write a second struct"
                    .to_owned()
            };
            problems.on(attribute, message);
        }
    }
}

fn no_generics(name: &Ident, generics: &Generics, problems: &mut Problems) -> bool {
    if !generics.params.is_empty() {
        problems.on(
            &generics.params,
            format!(
                "an endpoint is one type, and `{name}` is many: remove its parameters, \
                 or hold what varies in a field, as an `Arc<dyn Trait>` for example"
            ),
        );
    }
    generics.params.is_empty()
}

impl Field {
    /// `None` for a client endpoint, whose fields are none of our business.
    fn take_from(field: &mut syn::Field, index: usize, side: Side, problems: &mut Problems) -> Option<Self> {
        let ours = attributes::take(&mut field.attrs, |attribute| {
            attributes::is(attribute, "inject") || attributes::is(attribute, "init")
        });
        if side == Side::Client {
            for attribute in ours {
                problems.on(
                    attribute,
                    "the instances of a client endpoint are made by you: give the field its value there, without an attribute",
                );
            }
            return None;
        }
        let (member, name, span) = match &field.ident {
            Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string(), ident.span()),
            None => {
                let span = field
                    .ty
                    .to_token_stream()
                    .into_iter()
                    .next()
                    .map_or_else(Span::call_site, |token| token.span());
                (Member::Unnamed(Index::from(index)), index.to_string(), span)
            }
        };
        Some(Field {
            member,
            name,
            span,
            ty: field.ty.clone(),
            conditions: attributes::conditions(&field.attrs),
            initial: Initial::new(&ours, problems),
        })
    }
}

impl Initial {
    fn new(attributes: &[Attribute], problems: &mut Problems) -> Self {
        let Some((first, others)) = attributes.split_first() else {
            return Initial::Default;
        };
        for other in others {
            let kinds = [first, other].map(|attribute| attributes::is(attribute, "inject"));
            let message = match kinds {
                [true, true] => "`#[inject]` stands here twice",
                [false, false] => "`#[init(..)]` stands here twice: a field has one first value",
                _ => "`#[inject]` and `#[init(..)]` on one field: its first value comes from one of them",
            };
            problems.on(other, message);
        }
        if attributes::is(first, "inject") {
            if !matches!(first.meta, Meta::Path(_)) {
                problems.on(first, "`#[inject]` takes no arguments: the field's type says what is injected");
            }
            return Initial::Inject;
        }
        let expression = match &first.meta {
            Meta::List(list) => list.parse_args::<Expr>().ok(),
            _ => None,
        };
        match expression {
            Some(expression) => Initial::Expression(expression),
            None => {
                problems.on(first, "expected one expression, as in `#[init(Vec::new())]`");
                Initial::Default
            }
        }
    }
}

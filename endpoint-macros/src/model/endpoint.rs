//! The type of an endpoint: its name, and its fields.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Fields, Generics, Item, ItemStruct};

use super::field::Field;
use super::options::Side;
use super::{attributes, component, wanted};
use crate::problems::Problems;

/// A type that can be an endpoint.
pub(crate) struct Endpoint {
    pub(crate) name: Ident,
    /// `#[cfg]`s on the type.
    pub(crate) conditions: Vec<Attribute>,
    /// Those of a server endpoint, whose instances the runtime makes.
    pub(crate) fields: Vec<Field>,
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
        let fields = match side {
            Side::Server => Field::take_all(&mut item.fields, problems),
            Side::Client => {
                made_by_the_user(&mut item.fields, problems);
                Vec::new()
            }
        };
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

/// Takes off what makes the struct another endpoint beside this one, or a component, which it cannot be.
fn one_endpoint(attrs: &mut Vec<Attribute>, side: Side, problems: &mut Problems) {
    for attribute in attributes::take(attrs, |attribute| attributes::is(attribute, "component")) {
        problems.on(attribute, component::BOTH);
    }
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

/// The fields of a client endpoint are none of our business.
fn made_by_the_user(fields: &mut Fields, problems: &mut Problems) {
    for attribute in fields.iter_mut().flat_map(|field| wanted::take(&mut field.attrs)) {
        problems.on(
            attribute,
            "the instances of a client endpoint are made by you: give the field its value there, without an attribute",
        );
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

//! The attributes that our macros take off the user's items, and those that concern what is generated.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, LitStr, Meta};

use crate::problems::Problems;

/// Whether this is `#[name]`, under whatever path.
pub(super) fn is(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

/// Takes off all attributes that `wanted` wants.
pub(super) fn take(attributes: &mut Vec<Attribute>, wanted: impl Fn(&Attribute) -> bool) -> Vec<Attribute> {
    attributes.extract_if(.., |attribute| wanted(attribute)).collect()
}

/// The conditions under which an item exists, which hold for what is generated for it too.
pub(super) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// The text in `#[name("text")]`, if there is one.
pub(super) fn text(attribute: &Attribute, problems: &mut Problems) -> Option<LitStr> {
    match &attribute.meta {
        Meta::Path(_) => None,
        Meta::List(list) => match list.parse_args() {
            Ok(text) => Some(text),
            Err(error) => {
                let name = list.path.to_token_stream();
                problems.at(error.span(), format!("expected one text, as in `#[{name}(\"name\")]`"));
                None
            }
        },
        Meta::NameValue(pair) => {
            let name = pair.path.to_token_stream();
            problems.on(attribute, format!("write the name in parentheses: `#[{name}(\"name\")]`"));
            None
        }
    }
}

/// What stands in the parentheses of an attribute; nothing if it has none.
pub(super) fn arguments(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            let (equals, value) = (pair.eq_token, &pair.value);
            quote::quote!(#equals #value)
        }
    }
}

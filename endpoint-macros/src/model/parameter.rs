//! One parameter of a handler: what it is called, and where its value comes from.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Pat, PatType, Type};

use super::attributes;
use crate::problems::Problems;

/// A parameter as the dispatch makes it.
pub(crate) struct Parameter {
    /// What people call it.
    pub(crate) name: String,
    /// A name for it in generated code.
    pub(crate) local: Ident,
    /// Where it stands.
    pub(crate) span: Span,
    /// Its type, without the `&` of a parameter taken by reference.
    pub(crate) ty: TokenStream,
    pub(crate) source: Source,
}

/// Where the value of a parameter comes from.
pub(crate) enum Source {
    /// By value: its type says.
    Value,
    /// By reference: its type says.
    Reference(Borrowed),
    /// `#[path]`: the variable's name, and where it is written.
    Path(String, Span),
    /// `#[query]`: the name of the value.
    Query(String),
    /// The one parameter of an `#[on_error]` method that is the error.
    Error,
}

/// What a parameter taken by reference borrows from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Borrowed {
    /// `&str`: for a handler that runs at once, from the reader's buffer.
    Text,
    /// `&[u8]`: the same.
    Bytes,
    Other,
}

impl Parameter {
    /// Takes our attributes off a parameter and says what it means. `None` beside a problem.
    pub(super) fn take_from(argument: &mut PatType, index: usize, problems: &mut Problems) -> Option<Self> {
        let ours = attributes::take(&mut argument.attrs, is_ours);
        if let Some(condition) = argument.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            problems.on(
                condition,
                "a handler's parameter cannot be conditional: put `#[cfg]` on the whole method",
            );
        }
        let span = first_span(&argument.pat);
        let (name, local) = names(&argument.pat, index);
        let (ty, reference) = referent(&argument.ty, problems)?;
        let source = match (&ours[..], reference) {
            ([], Some(borrowed)) => Source::Reference(borrowed),
            ([], None) => Source::Value,
            ([attribute], None) => named(attribute, &argument.pat, problems)?,
            ([attribute], Some(_)) => {
                let word = attribute.path().to_token_stream();
                problems.on(
                    &argument.ty,
                    format!("a `#[{word}]` parameter is a value of its own: take `String` or another type, without `&`"),
                );
                return None;
            }
            ([_, second, ..], _) => {
                problems.on(second, "a parameter has one source: keep one of these attributes");
                return None;
            }
        };
        Some(Parameter { name, local, span, ty, source })
    }
}

pub(super) fn is_ours(attribute: &Attribute) -> bool {
    attributes::is(attribute, "path") || attributes::is(attribute, "query")
}

/// What `#[path]` or `#[query]` says.
fn named(attribute: &Attribute, pattern: &Pat, problems: &mut Problems) -> Option<Source> {
    let given = match &attribute.meta {
        syn::Meta::Path(_) => None,
        _ => Some(attributes::text(attribute, problems)?),
    };
    let (name, span) = match (given, pattern) {
        (Some(text), _) => (text.value(), text.span()),
        (None, Pat::Ident(pattern)) => (pattern.ident.unraw().to_string(), pattern.ident.span()),
        (None, other) => {
            let word = attribute.path().to_token_stream();
            problems.on(
                other,
                format!("a pattern has no name: say which one is meant, as in `#[{word}(\"name\")]`"),
            );
            return None;
        }
    };
    let is_path = attributes::is(attribute, "path");
    if name.is_empty() {
        problems.at(span, "the name is empty");
        return None;
    }
    if name.starts_with('_') && matches!(attribute.meta, syn::Meta::Path(_)) {
        let word = if is_path { "path" } else { "query" };
        let plain = name.trim_start_matches('_');
        problems.at(span, format!("is `{plain}` meant, or `{name}`? Write `#[{word}(\"{plain}\")]`"));
        return None;
    }
    Some(if is_path { Source::Path(name, span) } else { Source::Query(name) })
}

/// The type behind `&`, and what it is if there is one.
fn referent(ty: &Type, problems: &mut Problems) -> Option<(TokenStream, Option<Borrowed>)> {
    match ty {
        Type::Group(group) => referent(&group.elem, problems),
        Type::Paren(paren) => referent(&paren.elem, problems),
        Type::Reference(reference) if reference.mutability.is_some() => {
            problems.on(ty, "a handler cannot have `&mut`: take the value itself, and make it `mut`");
            None
        }
        Type::Reference(reference) => {
            let borrowed = match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => Borrowed::Text,
                Type::Slice(slice) if slice.elem.to_token_stream().to_string() == "u8" => Borrowed::Bytes,
                _ => Borrowed::Other,
            };
            Some((reference.elem.to_token_stream(), Some(borrowed)))
        }
        other => Some((other.to_token_stream(), None)),
    }
}

/// What people call a parameter, and a name for it in generated code.
pub(super) fn names(pattern: &Pat, index: usize) -> (String, Ident) {
    match pattern {
        Pat::Ident(pattern) => {
            let name = pattern.ident.unraw().to_string();
            // A generated name may not be a keyword, and those of the dispatch itself begin with two underscores.
            let local = match syn::parse_str::<Ident>(&name) {
                Ok(ident) if !name.starts_with('_') => ident.to_string(),
                _ => format!("__parameter_{index}"),
            };
            (name, Ident::new(&local, Span::mixed_site()))
        }
        other => {
            let name = other.to_token_stream().to_string().replace(' ', "");
            (name, Ident::new(&format!("__parameter_{index}"), Span::mixed_site()))
        }
    }
}

pub(super) fn first_span(tokens: impl ToTokens) -> Span {
    tokens.to_token_stream().into_iter().next().map_or_else(Span::call_site, |token| token.span())
}

/// The tokens of a type as they can stand outside the method: `Self` by its name, and no lifetime of the method's own.
pub(super) fn outside(tokens: TokenStream, self_type: &TokenStream) -> TokenStream {
    let mut after_quote = false;
    tokens
        .into_iter()
        .map(|token| {
            let is_lifetime = std::mem::replace(&mut after_quote, false);
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                    after_quote = true;
                    punct.into_token_stream()
                }
                TokenTree::Ident(ident) if is_lifetime && ident != "static" => {
                    Ident::new("_", ident.span()).into_token_stream()
                }
                TokenTree::Ident(ident) if !is_lifetime && ident == "Self" => {
                    let span = ident.span();
                    self_type
                        .clone()
                        .into_iter()
                        .map(|mut token| {
                            token.set_span(span);
                            token
                        })
                        .collect()
                }
                TokenTree::Group(group) => {
                    let mut inner =
                        proc_macro2::Group::new(group.delimiter(), outside(group.stream(), self_type));
                    inner.set_span(group.span());
                    quote!(#inner)
                }
                other => other.into_token_stream(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_made_to_stand_outside() {
        let types = outside(quote!(Map<'a, &'static Self, [Self::Item; 2]>), &quote!(module::Seat));
        let expected = quote!(Map<'_, &'static module::Seat, [module::Seat::Item; 2]>);
        assert_eq!(types.to_string(), expected.to_string());
    }

    #[test]
    fn parameters_have_names() {
        for (pattern, name, local) in [
            (quote!(text), "text", "text"),
            (quote!(mut text), "text", "text"),
            (quote!(r#type), "type", "__parameter_3"),
            (quote!(_unused), "_unused", "__parameter_3"),
            (quote!(_), "_", "__parameter_3"),
            (quote!(Json(Some(value))), "Json(Some(value))", "__parameter_3"),
        ] {
            let pattern = syn::parse::Parser::parse2(Pat::parse_single, pattern).unwrap();
            let names = names(&pattern, 3);
            assert_eq!((names.0.as_str(), names.1.to_string().as_str()), (name, local));
        }
    }
}

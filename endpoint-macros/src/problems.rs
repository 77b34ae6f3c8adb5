//! Everything that is wrong with the user's code, gathered so that all of it is told at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// What has been found so far.
#[derive(Default)]
pub(crate) struct Problems(Option<syn::Error>);

impl Problems {
    /// Something is wrong with these tokens, of which the first and the last are underlined with all between them.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Something is wrong here.
    pub(crate) fn at(&mut self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    /// What a parser found wrong.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// All of these, too.
    pub(crate) fn add_all(&mut self, others: Problems) {
        if let Some(error) = others.0 {
            self.add(error);
        }
    }

    /// The value, or `None` and one more problem.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// The place of the attribute that stands before this item, as the user wrote it, not as part of what the macro makes.
pub(crate) fn attribute_before(item: &TokenStream) -> Span {
    let first = item.clone().into_iter().next();
    first.map_or_else(Span::call_site, |token| Span::call_site().resolved_at(token.span()))
}

/// One `compile_error!` for each problem.
impl ToTokens for Problems {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        if let Some(error) = &self.0 {
            tokens.extend(error.to_compile_error());
        }
    }
}

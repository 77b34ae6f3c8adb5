//! What an instance wants of the application: asked for before anything is started, and taken when it is made.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::{ask, ask_with, place};
use crate::model::{Initial, Setting, Wanted};
use crate::runtime::Runtime;

/// The parameter of `needs`, which the user's own expressions cannot see.
fn needs_local() -> Ident {
    Ident::new("__needs", Span::mixed_site())
}

/// The parameter of the function that makes an instance, by reference, which they cannot see either.
pub(super) fn context_local() -> Ident {
    Ident::new("__context", Span::mixed_site())
}

/// `fn needs`, if there is anything to ask for.
pub(super) fn needs<'w>(wanted: impl Iterator<Item = &'w Wanted>, runtime: &Runtime) -> Option<TokenStream> {
    let needs = needs_local();
    let statements: TokenStream = wanted.filter_map(|wanted| need(wanted, runtime)).collect();
    let is_empty = statements.is_empty();
    (!is_empty).then(|| quote!(fn needs(#needs: &mut #runtime::Needs) { #statements }))
}

fn need(wanted: &Wanted, runtime: &Runtime) -> Option<TokenStream> {
    let Wanted { name, span, ty, conditions, initial } = wanted;
    let (needs, place) = (needs_local(), place(runtime, *span));
    let (of, which) = match initial {
        Initial::Inject(None) => (quote!(InjectedField), None),
        Initial::Inject(Some(component)) => (quote!(NamedField), Some(quote!(, #component))),
        Initial::Setting(Setting { key, default }) => {
            let has_default = default.is_some();
            (quote!(ValueField), Some(quote!(, #key, #has_default)))
        }
        Initial::Expression(_) | Initial::Default => return None,
    };
    let asked = ask(ty, &of, runtime, "needs");
    Some(quote!(#(#conditions)* #asked(#needs, #name, #place #which);))
}

/// The value itself.
pub(super) fn value(wanted: &Wanted, runtime: &Runtime) -> TokenStream {
    let (ty, context) = (&wanted.ty, context_local());
    let asked = |of: TokenStream, function: &str, arguments: TokenStream| {
        let asked = ask_with(ty, &of, runtime, function, quote!(#context #arguments));
        quote!(#asked?)
    };
    match &wanted.initial {
        Initial::Inject(None) => asked(quote!(InjectedField), "inject", TokenStream::new()),
        Initial::Inject(Some(name)) => asked(quote!(NamedField), "inject", quote!(, #name)),
        Initial::Setting(Setting { key, default: None }) => {
            asked(quote!(ValueField), "value", quote!(, #key))
        }
        Initial::Setting(Setting { key, default: Some(default) }) => {
            let set = asked(quote!(ValueField), "value_if_set", quote!(, #key));
            quote!(::core::option::Option::unwrap_or_else(#set, || #default))
        }
        Initial::Expression(expression) => quote!(#expression),
        Initial::Default => {
            let initial = ask(ty, &quote!(InitialField), runtime, "initial");
            quote!(#initial())
        }
    }
}

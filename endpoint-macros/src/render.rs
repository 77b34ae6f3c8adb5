//! From meaning to Rust: what the compiler sees.
//!
//! Everything the user wrote keeps its place, so that the compiler's words about it stand there too; everything else belongs to
//! the macro. Generated code calls nothing but the runtime's `__private` module and `core`.

mod call;
mod component;
mod endpoint;
mod handlers;
mod wanted;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};

use crate::runtime::Runtime;

pub(crate) use self::component::{
    component, component_fallback, constructed, constructed_fallback, provider,
};
pub(crate) use self::endpoint::{endpoint, endpoint_fallback};
pub(crate) use self::handlers::{handlers, handlers_fallback};

/// `<Type as Trait>::function`, all of it at the place of the type.
///
/// A complaint about the type then comes out the same, word for word, wherever it is asked of the trait, and the compiler says it once.
fn ask(ty: &TokenStream, of: &TokenStream, runtime: &Runtime, function: &str) -> TokenStream {
    let [first, last] = ends(ty);
    let runtime = runtime.at(last);
    let function = Ident::new(function, last);
    let open = quote_spanned!(first=> <);
    let rest = quote_spanned!(last=> as #runtime::#of>::#function);
    quote!(#open #ty #rest)
}

/// `<Type as Trait>::function(arguments)`, the same way.
fn ask_with(
    ty: &TokenStream,
    of: &TokenStream,
    runtime: &Runtime,
    function: &str,
    arguments: TokenStream,
) -> TokenStream {
    let function = ask(ty, of, runtime, function);
    let arguments = parenthesized(arguments, ends(ty)[1]);
    quote!(#function #arguments)
}

/// `(arguments)`, with the parentheses at a place.
fn parenthesized(arguments: TokenStream, place: Span) -> Group {
    let mut group = Group::new(Delimiter::Parenthesis, arguments);
    group.set_span(place);
    group
}

/// `{ body }`, with the braces at a place of the user's: that is what the compiler shows when it means the whole.
fn braced(body: TokenStream, place: Span) -> Group {
    let mut group = Group::new(Delimiter::Brace, body);
    group.set_span(place);
    group
}

/// The places of the first and the last of some tokens.
fn ends(tokens: &TokenStream) -> [Span; 2] {
    let mut all = tokens.clone().into_iter();
    let first = all.next();
    let last = all.last().or_else(|| first.clone());
    [(first, false), (last, true)].map(|(token, is_last)| match token {
        // The invisible group that `macro_rules!` puts around `$ty:ty`.
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::None => {
            ends(&group.stream())[usize::from(is_last)]
        }
        Some(token) => token.span(),
        None => Span::call_site(),
    })
}

/// Where something stands, for problems that are found when the application starts.
fn place(runtime: &Runtime, span: Span) -> TokenStream {
    let (file, line) = (quote_spanned!(span=> ::core::file!()), quote_spanned!(span=> ::core::line!()));
    quote!(#runtime::Place::new(#file, #line))
}

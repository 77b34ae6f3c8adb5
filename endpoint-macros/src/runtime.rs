//! Where generated code finds the runtime: under whatever name the user's crate depends on it.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Ident, Path};

/// The path to the runtime's `__private` module.
pub(crate) struct Runtime(TokenStream);

impl Runtime {
    /// The crate that the user names with `crate = path`.
    pub(crate) fn given(path: &Path) -> Self {
        Runtime(quote!(#path::__private))
    }

    /// The crate as the manifest names it.
    ///
    /// # Errors
    /// No dependency is the runtime.
    pub(crate) fn found() -> syn::Result<Self> {
        use proc_macro_crate::{Error, FoundCrate, crate_name};

        match crate_name("endpoint-runtime") {
            Ok(FoundCrate::Name(name)) => Ok(Self::named(&name)),
            // The runtime's own tests and examples, which see it under its name as everybody does; and builds without a
            // manifest, where the name is the best guess.
            Ok(FoundCrate::Itself) | Err(Error::NotFound(_) | Error::CargoManifestDirNotSet) => {
                Ok(Self::named("endpoint_runtime"))
            }
            Err(_) => Err(syn::Error::new(
                Span::call_site(),
                "the crate `endpoint-runtime` is not among the dependencies of this package: \
                 add it, or say where it is with `crate = path`",
            )),
        }
    }

    /// The crate of this name.
    pub(crate) fn named(name: &str) -> Self {
        let name = Ident::new(name, Span::call_site());
        Runtime(quote!(::#name::__private))
    }

    /// The path, as if it stood at `span`: what is wrong with it there is shown there.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        respan(&self.0, span)
    }
}

/// The path inside generated code that belongs to no place of the user's.
impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.at(Span::mixed_site()));
    }
}

/// The same tokens at another place, with the meaning that they have at their own.
fn respan(tokens: &TokenStream, span: Span) -> TokenStream {
    tokens
        .clone()
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => {
                let mut moved = Group::new(group.delimiter(), respan(&group.stream(), span));
                moved.set_span(span.resolved_at(group.span()));
                TokenTree::Group(moved)
            }
            mut token => {
                token.set_span(span.resolved_at(token.span()));
                token
            }
        })
        .collect()
}

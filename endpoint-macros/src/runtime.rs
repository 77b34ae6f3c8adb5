//! Where generated code finds the runtime: under whatever name the user's crate depends on it.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Ident, Path};

/// The path to the runtime's `__private` module.
pub(crate) struct Runtime {
    path: TokenStream,
    /// Whether the user wrote the path: then its words mean what they mean at their own place, in a macro of the user's for example.
    is_given: bool,
}

impl Runtime {
    /// The crate that the user names with `crate = path`.
    pub(crate) fn given(path: &Path) -> Self {
        Runtime { path: quote!(#path::__private), is_given: true }
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
        Runtime { path: quote!(::#name::__private), is_given: false }
    }

    /// The path, as if it stood at `span`: what is wrong with it there is shown there.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        respan(self.path.clone(), |own| if self.is_given { span.resolved_at(own) } else { span })
    }
}

/// The path inside generated code that belongs to no place of the user's.
impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.at(Span::mixed_site()));
    }
}

/// The same tokens at other places.
fn respan(tokens: TokenStream, place: impl Fn(Span) -> Span + Copy) -> TokenStream {
    let moved = tokens.into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), respan(group.stream(), place)).into();
        }
        token.set_span(place(token.span()));
        token
    });
    moved.collect()
}

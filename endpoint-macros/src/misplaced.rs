//! `#[on_message]` and its kind, and `#[constructor]`, where nothing picks them up: they say what is missing.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, ImplItem};

use crate::problems::{Problems, attribute_before};

/// What stands on parameters.
const OURS: [&str; 4] = ["path", "query", "inject", "value"];

/// A function with an attribute that another macro, `of` the block, would have picked up: the item as it was, and the remedy.
pub(crate) fn misplaced(attribute: &str, of: &str, item: TokenStream) -> TokenStream {
    let mut problems = Problems::default();
    problems.at(
        attribute_before(&item),
        format!("`#[{attribute}]` means something only inside `#[{of}]`: put `#[{of}]` on the `impl` block of this method"),
    );
    let item = without_ours(item);
    quote!(#item #problems)
}

/// A method's parameters without the attributes that the other macro would have taken off: they mean nothing to the compiler,
/// which would say so too.
fn without_ours(item: TokenStream) -> TokenStream {
    let Ok(ImplItem::Fn(mut method)) = syn::parse2(item.clone()) else { return item };
    for argument in &mut method.sig.inputs {
        if let FnArg::Typed(argument) = argument {
            argument.attrs.retain(|attribute| !OURS.iter().any(|ours| attribute.path().is_ident(ours)));
        }
    }
    method.into_token_stream()
}

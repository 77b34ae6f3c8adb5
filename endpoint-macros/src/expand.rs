//! The macros as functions from tokens to tokens, which tests can call: parse, model, render.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::model::{Endpoint, Handlers, Options, Side};
use crate::parse::{Arguments, Block};
use crate::problems::{Problems, attribute_before};
use crate::render;
use crate::runtime::Runtime;

/// How the runtime is found where `crate = path` does not say.
pub(crate) type Find = fn() -> syn::Result<Runtime>;

/// `#[server_endpoint(arguments)] item` or `#[client_endpoint(arguments)] item`
pub(crate) fn endpoint(side: Side, arguments: TokenStream, item: TokenStream, find: Find) -> TokenStream {
    let mut problems = Problems::default();
    let attribute = attribute_before(&item);
    let options = Options::new(side, Arguments::parse(arguments, &mut problems), attribute, &mut problems);
    let (endpoint, item) = Endpoint::new(item, side, attribute, &mut problems);
    let runtime = runtime(options.runtime.as_ref(), find, &mut problems);
    let generated = match (&endpoint, &runtime) {
        (Some(endpoint), Some(runtime)) if problems.is_empty() => {
            render::endpoint(endpoint, &options, runtime)
        }
        (Some(endpoint), Some(runtime)) => render::endpoint_fallback(endpoint, options, runtime),
        _ => TokenStream::new(),
    };
    quote!(#item #generated #problems)
}

/// `#[handlers(arguments)] item`
pub(crate) fn handlers(arguments: TokenStream, item: &TokenStream, find: Find) -> TokenStream {
    let mut problems = Problems::default();
    let path = crate_argument(arguments, &mut problems);
    let mut block = match syn::parse2::<Block>(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            problems.add(not_a_block(item, error));
            return quote!(#item #problems);
        }
    };
    let handlers = Handlers::take_from(&mut block, &mut problems);
    let runtime = runtime(path.as_ref(), find, &mut problems);
    let generated = match (&handlers, &runtime) {
        (Some(handlers), Some(runtime)) if problems.is_empty() => render::handlers(handlers, runtime),
        (Some(handlers), Some(runtime)) => render::handlers_fallback(handlers, runtime),
        _ => TokenStream::new(),
    };
    quote!(#block #generated #problems)
}

fn runtime(path: Option<&syn::Path>, find: Find, problems: &mut Problems) -> Option<Runtime> {
    match path {
        Some(path) => Some(Runtime::given(path)),
        None => problems.keep(find()),
    }
}

/// `crate = path`, the one argument of `#[handlers]`.
fn crate_argument(arguments: TokenStream, problems: &mut Problems) -> Option<syn::Path> {
    let arguments = Arguments::parse(arguments, problems);
    for argument in &arguments.positional {
        problems.on(
            argument,
            "`#[handlers]` takes no such argument: the path and the options belong to `#[server_endpoint]`, on the struct",
        );
    }
    let mut path = None;
    for argument in arguments.named {
        let name = &argument.name;
        if name != "crate" {
            problems.on(name, format!("`#[handlers]` has no argument `{name}`: options belong to the attribute of the struct; it has `crate`"));
        } else if path.is_some() {
            problems.on(name, "`crate` is set twice: keep one of them");
        } else {
            path = problems.keep(syn::parse2(argument.value.into_token_stream()));
        }
    }
    path
}

/// What to say about an item that is no `impl` block.
fn not_a_block(item: &TokenStream, error: syn::Error) -> syn::Error {
    let message = match syn::parse2::<syn::Item>(item.clone()) {
        Ok(syn::Item::Struct(_) | syn::Item::Enum(_) | syn::Item::Union(_)) => {
            "`#[handlers]` goes on the `impl` block of the methods: on the struct goes `#[server_endpoint(\"/path\")]`"
        }
        Ok(syn::Item::Impl(_)) | Err(_) => return error,
        Ok(_) => {
            "`#[handlers]` goes on the `impl` block of an endpoint: `#[handlers] impl Name { #[on_message] fn … }`"
        }
    };
    syn::Error::new(attribute_before(item), message)
}

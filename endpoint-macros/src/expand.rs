//! The macros as functions from tokens to tokens, which tests can call: parse, model, render.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};

use crate::model::{Component, ComponentOptions, Constructed, Endpoint, Handlers, Maker, Options, Side};
use crate::parse::{Arguments, Block, Member};
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

/// `#[component(arguments)] item`
pub(crate) fn component(arguments: TokenStream, item: TokenStream, find: Find) -> TokenStream {
    let mut problems = Problems::default();
    let arguments = Arguments::parse(arguments, &mut problems);
    let options = ComponentOptions::new("component", arguments, &mut problems);
    let runtime = runtime(options.runtime.as_ref(), find, &mut problems);
    let (item, generated) = if is_block(&item) {
        constructed(item, &options, runtime.as_ref(), &mut problems)
    } else {
        let (component, item) = Component::new(item.clone(), attribute_before(&item), &mut problems);
        let generated = component.zip(runtime).map(|(component, runtime)| match problems.is_empty() {
            true => render::component(&component, &options, &runtime),
            false => render::component_fallback(&component, &runtime),
        });
        (item, generated)
    };
    quote!(#item #generated #problems)
}

/// The block of a constructor.
fn constructed(
    item: TokenStream,
    options: &ComponentOptions,
    runtime: Option<&Runtime>,
    problems: &mut Problems,
) -> (TokenStream, Option<TokenStream>) {
    let Some(mut block) = problems.keep(syn::parse2::<Block>(item.clone())) else { return (item, None) };
    let constructed = Constructed::take_from(&mut block, problems);
    let generated = constructed.zip(runtime).map(|(constructed, runtime)| match problems.is_empty() {
        true => render::constructed(&constructed, options, runtime),
        false => render::constructed_fallback(&constructed, runtime),
    });
    (block.into_token_stream(), generated)
}

/// `#[provider(arguments)] item`
pub(crate) fn provider(arguments: TokenStream, item: &TokenStream, find: Find) -> TokenStream {
    let mut problems = Problems::default();
    let arguments = Arguments::parse(arguments, &mut problems);
    let options = ComponentOptions::new("provider", arguments, &mut problems);
    let runtime = runtime(options.runtime.as_ref(), find, &mut problems);
    let mut function = match syn::parse2::<Member>(item.clone()) {
        Ok(Member::Method(function)) => function,
        Ok(Member::Other(_)) => {
            problems.at(attribute_before(item), NOT_A_FUNCTION);
            return quote!(#item #problems);
        }
        Err(error) => {
            problems.add(not_a_function(item, error));
            return quote!(#item #problems);
        }
    };
    let maker = Maker::provider(&mut function, &mut problems);
    let generated = maker.zip(runtime).filter(|_| problems.is_empty());
    let generated = generated.map(|(maker, runtime)| render::provider(&maker, &options, &runtime));
    quote!(#function #generated #problems)
}

const NOT_A_FUNCTION: &str = "`#[provider]` goes on a function that returns a component: on a struct, or the `impl` block of its constructor, goes `#[component]`";

/// What to say about an item that is no function.
fn not_a_function(item: &TokenStream, error: syn::Error) -> syn::Error {
    match syn::parse2::<syn::Item>(item.clone()) {
        Ok(syn::Item::Fn(_)) | Err(_) => error,
        Ok(_) => syn::Error::new(attribute_before(item), NOT_A_FUNCTION),
    }
}

/// Whether the first word of an item, after its attributes, is `impl`.
fn is_block(item: &TokenStream) -> bool {
    let mut words = item.clone().into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    words.find(|word| word != "unsafe").is_some_and(|word| word == "impl")
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

//! Golden tests: what the macros make of the files in `tests/golden`, for people to read.
//!
//! `UPDATE_GOLDEN=1 cargo test -p endpoint-macros` writes the `.expanded.rs` files anew; their changes belong in the review.

use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, Item, Meta};

use crate::expand;
use crate::model::Side;
use crate::runtime::Runtime;

#[test]
fn expansions_are_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut changed = Vec::new();
    for input in inputs(&folder) {
        let expanded = expand_file(&fs::read_to_string(&input).unwrap());
        let golden = input.with_extension("expanded.rs");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, expanded).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != expanded {
            changed.push((golden, expanded));
        }
    }
    for (golden, expanded) in &changed {
        println!("{} would be:\n{expanded}", golden.display());
    }
    assert!(changed.is_empty(), "expansions have changed: look at them, then run with UPDATE_GOLDEN=1");
}

/// Every file that is not itself an expansion, in order.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<_> = files.filter(|file| !file.to_string_lossy().ends_with(".expanded.rs")).collect();
    assert!(!inputs.is_empty());
    inputs.sort();
    inputs
}

fn expand_file(source: &str) -> String {
    let file = syn::parse_file(source).unwrap();
    let items = file.items.into_iter().map(expand_item).collect::<TokenStream>();
    prettyplease::unparse(&syn::parse2(items).unwrap())
}

fn expand_item(mut item: Item) -> TokenStream {
    let attributes = match &mut item {
        Item::Struct(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        Item::Impl(item) => &mut item.attrs,
        Item::Fn(item) => &mut item.attrs,
        _ => return item.into_token_stream(),
    };
    let Some(index) = attributes.iter().position(|attribute| name(attribute).is_some()) else {
        return item.into_token_stream();
    };
    let attribute = attributes.remove(index);
    let arguments = match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let find = || Ok(Runtime::named("endpoint_runtime"));
    let item = item.into_token_stream();
    match name(&attribute) {
        Some("server_endpoint") => expand::endpoint(Side::Server, arguments, item, find),
        Some("client_endpoint") => expand::endpoint(Side::Client, arguments, item, find),
        Some("component") => expand::component(arguments, item, find),
        Some("provider") => expand::provider(arguments, &item, find),
        _ => expand::handlers(arguments, &item, find),
    }
}

/// Which of our macros an attribute calls.
fn name(attribute: &Attribute) -> Option<&'static str> {
    let macros = ["server_endpoint", "client_endpoint", "handlers", "component", "provider"];
    macros.into_iter().find(|name| attribute.path().is_ident(name))
}

#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[component(nam = "main", scope = singleton, lasy, "main")]
struct A;

#[component(name, name = 7, name = "", provides = "Send")]
struct B;

#[provider(layz, lazy = true, name = "")]
fn c() -> u8 {
    7
}

fn main() {}

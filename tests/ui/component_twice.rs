#![allow(unused)]

use endpoint_runtime::prelude::*;

#[component]
#[component(lazy)]
struct A;

#[component]
struct B;

#[component]
impl B {
    #[constructor]
    fn new() -> Self {
        B
    }
}

#[provider]
#[provider(name = "second")]
fn c() -> u8 {
    7
}

fn main() {}

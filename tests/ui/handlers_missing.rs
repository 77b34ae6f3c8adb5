#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

impl A {
    fn text(&self, text: String) {}
}

fn main() {}

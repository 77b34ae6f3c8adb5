#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint(path = "/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[server_endpoint("/b", "/c")]
struct B;

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", scope = request, overflow = drop)]
struct A;

#[server_endpoint("/b", scope = singelton)]
struct B;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

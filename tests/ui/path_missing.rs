#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, #[path] room: String, text: String) {}
}

#[server_endpoint(scope = singleton)]
struct B;

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

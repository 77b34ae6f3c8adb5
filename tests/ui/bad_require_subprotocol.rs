#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", subprotocols = ["chat.v1"], require_subprotocol = "yes")]
struct A;

#[server_endpoint("/b", require_subprotocol = true)]
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

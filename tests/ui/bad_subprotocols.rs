#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", subprotocols = ["chat v1", "chat.v2", "chat.v2", "", 7])]
struct A;

#[server_endpoint("/b", subprotocols = "chat.v1")]
struct B;

#[server_endpoint("/c", subprotocols = [])]
struct C;

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

#[handlers]
impl C {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

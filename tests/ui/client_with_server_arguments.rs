#![allow(unused)]

use endpoint_runtime::prelude::*;

struct Checked;

#[client_endpoint("/chat", scope = singleton, origins = ["*"], configurator = Checked, require_subprotocol = true)]
struct A;

#[client_endpoint(path = "/chat", url = "wss://example.com/chat", subprotocol = ["chat.v1"], singleton)]
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

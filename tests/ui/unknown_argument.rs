#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", scop = singleton, maxMessageSize = 9, decoder = [A], timeouts = 3)]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

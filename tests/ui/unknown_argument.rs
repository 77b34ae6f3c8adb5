#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", scop = singleton, maxMessageSize = 9, encoders = [A])]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a/{room}")]
struct A;

impl A {
    #[on_message]
    fn text(&self, #[path] room: String, #[query] how: u8, text: String) {}
}

#[on_open]
fn alone(session: &Session) {}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
enum A {
    One,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[server_endpoint("/b")]
fn b(text: String) -> String {
    text
}

struct C;

#[server_endpoint("/c")]
impl C {}

#[server_endpoint("/d")]
mod d {}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[client_endpoint]
enum A {
    One,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[client_endpoint]
fn b(text: String) -> String {
    text
}

struct C;

#[client_endpoint]
impl C {}

#[client_endpoint]
struct D<T>(T);

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a" scope = singleton, overflow =, send_buffer = "big")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

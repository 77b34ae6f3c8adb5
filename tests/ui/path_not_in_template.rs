#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a/{room}")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&self, #[path] rom: String) {}

    #[on_message]
    fn text(&self, text: String, #[path("seat")] number: u32, #[path] room: String) {}
}

fn main() {}

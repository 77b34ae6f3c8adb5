#![allow(unused)]

use std::cell::Cell;

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", scope = singleton)]
struct A {
    count: Cell<u32>,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&mut self, #[path] room: String) {}

    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

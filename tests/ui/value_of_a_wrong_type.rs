#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

struct Size(usize);

#[component]
struct A {
    #[value("a.size")]
    size: Size,
    #[value("a.number", default = "seven")]
    number: u8,
}

struct B;

#[component]
impl B {
    #[constructor]
    fn new(#[value("b.size")] size: Arc<Size>) -> Self {
        B
    }
}

#[server_endpoint("/c")]
struct C {
    #[value("c.size", default = Size(7))]
    size: Size,
}

#[handlers]
impl C {
    #[on_message]
    fn text(&mut self, text: String) {}
}

fn main() {}

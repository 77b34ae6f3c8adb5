#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn any(&self, message: Message) {}

    #[on_message]
    fn text(&self, text: String) {}
}

#[server_endpoint("/b")]
struct B;

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}

    #[on_message]
    fn any(&self, message: Message) {}
}

fn main() {}

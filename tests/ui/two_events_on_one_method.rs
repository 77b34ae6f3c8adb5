#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_open]
    #[on_close]
    fn both(&self) {}

    #[on_message]
    #[on_message]
    fn twice(&self, text: String) {}
}

fn main() {}

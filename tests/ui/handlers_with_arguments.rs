#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers("/a", scope = singleton)]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

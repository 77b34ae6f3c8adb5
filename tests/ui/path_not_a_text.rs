#![allow(unused)]

use endpoint_runtime::prelude::*;

const PATH: &str = "/a";

#[server_endpoint(PATH)]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

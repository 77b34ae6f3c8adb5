#![allow(unused)]

use endpoint_runtime::prelude::*;

const SIZE: u64 = 7;

#[server_endpoint("/a", max_message_size = SIZE)]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", max_message_size = 0, send_buffer = "64KiB")]
struct A;

#[server_endpoint("/b", max_message_size = -1)]
struct B;

#[server_endpoint("/c", send_buffer = 1.5, max_message_size = SIZE)]
struct C;

const SIZE: u64 = 7;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl C {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

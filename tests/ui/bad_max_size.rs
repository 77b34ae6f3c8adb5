#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message(max_size = 0)]
    fn text(&self, text: String) {}

    #[on_message(max_size = "64KiB")]
    fn bytes(&self, bytes: Bytes) {}

    #[on_message(max_size = "off")]
    fn ping(&self, ping: Ping) {}

    #[on_message(max_size = 7, max_size = 8)]
    fn pong(&self, pong: Pong) {}
}

const NONE: usize = 0;

#[server_endpoint("/b")]
struct B;

#[handlers]
impl B {
    #[on_message(max_size = NONE)]
    fn text(&self, text: String) {}
}

const SIZE: u64 = 7;

#[server_endpoint("/c")]
struct C;

#[handlers]
impl C {
    #[on_message(max_size = SIZE)]
    fn text(&self, text: String) {}

    #[on_message(max_size = -1)]
    fn bytes(&self, bytes: &[u8]) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn first(&self, ping: Ping) {}

    #[on_message]
    fn second(&self, ping: &Ping) {}

    #[on_message]
    fn pong(&self, pong: Pong) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn first(&self, pong: Pong) {}

    #[on_message]
    fn second(&self, pong: &Pong) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_message]
    fn first(&self, pong: Pong) {}

    #[on_message]
    fn second(&self, pong: Pong) {}
}

fn main() {}

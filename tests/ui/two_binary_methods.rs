#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn first(&self, bytes: Bytes) {}

    #[on_message]
    fn second(&self, bytes: &[u8]) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_message]
    fn first(&self, bytes: Bytes) {}

    #[on_message]
    fn second(&self, bytes: &[u8]) {}
}

fn main() {}

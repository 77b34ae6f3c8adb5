#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_close]
    fn first(&self) {}

    #[on_close]
    async fn second(&self, reason: &CloseReason) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_close]
    fn first(&self) {}

    #[on_close]
    async fn second(&self, reason: &CloseReason) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

use endpoint_runtime::ServerEndpointConfig;

#[client_endpoint]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn config() -> ServerEndpointConfig {
    ServerEndpointConfig::of::<A>()
}

fn main() {}

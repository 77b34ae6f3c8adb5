#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn first(&self) {}

    #[on_open]
    fn second(&self, session: &Session) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_open]
    fn first(&self) {}

    #[on_open]
    fn second(&self, session: &Session) {}
}

fn main() {}

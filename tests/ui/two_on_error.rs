#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_error]
    fn first(&self, error: &Error) {}

    #[on_error]
    fn second(&self, error: &Error, session: &Session) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_error]
    fn first(&self, error: &Error) {}

    #[on_error]
    fn second(&self, error: &Error, session: &Session) {}
}

fn main() {}

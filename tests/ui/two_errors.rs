#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_error]
    fn error(&self, error: &DecodeError, session: &Session, other: &Error) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_error]
    fn error(&self, error: &Error, cause: &std::io::Error) {}
}

fn main() {}

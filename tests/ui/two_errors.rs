#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_error]
    fn error(&self, error: &DecodeError, session: &Session, other: &Error) {}
}

fn main() {}

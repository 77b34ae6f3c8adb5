#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_error]
    fn nothing(&self, session: &Session) {}

    #[on_error]
    fn by_value(&self, error: Error) {}
}

fn main() {}

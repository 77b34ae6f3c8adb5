#![allow(unused)]

use endpoint_runtime::prelude::*;

type Bad = DecodeError;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_error]
    fn first(&self, error: &DecodeError) {}

    #[on_error]
    fn second(&self, error: &Bad) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_error]
    fn any(&self, error: &dyn std::error::Error) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

struct Board;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_error]
    fn board(&self, board: &Board) {}
}

fn main() {}

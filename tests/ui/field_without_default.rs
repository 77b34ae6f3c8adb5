#![allow(unused)]

use endpoint_runtime::prelude::*;

struct Board {
    squares: [u8; 64],
}

#[server_endpoint("/a")]
struct A {
    board: Board,
    moves: Vec<Board>,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&mut self, text: String) {}
}

fn main() {}

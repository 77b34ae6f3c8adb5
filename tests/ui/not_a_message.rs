#![allow(unused)]

use endpoint_runtime::prelude::*;

struct Board;

/// As large as you like.
struct BigDecimal(String);

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn by_value(&self, board: Board) {}

    #[on_message]
    async fn by_reference(&self, board: &Board) {}

    #[on_message]
    fn json(&self, Json(board): Json<Board>) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_message]
    fn big(&self, big: BigDecimal) {}
}

fn main() {}

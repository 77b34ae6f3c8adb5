#![allow(unused)]

use std::future::Future;

use endpoint_runtime::prelude::*;

struct Board;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&self) -> Board {
        Board
    }

    #[on_message]
    async fn text(&self, text: String) -> Result<Option<Board>> {
        Ok(None)
    }

    #[on_message]
    fn bytes(&self, bytes: Bytes) -> impl Future<Output = String> {
        async { String::new() }
    }

    #[on_close]
    fn close(&self) -> String {
        String::new()
    }
}

fn main() {}

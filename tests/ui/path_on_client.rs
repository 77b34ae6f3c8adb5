#![allow(unused)]

use endpoint_runtime::prelude::*;

#[client_endpoint]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&self, #[path] room: String) {}

    #[on_message]
    async fn text(&self, text: String, #[path("seat")] number: u32, #[query] lang: Option<String>) {}
}

fn main() {}

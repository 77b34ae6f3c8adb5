#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message(max_size = 1_000_000)]
    fn text(&self, text: String) {}

    #[on_message("binary")]
    fn bytes(&self, bytes: Bytes) {}

    #[on_close = "now"]
    fn close(&self) {}
}

fn main() {}

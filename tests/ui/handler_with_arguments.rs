#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message(maxMessageSize = 1_000_000, retries = 3)]
    fn text(&self, text: String) {}

    #[on_message("binary")]
    fn bytes(&self, bytes: Bytes) {}

    #[on_open(max_size = 1_000_000)]
    fn open(&self) {}

    #[on_error("any")]
    fn error(&self, error: &Error) {}

    #[on_close = "now"]
    fn close(&self) {}
}

fn main() {}

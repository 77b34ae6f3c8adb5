#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint(
    "/a",
    origins = ["example.com", "https://example.com/", "https://*.example.com", "https://example.org", "https://example.org"],
)]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

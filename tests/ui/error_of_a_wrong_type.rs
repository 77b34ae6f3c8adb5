#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) -> Result<String, String> {
        Err(text)
    }
}

fn main() {}

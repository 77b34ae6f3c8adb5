#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text_and_number(&self, text: String, number: i32) {}

    #[on_message]
    async fn bytes_and_last(&self, bytes: Bytes, session: &Session, last: bool) {}
}

fn main() {}

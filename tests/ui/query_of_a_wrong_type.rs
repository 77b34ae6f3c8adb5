#![allow(unused)]

use endpoint_runtime::prelude::*;

struct StringHolder(String);

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&self, #[query] room: StringHolder) {}

    #[on_message]
    async fn text(&self, text: String, Query(all): Query<StringHolder>) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", idle_timeout = "5s", ping_interval = "1s", idle_timeout = "6s")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

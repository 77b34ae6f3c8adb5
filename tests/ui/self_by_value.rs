#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(self) {}

    #[on_message]
    fn text(self: Arc<Self>, text: String) {}

    #[on_close]
    fn close(mut self) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    unsafe fn text(&self, text: String) {}

    #[on_close]
    extern "C" fn close(&self) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String, #[cfg(unix)] session: &Session) {}

    #[cfg_attr(unix, on_close)]
    fn close(&self) {}
}

fn main() {}

#![deny(dead_code)]

use endpoint_runtime::prelude::*;

// What generated code uses is used, and nothing else is.
#[server_endpoint("/a")]
struct A {
    read: u8,
    never_read: u8,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&self, _text: String) -> u8 {
        self.read
    }

    fn never_called(&self) {}
}

fn main() {}

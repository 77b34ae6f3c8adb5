#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", scope = singleton)]
struct A {
    count: u32,
}

#[handlers]
impl A {
    #[on_open]
    fn open(&mut self) {
        self.count += 1;
    }

    #[on_message]
    async fn text(&mut self, text: String) {}

    #[on_message]
    fn bytes(self: &mut Self, bytes: Bytes) {}

    #[on_close]
    fn close(&self) {}
}

fn main() {}

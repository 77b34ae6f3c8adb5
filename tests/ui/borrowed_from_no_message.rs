#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a/{room}")]
struct A;

#[handlers]
impl A {
    #[on_open]
    async fn open(&self, room: &str, session: &Session) {}

    #[on_close]
    fn close(&self, bytes: &[u8]) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a/{room}")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn nothing(&self) {}

    #[on_message]
    async fn only_surroundings(&self, session: &Session, #[path] room: String, sessions: Sessions) {}
}

fn main() {}

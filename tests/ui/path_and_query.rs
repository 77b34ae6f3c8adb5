#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a/{room}")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&self, #[path] #[query] room: String, #[path("room")] name: &str) {}

    fn helper(&self, #[path] room: String) {}
}

fn main() {}

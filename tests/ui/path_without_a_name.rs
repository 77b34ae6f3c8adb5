#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a/{room}")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(
        &self,
        #[path] (a, b): (u8, u8),
        #[path] _room: u8,
        #[query] _: u8,
        #[path = "room"] c: u8,
        #[path(room)] d: u8,
        #[query("")] e: u8,
    ) {
    }
}

fn main() {}

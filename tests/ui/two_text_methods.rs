#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn first(&self, text: String) {}

    #[on_message]
    async fn second(&self, Json(value): Json<u8>) {}

    #[on_message]
    fn third(&self, number: i32) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_message]
    fn first(&self, text: String) {}

    #[on_message]
    fn second(&self, text: &str) {}
}

fn main() {}

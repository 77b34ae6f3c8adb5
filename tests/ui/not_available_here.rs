#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&self, session: &Session, text: String) {}

    #[on_message]
    fn text(&self, text: String, reason: &CloseReason) {}

    #[on_close]
    fn close(&self, message: Message) {}

    #[on_error]
    fn error(&self, error: &Error, reason: CloseReason) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_open]
    fn open(&self, text: String) {}

    #[on_close]
    fn close(&self, bytes: Vec<u8>) {}
}

fn main() {}

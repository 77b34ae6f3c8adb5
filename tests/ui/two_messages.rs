#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text_and_number(&self, text: String, number: i32) {}

    #[on_message]
    async fn bytes_and_last(&self, bytes: Bytes, session: &Session, last: bool) {}

    #[on_message]
    fn pong_and_last(&self, pong: Pong, last: bool) {}
}

#[server_endpoint("/b")]
struct B;

#[handlers]
impl B {
    #[on_message]
    fn reader_and_last(&self, reader: TextReader, last: bool) {}

    #[on_message]
    fn bytes_and_number(&self, bytes: &[u8], number: i32) {}
}

#[server_endpoint("/c")]
struct C;

#[handlers]
impl C {
    #[on_message]
    async fn binary_reader_and_last(&self, reader: BinaryReader, last: bool) {}
}

#[client_endpoint]
struct Client;

#[handlers]
impl Client {
    #[on_message]
    fn text_and_number(&self, text: String, number: i32) {}

    #[on_message]
    fn bytes_and_last(&self, bytes: Bytes, last: bool) {}

    #[on_message]
    fn pong_and_last(&self, pong: Pong, last: bool) {}
}

#[client_endpoint]
struct Reading;

#[handlers]
impl Reading {
    #[on_message]
    async fn reader_and_last(&self, reader: TextReader, last: bool) {}

    #[on_message]
    fn binary_reader_and_last(&self, reader: BinaryReader, last: bool) {}
}

fn main() {}

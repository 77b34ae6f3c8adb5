#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", compression = deflate)]
struct A;

#[server_endpoint("/b", compression = true)]
struct B;

#[server_endpoint("/c", compression = contxt, compression_threshold = 100)]
struct C;

#[client_endpoint(compression = "gzip")]
struct D;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl C {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl D {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

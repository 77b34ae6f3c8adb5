#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
#[client_endpoint]
struct A;

#[client_endpoint]
#[server_endpoint("/b")]
struct B;

#[server_endpoint("/c")]
#[derive(Clone)]
#[server_endpoint("/d")]
struct C;

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

fn main() {}

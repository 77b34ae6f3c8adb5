#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text<T: FromMessage>(&self, message: T) {}

    #[on_message]
    fn bytes(&self, message: impl FromMessage) {}

    #[on_close]
    fn close<const N: usize>(&self) {}
}

fn main() {}

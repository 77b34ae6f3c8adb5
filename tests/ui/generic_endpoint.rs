#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A<T> {
    heard: Vec<T>,
}

#[handlers]
impl<T> A<T> {
    #[on_message]
    fn text(&mut self, text: String) {}
}

#[server_endpoint("/b")]
struct B<'b>(&'b str);

#[handlers]
impl B<'static> {
    #[on_message]
    fn text(&mut self, text: String) {}
}

fn main() {}

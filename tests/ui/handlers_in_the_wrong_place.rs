#![allow(unused)]

use endpoint_runtime::prelude::*;

#[handlers]
struct A;

#[server_endpoint("/b")]
struct B;

trait Heard {
    fn text(&self, text: String);
}

#[handlers]
impl Heard for B {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
fn c() {}

#[handlers]
impl &B {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

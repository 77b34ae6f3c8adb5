#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: &mut String, session: &mut Session) {}
}

fn main() {}

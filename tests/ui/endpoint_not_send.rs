#![allow(unused)]

use std::rc::Rc;

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
#[derive(Default)]
struct A {
    shared: Rc<String>,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&mut self, text: String) {}
}

fn main() {}

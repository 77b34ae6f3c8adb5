#![allow(unused)]

use endpoint_runtime::prelude::*;

use std::sync::Arc;

#[client_endpoint]
struct A {
    #[inject]
    theatre: Arc<String>,
    #[init(Vec::with_capacity(8))]
    heard: Vec<String>,
    count: u32,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&mut self, text: String) {
        self.heard.push(text);
    }
}

fn main() {}

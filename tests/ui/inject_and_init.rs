#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
struct A {
    #[inject]
    #[init(Arc::new(7))]
    both: Arc<u8>,
    #[inject]
    #[inject]
    twice: Arc<u8>,
    #[inject(Arc<u8>)]
    with_arguments: Arc<u8>,
    #[init]
    without_expression: u8,
    #[init(1, 2)]
    two_expressions: u8,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&mut self, text: String) {}
}

fn main() {}

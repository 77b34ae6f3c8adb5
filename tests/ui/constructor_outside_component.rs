#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

struct A(Arc<u8>);

impl A {
    #[constructor]
    fn new(#[inject("main")] number: Arc<u8>, #[value("a.b")] value: u8) -> Self {
        A(number)
    }
}

#[constructor]
fn alone() -> A {
    A(Arc::new(1))
}

fn main() {}

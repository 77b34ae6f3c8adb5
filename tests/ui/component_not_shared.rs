#![allow(unused)]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[component]
struct A {
    count: Cell<u8>,
}

struct B;

#[component]
impl B {
    #[constructor]
    async fn new() -> Self {
        let shared = Rc::new(1);
        std::future::ready(()).await;
        drop(shared);
        B
    }
}

#[provider]
fn c() -> Rc<u8> {
    Rc::new(1)
}

fn main() {}

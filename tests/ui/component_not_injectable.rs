#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

struct Theatre;

#[component]
struct A {
    #[inject]
    theatre: Theatre,
    #[inject("main")]
    sessions: Sessions,
    #[inject]
    good: Arc<Theatre>,
}

struct B;

#[component]
impl B {
    #[constructor]
    fn new(good: Arc<Theatre>, theatre: Theatre, number: u8, #[inject("main")] all: Vec<Arc<Theatre>>) -> Self {
        B
    }
}

#[provider]
fn c(theatre: Theatre) -> u8 {
    7
}

fn main() {}

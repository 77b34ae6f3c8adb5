#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[component]
struct A {
    #[inject(Arc<u8>)]
    a_type: Arc<u8>,
    #[inject("")]
    empty: Arc<u8>,
    #[inject()]
    nothing: Arc<u8>,
    #[inject = "main"]
    with_an_equals_sign: Arc<u8>,
    #[inject(name = "main")]
    with_a_name: Arc<u8>,
    #[inject("main", "other")]
    two: Arc<u8>,
    #[inject("main")]
    #[inject]
    twice: Arc<u8>,
    #[inject]
    #[init(Arc::new(7))]
    both: Arc<u8>,
}

fn main() {}

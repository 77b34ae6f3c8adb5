#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

struct A;

#[component]
impl A {
    fn new(#[value("a.b")] value: u8, #[inject] sessions: Sessions) -> Self {
        A
    }
}

struct B;

#[component]
impl B {}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

struct A;

#[component]
impl A {
    #[constructor]
    fn new() -> Self {
        A
    }

    #[constructor]
    async fn another() -> Result<Self> {
        Ok(A)
    }
}

struct B;

#[component]
impl B {
    #[constructor]
    #[constructor(lazy)]
    fn new() -> Self {
        B
    }
}

fn main() {}

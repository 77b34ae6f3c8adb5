#![allow(unused)]

use endpoint_runtime::prelude::*;

struct A;

#[component]
impl A {
    #[constructor]
    fn new() -> Option<Self> {
        Some(A)
    }
}

struct B;

#[component]
impl B {
    #[constructor]
    async fn new() {}
}

struct NoError;
struct C;

#[component]
impl C {
    #[constructor]
    async fn new() -> Result<Self, NoError> {
        Ok(C)
    }
}

struct D;

#[component]
impl D {
    #[constructor]
    fn new() -> impl Clone {
        7
    }
}

fn main() {}

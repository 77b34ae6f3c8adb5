#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[component]
struct A<T> {
    #[inject]
    heard: Arc<T>,
}

#[component]
struct B<'b>(#[init("b")] &'b str);

struct C<T>(T);

#[component]
impl<T> C<T> {
    #[constructor]
    fn new() -> Self {
        loop {}
    }
}

#[component]
impl C<u8> {
    #[constructor]
    fn one() -> Self {
        C(1)
    }
}

fn main() {}

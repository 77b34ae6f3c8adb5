#![allow(unused)]

use endpoint_runtime::prelude::*;

#[component]
#[server_endpoint("/a")]
struct A {
    #[inject]
    sessions: Sessions,
}

#[server_endpoint("/b")]
#[component]
struct B {
    #[inject]
    sessions: Sessions,
}

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

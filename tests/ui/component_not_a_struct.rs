#![allow(unused)]

use endpoint_runtime::prelude::*;

#[component]
enum A {
    One,
}

#[component]
fn b() -> u8 {
    7
}

#[component]
trait C {}

struct D;

#[component]
impl Default for D {
    fn default() -> Self {
        D
    }
}

#[component]
impl &'static str {
    #[constructor]
    fn new() -> Self {
        ""
    }
}

#[provider]
struct E;

#[provider]
impl E {
    fn new() -> Self {
        E
    }
}

#[provider]
const F: u8 = 7;

fn main() {}

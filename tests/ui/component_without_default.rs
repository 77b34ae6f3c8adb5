#![allow(unused)]

use endpoint_runtime::prelude::*;

struct Db;

#[component]
struct A {
    db: Db,
    size: usize,
}

fn main() {}

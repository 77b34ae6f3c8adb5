#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

const KEY: &str = "a.b";

#[component]
struct A {
    #[value]
    nothing: u8,
    #[value()]
    empty: u8,
    #[value(default = 3)]
    only_a_default: u8,
    #[value("size")]
    no_table: u8,
    #[value("${chat.size:100}")]
    as_in_java: u8,
    #[value("chat..size")]
    malformed: u8,
    #[value(KEY)]
    not_a_text: u8,
    #[value("a.b", defalt = 3, or = 4)]
    unknown: u8,
    #[value("a.b", 3)]
    positional: u8,
    #[value = "a.b"]
    with_an_equals_sign: u8,
    #[value("a.b")]
    #[inject]
    both: Arc<u8>,
    #[value("a.b")]
    #[value("a.c")]
    twice: u8,
    #[value("a.b" default = 3)]
    without_a_comma: u8,
}

#[server_endpoint("/b")]
struct B {
    #[value("size")]
    size: u8,
}

#[handlers]
impl B {
    #[on_message]
    fn text(&mut self, text: String) {}
}

fn main() {}

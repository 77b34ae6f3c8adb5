#![allow(unused)]

use endpoint_runtime::prelude::*;

struct Csv;

#[server_endpoint("/a", decoders = Csv, encoders = [])]
struct A;

#[server_endpoint("/b", decoders = [Csv, "csv"], encoders = "csv")]
struct B;

#[server_endpoint("/c", decoders = [&Csv, Csv, Csv], encoders = [Csv; 2])]
struct C;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl C {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

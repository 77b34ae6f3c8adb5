#![allow(unused)]

use endpoint_runtime::prelude::*;

struct Csv;

mod boards {
    pub(crate) struct Board<const SIZE: usize>;
}

#[server_endpoint("/a", decoders = [Csv, boards::Board<8>], encoders = [Csv])]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) {}
}

#[client_endpoint(decoders = [Csv], encoders = [Missing])]
struct B;

#[handlers]
impl B {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

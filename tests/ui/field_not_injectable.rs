#![allow(unused)]

use std::rc::Rc;
use std::sync::Arc;

use endpoint_runtime::prelude::*;

struct Theatre;

#[server_endpoint("/a")]
struct A {
    #[inject]
    theatre: Theatre,
    #[inject]
    good: Arc<Theatre>,
}

#[handlers]
impl A {
    #[on_message]
    fn text(&mut self, text: String) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

use endpoint_runtime::Configurator;

#[derive(Default)]
struct NoConfigurator;

struct NoDefault(String);

impl Configurator for NoDefault {}

#[server_endpoint("/a", configurator = NoConfigurator)]
struct A;

#[server_endpoint("/b", configurator = NoDefault)]
struct B;

#[server_endpoint("/c", configurator = String)]
struct C;

#[server_endpoint("/d", configurator = "NoDefault")]
struct D;

#[server_endpoint("/e", configurator = [NoDefault])]
struct E;

#[server_endpoint("/f", configurator = NoDefault("x".to_owned()))]
struct F;

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

#[handlers]
impl D {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl E {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl F {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

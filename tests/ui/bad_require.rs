#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", require)]
struct A;

#[server_endpoint("/b", require = "")]
struct B;

#[server_endpoint("/c", require = [])]
struct C;

#[server_endpoint("/d", require = ["admin", "admin", " editor"])]
struct D;

#[server_endpoint("/e", require = admin)]
struct E;

#[client_endpoint(require = "admin")]
struct F;

#[server_endpoint("/g", requires = "admin")]
struct G;

#[handlers]
impl G {
    #[on_open(require = "admin")]
    fn open(&self) {}

    #[on_message(require)]
    fn text(&self, text: String) {}

    #[on_message(require = "", require = "admin")]
    fn bytes(&self, bytes: Bytes) {}

    #[on_message(require = 7)]
    fn pong(&self, pong: Pong) {}

    #[on_message(role = "admin")]
    fn ping(&self, ping: Ping) {}
}

#[client_endpoint]
struct H;

#[handlers]
impl H {
    #[on_message(require = "admin")]
    fn text(&self, text: String) {}
}

fn main() {}

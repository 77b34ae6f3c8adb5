#![allow(unused)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a", resume = "off")]
struct Off;

#[server_endpoint("/b", resume)]
struct HowLong;

#[client_endpoint(resume = "2m")]
struct Client;

#[handlers]
impl Off {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl HowLong {
    #[on_message]
    fn text(&self, text: String) {}
}

#[handlers]
impl Client {
    #[on_message]
    fn text(&self, text: String) {}
}

fn main() {}

#![allow(unused)]

use endpoint_runtime::prelude::*;

struct StringHolder(String);

#[server_endpoint("/a/{room}")]
struct A;

#[handlers]
impl A {
    #[on_open]
    fn open(&self, #[path] room: StringHolder) {}

    #[on_message]
    fn text(&self, text: String, #[path] room: StringHolder) {}

    #[on_close]
    fn close(&self, #[path] room: Option<StringHolder>) {}

    #[on_error]
    fn error(&self, error: &Error, #[path("room")] holder: StringHolder) {}
}

fn main() {}

//! `#[cfg]` on items, fields and methods holds for what is generated for them.

#![deny(warnings)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
#[cfg(any())]
struct A {
    nothing: Missing,
}

#[handlers]
#[cfg(any())]
impl A {
    #[on_message]
    fn text(&self, #[path] missing: Missing) {}
}

#[server_endpoint("/b/{room}")]
#[cfg(all())]
struct B {
    #[cfg(any())]
    #[inject]
    missing: Missing,
    #[cfg(all())]
    count: u32,
    #[cfg(any())]
    gone: Missing,
}

#[handlers]
#[cfg(all())]
impl B {
    #[cfg(any())]
    #[on_open]
    fn open(&self, missing: Missing) -> Missing {}

    #[cfg(all())]
    #[on_open]
    fn really_open(&mut self, #[path] room: String) {
        self.count += room.len() as u32;
    }

    #[cfg(any())]
    #[on_message]
    async fn missing(&self, missing: &Missing, #[path] missing: Missing) -> Missing {}

    #[cfg(all())]
    #[on_message]
    async fn text(&mut self, text: &str) {
        self.count += text.len() as u32;
    }

    #[on_message]
    #[cfg(any())]
    fn also_missing(&self, missing: Missing) {}

    #[cfg(all())]
    #[cfg(not(any()))]
    #[on_message]
    fn bytes(&self, _bytes: Bytes) {}

    #[cfg(any())]
    #[on_error]
    fn missing_error(&self, error: &Missing) {}

    #[cfg(all())]
    #[on_error]
    fn error(&self, _error: &Error) {}

    #[cfg(any())]
    #[on_error]
    async fn another_error(&self, error: &Error) {}
}

fn main() {}

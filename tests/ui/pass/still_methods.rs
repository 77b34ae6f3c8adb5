//! Handlers remain methods: they can be called, and what is no handler is left alone.

#![deny(warnings)]

use endpoint_runtime::prelude::*;

#[server_endpoint("/a")]
#[derive(Default)]
pub struct A {
    heard: Vec<String>,
}

#[handlers]
impl A {
    const GREETING: &'static str = "hello";

    #[on_message]
    pub fn text(&mut self, text: String) -> usize {
        self.heard.push(text);
        self.heard.len()
    }

    // The names of what is generated are free for the user.
    #[on_open]
    pub fn message(&self) -> &str {
        Self::GREETING
    }

    #[on_close]
    pub const fn open(&self) {}

    #[on_error]
    pub fn create(this: &Error, context: Sessions, data: Session, #[query("this")] __this: Option<u8>) {
        let _ = (this, context, data, __this);
    }

    pub async fn generic<T: Into<String>>(self, text: T) -> String {
        text.into()
    }

    pub fn into_heard(self) -> Vec<String> {
        self.heard
    }
}

fn main() {
    let mut a = A::default();
    assert_eq!(a.text("one".into()), 1);
    assert_eq!(a.message(), "hello");
    a.open();
    assert_eq!(a.into_heard(), ["one"]);
}

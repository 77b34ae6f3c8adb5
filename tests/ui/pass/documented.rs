//! Documentation and lints: generated code needs none, and sets off none.

#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, single_use_lifetimes, unused_results, trivial_casts, let_underscore_drop)]
#![forbid(unsafe_code)]

use endpoint_runtime::prelude::*;

/// A documented endpoint.
#[server_endpoint("/a/{room}")]
#[derive(Debug)]
pub struct A {
    /// A documented field.
    pub count: u32,
    #[allow(dead_code)]
    never_read: u8,
}

#[handlers]
#[allow(clippy::needless_pass_by_value)]
impl A {
    /// A documented handler.
    #[on_message]
    pub async fn text(&mut self, text: String, #[path] room: String, session: &Session) -> Result<u32> {
        session.send(room).await?;
        self.count += u32::try_from(text.len())?;
        Ok(self.count)
    }

    /// A handler that nobody else should call.
    #[on_open]
    #[deprecated = "call something else"]
    pub fn open(&self) {}

    /// A documented handler that runs at once.
    #[on_message]
    pub fn bytes(&self, _bytes: &[u8]) {}

    /// A documented handler with a lint attribute.
    #[on_close]
    #[allow(unused_variables)]
    #[must_use]
    pub fn close(&self, reason: &CloseReason) -> Result<()> {
        Ok(())
    }

    /// A handler that is called as a method, too.
    #[on_error]
    pub fn error(&self, error: &Error) -> String {
        format!("{error} {}", self.helper())
    }

    fn helper(&self) -> u32 {
        self.count
    }
}

fn main() {}

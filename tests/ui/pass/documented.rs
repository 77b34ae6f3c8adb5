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

/// A documented component.
#[component(lazy)]
#[derive(Debug)]
pub struct B {
    /// A documented field.
    #[value("b.count", default = 3)]
    pub count: u32,
    #[allow(dead_code)]
    never_read: u8,
}

/// Another, made by code.
#[derive(Debug)]
pub struct C(u32);

#[component]
impl C {
    /// A documented constructor.
    ///
    /// # Errors
    /// None.
    #[constructor]
    pub async fn new(b: std::sync::Arc<B>) -> Result<Self> {
        Ok(C(b.count))
    }

    /// Read.
    pub fn count(&self) -> u32 {
        self.0
    }
}

/// A documented provider.
#[provider]
#[must_use]
pub fn number(c: std::sync::Arc<C>) -> u64 {
    u64::from(c.count())
}

fn main() {}

//! WebSockets over HTTP/2 (RFC 8441), from outside: what a client of that version sees, beside those of HTTP/1.1 on the same port.
//!
//! Each module is one subject. The client is the `h2` crate, which does what it is told, however rude. What a test waits for it waits for
//! [`PATIENCE`](support::PATIENCE) at most, so that a slow machine fails nothing.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.

mod closing;
mod drain;
mod flow;
mod limits;
mod messages;
mod mounted;
mod opening;
mod support;
mod tls;

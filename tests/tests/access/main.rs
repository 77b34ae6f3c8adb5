//! Who a peer is and what it may: tokens, roles, users, and the end of an authorization.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.

mod bearer;
mod browser;
mod expiry;
mod roles;
mod secure;
mod support;
mod users;

//! The public API from outside: integration tests stand in `tests/`, and the examples of the README are tested here. And what tests and their
//! programs share: servers of others, and a cable to cut.

pub mod cut_proxy;
pub mod nats_server;
pub mod redis_server;
pub mod server_process;

/// The README, whose examples are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

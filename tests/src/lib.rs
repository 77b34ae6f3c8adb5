//! The public API from outside: integration tests stand in `tests/`, and the examples of the README are tested here.

/// The README, whose examples are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

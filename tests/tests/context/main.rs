//! The application around the endpoints, from outside: how components are built and found, what is wrong with a deployment, what happens
//! in which order, and what is undone.
//!
//! No annotation registers a component here: they are configured by hand, so that each test has its own.

#![allow(clippy::unwrap_used)] // In a test it is an assertion.

mod building;
mod current;
mod ending;
mod events;
mod golden;
mod lazily;
mod rules;
mod spring;
mod support;
mod undoing;
mod values;

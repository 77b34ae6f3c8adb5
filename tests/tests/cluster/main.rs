//! Engines of clusters: what each of them promises, and what each of them does when something goes wrong.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.

mod calls;
mod excepted;
mod local;
mod members;
mod nats;
mod places;
mod presence;
mod publisher;
mod recovery;
mod redis;
mod resume;
mod sharded;
mod sim;
mod suite;

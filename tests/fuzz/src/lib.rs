//! What must hold whatever a peer sends: one module for each target, which takes any bytes and panics where something does not hold.
//!
//! The runtime's wire is not public, so it is compiled in from its source.

#![forbid(unsafe_code)]

pub mod close;
pub mod deflate;
pub mod extensions;
pub mod frames;
mod reader;
pub mod templates;

// A module around it, since a file that is named by `path` looks for its own modules beside itself.
#[path = "../../../endpoint-runtime/src"]
#[allow(dead_code, unused_imports)]
mod runtime {
    pub(crate) mod wire;
}
use runtime::wire;

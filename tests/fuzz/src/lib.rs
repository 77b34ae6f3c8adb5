//! What must hold whatever a peer sends: one module for each target, which takes any bytes and panics where something does not hold.
//!
//! The runtime's wire, and what its nodes say to each other, are not public, so they are compiled in from their source.

#![forbid(unsafe_code)]

pub mod close;
pub mod deflate;
pub mod envelope;
pub mod extensions;
pub mod frames;
mod reader;
pub mod templates;

// A module around it, since a file that is named by `path` looks for its own modules beside itself.
#[path = "../../../endpoint-runtime/src"]
#[allow(dead_code, unused_imports)]
mod runtime {
    pub(crate) mod wire;

    pub(crate) mod session {
        mod id;
        pub(crate) use id::{NodeId, SessionId};
    }

    pub(crate) mod cluster {
        mod clock;
        mod codec;
        pub(crate) mod envelope;
        pub(crate) use super::session::NodeId;
        pub(crate) use endpoint_runtime::cluster::MessageId;
    }
}
use runtime::{cluster, session, wire};

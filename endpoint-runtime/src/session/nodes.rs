//! The nodes of a cluster: what is known of them ([`NodeInfo`]), and whether there is a way to them at all ([`ClusterState`]).

use std::fmt;
use std::time::{Duration, Instant};

use super::NodeId;

/// What a node of the cluster last said of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// Which run of which process. A process that is started again is another node, whatever its name.
    pub id: NodeId,
    /// What people call it (`node_name`).
    pub name: String,
    /// The version of this crate that it runs.
    pub version: String,
    /// Its sessions.
    pub sessions: u64,
    /// The users that have a session there.
    pub users: u64,
    /// How full it is: the share of `max_connections` that it has, from 0 to 1.
    pub load: f32,
    /// How long it has run.
    pub up: Duration,
    /// How long ago it was last heard; nothing for the node that is asked.
    pub last_seen: Duration,
    /// How long its last word was on the way, as far as the clocks of both nodes agree.
    pub lag: Duration,
}

/// Whether there is a way to the other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// There is.
    Connected,
    /// There is none: what is meant for other nodes does not reach them, and nothing comes from there. Everything in this process goes on.
    Degraded {
        /// Since when.
        since: Instant,
    },
}

impl ClusterState {
    /// Whether there is a way to the other nodes.
    pub fn is_connected(&self) -> bool {
        *self == ClusterState::Connected
    }
}

impl fmt::Display for ClusterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterState::Connected => f.write_str("connected"),
            ClusterState::Degraded { since } => write!(f, "degraded for {:?}", since.elapsed()),
        }
    }
}

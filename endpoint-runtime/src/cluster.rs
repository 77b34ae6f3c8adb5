//! The cluster: the registry of sessions across many nodes.
//!
//! A session never moves; messages do. What is meant for a room, a user or everybody goes through an [`Engine`] to the nodes that have
//! such sessions, and what is meant for one session goes to the inbox of its node, which its id names. Without an engine everything is in
//! this process.

mod channel;
mod clock;
mod codec;
mod counters;
mod engine;
mod envelope;
mod error;
mod feed;
mod handle;
mod local;
mod member;
mod members;
#[cfg(feature = "nats")]
mod nats;
mod node;
mod presence;
mod publisher;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "json")]
pub(crate) mod resume;
mod rules;
mod sharded;
mod survey;

pub use self::channel::Channel;
pub use self::counters::ClusterCounters;
pub use self::engine::{
    Appended, Arrival, Capabilities, Engine, EngineError, History, Pending, Present, Published, Put,
    Receiver, Recorded, Retention,
};
pub use self::feed::FeedCounters;
pub use self::handle::Cluster;
pub use self::local::Local;
#[cfg(feature = "test")]
pub(crate) use self::local::{fits, hub::Hub};
pub use self::member::{Member, Outcome};
#[cfg(feature = "nats")]
pub use self::nats::{Nats, NatsOptions};
pub(crate) use self::node::Node;
pub use self::publisher::{Publication, Publisher, Recipients};
#[cfg(feature = "redis")]
pub use self::redis::Redis;
pub use self::rules::Rooms;
pub(crate) use self::rules::{Rule, Rules};
pub use self::sharded::Sharded;
pub use self::survey::{Count, Listed, Listing};
pub use crate::session::{
    ClusterError, ClusterState, Crossing, Epoch, InvalidMessageId, MessageId, NodeId, NodeInfo, Position,
    Presence, PresentMember,
};

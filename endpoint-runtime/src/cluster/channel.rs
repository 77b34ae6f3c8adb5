//! [`Channel`]: what nodes publish to and subscribe to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::NodeId;

/// What nodes publish to and subscribe to.
///
/// Names are those of rooms and users as the application has given them, of any characters and any length: an engine escapes or hashes
/// them before they become names of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Channel {
    /// What nodes say to each other about themselves. Every node subscribes to it.
    Control,
    /// What is for every session, or for those of one endpoint. Every node subscribes to it.
    All,
    /// The inbox of one node.
    Node(NodeId),
    /// What is for a room. Nodes subscribe to it while they have members.
    Room(Arc<str>),
    /// What is for the sessions of a user. Nodes subscribe to it while they have some.
    User(Arc<str>),
}

impl Channel {
    /// The channel of a room.
    pub fn room(name: &str) -> Self {
        Channel::Room(name.into())
    }

    /// The channel of a user.
    pub fn user(name: &str) -> Self {
        Channel::User(name.into())
    }
}

/// `control`, `all`, `node:0123456789abcdef`, `room:blue`, `user:bo`; read back by [`FromStr`].
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Channel::Control => f.write_str("control"),
            Channel::All => f.write_str("all"),
            Channel::Node(node) => write!(f, "node:{node}"),
            Channel::Room(name) => write!(f, "room:{name}"),
            Channel::User(name) => write!(f, "user:{name}"),
        }
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{text:?} names no channel");
        match text.split_once(':') {
            None if text == "control" => Ok(Channel::Control),
            None if text == "all" => Ok(Channel::All),
            Some(("room", name)) => Ok(Channel::room(name)),
            Some(("user", name)) => Ok(Channel::user(name)),
            Some(("node", id)) if id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u64::from_str_radix(id, 16).map(|id| Channel::Node(NodeId::new(id))).map_err(|_| invalid())
            }
            _ => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_read_back() {
        let node = Channel::Node(NodeId::new(0xdead_beef));
        for channel in [Channel::Control, Channel::All, node, Channel::room("a:b *"), Channel::user("")] {
            assert_eq!(channel.to_string().parse(), Ok(channel));
        }
        for wrong in ["", "controls", "rooms:x", "node:1", "node:+00000000000000f"] {
            assert!(wrong.parse::<Channel>().is_err(), "{wrong}");
        }
    }
}

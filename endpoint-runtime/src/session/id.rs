//! [`SessionId`]: which session, in the whole cluster; [`NodeId`]: of which node.

use std::fmt;
use std::str::FromStr;

/// The identity of a session: unique among all servers, and safe to hand out (it says nothing and gives no rights).
///
/// It is written as 32 hexadecimal digits, and read back by [`FromStr`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Which server: random, drawn at its start.
    node: u64,
    /// Which of its sessions.
    serial: u64,
}

impl SessionId {
    pub(crate) const fn new(node: u64, serial: u64) -> Self {
        SessionId { node, serial }
    }

    /// Names the server, as [`Sessions::node`](super::Sessions::node) does.
    pub(crate) fn node(self) -> u64 {
        self.node
    }

    /// Spreads sessions over shards.
    pub(crate) fn serial(self) -> u64 {
        self.serial
    }
}

/// One run of one process of the cluster: random, and another one after each start, so that what was meant for the process before
/// reaches nobody by mistake. It is the first half of the [ids](SessionId) of its sessions. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    pub(crate) const fn new(id: u64) -> Self {
        NodeId(id)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.node, self.serial)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// A text that is not a session id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSessionId;

impl fmt::Display for InvalidSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session id is 32 hexadecimal digits")
    }
}

impl std::error::Error for InvalidSessionId {}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidSessionId);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| InvalidSessionId)?;
        Ok(SessionId { node: (number >> 64) as u64, serial: number as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back() {
        let id = SessionId::new(0xdead_beef, 7);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "7", "+0000000deadbeef0000000000000007", &format!("{id}0")] {
            assert_eq!(wrong.parse::<SessionId>(), Err(InvalidSessionId), "{wrong}");
        }
    }
}

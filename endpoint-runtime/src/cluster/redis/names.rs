//! What channels are called in Redis, and the keys of what is kept of them.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::super::{Channel, MessageId};

/// What would mean something else: to the part of a key that says where it lives in a Redis Cluster (`{}`), to the patterns of access
/// lists and of people who look around (`*?[]`), to names that are hashed (`#`), and to where a name ends (`:`). All that is not ASCII is
/// escaped anyway.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'#')
    .add(b':')
    .add(b'{')
    .add(b'}')
    .add(b'*')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'"')
    .add(b'\\');

/// The longest escaped name, bytes. Instead of a longer one stands its hash, which nobody can find a second name for.
const LONGEST: usize = 200;

/// All names of one application, which has a prefix so that several of them can share a server.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Names { prefix: escaped(prefix) }
    }

    /// The channel that messages are published to.
    pub(super) fn channel(&self, channel: &Channel) -> String {
        let mut name = String::with_capacity(self.prefix.len() + 48);
        name.push_str(&self.prefix);
        name.push(':');
        within(&mut name, channel);
        name
    }

    /// The channel by which one engine hears whether its subscriptions work.
    pub(super) fn probe(&self, engine: u64) -> String {
        format!("{}:probe:{engine:016x}", self.prefix)
    }

    /// Messages that are kept: a stream.
    pub(super) fn history(&self, channel: &Channel) -> String {
        self.key("h", channel)
    }

    /// Where the history stands: a hash of its epoch, the offset of its newest message, the server that it belongs to, and the epochs before.
    pub(super) fn meta(&self, channel: &Channel) -> String {
        self.key("m", channel)
    }

    /// The position of a message that has been appended, in case that it is appended again.
    pub(super) fn once(&self, channel: &Channel, id: MessageId) -> String {
        let mut key = self.key("i", channel);
        let _ = write!(key, ":{:032x}", id.0);
        key
    }

    /// When those who are present are present no more: a sorted set by time.
    pub(super) fn expiry(&self, channel: &Channel) -> String {
        self.key("pe", channel)
    }

    /// Who is present: a sorted set by id.
    pub(super) fn present(&self, channel: &Channel) -> String {
        self.key("pi", channel)
    }

    /// What is known of who is present: a hash.
    pub(super) fn known(&self, channel: &Channel) -> String {
        self.key("pk", channel)
    }

    /// A value that is kept for a while.
    pub(super) fn value(&self, key: &str) -> String {
        let mut name = format!("{}:s:", self.prefix);
        push_name(&mut name, key);
        name
    }

    /// The braces keep all keys of a channel together in a Redis Cluster, where a script may not touch others.
    fn key(&self, kind: &str, channel: &Channel) -> String {
        let mut key = String::with_capacity(self.prefix.len() + 96);
        let _ = write!(key, "{}:{kind}:{{", self.prefix);
        within(&mut key, channel);
        key.push('}');
        key
    }
}

/// `ctl`, `all`, `n:0123456789abcdef`, `r:blue`, `u:bo`.
fn within(out: &mut String, channel: &Channel) {
    match channel {
        Channel::Control => out.push_str("ctl"),
        Channel::All => out.push_str("all"),
        Channel::Node(node) => {
            let _ = write!(out, "n:{node}");
        }
        Channel::Room(name) => {
            out.push_str("r:");
            push_name(out, name);
        }
        Channel::User(name) => {
            out.push_str("u:");
            push_name(out, name);
        }
    }
}

fn push_name(out: &mut String, name: &str) {
    let start = out.len();
    out.extend(utf8_percent_encode(name, ESCAPED));
    if out.len() - start > LONGEST {
        out.truncate(start);
        out.push('#');
        for byte in Sha256::digest(name.as_bytes()) {
            let _ = write!(out, "{byte:02x}");
        }
    }
}

fn escaped(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::NodeId;
    use super::*;

    #[test]
    fn a_name_cannot_be_taken_for_another() {
        let names = Names::new("my app");
        for (channel, expected) in [
            (Channel::Control, "my%20app:ctl"),
            (Channel::All, "my%20app:all"),
            (Channel::Node(NodeId::new(0xbeef)), "my%20app:n:000000000000beef"),
            (Channel::room("blue"), "my%20app:r:blue"),
            (Channel::room("a:b.c>*{x}#"), "my%20app:r:a%3Ab.c>%2A%7Bx%7D%23"),
            (Channel::user("\u{e9}\r\n%20"), "my%20app:u:%C3%A9%0D%0A%2520"),
            (Channel::room(""), "my%20app:r:"),
        ] {
            assert_eq!(names.channel(&channel), expected);
        }
        assert_eq!(names.history(&Channel::room("blue")), "my%20app:h:{r:blue}");
        assert_eq!(
            names.once(&Channel::All, MessageId(10)),
            "my%20app:i:{all}:0000000000000000000000000000000a"
        );
    }

    #[test]
    fn a_long_name_is_hashed() {
        let names = Names::new("p");
        let (long, other) = ("x".repeat(201), "x".repeat(202));
        let hashed = names.channel(&Channel::room(&long));
        assert!(hashed.starts_with("p:r:#") && hashed.len() == 5 + 64, "{hashed}");
        assert_ne!(hashed, names.channel(&Channel::room(&other)));
        assert_ne!(hashed, names.channel(&Channel::user(&long)));
        // Nobody can write down the hash of another name as the name of a room.
        assert_ne!(hashed, names.channel(&Channel::room(&hashed["p:r:".len()..])));
        assert_eq!(names.channel(&Channel::room(&"x".repeat(200))).len(), 4 + 200);
    }
}

//! How channels become subjects, and what is written before a message so that those who share a subject can tell theirs.
//!
//! A subject cannot hold any name of a room or user, and a subscription costs the client library about 5 KB. So rooms and users are hashed
//! into buckets, each of which is a subject: who has many of them subscribes to each bucket once, and drops what is for others in the
//! same bucket by the name that stands before the message.

use std::fmt::Write;
use std::sync::Arc;

use async_nats::Subject;
use bytes::{BufMut, Bytes, BytesMut};

use crate::cluster::{Channel, NodeId};

/// Of rooms, and again of users.
const BUCKETS: u64 = 16_384;

/// What the head of a message begins with: who does not know it drops the message.
const VERSION: u8 = 1;

/// The version, and the length of the name.
const FIXED: usize = 5;

/// Where a channel's messages go: what a subject stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Control,
    All,
    Node(NodeId),
    /// A bucket.
    Rooms(u64),
    /// A bucket.
    Users(u64),
}

impl Place {
    pub(super) fn of(channel: &Channel) -> Self {
        match channel {
            Channel::Control => Place::Control,
            Channel::All => Place::All,
            Channel::Node(node) => Place::Node(*node),
            Channel::Room(name) => Place::Rooms(bucket(name)),
            Channel::User(name) => Place::Users(bucket(name)),
        }
    }

    pub(super) fn subject(self, prefix: &str) -> Subject {
        match self {
            Place::Control => format!("{prefix}.ctl"),
            Place::All => format!("{prefix}.all"),
            Place::Node(node) => format!("{prefix}.n.{node}"),
            Place::Rooms(bucket) => format!("{prefix}.r.{bucket}"),
            Place::Users(bucket) => format!("{prefix}.u.{bucket}"),
        }
        .into()
    }

    /// The channel of this place that has this name.
    pub(super) fn channel(self, name: Arc<str>) -> Channel {
        match self {
            Place::Control => Channel::Control,
            Place::All => Channel::All,
            Place::Node(node) => Channel::Node(node),
            Place::Rooms(_) => Channel::Room(name),
            Place::Users(_) => Channel::User(name),
        }
    }

    /// Several channels share it, so each message says which.
    fn is_shared(self) -> bool {
        matches!(self, Place::Rooms(_) | Place::Users(_))
    }

    /// What arrived here, taken apart: the name of its channel, and the message. Nothing if that cannot be read.
    pub(super) fn unframe(self, mut payload: Bytes) -> Option<(Bytes, Bytes)> {
        if !self.is_shared() {
            return Some((Bytes::new(), payload));
        }
        let (version, rest) = payload.split_first()?;
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        if *version != VERSION || length > payload.len() - FIXED {
            return None;
        }
        let message = payload.split_off(FIXED + length);
        Some((payload.slice(FIXED..), message))
    }
}

/// The name by which a channel is told from the others of its place.
pub(super) fn name(channel: &Channel) -> &str {
    match channel {
        Channel::Room(name) | Channel::User(name) => name,
        _ => "",
    }
}

/// How much longer a message of this channel becomes.
pub(super) fn head(channel: &Channel) -> usize {
    if Place::of(channel).is_shared() { FIXED + name(channel).len() } else { 0 }
}

/// A message as it is sent.
pub(super) fn frame(channel: &Channel, message: Bytes) -> Bytes {
    let (Channel::Room(name) | Channel::User(name)) = channel else { return message };
    // A longer name is refused with the message: no server takes messages of 4 GB.
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let mut framed = BytesMut::with_capacity(FIXED + name.len() + message.len());
    framed.put_u8(VERSION);
    framed.put_u32(length);
    framed.put_slice(name.as_bytes());
    framed.put_slice(&message);
    framed.freeze()
}

/// One token of a subject, from any text: two texts never become the same one.
pub(super) fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => token.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(token, "={byte:02x}");
            }
        }
    }
    if token.is_empty() { "=".to_owned() } else { token }
}

/// FNV-1a: every node must come to the same bucket, whatever its version, and std promises that of no hasher.
fn bucket(name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash ^ (hash >> 32)) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_channel_has_its_subject() {
        let node = Channel::Node(NodeId::new(0xdead_beef));
        for (channel, subject) in [
            (Channel::Control, "app.ctl"),
            (Channel::All, "app.all"),
            (node, "app.n.00000000deadbeef"),
            // These numbers are part of what nodes of different versions must agree on.
            (Channel::room("blue"), "app.r.13526"),
            (Channel::user("blue"), "app.u.13526"),
            (Channel::room(""), "app.r.16321"),
        ] {
            assert_eq!(Place::of(&channel).subject("app").as_str(), subject, "{channel}");
        }
    }

    #[test]
    fn names_are_spread_over_the_buckets() {
        let mut hits = vec![0_u32; BUCKETS as usize];
        for number in 0..BUCKETS * 10 {
            hits[bucket(&format!("room-{number}")) as usize] += 1;
        }
        // Ten in each on average; by chance alone 31 in one of them once in ten million.
        assert!(hits.iter().all(|&hit| hit <= 31), "{:?}", hits.iter().max());
    }

    #[test]
    fn a_message_is_taken_apart_again() {
        let long = "x".repeat(70_000);
        for channel in [
            Channel::All,
            Channel::Control,
            Channel::room(""),
            Channel::user("bo *>. é"),
            Channel::room(&long),
        ] {
            for message in ["", "hello"] {
                let framed = frame(&channel, Bytes::from_static(message.as_bytes()));
                assert_eq!(framed.len(), head(&channel) + message.len());
                let (read, rest) = Place::of(&channel).unframe(framed).unwrap();
                assert_eq!((&read[..], &rest[..]), (name(&channel).as_bytes(), message.as_bytes()));
            }
        }
    }

    #[test]
    fn what_cannot_be_taken_apart_is_refused() {
        let framed = frame(&Channel::room("blue"), Bytes::from_static(b"hello"));
        let place = Place::Rooms(0);
        for length in 0..FIXED + 4 {
            assert_eq!(place.unframe(framed.slice(..length)), None, "{length}");
        }
        let mut newer = framed.to_vec();
        newer[0] = VERSION + 1;
        assert_eq!(place.unframe(newer.into()), None);
        assert_eq!(place.unframe(Bytes::from_static(b"\x01\xff\xff\xff\xff")), None);
    }

    #[test]
    fn any_prefix_becomes_one_token_of_its_own() {
        for (prefix, expected) in [
            ("app", "app"),
            ("my-app_2", "my-app_2"),
            ("a.b", "a=2eb"),
            ("a=2eb", "a=3d2eb"),
            ("", "="),
            ("*", "=2a"),
        ] {
            assert_eq!(token(prefix), expected);
        }
    }
}

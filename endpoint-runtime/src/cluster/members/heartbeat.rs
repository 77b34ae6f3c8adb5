//! [`Heartbeat`]: what a node says of itself every three seconds.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::cluster::codec::{Malformed, Reader, Writer};
use crate::message::floor_char_boundary;

/// Endpoints that a heartbeat counts, those with the most sessions.
pub(super) const MOST_ENDPOINTS: usize = 1000;
/// What their names may take together, bytes: a heartbeat passes through every engine.
const MOST_NAMES: usize = 64 * 1024;
/// The name of one type.
const LONGEST_TYPE: usize = 1024;
/// The name of a node, and its version.
const LONGEST_NAME: usize = 256;

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// Which of its heartbeats, from 1.
    pub(super) beat: u64,
    pub(super) name: String,
    pub(super) version: String,
    /// How long it has run, milliseconds.
    pub(super) up: u64,
    pub(super) counts: Counts,
}

/// What a node counts of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sessions: u64,
    pub(crate) users: u64,
    /// How many thousandths of its connections are taken.
    pub(crate) fill: u16,
    /// The sessions of its endpoints, by the names of their types.
    pub(crate) endpoints: Vec<(Arc<str>, u64)>,
}

impl Heartbeat {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(128);
        writer.varint(self.beat).str(bounded(&self.name)).str(bounded(&self.version)).varint(self.up);
        let counts = &self.counts;
        writer.varint(counts.sessions).varint(counts.users).u16(counts.fill);
        writer.list(self.told(), |writer, (name, sessions)| writer.str(name).varint(*sessions));
        writer.finish()
    }

    /// What a later version may add at the end is ignored.
    pub(super) fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload.clone());
        Ok(Heartbeat {
            beat: reader.varint()?,
            name: reader.str(LONGEST_NAME)?.to_string(),
            version: reader.str(LONGEST_NAME)?.to_string(),
            up: reader.varint()?,
            counts: Counts {
                sessions: reader.varint()?,
                users: reader.varint()?,
                fill: reader.u16()?,
                endpoints: reader
                    .list(MOST_ENDPOINTS, |reader| Ok((reader.str(LONGEST_TYPE)?, reader.varint()?)))?,
            },
        })
    }

    pub(super) fn up(&self) -> Duration {
        Duration::from_millis(self.up)
    }

    /// The endpoints that there is room for.
    fn told(&self) -> Vec<&(Arc<str>, u64)> {
        let named = |(name, sessions): &&(Arc<str>, u64)| name.len() <= LONGEST_TYPE && *sessions > 0;
        let mut told: Vec<_> = self.counts.endpoints.iter().filter(named).collect();
        told.sort_unstable_by_key(|(_, sessions)| Reverse(*sessions));
        let mut bytes = 0;
        let fits = |(name, _): &&(Arc<str>, u64)| {
            bytes += name.len();
            bytes <= MOST_NAMES
        };
        told.into_iter().take(MOST_ENDPOINTS).take_while(fits).collect()
    }
}

/// As much of a text as there is room for.
fn bounded(text: &str) -> &str {
    &text[..floor_char_boundary(text, LONGEST_NAME)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heartbeat(endpoints: Vec<(Arc<str>, u64)>) -> Heartbeat {
        Heartbeat {
            beat: 7,
            name: "web-1".to_owned(),
            version: "0.1.0".to_owned(),
            up: 90_000,
            counts: Counts { sessions: 12, users: 3, fill: 250, endpoints },
        }
    }

    #[test]
    fn a_heartbeat_is_read_back() {
        let said = heartbeat(vec![("app::Chat".into(), 9), ("app::Feed".into(), 3)]);
        assert_eq!(Heartbeat::decode(&said.encode()), Ok(said));
    }

    #[test]
    fn a_later_version_may_say_more() {
        let mut payload = heartbeat(Vec::new()).encode().to_vec();
        payload.extend_from_slice(b"more");
        assert_eq!(Heartbeat::decode(&payload.into()), Ok(heartbeat(Vec::new())));
    }

    #[test]
    fn it_is_bounded_and_counts_the_largest_endpoints() {
        let endpoints = |length: usize| -> Vec<(Arc<str>, u64)> {
            (0..2000).map(|n| (format!("{n:0length$}").into(), n)).collect()
        };
        for (length, told) in [(8, MOST_ENDPOINTS), (1000, MOST_NAMES / 1000)] {
            let payload = heartbeat(endpoints(length)).encode();
            assert!(payload.len() < MOST_NAMES + 8 * 1024, "{}", payload.len());
            let read = Heartbeat::decode(&payload).unwrap().counts.endpoints;
            assert_eq!((read.len(), read[0].1), (told, 1999));
        }
        let named = Heartbeat { name: "\u{e9}".repeat(200), ..heartbeat(vec![("x".repeat(2000).into(), 1)]) };
        let read = Heartbeat::decode(&named.encode()).unwrap();
        assert_eq!((read.name, read.counts.endpoints.len()), ("\u{e9}".repeat(128), 0));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(payload: Vec<u8>) {
            let _ = Heartbeat::decode(&payload.into());
        }
    }
}

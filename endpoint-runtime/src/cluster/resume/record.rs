//! [`Record`]: all that is kept of a session for the one that goes on where it was.

use std::sync::Arc;

use bytes::Bytes;

use super::super::codec::{Malformed, Reader, Writer};
use crate::session::outbox::DataKind;
use crate::session::{SessionId, Unseen};

/// Another one is not read.
const VERSION: u8 = 1;

/// What a message costs beside its payload, at most.
const OVERHEAD: usize = 12;

const MAX_LIST: usize = 100_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// All that is kept of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) session: SessionId,
    /// The session is open, or was when this was written: its node knows more.
    pub(super) open: bool,
    /// Whose it is, where the application has said so.
    pub(super) user: Option<Arc<str>>,
    pub(super) rooms: Vec<Arc<str>>,
    /// By the names under which they are carried.
    pub(super) attributes: Vec<(Arc<str>, Bytes)>,
    /// Messages that the client may not have seen, the oldest first, the number of the last one, and how many before them are lost.
    pub(super) unseen: Vec<Unseen>,
    pub(super) sent: u64,
    pub(super) lost: u64,
    /// Messages that were dropped before they got a number.
    pub(super) dropped: u64,
}

/// It is larger than what the engine keeps, even without any message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Record {
    /// In at most so many bytes: messages that do not fit are lost, the oldest first.
    pub(super) fn encode(&self, limit: usize) -> Result<Bytes, TooLarge> {
        let (mut kept, mut bytes) = (0, 0);
        let bare = self.encoded(0);
        let room = limit.checked_sub(bare.len()).ok_or(TooLarge)?;
        for (_, payload) in self.unseen.iter().rev() {
            bytes += payload.len() + OVERHEAD;
            if bytes > room {
                break;
            }
            kept += 1;
        }
        Ok(if kept == 0 { bare } else { self.encoded(kept) })
    }

    fn encoded(&self, kept: usize) -> Bytes {
        let unseen = &self.unseen[self.unseen.len() - kept..];
        let cut = (self.unseen.len() - kept) as u64;
        let mut writer = Writer::with_capacity(256);
        writer.u8(VERSION).session(self.session).bool(self.open);
        writer.option(self.user.as_deref(), Writer::str);
        writer.list(&self.rooms, |writer, room| writer.str(room));
        writer.list(&self.attributes, |writer, (name, value)| writer.str(name).bytes(value));
        writer.u64(self.sent).u64(self.lost + cut).u64(self.dropped);
        writer.list(unseen, |writer, (kind, payload)| writer.bool(*kind == DataKind::Text).bytes(payload));
        writer.finish()
    }

    pub(super) fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let record = Record {
            session: reader.session()?,
            open: reader.bool()?,
            user: reader.option(|reader| reader.str(MAX_BYTES))?,
            rooms: reader.list(MAX_LIST, |reader| reader.str(MAX_BYTES))?,
            attributes: reader
                .list(MAX_LIST, |reader| Ok((reader.str(MAX_BYTES)?, reader.bytes(MAX_BYTES)?)))?,
            sent: reader.u64()?,
            lost: reader.u64()?,
            dropped: reader.u64()?,
            unseen: reader.list(MAX_LIST, |reader| {
                let kind = if reader.bool()? { DataKind::Text } else { DataKind::Binary };
                Ok((kind, reader.bytes(MAX_BYTES)?))
            })?,
        };
        reader.end()?;
        Ok(record)
    }

    /// What a client that has seen so many of its messages has not: what can be sent again, and how many are lost.
    pub(super) fn since(mut self, seen: u64) -> (Vec<Unseen>, u64) {
        // Who has seen more than was sent is no judge of what is missing, and gets nothing twice.
        let unseen = self.sent.saturating_sub(seen);
        let excess = (self.unseen.len() as u64).saturating_sub(unseen);
        self.unseen.drain(..usize::try_from(excess).unwrap_or(usize::MAX).min(self.unseen.len()));
        let lost = self.lost.min(unseen.saturating_sub(self.unseen.len() as u64));
        (self.unseen, lost.saturating_add(self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Unseen {
        (DataKind::Text, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn record(messages: &[&str]) -> Record {
        Record {
            session: SessionId::new(7, 8),
            open: true,
            user: Some("bo".into()),
            rooms: vec!["blue".into(), "a b".into()],
            attributes: vec![("nick".into(), Bytes::from_static(b"\"Bo\""))],
            unseen: messages.iter().map(|text| message(text)).collect(),
            sent: 10 + messages.len() as u64,
            lost: 3,
            dropped: 0,
        }
    }

    #[test]
    fn messages_that_do_not_fit_are_lost_the_oldest_first() {
        let record = record(&["one", "two", "three"]);
        let whole = record.encode(10_000).unwrap();
        assert_eq!(Record::decode(whole.clone()), Ok(record.clone()));
        let bare = record.encoded(0).len();
        assert_eq!(record.encode(bare - 1), Err(TooLarge));
        for limit in bare..whole.len() + 3 * OVERHEAD {
            let encoded = record.encode(limit).unwrap();
            assert!(encoded.len() <= limit);
            let read = Record::decode(encoded).unwrap();
            assert_eq!(read.lost as usize + read.unseen.len(), 6);
            assert!(record.unseen.ends_with(&read.unseen));
        }
    }

    #[test]
    fn what_a_client_has_not_seen() {
        // Numbers 11 to 13 are kept, and 8 to 10 are lost.
        for (seen, again, lost) in [
            (13, &[][..], 0),
            (12, &["three"][..], 0),
            (10, &["one", "two", "three"][..], 0),
            (9, &["one", "two", "three"][..], 1),
            (7, &["one", "two", "three"][..], 3),
            (0, &["one", "two", "three"][..], 3),
            (u64::MAX, &[][..], 0),
        ] {
            let expected: Vec<Unseen> = again.iter().map(|text| message(text)).collect();
            assert_eq!(record(&["one", "two", "three"]).since(seen), (expected, lost), "{seen}");
        }
    }

    #[test]
    fn another_version_is_not_read() {
        let mut bytes = record(&[]).encoded(0).to_vec();
        bytes[0] = VERSION + 1;
        assert_eq!(Record::decode(bytes.into()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), versioned: bool) {
            let bytes = if versioned { [&[VERSION][..], &bytes].concat() } else { bytes };
            if let Ok(record) = Record::decode(bytes.clone().into()) {
                prop_assert_eq!(record.encoded(record.unseen.len()), Bytes::from(bytes));
            }
        }
    }
}

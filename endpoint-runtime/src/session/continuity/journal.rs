//! [`Journal`]: what a client was sent and has not said that it has seen, to be sent again if its connection is lost.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio_util::sync::CancellationToken;

use super::super::outbox::{Credit, DataKind, Frame};
use crate::message::control::MARK;

/// What a message costs beside its payload, so that empty ones are not free.
const OVERHEAD: usize = 16;

/// A message that may have to be sent again.
pub(crate) type Unseen = (DataKind, Bytes);

/// Messages of the application, numbered from 1 since the client was told which session it has. Those of recoverable rooms, and questions, are
/// not among them. The connection's task writes here, and who takes the session over reads, when nothing more is written.
#[derive(Debug)]
pub(crate) struct Journal {
    kept: Mutex<Kept>,
    sealed: CancellationToken,
}

#[derive(Debug)]
struct Kept {
    messages: VecDeque<Unseen>,
    bytes: usize,
    limit: usize,
    /// The number of the last message, and how many the client has not seen and can never get.
    sent: u64,
    lost: u64,
    /// The message that goes out in fragments, and whether it is too long to be kept.
    open: Option<Open>,
    credit: Credit,
}

#[derive(Debug)]
struct Open {
    payload: BytesMut,
    too_long: bool,
}

/// A client says that it has received more than it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeverSent;

impl Journal {
    /// One that keeps so many bytes; if there are more, the oldest go.
    pub(super) fn new(limit: usize, credit: Credit) -> Self {
        let kept = Kept { messages: VecDeque::new(), bytes: 0, limit, sent: 0, lost: 0, open: None, credit };
        Journal { kept: Mutex::new(kept), sealed: CancellationToken::new() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame goes out. Says whether it begins as a control message does, or may, and so needs a header.
    pub(crate) fn note(&self, frame: &Frame) -> bool {
        let (kind, payload) = match frame {
            Frame::Text(payload) | Frame::Plain(DataKind::Text, payload) => (DataKind::Text, payload.clone()),
            Frame::Binary(payload) | Frame::Plain(DataKind::Binary, payload) => {
                (DataKind::Binary, payload.clone())
            }
            Frame::Shared(shared) if shared.header().is_none() => (shared.kind(), shared.message()),
            Frame::Fragment { kind, first, last, payload, .. } => {
                self.kept().add_fragment(*kind, *first, *last, payload);
                return *first && *kind == DataKind::Text && payload.first().is_none_or(|&byte| byte == MARK);
            }
            Frame::Shared(_) | Frame::Control(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Mark => {
                return false;
            }
        };
        let marked = kind == DataKind::Text && payload.first() == Some(&MARK);
        self.kept().add(kind, payload);
        marked
    }

    /// The client has seen the first so many.
    pub(crate) fn seen(&self, number: u64) -> Result<(), NeverSent> {
        self.kept().seen(number)
    }

    /// Nothing more goes out.
    pub(crate) fn seal(&self) {
        self.sealed.cancel();
    }

    pub(crate) async fn sealed(&self) {
        self.sealed.cancelled().await;
    }

    /// What the client has not said that it has seen; and how many messages it had been sent, and how many it will never get.
    pub(crate) fn unseen(&self) -> (Vec<Unseen>, u64, u64) {
        let kept = self.kept();
        (kept.messages.iter().cloned().collect(), kept.sent, kept.lost)
    }

    /// The session is over: what it holds is needed no more.
    pub(crate) fn clear(&self) {
        let mut kept = self.kept();
        let (messages, open) = (std::mem::take(&mut kept.messages), kept.open.take());
        kept.bytes = 0;
        kept.credit.settle(0);
        drop(kept);
        drop((messages, open));
    }
}

impl Kept {
    fn add(&mut self, kind: DataKind, payload: Bytes) {
        self.sent += 1;
        self.bytes += payload.len() + OVERHEAD;
        self.messages.push_back((kind, payload));
        while !self.messages.is_empty() && (self.bytes > self.limit || !self.credit.covers(self.bytes)) {
            self.drop_oldest();
            self.lost += 1;
        }
    }

    fn add_fragment(&mut self, kind: DataKind, first: bool, last: bool, payload: &Bytes) {
        if first {
            self.open = Some(Open { payload: BytesMut::new(), too_long: false });
        }
        let Some(open) = &mut self.open else { return };
        open.too_long |= open.payload.len() + payload.len() + OVERHEAD > self.limit;
        if open.too_long {
            open.payload = BytesMut::new();
        } else {
            open.payload.extend_from_slice(payload);
        }
        if !last {
            return;
        }
        let Some(Open { payload, too_long, .. }) = self.open.take() else { return };
        if !too_long {
            return self.add(kind, payload.freeze());
        }
        // It cannot be sent again, nor can what would have to go before it.
        self.sent += 1;
        self.lost += 1 + self.messages.len() as u64;
        self.messages.clear();
        self.bytes = 0;
        self.credit.settle(0);
    }

    fn seen(&mut self, number: u64) -> Result<(), NeverSent> {
        if number > self.sent {
            return Err(NeverSent);
        }
        let unseen = self.sent - number;
        while self.messages.len() as u64 > unseen {
            self.drop_oldest();
        }
        // Those that were dropped stand before those that are kept.
        self.lost = self.lost.min(unseen - self.messages.len() as u64);
        self.credit.settle(self.bytes);
        Ok(())
    }

    fn drop_oldest(&mut self) {
        if let Some((_, payload)) = self.messages.pop_front() {
            self.bytes -= payload.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::super::outbox::Shared;
    use super::*;

    fn journal(limit: usize) -> Journal {
        Journal::new(limit, Credit::default())
    }

    fn texts(journal: &Journal) -> Vec<String> {
        let (messages, _, _) = journal.unseen();
        messages.into_iter().map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap()).collect()
    }

    fn text(text: &str) -> Frame {
        Frame::Text(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn what_is_seen_is_not_kept() {
        let journal = journal(1_000);
        for word in ["one", "two", "three"] {
            assert!(!journal.note(&text(word)));
        }
        assert_eq!(journal.seen(2), Ok(()));
        assert_eq!(texts(&journal), ["three"]);
        assert_eq!(journal.seen(1), Ok(()), "what was seen stays seen");
        assert_eq!(texts(&journal), ["three"]);
        assert_eq!(journal.seen(4), Err(NeverSent));
        assert_eq!(journal.seen(3), Ok(()));
        assert!(texts(&journal).is_empty());
    }

    #[test]
    fn of_too_much_the_oldest_go_and_are_counted() {
        let journal = journal(3 * (1 + OVERHEAD));
        for word in ["a", "b", "c", "d", "e"] {
            journal.note(&text(word));
        }
        assert_eq!(texts(&journal), ["c", "d", "e"]);
        assert_eq!(journal.unseen().1, 5);
        assert_eq!(journal.unseen().2, 2);
        assert_eq!(journal.seen(1), Ok(()));
        assert_eq!(journal.unseen().2, 1, "one of them had arrived");
        assert_eq!(journal.seen(4), Ok(()));
        assert_eq!((texts(&journal), journal.unseen().2), (vec!["e".to_owned()], 0));
    }

    #[test]
    fn fragments_are_one_message() {
        let journal = journal(100);
        let fragment = |first, last, payload: &'static str| Frame::Fragment {
            kind: DataKind::Text,
            first,
            last,
            compressed: false,
            payload: payload.into(),
        };
        journal.note(&text("before"));
        assert!(!journal.note(&fragment(true, false, "one ")));
        assert_eq!(texts(&journal), ["before"], "it has not ended");
        journal.note(&fragment(false, true, "message"));
        assert_eq!(texts(&journal), ["before", "one message"]);
        let long = "x".repeat(100).leak();
        journal.note(&fragment(true, false, long));
        journal.note(&fragment(false, true, "y"));
        assert_eq!((texts(&journal).len(), journal.unseen().2), (0, 3), "nothing overtakes what is missing");
        assert!(journal.note(&fragment(true, false, "")), "it may yet begin with the mark");
    }

    #[test]
    fn a_header_goes_before_what_looks_like_a_control_message() {
        let journal = journal(1_000);
        for (frame, needs_one) in [
            (text("\u{1}{}"), true),
            (text("plain"), false),
            (text(""), false),
            (Frame::Binary(Bytes::from_static(b"\x01")), false),
            (Frame::Plain(DataKind::Text, Bytes::from_static(b"\x01")), true),
            (Frame::Shared(Arc::new(Shared::new(DataKind::Text, b"\x01"))), true),
            (Frame::Control(Bytes::from_static(b"\x01{}")), false),
            (Frame::Ping(Bytes::from_static(b"\x01")), false),
        ] {
            assert_eq!(journal.note(&frame), needs_one, "{frame:?}");
        }
        assert_eq!(journal.unseen().1, 6);
    }

    #[test]
    fn what_has_a_header_is_not_counted() {
        let journal = journal(1_000);
        let headed = Shared::new(DataKind::Text, b"\x01").headed(Bytes::from_static(b"\x01{}"));
        assert!(!journal.note(&Frame::Shared(Arc::new(headed))));
        assert_eq!(journal.unseen().1, 0);
    }

    proptest! {
        /// Whatever is sent and said: what is kept are the last messages, all that is not seen is kept or counted as lost, and the limit holds.
        #[test]
        fn nothing_is_forgotten(
            steps in proptest::collection::vec((0usize..60, proptest::option::of(0u64..40)), 0..60),
            limit in 1usize..200,
        ) {
            let journal = journal(limit);
            let (mut sent, mut seen) = (Vec::new(), 0);
            for (length, says) in steps {
                let word = format!("{}{}", sent.len(), "x".repeat(length));
                journal.note(&text(&word));
                sent.push(word);
                if let Some(says) = says {
                    let known = says <= sent.len() as u64;
                    prop_assert_eq!(journal.seen(says).is_ok(), known);
                    if known { seen = seen.max(says) }
                }
                let (kept, (_, count, lost)) = (texts(&journal), journal.unseen());
                prop_assert_eq!(count, sent.len() as u64);
                prop_assert_eq!(kept.len() as u64 + lost + seen, count);
                prop_assert_eq!(&kept[..], &sent[sent.len() - kept.len()..]);
                prop_assert!(kept.iter().map(|word| word.len() + OVERHEAD).sum::<usize>() <= limit);
            }
        }
    }
}

//! [`Kept`]: what is kept of one channel.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::{Appended, Epoch, History, MessageId, Position, Retention};
use super::expiring::after;

/// How long a message that is sent once more is known to be the same.
const SAME: Duration = Duration::from_secs(300);

/// How long the place of the newest message is known after everything else has expired.
const PLACE: Duration = Duration::from_secs(3600);

/// The last messages of a channel, and where they stand.
#[derive(Debug)]
pub(super) struct Kept {
    epoch: Epoch,
    /// Which histories it goes on from, the newest first.
    origins: Vec<Position>,
    /// The offset of the newest message.
    top: u64,
    /// The newest ones, without a gap.
    messages: VecDeque<Bytes>,
    /// When they expire, all of them.
    until: Instant,
    /// The offsets of what was appended lately.
    ids: HashMap<MessageId, u64>,
    /// Until when each of them is known, the oldest first.
    known: VecDeque<(Instant, MessageId)>,
    /// When somebody wanted something of it last.
    used: Instant,
}

impl Kept {
    pub(super) fn new(now: Instant, epoch: Epoch) -> Self {
        Kept {
            epoch,
            origins: Vec::new(),
            top: 0,
            messages: VecDeque::new(),
            until: now,
            ids: HashMap::new(),
            known: VecDeque::new(),
            used: now,
        }
    }

    pub(super) fn append(
        &mut self,
        now: Instant,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Appended {
        self.expire(now);
        self.used = now;
        if let Some(&offset) = self.ids.get(&id) {
            return Appended { position: self.place(offset), duplicate: true };
        }
        self.top += 1;
        self.ids.insert(id, self.top);
        self.known.push_back((after(now, SAME), id));
        self.messages.push_back(message);
        let over = self.messages.len().saturating_sub(keep.size);
        self.messages.drain(..over);
        self.until = after(now, keep.ttl);
        Appended { position: self.place(self.top), duplicate: false }
    }

    pub(super) fn history(&mut self, now: Instant, after: u64, limit: usize) -> History {
        self.expire(now);
        self.used = now;
        let before = self.top - self.messages.len() as u64;
        let skipped = usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
        let messages = (before + 1..).zip(self.messages.iter().cloned());
        let messages = messages.skip(skipped).take(limit).collect();
        History { top: self.place(self.top), origins: self.origins.clone(), messages }
    }

    fn place(&self, offset: u64) -> Position {
        Position { epoch: self.epoch.clone(), offset }
    }

    /// Lets go of what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.until <= now {
            self.messages = VecDeque::new();
        }
        while let Some((_, id)) = self.known.front().filter(|(until, _)| *until <= now) {
            self.ids.remove(id);
            self.known.pop_front();
        }
        if self.known.is_empty() {
            self.ids = HashMap::new();
            self.known = VecDeque::new();
        }
    }

    /// When something of it expires next; the last of all is that it is known itself.
    pub(super) fn due(&self) -> Instant {
        let messages = (!self.messages.is_empty()).then_some(self.until);
        let ids = self.known.front().map(|(until, _)| *until);
        messages.into_iter().chain(ids).min().unwrap_or_else(|| after(self.used, PLACE))
    }

    /// Somebody subscribes to it still.
    pub(super) fn is_used(&mut self, now: Instant) {
        self.used = now;
    }

    /// It goes on in another epoch.
    #[cfg(feature = "test")]
    pub(super) fn go_on_as(&mut self, epoch: Epoch) {
        self.origins.insert(0, self.place(self.top));
        self.epoch = epoch;
    }

    /// As if the last ones had never been appended, as after another server has taken over.
    #[cfg(feature = "test")]
    pub(super) fn rewind(&mut self, lost: u64) {
        self.top = self.top.saturating_sub(lost);
        let kept = self.messages.len().saturating_sub(usize::try_from(lost).unwrap_or(usize::MAX));
        self.messages.truncate(kept);
        let top = self.top;
        self.ids.retain(|_, offset| *offset <= top);
        self.known.retain(|(_, id)| self.ids.contains_key(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Retention = Retention { size: 3, ttl: Duration::from_secs(60) };

    fn kept() -> (Instant, Kept) {
        let now = Instant::now();
        (now, Kept::new(now, Epoch("e".into())))
    }

    fn offsets(history: History) -> Vec<u64> {
        history.messages.into_iter().map(|(offset, _)| offset).collect()
    }

    #[test]
    fn a_page_is_what_is_kept_behind_an_offset() {
        let (now, mut kept) = kept();
        for id in 1..=5 {
            kept.append(now, Bytes::new(), MessageId(id), KEEP);
        }
        let table: [(u64, usize, &[u64]); 7] = [
            (0, 9, &[3, 4, 5]),
            (2, 9, &[3, 4, 5]),
            (3, 1, &[4]),
            (4, 9, &[5]),
            (5, 9, &[]),
            (u64::MAX, 9, &[]),
            (0, 0, &[]),
        ];
        for (after, limit, expected) in table {
            let page = kept.history(now, after, limit);
            assert_eq!(page.top.offset, 5);
            assert_eq!(offsets(page), expected, "{limit} behind {after}");
        }
    }

    #[test]
    fn everything_expires_in_its_time() {
        let (now, mut kept) = kept();
        kept.append(now, Bytes::new(), MessageId(1), KEEP);
        let mut expiries = Vec::new();
        for _ in 0..3 {
            let due = kept.due();
            expiries.push((due - now).as_secs());
            kept.expire(due);
        }
        assert_eq!(expiries, [60, 300, 3600]);
        assert!(kept.messages.is_empty() && kept.ids.is_empty());
        assert_eq!(kept.top, 1);
    }

    #[test]
    fn nothing_is_kept_of_what_is_not_to_be() {
        let (now, mut kept) = kept();
        kept.append(now, Bytes::new(), MessageId(1), Retention { size: 0, ..KEEP });
        assert!(offsets(kept.history(now, 0, 9)).is_empty());
        assert_eq!(kept.append(now, Bytes::new(), MessageId(2), KEEP).position.offset, 2);
    }
}

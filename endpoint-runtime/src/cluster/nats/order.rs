//! [`Order`]: messages of a stream in the order of their numbers.
//!
//! A server publishes what a stream has taken a moment after it has numbered it, and for two who append at the same time that may be the
//! other way round. So a message that comes before the one before it waits a little.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{Arrival, Epoch};

/// How long a message waits for those before it. After that they are lost, or were never meant for us.
const PATIENCE: Duration = Duration::from_millis(50);

/// So many wait, of one stream.
const MOST: usize = 64;

/// So many streams are known, of one place: those of epochs that are over are among them.
const STREAMS: usize = 256;

/// What has arrived of the streams of one place.
#[derive(Debug, Default)]
pub(super) struct Order {
    streams: HashMap<Epoch, Stream>,
    /// When the first of those that wait has waited long enough; too early, perhaps.
    due: Option<Instant>,
}

#[derive(Debug, Default)]
struct Stream {
    newest: u64,
    early: BTreeMap<u64, Arrival>,
    since: Option<Instant>,
}

impl Order {
    /// Hands on what has arrived, and what has waited for it, in order. What has no place waits for nothing.
    pub(super) fn arrived(&mut self, arrival: Arrival, now: Instant, mut hand_on: impl FnMut(Arrival)) {
        let Some(position) = &arrival.position else { return hand_on(arrival) };
        let offset = position.offset;
        let Some(stream) = self.streams.get_mut(&position.epoch) else {
            if self.streams.len() >= STREAMS {
                self.hand_on_all(&mut hand_on);
            }
            // Of what was before nothing is known.
            self.streams.insert(position.epoch.clone(), Stream { newest: offset, ..Stream::default() });
            return hand_on(arrival);
        };
        if offset > stream.newest.saturating_add(1) && stream.early.len() < MOST {
            stream.early.insert(offset, arrival);
            let due = *stream.since.get_or_insert(now) + PATIENCE;
            self.due = Some(self.due.map_or(due, |first| first.min(due)));
            return;
        }
        if offset > stream.newest.saturating_add(1) {
            stream.hand_on_all(&mut hand_on);
        }
        stream.newest = stream.newest.max(offset);
        hand_on(arrival);
        while let Some(first) = stream.early.first_entry()
            && *first.key() <= stream.newest.saturating_add(1)
        {
            stream.newest = stream.newest.max(*first.key());
            hand_on(first.remove());
        }
        if stream.early.is_empty() {
            stream.since = None;
        }
    }

    /// When it is to be asked what has [waited long enough](Self::overdue).
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Hands on what has waited long enough.
    pub(super) fn overdue(&mut self, now: Instant, mut hand_on: impl FnMut(Arrival)) {
        self.due = None;
        for stream in self.streams.values_mut() {
            match stream.since.map(|since| since + PATIENCE) {
                Some(due) if due <= now => stream.hand_on_all(&mut hand_on),
                Some(due) => self.due = Some(self.due.map_or(due, |first| first.min(due))),
                None => {}
            }
        }
    }

    fn hand_on_all(&mut self, hand_on: &mut impl FnMut(Arrival)) {
        self.streams.drain().for_each(|(_, mut stream)| stream.hand_on_all(hand_on));
        self.due = None;
    }
}

impl Stream {
    fn hand_on_all(&mut self, hand_on: &mut impl FnMut(Arrival)) {
        for (offset, arrival) in std::mem::take(&mut self.early) {
            self.newest = self.newest.max(offset);
            hand_on(arrival);
        }
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Channel, Position};

    /// Lets these arrive, one millisecond after the other, and says what is handed on.
    fn order(offsets: &[u64]) -> (Vec<u64>, Order, Instant) {
        let (mut order, mut now, mut handed) = (Order::default(), Instant::now(), Vec::new());
        for &offset in offsets {
            order.arrived(arrival("e", offset), now, |arrival| handed.push(at(&arrival)));
            now += Duration::from_millis(1);
        }
        (handed, order, now)
    }

    fn arrival(epoch: &str, offset: u64) -> Arrival {
        let position = Some(Position { epoch: Epoch(epoch.into()), offset });
        Arrival { channel: Channel::All, message: bytes::Bytes::new(), position }
    }

    fn at(arrival: &Arrival) -> u64 {
        arrival.position.as_ref().map_or(0, |position| position.offset)
    }

    #[test]
    fn what_comes_early_waits() {
        for (arrive, handed_on) in [
            (&[7, 8, 9][..], &[7, 8, 9][..]),
            (&[7, 9, 8, 10], &[7, 8, 9, 10]),
            (&[7, 10, 9, 8], &[7, 8, 9, 10]),
            (&[7, 9, 11, 8, 10], &[7, 8, 9, 10, 11]),
            // What comes again is dropped by those who know what they have had.
            (&[7, 7, 6, 8], &[7, 7, 6, 8]),
            (&[7, 9, 10], &[7]),
            (&[1, u64::MAX, 2], &[1, 2]),
            (&[u64::MAX, u64::MAX, 1], &[u64::MAX, u64::MAX, 1]),
        ] {
            assert_eq!(order(arrive).0, handed_on, "{arrive:?}");
        }
    }

    #[test]
    fn nothing_waits_for_ever() {
        let (handed, mut order, now) = order(&[1, 4, 3]);
        assert_eq!(handed, [1]);
        let due = order.due().unwrap();
        assert!(due <= now + PATIENCE);
        let mut later = Vec::new();
        order.overdue(now, |arrival| later.push(at(&arrival)));
        assert_eq!((&later[..], order.due()), (&[][..], Some(due)));
        order.overdue(due, |arrival| later.push(at(&arrival)));
        assert_eq!((&later[..], order.due()), (&[3, 4][..], None));
        order.arrived(arrival("e", 5), now, |arrival| later.push(at(&arrival)));
        order.arrived(arrival("e", 2), now, |arrival| later.push(at(&arrival)));
        assert_eq!(later, [3, 4, 5, 2]);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let offsets: Vec<_> =
            (0..=MOST as u64 + 1).map(|offset| if offset == 0 { 1 } else { offset + 2 }).collect();
        assert_eq!(order(&offsets).0, offsets);
        let (mut order, now, mut handed) = (Order::default(), Instant::now(), 0);
        for epoch in 0..3 * STREAMS {
            for offset in [1, 3] {
                order.arrived(arrival(&epoch.to_string(), offset), now, |_| handed += 1);
            }
            assert!(order.streams.len() <= STREAMS);
        }
        order.overdue(now + PATIENCE, |_| handed += 1);
        assert_eq!(handed, 6 * STREAMS);
    }
}

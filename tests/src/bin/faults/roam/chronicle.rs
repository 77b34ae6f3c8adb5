//! [`Chronicle`]: what stands where in the history of a room, as publishers and clients were told, who must all have been told the same.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::listener::{Place, numbered};

#[derive(Debug, Default)]
pub(super) struct Chronicle {
    /// By epoch and offset.
    places: HashMap<String, BTreeMap<u64, String>>,
    /// What publishers were told was taken: when, and where.
    pub(super) acked: Vec<(Instant, Place)>,
    /// Places of which two different messages were told.
    pub(super) contradictions: usize,
}

impl Chronicle {
    /// Somebody was told that this message stands there.
    pub(super) fn note(&mut self, (epoch, offset): &Place, text: &str) {
        let known = match self.places.get_mut(epoch) {
            Some(places) => places,
            None => self.places.entry(epoch.clone()).or_default(),
        };
        match known.get(offset) {
            Some(known) => self.contradictions += usize::from(known != text),
            None => drop(known.insert(*offset, text.to_owned())),
        }
    }

    /// Its publisher was.
    pub(super) fn acked(&mut self, place: Place, text: &str) {
        self.note(&place, text);
        self.acked.push((Instant::now(), place));
    }

    /// Messages that stand twice in one history, and messages that stand behind a later one of their publisher, which sends the next one only
    /// when it knows that this one was taken.
    pub(super) fn doubled_and_misplaced(&self) -> (usize, usize) {
        let (mut doubled, mut misplaced) = (0, 0);
        for places in self.places.values() {
            let mut last: HashMap<&str, u64> = HashMap::new();
            for (name, number) in places.values().filter_map(|text| numbered(text)) {
                match last.insert(name, number) {
                    Some(before) if before == number => doubled += 1,
                    Some(before) if before > number => misplaced += 1,
                    _ => {}
                }
            }
        }
        (doubled, misplaced)
    }

    /// How many histories there were.
    pub(super) fn epochs(&self) -> usize {
        self.places.len()
    }
}

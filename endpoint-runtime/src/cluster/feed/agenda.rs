//! [`Agenda`]: when which room is to be looked at. What is noted costs nothing until its time has come, however many rooms there are.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::Instant;

use super::Room;

/// Rooms by time. One may be noted several times, and need not exist any more.
#[derive(Default)]
pub(super) struct Agenda(Mutex<BinaryHeap<Entry>>);

struct Entry {
    due: Instant,
    room: Weak<Room>,
}

impl Agenda {
    pub(super) fn add(&self, due: Instant, room: &Arc<Room>) {
        let entry = Entry { due, room: Arc::downgrade(room) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// The rooms whose time has come, each with the time that was noted.
    pub(super) fn take_due(&self, now: Instant) -> Vec<(Instant, Arc<Room>)> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while let Some(entry) = entries.pop() {
            if entry.due > now {
                entries.push(entry);
                break;
            }
            due.extend(entry.room.upgrade().map(|room| (entry.due, room)));
        }
        due
    }
}

/// The earliest is the greatest, and comes first.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Entry {}

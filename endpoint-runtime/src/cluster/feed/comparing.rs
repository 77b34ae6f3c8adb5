//! Comparing the places of rooms with the engine's: where nothing has come for a while the last message may be what is missing, and of a way that
//! was lost and is there again nobody knows what it has swallowed.
//!
//! Many rooms are compared with one call, and the longer nothing was missing from one, the more rarely: after 5, 10, 20 and then every 40 s, each up to
//! a fifth longer. So 100,000 rooms in which nothing happens are 2,300 comparisons a second, or nine calls. After the way was lost
//! they are compared at once, by 400 calls; only what has something new is read.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Inner, Room};
use crate::cluster::Channel;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(250);

/// How many rooms are compared with one call: the engine does nothing else meanwhile.
const BATCH: usize = 256;

/// How many such calls there are at a time.
const AT_A_TIME: usize = 4;

/// The rooms that are to be compared.
pub(super) struct Comparisons {
    rooms: Mutex<Vec<Arc<Room>>>,
    news: Notify,
    turns: Semaphore,
}

impl Default for Comparisons {
    fn default() -> Self {
        Comparisons { rooms: Mutex::default(), news: Notify::new(), turns: Semaphore::new(AT_A_TIME) }
    }
}

impl Comparisons {
    /// A room is to be compared, together with others that are.
    pub(super) fn add(&self, room: &Arc<Room>) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(room));
        self.news.notify_one();
    }

    fn take(&self) -> Vec<Arc<Room>> {
        std::mem::take(&mut *self.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sees to what is due, and to what is to be compared, until nobody is left who wants to know.
pub(super) async fn look_after(feeds: Weak<Inner>, comparisons: Arc<Comparisons>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = comparisons.news.notified() => {}
        }
        let Some(feeds) = feeds.upgrade() else { return };
        feeds.look_at_due();
        for rooms in comparisons.take().chunks(BATCH) {
            let comparison = Comparison { feeds: Arc::clone(&feeds), rooms: rooms.to_vec(), is_done: false };
            feeds.runtime.spawn(comparison.run());
        }
    }
}

/// One call. However it ends, the rooms get to know.
struct Comparison {
    feeds: Arc<Inner>,
    rooms: Vec<Arc<Room>>,
    is_done: bool,
}

impl Comparison {
    async fn run(mut self) {
        let channels: Vec<Channel> = self.rooms.iter().map(|room| room.channel.clone()).collect();
        let tops = {
            // Nobody closes it.
            let _turn = self.feeds.comparisons.turns.acquire().await;
            self.feeds.engine.tops(&channels).await
        };
        self.is_done = true;
        let tops = match tops {
            Ok(tops) if tops.len() == self.rooms.len() => tops,
            Ok(_) => return self.failed(),
            Err(error) => {
                tracing::debug!(rooms = self.rooms.len(), %error, "the places of rooms could not be had");
                return self.failed();
            }
        };
        for (room, top) in self.rooms.iter().zip(&tops) {
            let mut state = room.lock();
            state.feed.compared(top.as_ref(), Instant::now());
            self.feeds.go_on(room, &mut state);
        }
    }

    fn failed(&self) {
        for room in &self.rooms {
            let mut state = room.lock();
            state.feed.not_compared(Instant::now());
            self.feeds.go_on(room, &mut state);
        }
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        // An engine that panics, or a runtime that stops.
        if !self.is_done {
            for room in &self.rooms {
                room.lock().feed.not_compared(Instant::now());
            }
        }
    }
}

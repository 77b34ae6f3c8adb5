//! [`Reading`]: one look into the history of one room.

use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use tokio::time::{Instant, sleep};

use super::machine::Read;
use super::{Inner, Room};
use crate::cluster::{EngineError, History};

/// How many sessions of one room are told what they have missed before others have a turn.
const TURN: usize = 64;

/// Between two pages of what a room has missed it is looked so often, at most, whether its sessions have sent off what they have got so far …
const LOOKS: u32 = 50;
/// … with a pause of so long: one that is slow is waited for no longer than that.
const PAUSE: Duration = Duration::from_millis(5);

/// A reading of the history of one room. However it ends, the room gets to know.
pub(super) struct Reading {
    feeds: Arc<Inner>,
    room: Arc<Room>,
    is_done: bool,
}

impl Reading {
    pub(super) fn new(feeds: Arc<Inner>, room: Arc<Room>) -> Self {
        Reading { feeds, room, is_done: false }
    }

    pub(super) async fn run(mut self, read: Read) {
        let answer = self.history(read).await;
        self.is_done = true;
        match answer {
            Ok(history) => self.tell(history).await,
            Err(error) => {
                tracing::debug!(room = %self.room.name, %error, "the history of a room could not be read");
                self.failed();
            }
        }
    }

    async fn history(&self, Read { after, limit }: Read) -> Result<History, EngineError> {
        self.let_go_out().await;
        // Nobody closes it.
        let _turn = self.feeds.readings.acquire().await;
        self.feeds.engine.history(&self.room.channel, after, limit).await
    }

    /// Waits a moment for those who have much to send off: what was missed may be more than they have room for.
    async fn let_go_out(&self) {
        for _ in 0..LOOKS {
            if !self.room.lock().feed.is_behind() || !self.feeds.hall.is_full(&self.room.name) {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    async fn tell(&self, history: History) {
        if self.pass_on(&history) {
            while self.room.lock().feed.serve(TURN, &mut self.feeds.teller(&self.room)) {
                // What is live comes between.
                task::yield_now().await;
            }
        }
        self.feeds.go_on(&self.room, &mut self.room.lock());
    }

    /// Whether it answers those who wait.
    fn pass_on(&self, history: &History) -> bool {
        let mut state = self.room.lock();
        // Who is in a room of this name by now is told by another reading.
        !state.is_over && state.feed.read(history, Instant::now(), &mut self.feeds.teller(&self.room))
    }

    fn failed(&self) {
        let mut state = self.room.lock();
        state.feed.failed(Instant::now());
        self.feeds.go_on(&self.room, &mut state);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // An engine that panics, or a runtime that stops.
        if !self.is_done {
            self.room.lock().feed.failed(Instant::now());
        }
    }
}

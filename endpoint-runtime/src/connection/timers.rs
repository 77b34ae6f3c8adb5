//! [`Timers`]: the deadlines of all connections of a server, in one coarse queue with one timer of the runtime's.
//!
//! A connection stands in the queue once, for the earliest thing that may come due. When it does, the connection is woken, looks at the clock, and
//! stands in line again: activity that moves a deadline costs nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::session::WeakSession;

/// How coarse the queue is. A deadline is met at most so much late.
const TICK: Duration = Duration::from_millis(TICK_MILLIS);
const TICK_MILLIS: u64 = 20;

#[derive(Clone, Debug)]
pub(crate) struct Timers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    due: Mutex<BTreeMap<u64, Vec<WeakSession>>>,
    /// An earlier deadline than all others has come in.
    earlier: Notify,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Timers(Arc::new(Inner { start: Instant::now(), due: Mutex::default(), earlier: Notify::new() }))
    }

    /// Rings the session at the deadline, or a tick later. What is due already rings at the next tick, not at once: so nobody who
    /// arms again and again keeps the processor busy.
    pub(crate) fn arm(&self, deadline: Instant, session: WeakSession) {
        let tick = self.tick_of(deadline).max(self.tick_of(Instant::now()).saturating_add(1));
        let mut due = self.due();
        let earliest = due.first_key_value().is_none_or(|(&first, _)| tick < first);
        due.entry(tick).or_default().push(session);
        drop(due);
        if earliest {
            self.0.earlier.notify_one();
        }
    }

    /// Rings whoever comes due, for as long as it is polled.
    pub(crate) async fn run(self) {
        loop {
            let next = self.due().first_key_value().map(|(&tick, _)| self.time_of(tick));
            match next {
                None => self.0.earlier.notified().await,
                Some(time) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(time) => self.ring(),
                        () = self.0.earlier.notified() => {}
                    }
                }
            }
        }
    }

    fn ring(&self) {
        let now = Instant::now();
        let mut due = self.due();
        let mut rung = Vec::new();
        while let Some(entry) = due.first_entry() {
            if self.time_of(*entry.key()) > now {
                break;
            }
            rung.append(&mut entry.remove());
        }
        drop(due);
        rung.iter().for_each(WeakSession::ring);
    }

    /// The first tick that is not before this time.
    fn tick_of(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.0.start);
        // Not `as_millis`, whose 128 bits are slow to divide.
        let millis = since.as_secs().saturating_mul(1000).saturating_add(since.subsec_millis().into());
        millis.div_ceil(TICK_MILLIS)
    }

    fn time_of(&self, tick: u64) -> Instant {
        let far = Duration::from_secs(365 * 24 * 3600);
        let offset = u32::try_from(tick).map_or(far, |tick| TICK * tick);
        self.0.start + offset
    }

    fn due(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<WeakSession>>> {
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
const TICK: Duration = Duration::from_millis(20);

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
        let ticks = |time: Instant| {
            time.saturating_duration_since(self.0.start).as_millis().div_ceil(TICK.as_millis())
        };
        let tick = ticks(deadline).max(ticks(Instant::now()) + 1);
        // Some 10^10 years of ticks fit.
        let tick = u64::try_from(tick).unwrap_or(u64::MAX);
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

    fn time_of(&self, tick: u64) -> Instant {
        let far = Duration::from_secs(365 * 24 * 3600);
        let offset = u32::try_from(tick).map_or(far, |tick| TICK * tick);
        self.0.start + offset
    }

    fn due(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<WeakSession>>> {
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

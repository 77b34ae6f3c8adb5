//! [`Lateness`]: how far the machine itself was behind while something was measured. A goal of time is one of a machine that runs; what
//! it stood still for, because its host or another program had the processors, is nobody's delay.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long the watch sleeps. Whoever sleeps is the first to run again, so that it is late only where nobody could.
const NAP: Duration = Duration::from_millis(5);
/// To wake up so much late is ordinary.
const ORDINARY: Duration = Duration::from_millis(2);

/// Sleeps briefly, again and again, and notes how late it wakes.
pub(crate) struct Watch {
    begun: Instant,
    noted: Arc<Noted>,
}

#[derive(Default)]
struct Noted {
    nanos: AtomicU64,
    longest: AtomicU64,
    over: AtomicBool,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let noted = Arc::new(Noted::default());
        let theirs = Arc::clone(&noted);
        thread::spawn(move || {
            while !theirs.over.load(Ordering::Relaxed) {
                let asleep = Instant::now();
                thread::sleep(NAP);
                let late = asleep.elapsed().saturating_sub(NAP);
                if late > ORDINARY {
                    let nanos = late.as_nanos() as u64;
                    theirs.nanos.fetch_add(nanos, Ordering::Relaxed);
                    theirs.longest.fetch_max(nanos, Ordering::Relaxed);
                }
            }
        });
        Watch { begun: Instant::now(), noted }
    }

    pub(crate) fn end(self) -> Lateness {
        self.noted.over.store(true, Ordering::Relaxed);
        let late = self.noted.nanos.load(Ordering::Relaxed) as f64 / 1e9;
        Lateness {
            share: (late / self.begun.elapsed().as_secs_f64()).min(0.9),
            longest: Duration::from_nanos(self.noted.longest.load(Ordering::Relaxed)),
        }
    }
}

/// How much of the time the machine was late, and the longest that it was.
#[derive(Clone, Copy)]
pub(crate) struct Lateness {
    share: f64,
    longest: Duration,
}

impl Lateness {
    /// The time in which such a machine does what one that is never late does in this.
    pub(crate) fn stretch(self, goal: Duration) -> Duration {
        goal.div_f64(1.0 - self.share) + self.longest
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} % of the time, {} ms at once", self.share * 100.0, self.longest.as_millis())
    }
}

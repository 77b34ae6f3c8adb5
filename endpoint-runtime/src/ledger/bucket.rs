//! [`Bucket`]: what is left of a [`Rate`] at this moment.

use std::time::Duration;

use tokio::time::Instant;

use crate::settings::Rate;

/// What sums of fractions may be off by.
const NEARLY: f64 = 1e-6;

/// A token bucket. Who spends more than there is owes it: then there is nothing for longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    level: f64,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Bucket { rate, level: f64::from(rate.at_once()), filled: now }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.level =
            (self.level + passed * f64::from(self.rate.each_second())).min(f64::from(self.rate.at_once()));
        self.filled = self.filled.max(now);
    }

    /// Whether there is one.
    pub(crate) fn is_ready(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level >= 1.0 - NEARLY
    }

    /// Takes so many, whether they are there or not.
    pub(crate) fn spend(&mut self, count: usize) {
        self.level -= count as f64;
    }

    /// Takes one if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let ready = self.is_ready(now);
        if ready {
            self.spend(1);
        }
        ready
    }

    /// When there will be one.
    pub(crate) fn ready_at(&self) -> Instant {
        let seconds = ((1.0 - self.level) / f64::from(self.rate.each_second())).max(0.0);
        // A debt is at most what one message may be.
        self.filled + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(3600))
    }

    /// Whether it is as good as new.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level >= f64::from(self.rate.at_once()) - NEARLY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_a_burst_and_then_so_many_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate::per_second(10).burst(5), start);
        let taken = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(now)).count();
        // Milliseconds since the start, and how many there are then.
        let table = [(0, 5), (0, 0), (99, 0), (100, 1), (150, 0), (200, 1), (500, 3), (10_000, 5)];
        for (at, expected) in table {
            assert_eq!(taken(&mut bucket, start + Duration::from_millis(at)), expected, "{at} ms");
        }
    }

    #[test]
    fn whoever_spends_more_than_there_is_waits_longer() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate::per_second(1000), start);
        assert!(bucket.is_ready(start) && bucket.is_full(start));
        bucket.spend(3000);
        assert_eq!(bucket.ready_at() - start, Duration::from_millis(2001));
        assert!(!bucket.is_ready(start + Duration::from_millis(2000)));
        assert!(bucket.is_ready(start + Duration::from_millis(2001)));
        // A clock that goes back takes nothing.
        assert!(bucket.is_ready(start));
        assert!(
            !bucket.is_full(start + Duration::from_secs(2)) && bucket.is_full(start + Duration::from_secs(4))
        );
    }
}

//! [`Backoff`]: how long to wait before the next attempt.

use std::time::Duration;

/// Ever longer pauses between attempts, each a random part of what it could be, so that clients that lost the same server at the
/// same time do not all come back at the same time ("full jitter").
///
/// ```
/// use std::time::Duration;
/// use endpoint_runtime::Backoff;
///
/// let backoff = Backoff::default().initial(Duration::from_millis(100)).max(Duration::from_secs(5)).attempts(10);
/// assert!(backoff.delay(1) <= Duration::from_millis(100));
/// assert!(backoff.delay(2) <= Duration::from_millis(200));
/// assert!(backoff.delay(100) <= Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    pub(super) max: Duration,
    pub(super) attempts: Option<u32>,
    pub(super) lasting: Duration,
}

/// Up to 500 ms before the first attempt, each pause up to twice as long as the one before, none longer than 30 s, attempts without
/// end.
impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            initial: Duration::from_millis(500),
            factor: 2.0,
            max: Duration::from_secs(30),
            attempts: None,
            lasting: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// The longest pause before the first attempt. Default: 500 ms.
    pub fn initial(mut self, time: Duration) -> Self {
        self.initial = time;
        self
    }

    /// By what the longest pause grows with each attempt; at least 1. Default: 2.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The longest pause of all, also where a server asks for a longer one. Default: 30 s.
    pub fn max(mut self, time: Duration) -> Self {
        self.max = time;
        self
    }

    /// How many attempts in a row may fail before no more are made. Default: any number.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// How long a connection must have stood for the pauses to begin with the shortest again. Default: 10 s.
    ///
    /// A server that accepts connections and drops them at once is as good as down.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasting = time;
        self
    }

    /// A pause before the attempt of this number, the first being 1: any time between none and the longest.
    pub fn delay(&self, attempt: u32) -> Duration {
        self.longest(attempt).mul_f64(rand::random_range(0.0..=1.0))
    }

    fn longest(&self, attempt: u32) -> Duration {
        let growth = self.factor.max(1.0).powi(attempt.saturating_sub(1).min(1000).cast_signed());
        let seconds = (self.initial.as_secs_f64() * growth).min(self.max.as_secs_f64());
        // Infinity times nothing is no number.
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let backoff = Backoff::default();
        let longest: Vec<_> = (1..=8).map(|attempt| backoff.longest(attempt).as_millis()).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(backoff.longest(u32::MAX), Duration::from_secs(30));
        assert_eq!(Backoff::default().initial(Duration::ZERO).longest(u32::MAX), Duration::ZERO);
        assert_eq!(Backoff::default().factor(0.1).longest(5), Duration::from_millis(500));
    }

    #[test]
    fn a_pause_is_anything_up_to_the_longest() {
        let backoff = Backoff::default();
        let delays: Vec<_> = (0..1000).map(|_| backoff.delay(3)).collect();
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(2)));
        // That none of a thousand is in the first or the last quarter does not happen.
        assert!(delays.iter().any(|delay| *delay < Duration::from_millis(500)));
        assert!(delays.iter().any(|delay| *delay > Duration::from_millis(1500)));
    }
}

//! What time it is, for what nodes tell each other of when something was sent.
//!
//! A clock that is set must not make messages expire. So a process has two: the machine's, and its own, which showed the same when it was
//! first read, and which nobody sets. Where they differ, a message counts as sent at the later and as arrived at the earlier. At worst
//! something arrives that is of no use any more.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What both show, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    machine: u64,
    own: u64,
}

impl Clocks {
    pub(super) fn now() -> Self {
        static FIRST: LazyLock<(Instant, u64)> = LazyLock::new(|| (Instant::now(), machine()));
        let (then, at) = *FIRST;
        Clocks { own: at.saturating_add(millis(then.elapsed())), machine: machine() }
    }

    /// When something counts as sent that is sent now.
    pub(super) fn sent(self) -> u64 {
        self.machine.max(self.own)
    }

    /// How long something was on its way that arrives now, as far as the clocks of two machines agree.
    pub(super) fn since(self, sent: u64) -> Duration {
        Duration::from_millis(self.machine.min(self.own).saturating_sub(sent))
    }
}

/// By the clock of the machine; one that is before 1970 shows 0.
fn machine() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// At this time, in a process whose machine's clock was set by so much since it began.
    fn clocks(now: u64, set_by: i64) -> Clocks {
        Clocks { machine: now.checked_add_signed(set_by).unwrap(), own: now }
    }

    #[test]
    fn nothing_expires_because_a_clock_was_set() {
        let (now, on_its_way) = (1_800_000_000_000, 10);
        for sender in [-HOUR, 0, HOUR] {
            for receiver in [-HOUR, 0, HOUR] {
                let sent = clocks(now, sender).sent();
                let lag = clocks(now + on_its_way, receiver).since(sent);
                assert!(lag <= Duration::from_millis(on_its_way), "{sender} {receiver}: {lag:?}");
            }
        }
    }

    #[test]
    fn what_takes_long_is_late() {
        let now = 1_800_000_000_000;
        let lag = |sender, receiver| clocks(now + 5000, receiver).since(clocks(now, sender).sent());
        assert_eq!(lag(0, 0), Duration::from_secs(5));
        // Where it is known all the same.
        assert_eq!(lag(-HOUR, HOUR), Duration::from_secs(5));
    }

    #[test]
    fn both_go_on() {
        let before = Clocks::now();
        std::thread::sleep(Duration::from_millis(5));
        let lag = Clocks::now().since(before.own.min(before.machine));
        assert!(lag >= Duration::from_millis(4), "{lag:?}");
    }
}

//! [`Pulse`]: whether this node was away, stopped or frozen with its machine.
//!
//! Others may have taken it for dead meanwhile, and its sessions may have gone on with them. What has waited for it is for those sessions: so
//! it is looked whether they are still here before any of that is delivered.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::Node;
use crate::cluster::members::AWAY;

/// How often it is noted that the node is there.
const BEAT: Duration = Duration::from_millis(500);

/// How long what has arrived waits for that look at most. An engine that does not answer stops nobody.
const LOOKING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// When it was last certain that the node had not been away, milliseconds since it began.
    last: AtomicU64,
    /// Held by who looks; the others wait for it.
    looking: Mutex<()>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Pulse { began: Instant::now(), last: AtomicU64::new(0), looking: Mutex::const_new(()) }
    }

    fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn has_stopped(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        u128::from(self.now().saturating_sub(last)) > AWAY.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// If the node was away, looks before anybody goes on: once, whoever asks.
    pub(super) async fn resume(&self, look: impl Future<Output = ()>) {
        if !self.has_stopped() {
            return;
        }
        let _looking = self.looking.lock().await;
        if self.has_stopped() {
            tracing::info!("this node was away: it is looked whether its sessions have gone on elsewhere");
            if timeout(LOOKING, look).await.is_err() {
                tracing::warn!(
                    "not all sessions could be looked at in time: some may have gone on elsewhere"
                );
            }
            self.beat();
        }
    }
}

/// Notes that the node is there, until it is gone.
pub(super) async fn beat(node: Weak<Node>) {
    while let Some(node) = node.upgrade() {
        node.be_here().await;
        node.pulse.beat();
        drop(node);
        sleep(BEAT).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_away_is_looked_at_once_before_anybody_goes_on() {
        let (pulse, looks) = (Pulse::new(), Cell::new(0));
        let look = async || {
            sleep(Duration::from_millis(100)).await;
            looks.set(looks.get() + 1);
        };
        pulse.resume(look()).await;
        tokio::time::advance(AWAY).await;
        pulse.resume(look()).await;
        assert_eq!(looks.get(), 0, "it was here all the time");
        tokio::time::advance(Duration::from_secs(1)).await;
        let go_on = async || {
            pulse.resume(look()).await;
            looks.get()
        };
        assert_eq!(tokio::join!(go_on(), go_on(), go_on()), (1, 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_look_that_does_not_end() {
        let pulse = Pulse::new();
        tokio::time::advance(2 * AWAY).await;
        let began = Instant::now();
        pulse.resume(std::future::pending()).await;
        assert_eq!(began.elapsed(), LOOKING);
        pulse.resume(async { panic!("it was looked already") }).await;
    }
}

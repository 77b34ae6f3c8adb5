//! [`Way`]: whether there is a way to the other nodes. Pure, as the [table](super::table) is.
//!
//! The engine says when it has lost its server, and when it is back. What it does not notice shows in a node's own heartbeats: they come
//! back over the subscription, and when they no longer do, nothing does.

use std::time::Duration;

use tokio::time::Instant;

use crate::session::ClusterState;

/// How long a node's own heartbeats may be missing: not two of them.
const SILENCE: Duration = Duration::from_millis(5500);

#[derive(Debug)]
pub(super) struct Way {
    /// The engine says that it has no way.
    lost: bool,
    /// When one of the node's own heartbeats was last heard; none for an engine that does not bring them back.
    echo: Option<Instant>,
    /// The heartbeats are not heard.
    silent: bool,
    degraded: Option<Instant>,
}

impl Way {
    /// A way that is not known to be there is none until the node hears itself, or the engine says that it is back.
    pub(super) fn new(up: bool, now: Instant) -> Self {
        Way { lost: false, echo: None, silent: !up, degraded: (!up).then_some(now) }
    }

    pub(super) fn state(&self) -> ClusterState {
        match self.degraded {
            None => ClusterState::Connected,
            Some(since) => ClusterState::Degraded { since: since.into_std() },
        }
    }

    /// Since when there is none.
    #[cfg(test)]
    fn degraded(&self) -> Option<Instant> {
        self.degraded
    }

    pub(super) fn lost(&mut self, now: Instant) {
        self.lost = true;
        self.judge(now);
    }

    /// The engine has its way again. The echo has the usual time to come back.
    pub(super) fn back(&mut self, now: Instant) {
        (self.lost, self.silent) = (false, false);
        self.echo = self.echo.map(|_| now);
        self.judge(now);
    }

    /// The node has heard itself.
    pub(super) fn heard_itself(&mut self, now: Instant) {
        (self.echo, self.silent) = (Some(now), false);
        self.judge(now);
    }

    /// It was the node itself that was away: its own heartbeats have time again, too.
    pub(super) fn awake(&mut self, now: Instant) {
        self.echo = self.echo.map(|_| now);
    }

    /// Looks whether the echo is missing.
    pub(super) fn look(&mut self, now: Instant) {
        let missing = |echo: Instant| now.saturating_duration_since(echo) >= SILENCE;
        if !self.lost && self.echo.is_some_and(missing) {
            self.silent = true;
        }
        self.judge(now);
    }

    fn judge(&mut self, now: Instant) {
        let degraded = self.lost || self.silent;
        self.degraded = degraded.then(|| self.degraded.unwrap_or(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_degraded_since_it_was_lost_until_it_is_back() {
        let start = Instant::now();
        let mut way = Way::new(true, start);
        assert_eq!(way.state(), ClusterState::Connected);
        way.lost(start + SECOND);
        way.lost(start + 2 * SECOND);
        way.look(start + 3 * SECOND);
        assert_eq!(way.state(), ClusterState::Degraded { since: (start + SECOND).into_std() });
        way.back(start + 4 * SECOND);
        assert_eq!(way.state(), ClusterState::Connected);
    }

    #[test]
    fn its_own_silence_shows_that_nothing_arrives() {
        let start = Instant::now();
        let mut way = Way::new(true, start);
        way.heard_itself(start);
        way.look(start + 5 * SECOND);
        assert!(way.state().is_connected());
        let noticed = start + 6 * SECOND;
        way.look(noticed);
        assert_eq!(way.degraded(), Some(noticed));
        way.heard_itself(start + 20 * SECOND);
        assert!(way.state().is_connected());
    }

    #[test]
    fn an_engine_that_brings_nothing_back_is_believed() {
        let start = Instant::now();
        let mut way = Way::new(true, start);
        way.look(start + 100 * SECOND);
        assert!(way.state().is_connected());
    }

    #[test]
    fn a_pause_of_the_node_is_no_silence() {
        let start = Instant::now();
        let mut way = Way::new(true, start);
        way.heard_itself(start);
        way.awake(start + 60 * SECOND);
        way.look(start + 60 * SECOND);
        assert!(way.state().is_connected());
    }

    #[test]
    fn one_that_starts_without_an_engine_is_degraded_at_once() {
        let start = Instant::now();
        let mut ways = [Way::new(false, start), Way::new(false, start)];
        ways.iter_mut().for_each(|way| way.look(start + SECOND));
        assert!(ways.iter().all(|way| way.degraded() == Some(start)));
        ways[0].back(start + 2 * SECOND);
        ways[1].heard_itself(start + 2 * SECOND);
        assert!(ways.iter().all(|way| way.state().is_connected()));
    }
}

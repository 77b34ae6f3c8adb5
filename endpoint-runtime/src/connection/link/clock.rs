//! What comes due on a connection, and when: pings, idleness, slow and dead peers, and the ends of patience.

use std::time::Duration;

use tokio::time::Instant;

use super::{LINGER, Link, Phase};
use crate::message::{CloseCode, CloseReason, ClosedBy};
use crate::session::outbox::Frame;

impl Link {
    pub(super) fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        self.active = self.active.max(self.session.outbox().wrote_directly().unwrap_or(self.active));
        let (limits, tuned) = (*self.session.limits(), self.session.tuned());
        let passed = |since: Instant, time: Duration| now >= since + time;
        let stalled = |since: Instant| tuned.send_timeout.is_some_and(|timeout| passed(since, timeout));
        match self.phase {
            Phase::Open => {
                if tuned.expires.is_some_and(|expires| now >= expires) {
                    // Not as the runtime's other ends: `on_close` is told 1008 too (Jakarta WebSocket 7.2).
                    self.session.begin_close(&expired());
                } else if !self.output.is_empty() && stalled(self.wrote) {
                    self.session.too_slow();
                } else if self.held {
                    self.look_at_the_clock_unheard(now);
                } else if tuned.idle_timeout.is_some_and(|idle| passed(self.active, idle)) {
                    let idle = tuned.idle_timeout.unwrap_or_default();
                    self.end_by_container(CloseCode::Away, &format!("idle for {idle:?}"), Phase::Closing);
                } else if let Some(pinged) = self.pinged {
                    if passed(pinged, limits.pong_timeout) {
                        let text = format!("no answer to a ping for {:?}", limits.pong_timeout);
                        self.end_by_container(CloseCode::Away, &text, Phase::Finishing);
                    }
                } else if limits.ping_interval.is_some_and(|interval| passed(self.heard, interval)) {
                    self.output.put_frame(Frame::Ping(bytes::Bytes::new()));
                    self.pinged = Some(now);
                }
            }
            Phase::Closing if passed(self.progress(), limits.close_timeout) => {
                // Who does not even take what was sent will not take the end of the stream either.
                self.enter(if self.output.is_empty() { Phase::Finishing } else { Phase::Gone });
            }
            Phase::Finishing | Phase::Lingering if passed(self.progress(), LINGER) => self.enter(Phase::Gone),
            _ => {}
        }
    }

    /// A peer that is not listened to is neither silent nor idle. It is pinged all the same: if it has gone, the socket will say so.
    pub(super) fn look_at_the_clock_unheard(&mut self, now: Instant) {
        let limits = self.session.limits();
        self.active = now;
        let due = match self.pinged {
            Some(pinged) => Some(pinged + limits.pong_timeout),
            None => limits.ping_interval.map(|interval| self.heard + interval),
        };
        if due.is_some_and(|due| now >= due) {
            self.output.put_frame(Frame::Ping(bytes::Bytes::new()));
            self.heard = now;
            self.pinged = None;
        }
    }

    /// Since when the phase has got no further: a slow peer may take its time for what was queued before the close frame.
    pub(super) fn progress(&self) -> Instant {
        self.since.max(self.wrote)
    }

    /// The earliest thing that may come due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (limits, tuned) = (self.session.limits(), self.session.tuned());
        let of_phase = match self.phase {
            Phase::Open => {
                let stalled = tuned.send_timeout.filter(|_| !self.output.is_empty());
                let stalled = stalled.map(|timeout| self.wrote + timeout);
                let idle = tuned.idle_timeout.map(|idle| self.active + idle);
                let ping = match self.pinged {
                    Some(pinged) => Some(pinged + limits.pong_timeout),
                    None => limits.ping_interval.map(|interval| self.heard + interval),
                };
                [stalled, idle, ping, tuned.expires].into_iter().flatten().min()
            }
            Phase::Closing => Some(self.progress() + limits.close_timeout),
            Phase::Finishing | Phase::Lingering => Some(self.progress() + LINGER),
            Phase::Gone => None,
        };
        let resume = self.rates.as_ref().and_then(|rates| rates.resume);
        [of_phase, self.grace_ends, resume].into_iter().flatten().min()
    }

    pub(super) fn arm(&mut self) {
        if let Some(deadline) = self.deadline()
            && self.armed.is_none_or(|armed| deadline < armed)
        {
            self.timers.arm(deadline, self.session.downgrade());
            if let Some(rates) = &mut self.rates {
                rates.hurry(self.armed);
            }
            self.armed = Some(deadline);
        }
    }
}

/// 1008: the peer is no longer who it was.
fn expired() -> CloseReason {
    CloseReason::policy("the session's authorization has expired").by(ClosedBy::Container)
}

//! [`Rates`]: how many messages and bytes may come in a second, and what becomes of more.

use tokio::time::Instant;

use super::Link;
use crate::ledger::Bucket;
use crate::message::{CloseCode, CloseReason, ClosedBy};
use crate::session::Limits;
use crate::settings::OverRate;
use crate::wire::{Gate, Step};

/// What is left of the rates of one session.
#[derive(Debug)]
pub(super) struct Rates {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    over: OverRate,
    /// The parts of a message come, and whether they are dropped.
    amid: bool,
    dropping: bool,
    /// When there may be more, while nothing is read for that.
    pub(super) resume: Option<Instant>,
    paused: bool,
    /// When the timers ring after they have rung for that: so nothing need be armed for it again. Pauses come often, and each would leave
    /// something in the queue.
    standing: Option<Instant>,
}

/// What becomes of a message, or of a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Take,
    /// It is dropped; whether a message has ended with it.
    Drop(bool),
    Close,
}

impl Rates {
    /// `None`: nothing is limited.
    pub(super) fn new(limits: &Limits, now: Instant) -> Option<Box<Self>> {
        if limits.message_rate.is_none() && limits.byte_rate.is_none() {
            return None;
        }
        Some(Box::new(Rates {
            messages: limits.message_rate.map(|rate| Bucket::new(rate, now)),
            bytes: limits.byte_rate.map(|rate| Bucket::new(rate, now)),
            over: limits.over_rate,
            amid: false,
            dropping: false,
            resume: None,
            paused: false,
            standing: None,
        }))
    }

    /// The buckets that have a say in what comes next: those of bytes, and of messages where one begins.
    fn buckets(&mut self) -> impl Iterator<Item = &mut Bucket> {
        let messages = self.messages.as_mut().filter(|_| !self.amid);
        messages.into_iter().chain(&mut self.bytes)
    }

    fn is_ready(&mut self, now: Instant) -> bool {
        self.buckets().all(|bucket| bucket.is_ready(now))
    }

    /// Whether nothing must be read now, and since when there may be more.
    fn holds(&mut self, now: Instant) -> bool {
        let waits = match self.over {
            OverRate::Wait => true,
            // Half a message cannot be dropped any more.
            OverRate::Drop => self.amid && !self.dropping,
            OverRate::Close => false,
        };
        if !waits || self.is_ready(now) {
            return false;
        }
        self.resume = self.buckets().map(|bucket| bucket.ready_at()).max();
        true
    }

    /// The timers are to ring before this.
    pub(super) fn hurry(&mut self, armed: Option<Instant>) {
        self.standing = self.standing.max(armed);
    }

    /// They have rung; says when they ring again.
    pub(super) fn rung(&mut self, now: Instant) -> Option<Instant> {
        self.resume = None;
        self.standing.take().filter(|&standing| standing > now)
    }

    /// Decides about what has come.
    pub(super) fn judge(&mut self, step: &Step<'_>, now: Instant) -> Verdict {
        let (bytes, last) = match step {
            Step::Text(text) => (text.len(), true),
            Step::Binary(bytes) => (bytes.len(), true),
            Step::TextPart(text, last) => (text.len(), *last),
            Step::BinaryPart(bytes, last) => (bytes.len(), *last),
            _ => return Verdict::Take,
        };
        let ready = self.over == OverRate::Wait || self.is_ready(now);
        if !ready && self.over == OverRate::Close {
            return Verdict::Close;
        }
        if !self.amid {
            self.dropping = !ready;
        }
        let first = !self.amid;
        self.amid = !last;
        if self.dropping {
            return Verdict::Drop(last);
        }
        if let Some(messages) = &mut self.messages
            && first
        {
            messages.spend(1);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.spend(bytes);
        }
        Verdict::Take
    }
}

impl Link {
    /// What may be looked at, where `gate` says so whatever the rates; and the time.
    #[cold]
    pub(super) fn paced(&mut self, gate: Gate) -> (Gate, Instant) {
        let now = self.now();
        let Some(rates) = &mut self.rates else { return (gate, now) };
        if gate != Gate::Open {
            return (gate, now);
        }
        let held = rates.holds(now);
        if held && !rates.paused {
            self.session.sessions().tally().rate_waits.add(1);
        }
        rates.paused = held;
        if !held {
            return (gate, now);
        }
        // Its time is to be waited for.
        self.hurried = true;
        (Gate::ControlOnly, now)
    }

    /// Does what is to be done about a message that came too soon.
    #[cold]
    pub(super) fn over_the_rate(&mut self, verdict: Verdict) {
        let session = &self.session;
        let (id, path, tally) = (session.id(), session.path(), session.sessions().tally());
        let unsaid = match verdict {
            Verdict::Take | Verdict::Drop(false) => return,
            Verdict::Drop(true) => tally.rate_dropped.note(),
            Verdict::Close => tally.rate_closed.note(),
        };
        if let Some(unsaid) = unsaid {
            let what = if verdict == Verdict::Close { "session closed" } else { "message dropped" };
            tracing::warn!(session = %id, path, unsaid, "{what}: it has exceeded `message_rate` or `byte_rate`");
        }
        if verdict == Verdict::Close {
            let reason = CloseReason::new(CloseCode::Policy, "too many messages").by(ClosedBy::Container);
            self.session.begin_close(&reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::Duration;

    use super::*;
    use crate::settings::{Rate, Settings};

    fn rates(messages: Option<Rate>, bytes: Option<Rate>, over: OverRate, now: Instant) -> Box<Rates> {
        let limits = Limits {
            message_rate: messages,
            byte_rate: bytes,
            over_rate: over,
            ..Limits::from(&Settings::default())
        };
        Rates::new(&limits, now).unwrap()
    }

    fn whole(bytes: &[u8]) -> Step<'_> {
        Step::Binary(Cow::Borrowed(bytes))
    }

    fn part(bytes: &[u8], last: bool) -> Step<'_> {
        Step::BinaryPart(Cow::Borrowed(bytes), last)
    }

    #[test]
    fn nothing_is_made_where_nothing_is_limited() {
        assert!(Rates::new(&Limits::from(&Settings::default()), Instant::now()).is_none());
    }

    #[test]
    fn what_waits_is_not_read() {
        let now = Instant::now();
        let mut rates = rates(Some(Rate::per_second(2)), None, OverRate::Wait, now);
        for _ in 0..2 {
            assert!(!rates.holds(now));
            assert_eq!(rates.judge(&whole(b"x"), now), Verdict::Take);
        }
        assert_eq!(rates.judge(&Step::Ping(b""), now), Verdict::Take);
        assert!(rates.holds(now));
        assert_eq!(rates.resume, Some(now + Duration::from_millis(500)));
        assert!(!rates.holds(now + Duration::from_millis(500)));
    }

    /// Whoever is held again and again stands in the timers' queue once for that, and once for what comes due anyway.
    #[test]
    fn what_was_armed_before_a_pause_stands() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut rates = rates(Some(Rate::per_second(1)), None, OverRate::Wait, now);
        assert_eq!(rates.rung(now), None);
        rates.hurry(None);
        assert_eq!(rates.rung(at(1)), None);
        rates.hurry(Some(at(25)));
        rates.hurry(Some(at(3)));
        assert_eq!(rates.rung(at(2)), Some(at(25)));
        assert_eq!(rates.rung(at(3)), None);
        // What has rung meanwhile does not ring again.
        rates.hurry(Some(at(25)));
        assert_eq!(rates.rung(at(25)), None);
    }

    #[test]
    fn messages_in_parts_are_one_and_are_dropped_whole() {
        let now = Instant::now();
        let mut rates = rates(Some(Rate::per_second(1)), None, OverRate::Drop, now);
        for (step, verdict) in [
            (part(b"a", false), Verdict::Take),
            (part(b"b", false), Verdict::Take),
            (part(b"c", true), Verdict::Take),
            (part(b"d", false), Verdict::Drop(false)),
            (part(b"e", true), Verdict::Drop(true)),
            (whole(b"f"), Verdict::Drop(true)),
        ] {
            assert_eq!(rates.judge(&step, now), verdict, "{step:?}");
        }
        // What was begun to be dropped is dropped, even if there is room again.
        assert_eq!(rates.judge(&part(b"g", false), now), Verdict::Drop(false));
        let later = now + Duration::from_secs(1);
        assert_eq!(rates.judge(&part(b"h", true), later), Verdict::Drop(true));
        assert_eq!(rates.judge(&whole(b"i"), later), Verdict::Take);
    }

    #[test]
    fn bytes_may_be_owed() {
        let now = Instant::now();
        let mut rates = rates(None, Some(Rate::per_second(10)), OverRate::Wait, now);
        assert_eq!(rates.judge(&whole(&[0; 30]), now), Verdict::Take);
        assert!(rates.holds(now + Duration::from_secs(2)));
        assert!(!rates.holds(now + Duration::from_millis(2100)));
        // A message that has begun goes on as its bytes allow.
        let mut rates =
            self::rates(Some(Rate::per_second(1)), Some(Rate::per_second(10)), OverRate::Drop, now);
        assert_eq!(rates.judge(&part(&[0; 9], false), now), Verdict::Take);
        assert!(!rates.holds(now));
        assert_eq!(rates.judge(&part(&[0; 9], false), now), Verdict::Take);
        assert!(rates.holds(now) && !rates.holds(now + Duration::from_millis(900)));
    }

    #[test]
    fn who_may_not_wait_is_closed() {
        let now = Instant::now();
        let mut rates = rates(Some(Rate::per_second(1)), None, OverRate::Close, now);
        assert_eq!(rates.judge(&whole(b"x"), now), Verdict::Take);
        assert!(!rates.holds(now));
        assert_eq!(rates.judge(&whole(b"x"), now), Verdict::Close);
    }
}

//! [`Feed`]: a recoverable room on one node, as a machine without clock, tasks or engine: what came in, what is to be asked of the engine, what is
//! told to whom.
//!
//! What arrives in order is passed on at once. Anything else (a hole, another epoch, a session that wants what it has missed) is cleared up
//! by reading the history, one page at a time, however many wait for it and however much was missed. As long as the history has what comes next,
//! it is passed on in its place; when it does not, everybody is told so exactly once, and goes on from the earliest place behind which nothing
//! is missing. Places are compared with their epochs, always.

mod ahead;
mod replay;

use std::hash::Hash;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::ahead::Ahead;
use self::replay::Replay;
use super::{Appended, FeedCounters, Notice, Told};
use crate::cluster::{History, Position};

/// How much is told at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Messages, and bytes, that one session is told again at most. Also what is kept of messages that cannot be passed on yet.
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Messages that are read at a time, and about how many bytes they may be together, when the room itself has missed some: however many.
    pub(crate) page: usize,
    pub(crate) page_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { messages: 300, bytes: 1024 * 1024, page: 256, page_bytes: 256 * 1024 }
    }
}

/// How long nothing may have come before the place is compared with the engine's. Up to a fifth more, so that not all rooms ask at once.
const IDLE: Duration = Duration::from_secs(5);

/// The pause is twice as long each time that nothing was missing, up to this.
const LONGEST_IDLE: Duration = Duration::from_secs(40);

/// How soon that is done when a message came that was there already: late, or the history was rewound.
const SUSPICIOUS: Duration = Duration::from_secs(1);

/// After how long the engine is asked again that has failed, at first; twice as long each time, up to [`IDLE`].
const RETRY: Duration = Duration::from_millis(100);

/// What is to be asked of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A part of the history. The answer goes to [`Feed::read`] or [`Feed::failed`]; there is no other reading until then.
    Read(Read),
    /// The place of the newest message, which is less to ask. The answer goes to [`Feed::compared`] or [`Feed::not_compared`].
    Compare,
}

/// A part of the history that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Behind this offset.
    pub(crate) after: u64,
    /// At most so many messages; none if only the place of the newest is wanted.
    pub(crate) limit: usize,
}

/// A recoverable room on one node. `K` names sessions.
#[derive(Debug)]
pub(crate) struct Feed<K> {
    limits: Limits,
    /// The place of the last message that was passed on. `None` until the engine has told where the room stands.
    at: Option<Position>,
    /// Messages that cannot be passed on yet.
    ahead: Ahead,
    /// Who wants what it has missed.
    replay: Replay<K>,
    /// How many questions were asked of the engine.
    asked: u64,
    reading: Option<Reading>,
    comparing: Option<Comparing>,
    /// The history has more than was passed on, or may have.
    is_behind: bool,
    /// Something is missing, and perhaps it goes on behind this offset: then it is read from there.
    detour: Option<u64>,
    /// The place is to be compared by a question after the one of this number.
    check: Option<u64>,
    /// When that is done if nothing happens, and after how long again.
    due: Instant,
    pause: Duration,
    /// Nothing is asked before this, because the engine has failed.
    retry: Option<(Instant, Duration)>,
    /// How long messages are, more or less.
    length: usize,
    random: u64,
    pub(crate) tally: FeedCounters,
}

#[derive(Debug)]
struct Reading {
    read: Read,
    number: u64,
    /// Where the feed was when it began.
    at: Option<Position>,
    is_detour: bool,
}

#[derive(Debug)]
struct Comparing {
    number: u64,
    at: Position,
}

impl<K: Copy + Eq + Hash> Feed<K> {
    /// A feed that does not know yet where the room stands. The seed spreads what many rooms do over time.
    pub(crate) fn new(limits: Limits, now: Instant, seed: u64) -> Self {
        Feed {
            limits,
            at: None,
            ahead: Ahead::new(limits),
            replay: Replay::new(limits),
            asked: 0,
            reading: None,
            comparing: None,
            is_behind: false,
            detour: None,
            check: None,
            due: now + IDLE,
            pause: IDLE,
            retry: None,
            length: 0,
            random: seed | 1,
            tally: FeedCounters::default(),
        }
    }

    /// The same who wait, for a feed that begins anew.
    pub(crate) fn anew(&mut self, now: Instant, seed: u64) -> Self {
        Feed { replay: self.replay.anew(now), ..Feed::new(self.limits, now, seed) }
    }

    /// The place of the last message that was passed on.
    pub(crate) fn position(&self) -> Option<&Position> {
        self.at.as_ref()
    }

    /// Whether there is more to be passed on than has arrived.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    // ---- what comes in

    /// A message has arrived.
    pub(crate) fn arrived(
        &mut self,
        position: Position,
        message: Bytes,
        now: Instant,
        told: &mut impl Told<K>,
    ) {
        // The first that is seen says where the room stands.
        let at = self.at.get_or_insert_with(|| before(&position));
        match position.offset.checked_sub(at.offset) {
            _ if at.epoch != position.epoch => self.set_aside(position, message),
            None | Some(0) => {
                self.tally.repeated += 1;
                self.due = self.due.min(now + SUSPICIOUS);
            }
            Some(1) => {
                self.pass(position.offset, message, now, told);
                self.pass_run(&[], now, told);
            }
            Some(_) => self.set_aside(position, message),
        }
    }

    fn set_aside(&mut self, position: Position, message: Bytes) {
        if !self.ahead.put(position, message, self.asked) {
            // Too many: the history has them, too.
            self.check = Some(self.asked);
        }
    }

    /// Messages may be missing: the engine has dropped some, or was away.
    pub(crate) fn missed(&mut self) {
        self.check = Some(self.asked);
        self.retry = None;
    }

    // ---- those who want what they have missed

    /// A session will want all messages behind this place, and then those that come. It is passed over until it was [told](Self::tell).
    pub(crate) fn expect(&mut self, who: K, from: Position, now: Instant) {
        self.replay.expect(who, from, self.asked, now);
    }

    /// Whether somebody waits for what it has missed.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.replay.waiting.is_empty()
    }

    /// Whether this session does.
    pub(crate) fn is_waiting(&self, who: &K) -> bool {
        self.replay.waiting.contains(who)
    }

    /// A session has gone.
    pub(crate) fn left(&mut self, who: &K) {
        self.replay.waiting.remove(who);
    }

    /// Tells those who wait what they want to know, at most so many of them; `true` if there may be others who can be told now.
    pub(crate) fn serve(&mut self, most: usize, told: &mut impl Told<K>) -> bool {
        let Some(at) = &self.at else { return false };
        self.replay.serve(most, at, told, &mut self.tally)
    }

    /// Tells one session what it has missed, if it waits and that is known: all of it, or that it cannot be had. From then on it gets what comes.
    pub(crate) fn tell(&mut self, who: &K, told: &mut impl Told<K>) {
        if let Some(at) = &self.at {
            self.replay.tell(who, at, told, &mut self.tally);
        }
    }

    // ---- what is asked of the engine

    /// What is to be asked now, if anything.
    pub(crate) fn wants(&mut self, now: Instant) -> Option<Want> {
        self.replay.expire(now);
        if self.reading.is_some() || self.retry.is_some_and(|(at, _)| now < at) {
            return None;
        }
        let reads = self.is_behind || !self.ahead.is_empty() || self.replay.wants_reading();
        match &self.at {
            Some(at) if !reads => {
                let compares = self.comparing.is_none() && (self.check.is_some() || self.due <= now);
                compares.then(|| {
                    self.asked += 1;
                    self.tally.compared += 1;
                    self.comparing = Some(Comparing { number: self.asked, at: at.clone() });
                    Want::Compare
                })
            }
            at => {
                let (at, read, detour) = (at.clone(), self.next(), self.detour.take());
                self.asked += 1;
                self.tally.reads += 1;
                self.reading = Some(Reading { read, number: self.asked, at, is_detour: detour.is_some() });
                Some(Want::Read(read))
            }
        }
    }

    /// When [`wants`](Self::wants) is to be asked if nothing happens before.
    pub(crate) fn next_look(&self) -> Instant {
        let others = [self.replay.until(), self.retry.map(|(at, _)| at)];
        others.into_iter().flatten().fold(self.due, Instant::min)
    }

    /// Behind what everybody has of it: the feed itself, and those who wait and are not too far behind.
    fn next(&self) -> Read {
        let page = (self.limits.page_bytes / self.length.max(1)).clamp(1, self.limits.page);
        match &self.at {
            None => Read { after: 0, limit: 0 },
            Some(at) if self.is_behind => Read { after: self.detour.unwrap_or(at.offset), limit: page },
            Some(at) => match self.replay.wants_behind(at) {
                Some(after) => Read { after, limit: 2 * self.limits.messages },
                None => Read { after: at.offset, limit: page },
            },
        }
    }

    /// The history could not be read.
    pub(crate) fn failed(&mut self, now: Instant) {
        if self.reading.take().is_some() {
            self.try_again(now);
        }
    }

    /// The place of the newest message could not be had.
    pub(crate) fn not_compared(&mut self, now: Instant) {
        if self.comparing.take().is_some() {
            self.try_again(now);
        }
    }

    fn try_again(&mut self, now: Instant) {
        let pause = self.retry.map_or(RETRY, |(_, pause)| (2 * pause).min(IDLE));
        self.retry = Some((now + self.spread(pause), pause));
    }

    /// This is the place of the newest message; `None` if the engine has to look more closely.
    pub(crate) fn compared(&mut self, top: Option<&Position>, now: Instant) {
        let (Some(Comparing { number, at: began }), Some(at)) = (self.comparing.take(), &self.at) else {
            return;
        };
        self.retry = None;
        let is_here = top.is_some_and(|top| top.epoch == at.epoch && top.offset <= at.offset);
        let is_rewound = top.is_some_and(|top| top.epoch == began.epoch && top.offset < began.offset);
        if !is_here || is_rewound {
            self.is_behind = true;
            return;
        }
        if self.check.is_some_and(|check| check < number) {
            self.check = None;
        }
        self.due = now + self.spread(self.pause);
        self.pause = (2 * self.pause).min(LONGEST_IDLE);
    }

    /// The history was read. Whether it answers those who wait, who are then told by [`serve`](Self::serve).
    pub(crate) fn read(&mut self, history: &History, now: Instant, told: &mut impl Told<K>) -> bool {
        let Some(reading) = self.reading.take() else { return false };
        self.retry = None;
        self.due = now + self.spread(self.pause);
        match &self.at {
            None => {
                self.at = Some(history.top.clone());
                told.all(self.replay.waiting(), Notice::Here { position: &history.top });
            }
            Some(at) if reading.at.is_none() && *at != history.top => {
                // What came first has said where the room stands, while only that was asked: now more has to be asked.
                self.is_behind = true;
                return false;
            }
            Some(_) => {}
        }
        if self.check.is_some_and(|check| check < reading.number) {
            self.check = None;
        }
        self.is_behind = false;
        let is_unbroken = self.catch_up(history, &reading, now, told);
        self.ahead.refute(&history.top, reading.number);
        self.pass_run(&[], now, told);
        if let Some(at) = self.at.as_ref().filter(|at| is_at(at, &history.top)) {
            let after = (is_unbroken && reading.read.limit > 0).then_some(reading.read.after);
            self.replay.is_read(reading.number, after);
            self.replay.remember(history, at);
        }
        true
    }

    // ---- what is passed on

    /// Passes on what was missed, as far as it was read, or tells everybody that it cannot be had; `false` in that case.
    fn catch_up(
        &mut self,
        history: &History,
        reading: &Reading,
        now: Instant,
        told: &mut impl Told<K>,
    ) -> bool {
        let Some(at) = &self.at else { return true };
        let top = &history.top;
        let began = reading.at.as_ref();
        let is_rewound = began.is_some_and(|began| began.epoch == top.epoch && top.offset < began.offset);
        if at.epoch == top.epoch && !is_rewound {
            self.pass_run(&history.messages, now, told);
            if self.at.as_ref().is_none_or(|at| at.offset >= top.offset) {
                return true;
            }
            // What was missing may have come after it was said to be.
            let has_moved = reading.is_detour && self.at != reading.at;
            if has_moved || self.goes_on(history, reading) {
                self.is_behind = true;
                return true;
            }
        }
        self.go_on_elsewhere(history, reading, now, told);
        false
    }

    /// Whether there may be more of the history behind where the feed is now: this was not all of it.
    fn goes_on(&self, history: &History, reading: &Reading) -> bool {
        let last = end_of_page(history, reading.read);
        last.is_some_and(|last| self.at.as_ref().is_some_and(|at| at.offset >= last))
    }

    /// Tells everybody that something is missing, and goes on from the earliest place behind which nothing is: where another epoch goes on from
    /// what everybody has seen, or begins, or else before the last messages that have arrived without a hole, or else behind the
    /// newest. What is not known to be whole from there on is not told in part; perhaps it has to be read first.
    fn go_on_elsewhere(
        &mut self,
        history: &History,
        reading: &Reading,
        now: Instant,
        told: &mut impl Told<K>,
    ) {
        let Some(at) = &self.at else { return };
        let top = &history.top;
        let continued = (at.epoch != top.epoch).then(|| continuation(at, history));
        let arrived = self.ahead.before_last_run(top);
        for (offset, may_be_read) in [(continued, true), (arrived, !reading.is_detour)]
            .into_iter()
            .filter_map(|(offset, may)| Some((offset?, may)))
        {
            match self.is_whole_behind(offset, history, reading.read) {
                Some(true) => return self.break_off(offset, history, now, told),
                None if may_be_read => {
                    (self.detour, self.is_behind) = (Some(offset), true);
                    return;
                }
                _ => {}
            }
        }
        self.break_off(top.offset, history, now, told);
    }

    /// Whether no message is missing behind an offset, as far as was read. `None`: it was not read from there on.
    fn is_whole_behind(&self, offset: u64, history: &History, read: Read) -> Option<bool> {
        let top = &history.top;
        let mut last = offset;
        let mut kept = history.messages.iter().skip_while(|(kept, _)| *kept <= offset).peekable();
        while kept.next_if(|(kept, _)| *kept == last + 1).is_some() || self.ahead.has(&top.epoch, last + 1) {
            last += 1;
        }
        if last >= top.offset {
            return Some(offset <= top.offset);
        }
        match end_of_page(history, read) {
            _ if read.after > offset => None,
            Some(end) if end <= offset => None,
            end => Some(end.is_some_and(|end| end <= last)),
        }
    }

    /// Tells everybody that something is missing before this place, and goes on behind it.
    fn break_off(&mut self, offset: u64, history: &History, now: Instant, told: &mut impl Told<K>) {
        let position = Position { epoch: history.top.epoch.clone(), offset };
        self.tally.broken += 1;
        self.replay.begin_anew();
        told.all(self.replay.waiting(), Notice::Broken { position: &position });
        self.at = Some(position);
        self.pass_run(&history.messages, now, told);
        self.is_behind = self.at.as_ref().is_some_and(|at| at.offset < history.top.offset);
    }

    /// Passes on what comes next, as long as the history, or what came early, has it.
    fn pass_run(&mut self, history: &[(u64, Bytes)], now: Instant, told: &mut impl Told<K>) {
        let mut kept = history.iter().peekable();
        while let Some(at) = &self.at {
            let next = at.offset + 1;
            while kept.next_if(|(offset, _)| *offset < next).is_some() {}
            // The history is right if they differ.
            if let Some((_, message)) = kept.next_if(|(offset, _)| *offset == next) {
                self.tally.replayed += 1;
                self.pass(next, message.clone(), now, told);
            } else if let Some(message) = self.ahead.take(at, next) {
                self.pass(next, message, now, told);
            } else {
                break;
            }
        }
        if let Some(at) = &self.at {
            self.ahead.forget_until(at);
        }
    }

    /// Passes on the next message.
    fn pass(&mut self, offset: u64, message: Bytes, now: Instant, told: &mut impl Told<K>) {
        let Some(at) = &mut self.at else { return };
        at.offset = offset;
        self.detour = None;
        let message = Appended::new(message);
        told.all(self.replay.waiting(), Notice::Message { position: at, message: &message });
        self.length = (7 * self.length + message.len()) / 8;
        self.pause = IDLE;
        self.due = now + self.spread(IDLE);
        self.replay.passed(message);
    }

    /// So long, or up to a fifth longer (xorshift).
    fn spread(&mut self, time: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        time + time / 5 * (self.random % 1024) as u32 / 1024
    }
}

/// The place before this one.
fn before(position: &Position) -> Position {
    Position { epoch: position.epoch.clone(), offset: position.offset.saturating_sub(1) }
}

/// Whether nothing is missing up to there.
fn is_at(at: &Position, top: &Position) -> bool {
    at.epoch == top.epoch && at.offset >= top.offset
}

/// Where what was read ends, if there is more.
fn end_of_page(history: &History, read: Read) -> Option<u64> {
    let last = history.messages.last().map_or(read.after, |(offset, _)| *offset);
    (history.messages.len() >= read.limit && last < history.top.offset).then_some(last)
}

/// The offset in a history of another epoch up to which it has what was seen, by who is at this place. If it does not go on from the epoch of
/// that place, whoever is there has seen nothing of what was appended in its own.
fn continuation(at: &Position, history: &History) -> u64 {
    let mut common = u64::MAX;
    for origin in &history.origins {
        common = common.min(origin.offset);
        if origin.epoch == at.epoch {
            return common.min(at.offset);
        }
    }
    history.origins.first().map_or(0, |origin| origin.offset)
}

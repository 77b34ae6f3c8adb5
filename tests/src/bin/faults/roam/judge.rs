//! [`Judge`]: what one client is told over all its connections, and what is wrong with that.
//!
//! It keeps no messages, only stretches: runs of places in which nothing is missing. A stretch ends where the client was told so.

use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use super::ROOM;
use super::chronicle::Chronicle;
use super::mail::Mail;
use crate::listener::{Memory, Place, numbered};

/// A run of places of one epoch without a hole, both ends belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    epoch: String,
    from: u64,
    to: u64,
}

/// Whoever comes back and has missed more messages of a room than this is told so, and gets none of them.
const MOST_REPLAYED: u64 = 300;

/// What a header says of the next message.
enum Header {
    At(Place),
    Ask,
    Plain,
}

/// What the client has to do about something that it heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Message,
    /// It has a session: whether it goes on where another was.
    Session {
        resumed: bool,
    },
    /// Its session is reached from everywhere, by this id.
    Greeting(String),
    Nothing,
}

#[derive(Default)]
pub(super) struct Judge {
    name: usize,
    pub(super) memory: Memory,
    header: Option<Header>,
    /// Where it is. None before it knows, and when it was told that it cannot know.
    last: Option<Place>,
    /// Where it has said it is, on this connection.
    named: Option<Place>,
    /// Nothing goes on: the next message may be anywhere further on.
    is_unsure: bool,
    stretches: Vec<Stretch>,
    /// When the first message of the room came.
    pub(super) first: Option<Instant>,
    /// The messages to itself alone.
    pub(super) mail: Mail,
    /// Messages to others alone.
    pub(super) astray: usize,
    /// Whether it has named a session on this connection.
    has_asked: bool,
    /// … and was told which session it has.
    has_session: bool,
    /// Answers to its place on this connection.
    answers: usize,
    /// It has heard of the room on this connection.
    is_in: bool,
    pub(super) received: usize,
    pub(super) duplicates: usize,
    pub(super) disorder: usize,
    pub(super) silent_gaps: usize,
    /// Times that it was told that something is missing; those of them where it was there, and where it was, but was more than anybody is told
    /// again.
    pub(super) told: usize,
    pub(super) told_in_vain: usize,
    pub(super) too_many: usize,
    /// What there is to say about it.
    remarks: Vec<String>,
    began: Option<Instant>,
}

impl Judge {
    pub(super) fn new(name: usize, began: Instant) -> Self {
        Judge { name, began: Some(began), ..Judge::default() }
    }

    pub(super) fn remark(&mut self, what: impl fmt::Display) {
        let at = self.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        self.remarks.push(format!("{at:8.2} s: client {}: {what}", self.name));
    }

    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// What it says first on a connection.
    pub(super) fn begins(&mut self) -> String {
        self.header = None;
        (self.has_session, self.answers, self.is_in) = (false, 0, false);
        self.has_asked = self.memory.token.is_some();
        self.named = self.memory.at.get(ROOM).cloned();
        self.memory.first()
    }

    pub(super) fn hears(&mut self, text: &str, chronicle: &Mutex<Chronicle>) -> Heard {
        match (self.header.take(), text.strip_prefix('\u{1}')) {
            (None, Some(control)) => self.control(control),
            (Some(Header::At(place)), _) => {
                chronicle.lock().unwrap().note(&place, text);
                self.placed(place);
                Heard::Message
            }
            (Some(Header::Ask), _) => Heard::Nothing,
            (None | Some(Header::Plain), _) => {
                self.memory.seen += 1;
                self.unplaced(text)
            }
        }
    }

    fn control(&mut self, control: &str) -> Heard {
        let control: Value = serde_json::from_str(control).expect("a control message is an object");
        if let Some(session) = control.get("session") {
            return self.session(session);
        }
        if let Some(at) = control.get("at") {
            self.header = Some(place(at, 1).map_or(Header::Plain, Header::At));
        } else if let Some(joined) = control.get("joined") {
            if let Some(place) = place(joined, 1) {
                self.joined(place);
            }
        } else if let Some(recovered) = control.get("recovered") {
            self.recovered(recovered);
        } else {
            self.header = Some(if control.get("ask").is_some() { Header::Ask } else { Header::Plain });
        }
        Heard::Nothing
    }

    fn session(&mut self, session: &Value) -> Heard {
        let resumed = session["resumed"].as_bool().unwrap_or_default();
        self.memory.token = session["token"].as_str().map(ToOwned::to_owned);
        self.memory.seen = 0;
        self.has_session = true;
        let lost = if resumed { session["lost"].as_u64() } else { None };
        if self.has_asked && lost != Some(0) {
            self.mail.told(lost);
        }
        Heard::Session { resumed }
    }

    fn joined(&mut self, place: Place) {
        match self.last.clone() {
            None => self.is_at(place),
            // It knows better, or this only repeats it.
            Some((epoch, offset)) if epoch == place.0 && place.1 <= offset => {}
            Some(last) => {
                self.silent_gaps += 1;
                self.remark(format_args!("joins at {place:?}, and was at {last:?}"));
                self.is_at(place);
            }
        }
    }

    fn recovered(&mut self, recovered: &Value) {
        let whole = recovered[1].as_bool().unwrap_or_default();
        let place = place(recovered, 2);
        // A break of what is live says where it goes on, and so does an answer that is no; only one of them answers.
        self.answers += usize::from(whole);
        if self.answers > 1 {
            self.remark(format_args!("is answered twice"));
            self.duplicates += 1;
        }
        if whole {
            self.is_in = true;
            return;
        }
        self.told += 1;
        let comes_back = !std::mem::replace(&mut self.is_in, true);
        match place {
            Some(place) => {
                if let Some(last) = self.last.take_if(|(epoch, _)| *epoch == place.0) {
                    let too_many = comes_back && place.1 > last.1 + MOST_REPLAYED;
                    self.too_many += usize::from(too_many);
                    self.told_in_vain += usize::from(!too_many);
                    self.remark(format_args!("is told that messages are missing from {last:?} to {place:?}"));
                }
                self.is_at(place);
            }
            None => {
                self.last = None;
                self.is_unsure = true;
            }
        }
    }

    fn placed(&mut self, place: Place) {
        self.received += 1;
        self.is_in = true;
        self.first.get_or_insert_with(Instant::now);
        let (epoch, offset) = &place;
        match self.last.clone() {
            Some((last, before)) if last == *epoch && *offset <= before => {
                let twice = self.has(&place);
                self.duplicates += usize::from(twice);
                self.disorder += usize::from(!twice);
                let what = if twice { "gets again" } else { "gets late" };
                let named = self.named.clone();
                self.remark(format_args!("{what} {place:?}, and was at {before}; has come from {named:?}"));
                return;
            }
            Some((last, before)) if last == *epoch && *offset == before + 1 => {}
            None if self.is_unsure || self.stretches.is_empty() => {}
            last => {
                self.silent_gaps += 1;
                self.remark(format_args!("gets {place:?}, and was at {last:?}"));
            }
        }
        if self.has(&place) {
            self.duplicates += 1;
            self.remark(format_args!("gets {place:?} again, in an old history"));
        }
        match self.stretches.last_mut() {
            Some(stretch) if stretch.epoch == *epoch && stretch.to + 1 == *offset => stretch.to = *offset,
            _ => self.stretches.push(Stretch { epoch: epoch.clone(), from: *offset, to: *offset }),
        }
        self.is_at(place);
    }

    fn is_at(&mut self, place: Place) {
        self.memory.at.insert(ROOM.to_owned(), place.clone());
        self.last = Some(place);
        self.is_unsure = false;
    }

    fn unplaced(&mut self, text: &str) -> Heard {
        if let Some((_, rest)) = text.split_once(' ').filter(|(word, _)| matches!(*word, "open" | "back")) {
            return Heard::Greeting(rest.split(' ').next().unwrap_or_default().to_owned());
        }
        match numbered(text) {
            Some((to, number)) if to == self.address() => {
                let before = self.mail.last();
                if let Some(how) = self.mail.got(number) {
                    self.remark(format_args!("gets its own {number} {how}, and was at {before:?}"));
                }
            }
            _ => {
                self.astray += 1;
                self.remark(format_args!("{text:?} is not for it"));
            }
        }
        Heard::Message
    }

    /// What messages to this client alone begin with.
    pub(super) fn address(&self) -> String {
        format!("to-{}", self.name)
    }

    /// Whether it was told on this connection which session it has.
    pub(super) fn has_session(&self) -> bool {
        self.has_session
    }

    /// Where it is.
    pub(super) fn last(&self) -> Option<&Place> {
        self.last.as_ref()
    }

    /// Whether it has received what stands there.
    pub(super) fn has(&self, (epoch, offset): &Place) -> bool {
        self.stretches
            .iter()
            .rev()
            .any(|stretch| stretch.epoch == *epoch && (stretch.from..=stretch.to).contains(offset))
    }
}

fn place(value: &Value, from: usize) -> Option<Place> {
    Some((value[from].as_str()?.to_owned(), value[from + 1].as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that was at this place, has come back, and hears this.
    fn back_from(offset: u64, hears: &[String]) -> Judge {
        let mut judge = Judge { last: Some(("one".to_owned(), offset)), ..Judge::default() };
        judge.begins();
        for text in hears {
            judge.hears(text, &Mutex::default());
        }
        judge
    }

    fn missing_up_to(offset: u64) -> String {
        format!("\u{1}{{\"recovered\":[\"{ROOM}\",false,\"one\",{offset}]}}")
    }

    #[test]
    fn only_who_comes_back_may_miss_what_is_there_and_only_if_that_is_too_much() {
        let told = |judge: Judge| (judge.told, judge.told_in_vain, judge.too_many);
        assert_eq!(told(back_from(1000, &[missing_up_to(1300)])), (1, 1, 0));
        assert_eq!(told(back_from(1000, &[missing_up_to(1301)])), (1, 0, 1));
        let whole = format!("\u{1}{{\"recovered\":[\"{ROOM}\",true]}}");
        assert_eq!(told(back_from(1000, &[whole, missing_up_to(1301)])), (1, 1, 0));
        let at = format!("\u{1}{{\"at\":[\"{ROOM}\",\"one\",1001]}}");
        assert_eq!(told(back_from(1000, &[at, "ada 7".to_owned(), missing_up_to(1400)])), (1, 1, 0));
    }
}

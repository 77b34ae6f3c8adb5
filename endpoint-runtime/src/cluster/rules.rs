//! [`Rooms`] and [`Rules`]: which rooms are recoverable, and of which it is known who is present.
//!
//! What endpoints and the exporter say of the same pattern of names has to be the same: a room is one room, whoever joins it.

use std::cmp::Reverse;
use std::iter::successors;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Engine, Retention};
use crate::error::{Place, Problem};

/// What holds for rooms: by default a message reaches whoever is there when it is sent, and nobody keeps it.
///
/// ```
/// use std::time::Duration;
///
/// use endpoint_runtime::cluster::Rooms;
///
/// # fn f(exporter: endpoint_runtime::ServerEndpointExporter) -> endpoint_runtime::ServerEndpointExporter {
/// exporter
///     .rooms("news/*", Rooms::recoverable(100, Duration::from_secs(300)))
///     .rooms("lobby", Rooms::plain().presence())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "this says something of rooms to `exporter.rooms(..)`"]
pub struct Rooms {
    pub(crate) keep: Option<Retention>,
    pub(crate) presence: bool,
}

impl Rooms {
    /// Rooms of which nothing is kept.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Rooms whose last `size` messages are kept, until `ttl` after the last one. Their messages reach every member in the same order, effectively
    /// once; whoever was away for a while gets what it has missed, or is told, once, that this cannot be had.
    ///
    /// More of both lets clients be away for longer, and costs the memory of the engine: `size` messages for each room.
    pub const fn recoverable(size: usize, ttl: Duration) -> Self {
        Rooms { keep: Some(Retention { size, ttl }), presence: false }
    }

    /// Notes who is present, everywhere.
    pub const fn presence(mut self) -> Self {
        self.presence = true;
        self
    }

    /// What is wrong with it.
    fn fault(self) -> Option<&'static str> {
        let keep = self.keep?;
        match keep {
            Retention { size: 0, .. } => Some("of a history of no messages nothing can be recovered"),
            Retention { ttl, .. } if ttl.is_zero() => {
                Some("of a history that is kept for no time nothing can be recovered")
            }
            _ => None,
        }
    }
}

/// What is said of the rooms whose names a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// A name, or the beginning of one and a `*`.
    pub(crate) pattern: String,
    pub(crate) rooms: Rooms,
    /// Who says so, for people.
    pub(crate) by: String,
    pub(crate) place: Place,
}

impl Rule {
    pub(crate) fn matches(&self, room: &str) -> bool {
        matches(&self.pattern, room)
    }

    /// The longest literal first, and the whole name before a beginning that is as long.
    fn rank(&self) -> (Reverse<usize>, bool) {
        let literal = literal(&self.pattern);
        (Reverse(literal.len()), literal.len() < self.pattern.len())
    }

    /// What an engine cannot do of what it asks for.
    pub(crate) fn unable(&self, engine: &dyn Engine) -> Vec<RuleFault> {
        let (can, name) = (engine.capabilities(), engine.name());
        let lacks = |what: &str, lacking: &str| {
            let remedy = engine.remedy(lacking).map_or_else(String::new, |remedy| format!(": {remedy}"));
            let text = format!(
                "{} ({}): rooms `{}` need {what}, which the engine `{name}` has not{remedy}",
                self.by, self.place, self.pattern
            );
            RuleFault { text, places: vec![self.place] }
        };
        let history = (self.rooms.keep.is_some() && !can.history).then(|| lacks("a history", "history"));
        let presence =
            (self.rooms.presence && !can.presence).then(|| lacks("to keep who is present", "presence"));
        history.into_iter().chain(presence).collect()
    }
}

/// What is wrong with rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleFault {
    pub(crate) text: String,
    pub(crate) places: Vec<Place>,
}

impl From<RuleFault> for Problem {
    fn from(fault: RuleFault) -> Self {
        fault.places.into_iter().fold(Problem::new(fault.text), Problem::at)
    }
}

/// All rules of an application. Looking one up takes no lock, though there may be more of them later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// In the order of their ranks.
    rules: Vec<Rule>,
    /// Those that were added.
    more: OnceLock<Box<Rules>>,
}

impl Rules {
    /// Puts rules together, and says all that is wrong with them.
    pub(crate) fn new(said: Vec<Rule>) -> (Self, Vec<RuleFault>) {
        let (mut rules, mut faults): (Vec<Rule>, _) = (Vec::new(), Vec::new());
        for rule in said {
            let mut fault = |text: String, places: Vec<Place>| faults.push(RuleFault { text, places });
            let at = format!("{} ({})", rule.by, rule.place);
            if let Some(text) = pattern_fault(&rule.pattern) {
                fault(format!("{at}: {text}"), vec![rule.place]);
            } else if let Some(text) = rule.rooms.fault() {
                fault(format!("{at}: rooms `{}`: {text}", rule.pattern), vec![rule.place]);
            } else if let Some(other) = rules.iter().find(|other| other.pattern == rule.pattern) {
                if other.rooms != rule.rooms {
                    let text = format!(
                        "{} ({}) and {at} say different things of the rooms `{}`: {}, and {}",
                        other.by,
                        other.place,
                        rule.pattern,
                        said_of(other.rooms),
                        said_of(rule.rooms),
                    );
                    fault(text, vec![other.place, rule.place]);
                }
            } else {
                rules.push(rule);
            }
        }
        rules.sort_by_key(Rule::rank);
        (Rules { rules, more: OnceLock::new() }, faults)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    fn parts(&self) -> impl Iterator<Item = &Rules> {
        successors(Some(self), |part| part.more.get().map(|more| &**more))
    }

    fn all(&self) -> impl Iterator<Item = &Rule> {
        self.parts().flat_map(|part| &part.rules)
    }

    /// What is wrong with another rule beside these.
    pub(crate) fn faults_of(&self, rule: &Rule) -> Vec<RuleFault> {
        Rules::new(self.all().chain([rule]).cloned().collect()).1
    }

    /// Adds a rule that has no faults beside these, and says whether it is new. Of two at a time, one waits outside.
    pub(crate) fn add(&self, rule: Rule) -> bool {
        let is_known = self.all().any(|other| other.pattern == rule.pattern);
        let last = self.parts().last().unwrap_or(self);
        let part = Rules { rules: vec![rule], more: OnceLock::new() };
        !is_known && last.more.set(Box::new(part)).is_ok()
    }

    /// Whether there is any room of which it is noted who is present.
    pub(crate) fn have_presence(&self) -> bool {
        self.all().any(|rule| rule.rooms.presence)
    }

    /// What an engine cannot do of what they ask for.
    pub(crate) fn unable(&self, engine: &dyn Engine) -> Vec<RuleFault> {
        self.all().flat_map(|rule| rule.unable(engine)).collect()
    }

    /// What holds for a room.
    pub(crate) fn of(&self, room: &str) -> Rooms {
        let best = self.parts().filter_map(|part| part.rules.iter().find(|rule| rule.matches(room)));
        best.min_by_key(|rule| rule.rank()).map_or_else(Rooms::plain, |rule| rule.rooms)
    }

    /// How much is kept of a room, if it is recoverable.
    pub(crate) fn keep(&self, room: &str) -> Option<Retention> {
        self.of(room).keep
    }

    /// Whether it is noted who is present in a room.
    pub(crate) fn has_presence(&self, room: &str) -> bool {
        self.of(room).presence
    }
}

/// Why this is no pattern.
pub(crate) fn pattern_fault(pattern: &str) -> Option<String> {
    match literal(pattern) {
        _ if pattern.is_empty() => {
            Some("a pattern names rooms: \"chat/blue\", \"chat/*\", or \"*\" for all of them".to_owned())
        }
        literal if literal.contains('*') => {
            Some(format!("`{pattern}` is no pattern: a `*` stands at its end, once, or nowhere"))
        }
        _ => None,
    }
}

/// What the names begin with, or are.
fn literal(pattern: &str) -> &str {
    pattern.strip_suffix('*').unwrap_or(pattern)
}

fn matches(pattern: &str, room: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => room.starts_with(beginning),
        None => room == pattern,
    }
}

/// What a rule says, for people.
fn said_of(rooms: Rooms) -> String {
    let presence = if rooms.presence { ", with presence" } else { "" };
    match rooms.keep {
        Some(Retention { size, ttl }) => {
            let messages = if size == 1 { "message" } else { "messages" };
            format!("recoverable, {size} {messages} for {ttl:?}{presence}")
        }
        None => format!("not recoverable{presence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, rooms: Rooms, line: u32) -> Rule {
        Rule { pattern: pattern.to_owned(), rooms, by: "Chat".to_owned(), place: Place::new("a.rs", line) }
    }

    fn kept(size: usize) -> Rooms {
        Rooms::recoverable(size, Duration::from_secs(300))
    }

    #[test]
    fn the_longest_literal_wins() {
        let patterns = [("*", 1), ("chat/*", 2), ("chat/blue", 3), ("chat/blue*", 4), ("chat/b*", 5)];
        let said = patterns.map(|(pattern, size)| rule(pattern, kept(size), 1));
        let (rules, faults) = Rules::new(said.into());
        assert_eq!(faults, []);
        for (room, size) in [
            ("", 1),
            ("chat", 1),
            ("chat/", 2),
            ("chat/green", 2),
            ("chat/black", 5),
            ("chat/blue", 3),
            ("chat/blues", 4),
        ] {
            assert_eq!(rules.keep(room).map(|keep| keep.size), Some(size), "{room}");
        }
    }

    #[test]
    fn what_no_rule_matches_is_plain() {
        let (rules, _) = Rules::new(vec![rule("chat/*", kept(1).presence(), 1)]);
        assert_eq!(rules.of("news"), Rooms::plain());
        assert!(rules.has_presence("chat/blue") && !rules.has_presence("chat"));
    }

    #[test]
    fn the_same_may_be_said_twice() {
        let (rules, faults) = Rules::new(vec![rule("a", kept(1), 1), rule("a", kept(1), 2)]);
        assert_eq!((rules.rules.len(), faults.len()), (1, 0));
    }

    #[test]
    fn rules_that_are_added_have_their_rank() {
        let (rules, _) = Rules::new(vec![rule("chat/*", kept(2), 1)]);
        for (pattern, size) in [("*", 1), ("chat/blue", 4), ("chat/b*", 3)] {
            let added = rule(pattern, kept(size), 2);
            assert_eq!(rules.faults_of(&added), []);
            assert!(rules.add(added.clone()) && !rules.add(added), "{pattern}");
        }
        for (room, size) in [("news", 1), ("chat/green", 2), ("chat/black", 3), ("chat/blue", 4)] {
            assert_eq!(rules.keep(room).map(|keep| keep.size), Some(size), "{room}");
        }
        let other = rules.faults_of(&rule("chat/b*", kept(9), 3));
        assert!(other.len() == 1 && other[0].text.contains("different things of the rooms `chat/b*`"));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let said = vec![
            rule("a", kept(1), 1),
            rule("a", kept(2).presence(), 2),
            rule("a*b", kept(1), 3),
            rule("a**", kept(1), 4),
            rule("", kept(1), 5),
            rule("c", kept(0), 6),
            rule("d", Rooms::recoverable(1, Duration::ZERO), 7),
        ];
        let (_, faults) = Rules::new(said);
        let texts: Vec<_> = faults.iter().map(|fault| fault.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "Chat (a.rs:1) and Chat (a.rs:2) say different things of the rooms `a`: recoverable, 1 message for 300s, and recoverable, 2 messages for 300s, with presence",
                "Chat (a.rs:3): `a*b` is no pattern: a `*` stands at its end, once, or nowhere",
                "Chat (a.rs:4): `a**` is no pattern: a `*` stands at its end, once, or nowhere",
                "Chat (a.rs:5): a pattern names rooms: \"chat/blue\", \"chat/*\", or \"*\" for all of them",
                "Chat (a.rs:6): rooms `c`: of a history of no messages nothing can be recovered",
                "Chat (a.rs:7): rooms `d`: of a history that is kept for no time nothing can be recovered",
            ]
        );
        assert_eq!(faults[0].places, [Place::new("a.rs", 1), Place::new("a.rs", 2)]);
    }
}

//! Control messages: what is said about a session itself, between a server and a client that can resume it, in text messages that no
//! application ever sees. The page `docs/wire.md` has them all.
//!
//! Such a message is U+0001 and then a JSON object. This is pure: it reads and writes them, and what they mean is others' business.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

/// What a control message begins with.
pub(crate) const MARK: u8 = 1;

/// The longest control message of a client, bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// The most rooms that one message names.
const MAX_ROOMS: usize = 1_000;
/// The longest that a token and an epoch may be, bytes.
const MAX_TOKEN: usize = 64;
const MAX_EPOCH: usize = 80;

/// How long most of what a server says is at most, bytes.
const SHORT: usize = 96;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// How its session begins: always its first message, and never again.
    First(First),
    /// How many messages it has received since it was told which session it has.
    Seen(u64),
    /// A header: the message behind it is the application's, however that begins.
    Header,
    /// A header: the message behind it answers the question of this number.
    Answer(u64),
}

/// What a client says first.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct First {
    /// The token of the session to be resumed.
    pub(crate) token: Option<String>,
    /// The rooms it knows its place in: epoch and offset of the last message.
    pub(crate) at: BTreeMap<String, (String, u64)>,
    /// How many messages it has received of that session.
    pub(crate) seen: u64,
}

/// The token is a secret.
impl fmt::Debug for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("First")
            .field("token", &self.token.as_ref().map(|_| ".."))
            .field("at", &self.at)
            .field("seen", &self.seen)
            .finish()
    }
}

/// A control message that is none, for the peer: at most 123 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// All that a client's message may hold.
#[derive(Deserialize)]
struct Object {
    #[serde(default, deserialize_with = "said")]
    resume: Option<Option<String>>,
    #[serde(default)]
    at: BTreeMap<String, (String, u64)>,
    seen: Option<u64>,
    answer: Option<u64>,
    #[serde(flatten)]
    others: BTreeMap<String, serde::de::IgnoredAny>,
}

/// Tells `null` from what is not there.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Reads a client's control message, mark and all.
///
/// # Errors
/// It is none, or names too much.
pub(crate) fn read(message: &[u8]) -> Result<Said, Malformed> {
    if message.len() > MAX_BYTES {
        return Err(Malformed("a control message has at most 65536 bytes"));
    }
    let (&[MARK], Some(json)) =
        message.split_at_checked(1).map_or((&[][..], None), |(mark, json)| (mark, Some(json)))
    else {
        return Err(Malformed("a control message begins with U+0001"));
    };
    let object: Object = serde_json::from_slice(json)
        .map_err(|_| Malformed("a control message is U+0001 and a JSON object"))?;
    match object {
        Object { resume: Some(token), at, seen, answer: None, .. } => {
            if at.len() > MAX_ROOMS {
                return Err(Malformed("at most 1000 rooms can be named"));
            }
            if at.values().any(|(epoch, _)| epoch.len() > MAX_EPOCH)
                || token.as_ref().is_some_and(|token| token.len() > MAX_TOKEN)
            {
                return Err(Malformed("this is no token, or no epoch, of ours"));
            }
            Ok(Said::First(First { token, at, seen: seen.unwrap_or(0) }))
        }
        Object { resume: None, seen: Some(seen), answer: None, at, .. } if at.is_empty() => {
            Ok(Said::Seen(seen))
        }
        Object { resume: None, seen: None, answer: Some(number), at, .. } if at.is_empty() => {
            Ok(Said::Answer(number))
        }
        Object { resume: None, seen: None, answer: None, at, others }
            if at.is_empty() && others.is_empty() =>
        {
            Ok(Said::Header)
        }
        _ => Err(Malformed("this says none of the things that a control message may say")),
    }
}

/// Which session a client has.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Told<'a> {
    /// What resumes it; a secret. `None`: it cannot be resumed.
    pub(crate) token: Option<&'a str>,
    pub(crate) resumed: bool,
    /// Seconds for which it can be resumed when the connection is gone.
    pub(crate) ttl: u64,
    /// Messages that the client will never get; `None`: nobody knows how many. Of one that is not resumed nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<Option<u64>>,
}

/// `{"session":{..}}`
pub(crate) fn session(told: Told<'_>) -> Bytes {
    write(&json!({ "session": told }))
}

#[derive(Serialize)]
struct At<'a> {
    at: (&'a str, &'a str, u64),
}

/// `{"at":[room, epoch, offset]}`: before a message of a recoverable room.
pub(crate) fn at(room: &str, epoch: &str, offset: u64) -> Bytes {
    // Not by way of a `Value`: there is one before each message of a recoverable room.
    write(&At { at: (room, epoch, offset) })
}

/// `{"joined":[room, epoch, offset]}`: the place in a recoverable room from which on messages come.
pub(crate) fn joined(room: &str, epoch: &str, offset: u64) -> Bytes {
    write(&json!({ "joined": (room, epoch, offset) }))
}

/// `{"recovered":[room, true|false]}`: whether nothing of the room is missing.
pub(crate) fn recovered(room: &str, whole: bool) -> Bytes {
    write(&json!({ "recovered": (room, whole) }))
}

/// `{"recovered":[room, false, epoch, offset]}`: something of the room is missing, and this is where it goes on.
pub(crate) fn broken(room: &str, epoch: &str, offset: u64) -> Bytes {
    write(&json!({ "recovered": (room, false, epoch, offset) }))
}

/// `{"ask":number}`: before a question.
pub(crate) fn ask(number: u64) -> Bytes {
    write(&json!({ "ask": number }))
}

fn write(value: &impl Serialize) -> Bytes {
    let mut message = Vec::with_capacity(SHORT);
    message.push(MARK);
    // Strings and numbers, into memory: nothing of that can fail.
    let _ = serde_json::to_writer(&mut message, value);
    Bytes::from(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_a_client_may_say() {
        let first = |token: Option<&str>, at: &[(&str, &str, u64)], seen| {
            let at = at.iter().map(|&(room, epoch, offset)| (room.to_owned(), (epoch.to_owned(), offset)));
            Said::First(First { token: token.map(str::to_owned), at: at.collect(), seen })
        };
        for (message, said) in [
            (r#"{"resume":null}"#, first(None, &[], 0)),
            (r#"{"resume":null,"at":{}}"#, first(None, &[], 0)),
            (r#"{"resume":"T","seen":7}"#, first(Some("T"), &[], 7)),
            (r#" { "seen" : 1, "resume" : "T" } "#, first(Some("T"), &[], 1)),
            (
                r#"{"resume":"T","at":{"a b":["e",18446744073709551615]}}"#,
                first(Some("T"), &[("a b", "e", u64::MAX)], 0),
            ),
            (r#"{"resume":null,"at":{"a":["e",1],"a":["f",2]}}"#, first(None, &[("a", "f", 2)], 0)),
            (r#"{"resume":null,"later":[1]}"#, first(None, &[], 0)),
            (r#"{"seen":12}"#, Said::Seen(12)),
            (r#"{"answer":7}"#, Said::Answer(7)),
            ("{}", Said::Header),
        ] {
            assert_eq!(read(format!("\u{1}{message}").as_bytes()), Ok(said), "{message}");
        }
    }

    #[test]
    fn what_a_client_must_not_say() {
        let rooms = |count: usize| {
            let rooms: Vec<String> = (0..count).map(|room| format!(r#""{room}":["e",1]"#)).collect();
            format!(r#"{{"resume":null,"at":{{{}}}}}"#, rooms.join(","))
        };
        let long = |length: usize| "x".repeat(length);
        assert!(read(format!("\u{1}{}", rooms(1_000)).as_bytes()).is_ok());
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for wrong in [
            String::new(),
            "null".into(),
            "[]".into(),
            "{".into(),
            "{} {}".into(),
            deep,
            r#"{"resume":7}"#.into(),
            r#"{"resume":{}}"#.into(),
            r#"{"resume":null,"seen":-1}"#.into(),
            r#"{"resume":null,"seen":1.5}"#.into(),
            r#"{"resume":null,"seen":18446744073709551616}"#.into(),
            r#"{"resume":null,"at":[]}"#.into(),
            r#"{"resume":null,"at":{"a":["e"]}}"#.into(),
            r#"{"resume":null,"at":{"a":["e",1,2]}}"#.into(),
            r#"{"resume":null,"at":{"a":[1,"e"]}}"#.into(),
            r#"{"resume":null,"answer":1}"#.into(),
            r#"{"resume":null,"resume":null}"#.into(),
            r#"{"seen":1,"answer":1}"#.into(),
            r#"{"at":{"a":["e",1]}}"#.into(),
            r#"{"seen":1,"at":{"a":["e",1]}}"#.into(),
            r#"{"unknown":1}"#.into(),
            rooms(1_001),
            format!(r#"{{"resume":"{}"}}"#, long(65)),
            format!(r#"{{"resume":null,"at":{{"a":["{}",1]}}}}"#, long(81)),
            format!(r#"{{"resume":null,"at":{{"{}":["e",1]}}}}"#, long(MAX_BYTES)),
        ] {
            let refused = read(format!("\u{1}{wrong}").as_bytes());
            assert!(refused.is_err(), "{}", &wrong[..wrong.len().min(80)]);
            assert!(refused.is_err_and(|Malformed(reason)| reason.len() <= 123));
        }
        for unmarked in [&b"{}"[..], b"", b"\xff", b"\x01\xff"] {
            assert!(read(unmarked).is_err(), "{unmarked:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let Ok(said) = read(b"\x01{\"resume\":\"secret\"}") else { panic!("it is well formed") };
        assert!(!format!("{said:?}").contains("secret"));
    }

    #[test]
    fn what_a_server_says() {
        let told = Told { token: Some("T"), resumed: false, ttl: 120, lost: None };
        assert_eq!(
            text(&session(told)),
            "\u{1}{\"session\":{\"resumed\":false,\"token\":\"T\",\"ttl\":120}}"
        );
        let lost = |lost| text(&session(Told { resumed: true, lost, ..told })).to_owned();
        assert!(lost(Some(None)).contains(r#""lost":null"#) && lost(Some(Some(3))).contains(r#""lost":3"#));
        for (made, expected) in [
            (at("a\"b", "e", 7), r#"{"at":["a\"b","e",7]}"#),
            (joined("a", "e", 0), r#"{"joined":["a","e",0]}"#),
            (recovered("a", true), r#"{"recovered":["a",true]}"#),
            (broken("a", "e", 9), r#"{"recovered":["a",false,"e",9]}"#),
            (ask(7), r#"{"ask":7}"#),
        ] {
            assert_eq!(text(&made), format!("\u{1}{expected}"));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), marked: bool) {
            let message = if marked { [&[MARK][..], &bytes].concat() } else { bytes };
            let _ = read(&message);
        }

        #[test]
        fn what_is_said_is_understood(
            token in proptest::option::of("[A-Za-z0-9_-]{0,64}"),
            at in proptest::collection::btree_map(".{0,20}", (".{0,20}", any::<u64>()), 0..8),
            seen: u64,
        ) {
            let first = First { token, at, seen };
            let message = json!({ "resume": first.token, "at": first.at, "seen": first.seen });
            prop_assert_eq!(read(&write(&message)), Ok(Said::First(first)));
        }
    }
}

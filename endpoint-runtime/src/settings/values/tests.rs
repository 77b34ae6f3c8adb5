//! The application's own settings, from files, environments and programs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::settings::{Settings, SettingsError};

const FILE: &str = r#"
drain_batch = 7
rooms = [{ name = "blue", seats = 1 }, { name = "green", seats = 2 }]

[chat]
max_len = 100
max-age = 1.5
big = 9_000_000_000
quiet = true
names = ["a", "b"]
since = 2024-01-01
[chat.history]
kind = "file"
path = { dir = "/tmp", depth = -3 }
"#;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Settings::from_sources(Some((Path::new("endpoint.toml"), file)), environment)
}

fn values(environment: &[(&str, &str)]) -> Values {
    load(FILE, environment).unwrap().values
}

#[derive(Debug, Deserialize, PartialEq)]
struct Room {
    name: String,
    seats: u8,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Memory,
    File,
    Sized { bytes: u32 },
}

#[derive(Debug, Deserialize, PartialEq)]
struct Chat {
    max_len: usize,
    names: Vec<String>,
    #[serde(default)]
    missing: Option<u8>,
    history: BTreeMap<String, serde::de::IgnoredAny>,
}

#[test]
fn a_value_is_read_as_what_is_asked_for() {
    let values = values(&[]);
    assert_eq!(values.get::<u16>("chat.max_len").unwrap(), 100);
    assert_eq!(values.get::<f64>("chat.max_len").unwrap(), 100.0);
    assert_eq!(values.get::<Option<u16>>("chat.max_len").unwrap(), Some(100));
    assert_eq!(values.get::<f32>("chat.max-age").unwrap(), 1.5);
    assert_eq!(values.get::<u64>("chat.big").unwrap(), 9_000_000_000);
    assert!(values.get::<bool>("chat.quiet").unwrap());
    assert_eq!(values.get::<Vec<String>>("chat.names").unwrap(), ["a", "b"]);
    assert_eq!(values.get::<String>("chat.since").unwrap(), "2024-01-01");
    assert_eq!(values.get::<Kind>("chat.history.kind").unwrap(), Kind::File);
    assert_eq!(values.get::<i8>("chat.history.path.depth").unwrap(), -3);
    let rooms = [("blue", 1), ("green", 2)].map(|(name, seats)| Room { name: name.to_owned(), seats });
    assert_eq!(values.get::<Vec<Room>>("rooms").unwrap(), rooms);
    let chat = values.get::<Chat>("chat").unwrap();
    assert_eq!((chat.max_len, chat.names.len(), chat.missing, chat.history.len()), (100, 2, None, 2));
    assert_eq!(load(FILE, &[]).unwrap().drain_batch, 7, "the server's are the server's");
}

#[test]
fn a_variable_is_read_as_what_is_asked_for_and_wins() {
    let values = values(&[
        ("ENDPOINT_CHAT__MAX_LEN", "7"),
        ("ENDPOINT_CHAT__MAX_AGE", "2.5"),
        ("ENDPOINT_CHAT__NAMES", "x, y"),
        ("ENDPOINT_CHAT__QUIET", "false"),
        ("ENDPOINT_CHAT__HISTORY__KIND", "memory"),
        ("ENDPOINT_NEW__DEEP__KEY", "text, all of it"),
    ]);
    assert_eq!(values.get::<usize>("chat.max_len").unwrap(), 7);
    assert_eq!(
        values.get::<f64>("chat.max-age").unwrap(),
        2.5,
        "found under the name that the file gives it"
    );
    assert_eq!(values.get::<Vec<String>>("chat.names").unwrap(), ["x", "y"]);
    assert!(!values.get::<bool>("chat.quiet").unwrap());
    assert_eq!(values.get::<Kind>("chat.history.kind").unwrap(), Kind::Memory);
    assert_eq!(values.get::<String>("new.deep.key").unwrap(), "text, all of it");
    assert_eq!(values.get::<String>("chat.max_len").unwrap(), "7");
    assert_eq!(values.get::<Vec<u8>>("chat.max_len").unwrap(), [7]);
}

/// No variable can be written as these keys are.
#[test]
fn a_variable_reaches_keys_of_other_letters() {
    let values = values(&[
        ("ENDPOINT_MY_APP__MAX_AGE", "2.5"),
        ("ENDPOINT_MAIL__REPLYTO", "me"),
        ("ENDPOINT_CHAT__MAX_LEN", "7"),
    ]);
    assert_eq!(values.get::<f64>("my-app.max-age").unwrap(), 2.5);
    assert_eq!(values.get::<String>("mail.replyTo").unwrap(), "me");
    assert_eq!(values.get::<u8>("chat.max-len").unwrap(), 7);
    assert!(values.get::<u8>("chat.max.len").is_err());
}

#[test]
fn a_slip_is_told_if_what_was_meant_is_not_set() {
    let environment =
        [("ENDPOINT_CHTA__TITLE", "x"), ("ENDPOINT_CHAT__COLOUR", "red"), ("ENDPOINT_X__CHATTY", "1")];
    let slips = |asked: &[&str]| values(&environment).slips(asked);
    assert_eq!(
        slips(&["chat.title", "chat.max_length", "chat.max_len", "chat.color"]),
        [
            "`chat.colour` (ENDPOINT_CHAT__COLOUR) is nothing that is asked for: did you mean `chat.color`?",
            "`chta.title` (ENDPOINT_CHTA__TITLE) is nothing that is asked for: did you mean `chat.title`?",
        ]
    );
    assert_eq!(slips(&["chat", "chta.title"]), [""; 0], "a table is all that stands in it");
    assert_eq!(slips(&["chat.max-age", "chat.names.first", "other.thing"]), [""; 0]);
}

#[test]
fn what_is_not_as_expected_is_told_with_key_place_and_expectation() {
    let environment = [("ENDPOINT_CHAT__COUNT", "many")];
    let mut values = values(&environment);
    values.set("chat.flags", vec!["on"]);
    let error = |text: Result<(), ValueError>| text.unwrap_err().to_string();
    assert_eq!(
        error(values.check::<u8>("chat.big")),
        "`chat.big` (endpoint.toml:8:7): invalid value: integer `9000000000`, expected u8"
    );
    assert_eq!(
        error(values.check::<usize>("chat.names")),
        "`chat.names` (endpoint.toml:10:9): invalid type: sequence, expected usize"
    );
    assert_eq!(
        error(values.check::<usize>("chat.count")),
        "`chat.count` (ENDPOINT_CHAT__COUNT): invalid type: string \"many\", expected usize"
    );
    assert_eq!(
        error(values.check::<Vec<u8>>("chat.names")),
        "`chat.names[0]` (endpoint.toml:10:10): invalid type: string \"a\", expected u8"
    );
    assert_eq!(
        error(values.check::<Vec<BTreeMap<String, u8>>>("rooms")),
        "`rooms[0].name` (endpoint.toml:3:19): invalid type: string \"blue\", expected u8"
    );
    assert_eq!(
        error(values.check::<bool>("chat.flags")),
        "`chat.flags` (the program): invalid type: sequence, expected a boolean"
    );
    assert_eq!(
        error(values.check::<Kind>("chat.since")),
        "`chat.since` (endpoint.toml:11:9): unknown variant `2024-01-01`, expected one of `memory`, `file`, `sized`"
    );
    assert_eq!(
        error(values.check_if_set::<u8>("chat.quiet")).split_once(": ").unwrap().0,
        "`chat.quiet` (endpoint.toml:9:9)"
    );
}

#[test]
fn what_is_missing_is_told_with_the_remedy_and_what_may_be_meant() {
    let values = values(&[]);
    let missing = |key: &str| values.get::<usize>(key).unwrap_err().to_string();
    assert_eq!(
        missing("chat.max_length"),
        "`chat.max_length` is not set: write `max_length` under `[chat]` in `endpoint.toml`, or set ENDPOINT_CHAT__MAX_LENGTH; \
         did you mean `chat.max_len`?"
    );
    assert_eq!(
        missing("talk.max_len"),
        "`talk.max_len` is not set: write `max_len` under `[talk]` in `endpoint.toml`, or set ENDPOINT_TALK__MAX_LEN; \
         did you mean `chat.max_len`?"
    );
    assert_eq!(
        missing("other.thing"),
        "`other.thing` is not set: write `thing` under `[other]` in `endpoint.toml`, or set ENDPOINT_OTHER__THING"
    );
    assert_eq!(
        missing("drain_batch"),
        "`drain_batch` is not set: the application's own settings stand in tables: a key is one like `chat.max_len`"
    );
    assert_eq!(values.get::<Option<u8>>("chat.nothing").unwrap(), None);
    assert_eq!(values.find::<u8>("chat.nothing").unwrap(), None);
    assert!(values.check_if_set::<u8>("chat.nothing").is_ok());
    // A value is no table.
    assert!(!values.contains("chat.max_len.x") && values.contains("chat"));
}

#[test]
fn the_program_wins_over_all() {
    let mut values = values(&[("ENDPOINT_CHAT__MAX_LEN", "7")]);
    let before = values.clone();
    values.set("chat.max_len", 8);
    values.set("chat.kind", "file");
    values.set("new.list", vec![1, 2]);
    values.set("chat.ratio", 0.5);
    values.set("new.names", ["x", "y"]);
    values.set("new.small", 5u8);
    assert_eq!(values.get::<usize>("chat.max_len").unwrap(), 8);
    assert_eq!(values.get::<Kind>("chat.kind").unwrap(), Kind::File);
    assert_eq!(values.get::<Vec<u8>>("new.list").unwrap(), [1, 2]);
    assert_eq!(values.get::<f64>("chat.ratio").unwrap(), 0.5);
    assert_eq!(values.get::<Vec<String>>("new.names").unwrap(), ["x", "y"]);
    assert_eq!(values.get::<i64>("new.small").unwrap(), 5);
    assert_eq!(before.get::<usize>("chat.max_len").unwrap(), 7, "a copy is a copy");
    // What was a value becomes a table, if that is what is wanted.
    values.set("chat.max_len.soft", 1);
    assert_eq!(values.get::<usize>("chat.max_len.soft").unwrap(), 1);
}

#[test]
fn an_enumeration_with_content_is_a_table() {
    let values = load("[a.b.sized]\nbytes = 3", &[]).unwrap().values;
    assert_eq!(values.get::<Kind>("a.b").unwrap(), Kind::Sized { bytes: 3 });
}

#[test]
fn the_servers_settings_stand_at_the_top() {
    let problems =
        |file: &str, environment: &[(&str, &str)]| load(file, environment).unwrap_err().problems().concat();
    assert!(problems("colour = \"red\"", &[]).contains("`colour` is not a setting"));
    assert!(problems("list = [1, {}]", &[]).contains("`list` is not a setting"));
    assert!(problems("[server]\nport = 1", &[]).contains("`server` is not a setting"));
    assert!(
        problems("", &[("ENDPOINT_SERVER__PORT", "1")]).contains("`ENDPOINT_SERVER__PORT` is not a setting")
    );
    assert!(problems("", &[("ENDPOINT_BIND__X", "1")]).contains("`ENDPOINT_BIND__X` is not a setting"));
    assert!(problems("", &[("ENDPOINT_CHAT__", "1")]).contains("`ENDPOINT_CHAT__` is not a setting"));
    assert!(problems("", &[("ENDPOINT_COLOUR", "1")]).contains("`ENDPOINT_COLOUR` is not a setting"));
    assert!(
        problems("[a]\nb = 99999999999999999999999999999999999999999", &[])
            .contains("endpoint.toml:2:5: `a.b`")
    );
}

/// A log line must not give away a password.
#[test]
fn values_are_not_shown() {
    assert_eq!(
        format!("{:?}", load("[db]\npassword = \"secret\"", &[]).unwrap().values),
        "Values(db.password)"
    );
}

//! Where settings come from, and what is wrong there.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::SettingsError;
use super::value::Value;
use super::values::{Content, Node, Table};
use super::{Settings, keys};

const FILE: &str = "endpoint.toml";
const PREFIX: &str = "ENDPOINT_";
/// Names the file instead of holding a setting.
const CONFIG: &str = "ENDPOINT_CONFIG";
/// Tables in which others have the settings of a server; ours stand at the top.
const SERVERS: [&str; 2] = ["server", "endpoint"];
/// Set but empty is more likely a slip of a script than a wish for the default.
const EMPTY: &str = "the value is empty: give one, or unset it";

/// What may be meant by what is nothing of the server's.
const IN_TABLES: &str = ". The application's own settings stand in tables, such as `[chat]`";
const TWO_UNDERSCORES: &str =
    ". The application's own have two underscores after their table, such as `ENDPOINT_CHAT__MAX_LEN`";

/// Settings under construction, one source after the other, and all that was found wrong so far.
pub(super) struct Sources {
    settings: Settings,
    problems: Vec<String>,
    /// Where each setting got its value, by name.
    places: HashMap<&'static str, String>,
}

impl Sources {
    pub(super) fn new() -> Self {
        Self { settings: Settings::default(), problems: Vec::new(), places: HashMap::new() }
    }

    /// Reads the file that the environment names, or the one in the directory if there is one, and the
    /// environment.
    pub(super) fn load(&mut self, directory: &Path, environment: impl Iterator<Item = (OsString, OsString)>) {
        // Sorted, so that the same mistakes are always told in the same order.
        let environment: BTreeMap<_, _> = environment.collect();
        let named = environment.get(&OsString::from(CONFIG));
        let path = directory.join(named.map_or(Path::new(FILE), Path::new));
        match std::fs::read_to_string(&path) {
            _ if named.is_some_and(|name| name.is_empty()) => {
                self.problems.push(format!("{CONFIG}: {EMPTY}"));
            }
            Ok(text) => self.file(&path, &text),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let place = if named.is_some() { format!("{CONFIG}: ") } else { String::new() };
                self.problems.push(format!("{place}cannot read {}: {error}", path.display()));
            }
        }
        self.environment(environment.into_iter());
    }

    /// Takes the settings of a TOML file.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let place = |at: usize| format!("{}:{}", path.display(), line_and_column(text, at));
        let mut problems = Vec::new();
        let mut broken: Vec<Range<usize>> = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or_default();
            problems.push((span.start, format!("{}: {}", place(span.start), error.message())));
            broken.push(span);
        }
        for (name, value) in table.get_ref() {
            let span = value.span();
            if broken.iter().any(|error| error.start <= span.end && span.start <= error.end) {
                continue; // What was made up to go on after a mistake is not worth a second problem.
            }
            let Some(key) = keys::find(name.get_ref()) else {
                if is_of_the_application(name.get_ref(), value.get_ref()) {
                    let node = to_node(name.get_ref(), value, &place, &mut problems);
                    self.settings.values.put(name.get_ref(), node);
                    continue;
                }
                let at = name.span().start;
                let near = keys::near(name.get_ref());
                let is_table = matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
                let own = if near.is_empty() && !is_table { IN_TABLES } else { "" };
                let text = unknown(name.get_ref(), near, str::to_owned);
                problems.push((at, format!("{}: {text}{own}", place(at))));
                continue;
            };
            let place = format!("{}: `{}`", place(span.start), key.name);
            match (key.set)(&mut self.settings, &from_toml(value.get_ref())) {
                Ok(()) => drop(self.places.insert(key.name, place)),
                Err(message) => problems.push((span.start, format!("{place}: {message}"))),
            }
        }
        problems.sort_unstable();
        self.problems.extend(problems.into_iter().map(|(_, problem)| problem));
    }

    /// Takes the settings of an environment, in its order; other variables are none of our business.
    pub(super) fn environment(&mut self, environment: impl Iterator<Item = (OsString, OsString)>) {
        for (variable, value) in environment {
            let variable = variable.to_string_lossy();
            let Some(name) = variable.strip_prefix(PREFIX).filter(|_| variable != CONFIG) else { continue };
            let lowercase = name.to_ascii_lowercase();
            if let Some(key) = key_of_the_application(&lowercase) {
                match value.to_str() {
                    None => self.problems.push(format!("{variable}: the value is not UTF-8")),
                    Some(text) => self.settings.values.put(&key, Node::variable(&variable, text)),
                }
                continue;
            }
            let Some(key) = keys::find(&lowercase).filter(|_| name == name.to_ascii_uppercase()) else {
                let variable_of = |name: &str| format!("{PREFIX}{}", name.to_ascii_uppercase());
                let near = keys::near(&lowercase);
                let own = if near.is_empty() { TWO_UNDERSCORES } else { "" };
                self.problems
                    .push(format!("the environment: {}{own}", unknown(&variable, near, variable_of)));
                continue;
            };
            let outcome = match value.to_str() {
                None => Err("the value is not UTF-8".to_owned()),
                Some(text) if text.trim().is_empty() => Err(EMPTY.to_owned()),
                Some(text) => (key.set)(&mut self.settings, &Value::Text(text)),
            };
            match outcome {
                Ok(()) => drop(self.places.insert(key.name, variable.into_owned())),
                Err(message) => self.problems.push(format!("{variable}: {message}")),
            }
        }
    }

    /// The settings, if nothing was wrong and a server can work with them.
    pub(super) fn finish(mut self) -> Result<Settings, SettingsError> {
        for (name, message) in self.settings.problems() {
            let place = self.places.get(name).map_or(name, String::as_str);
            self.problems.push(format!("{place}: {message}"));
        }
        if self.problems.is_empty() { Ok(self.settings) } else { Err(SettingsError::new(self.problems)) }
    }
}

/// What to say of a name that is no setting, and of those that are near it, as `shown` writes them.
fn unknown(name: &str, near: Vec<&'static str>, shown: impl Fn(&str) -> String) -> String {
    let (lead, names, or, end) = if near.is_empty() {
        ("there are", keys::KEYS.iter().map(|key| key.name).collect(), " and ", "")
    } else {
        ("did you mean", near, " or ", "?")
    };
    let names: Vec<_> = names.into_iter().map(|name| format!("`{}`", shown(name))).collect();
    let names = match names.split_last() {
        Some((last, first)) if !first.is_empty() => first.join(", ") + or + last,
        _ => names.concat(),
    };
    format!("`{name}` is not a setting: {lead} {names}{end}")
}

/// A table, or a list of nothing but tables: the server has no such settings. Whoever writes the server's into a table is to hear of it.
fn is_of_the_application(name: &str, value: &DeValue<'_>) -> bool {
    if SERVERS.contains(&name) {
        return false;
    }
    let is_table = |value: &DeValue<'_>| matches!(value, DeValue::Table(_));
    match value {
        DeValue::Array(items) => !items.is_empty() && items.iter().all(|item| is_table(item.get_ref())),
        value => is_table(value),
    }
}

/// `chat__max_len` is `chat.max_len`, if there can be such a table.
fn key_of_the_application(name: &str) -> Option<String> {
    let words: Vec<_> = name.split("__").collect();
    let is_table = keys::find(words[0]).is_none() && !SERVERS.contains(&words[0]);
    let is_key = words.len() > 1 && is_table && words.iter().all(|word| !word.is_empty());
    is_key.then(|| words.join("."))
}

/// A value of the application's own, with the places where all of it stands.
fn to_node(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    place: &impl Fn(usize) -> String,
    problems: &mut Vec<(usize, String)>,
) -> Node {
    let at = value.span().start;
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Text(text.to_string()),
        DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Content::Integer(number),
            Err(_) => {
                problems.push((at, format!("{}: `{key}`: {} is too large", place(at), integer.as_str())));
                Content::Integer(0)
            }
        },
        DeValue::Float(float) => Content::Float(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Content::Boolean(*boolean),
        DeValue::Datetime(datetime) => Content::Text(datetime.to_string()),
        DeValue::Array(items) => {
            Content::List(items.iter().map(|item| to_node(key, item, place, problems)).collect())
        }
        DeValue::Table(table) => {
            let node = |(name, value): (&Spanned<_>, &Spanned<_>)| {
                let name: &str = Spanned::<Cow<'_, str>>::get_ref(name);
                (name.to_owned(), to_node(&format!("{key}.{name}"), value, place, problems))
            };
            Content::Table(table.iter().map(node).collect::<Table>())
        }
    };
    Node { place: place(at), content }
}

fn from_toml<'a>(value: &'a DeValue<'_>) -> Value<'a> {
    match value {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other(integer.as_str().into()),
        },
        DeValue::Array(items) => Value::List(items.iter().map(|item| from_toml(item.get_ref())).collect()),
        DeValue::Float(float) => Value::Other(float.as_str().into()),
        DeValue::Boolean(boolean) => Value::Truth(*boolean),
        DeValue::Datetime(datetime) => Value::Other(datetime.to_string().into()),
        DeValue::Table(_) => Value::Other("a table".into()),
    }
}

/// `line:column`, both from 1, the column in characters.
fn line_and_column(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{column}")
}

//! The application's own settings: [`Values`].

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use self::read::{Missing, Reader};
use super::keys::distance;

/// The application's own settings: what `endpoint.toml` has in tables, and the variables with two underscores in their names.
///
/// ```toml
/// [chat]
/// max_len = 100                       # `chat.max_len`, ENDPOINT_CHAT__MAX_LEN=100
/// rooms = ["blue", "green"]           # `chat.rooms`, ENDPOINT_CHAT__ROOMS=blue,green
/// ```
///
/// A key is the way to a value, with dots. What it leads to is read as any type that serde can: a number, a text, a list, or a whole table as
/// a struct. A variable is read as what is asked for. `#[value("chat.max_len")]` and
/// [`ApplicationContext::value`](crate::ApplicationContext::value) read these.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(Arc<Table>);

pub(super) type Table = BTreeMap<String, Node>;

/// One value, and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: String,
    pub(super) content: Content,
}

/// What can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    /// Text from the environment, which may mean anything; and what stands between its commas.
    Variable(String, Vec<Node>),
    Integer(i128),
    /// As it was written.
    Float(String),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
}

impl Node {
    /// A value as a variable has it.
    pub(super) fn variable(name: &str, text: &str) -> Self {
        let node = |text: &str, items| Node {
            place: name.to_owned(),
            content: Content::Variable(text.trim().to_owned(), items),
        };
        node(text, text.split(',').map(|item| node(item, Vec::new())).collect())
    }
}

impl Values {
    /// The value of this key.
    ///
    /// # Errors
    /// There is none, unless a `T` may be missing as an [`Option`] may; or it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T, ValueError> {
        match self.find(key)? {
            Some(value) => Ok(value),
            None => T::deserialize(Missing).map_err(|_| self.missing(key)),
        }
    }

    /// The value of this key, if there is one.
    ///
    /// # Errors
    /// There is, and it is not a `T`.
    pub fn find<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ValueError> {
        let Some(node) = self.node(key) else { return Ok(None) };
        T::deserialize(Reader(node)).map(Some).map_err(|error| error.of(key, &node.place))
    }

    /// Whether there is a value of this key.
    pub fn contains(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Sets a value, in the place of one that is there.
    ///
    /// ```
    /// let mut settings = endpoint_runtime::Settings::default();
    /// settings.values.set("chat.max_len", 100);
    /// assert_eq!(settings.values.get::<usize>("chat.max_len").unwrap(), 100);
    /// ```
    pub fn set(&mut self, key: &str, value: impl Into<SetValue>) {
        let node = Node { place: "the program".to_owned(), content: value.into().0 };
        self.put(key, node);
    }

    pub(super) fn put(&mut self, key: &str, node: Node) {
        let mut table = Arc::make_mut(&mut self.0);
        let mut words = key.split('.').peekable();
        while let Some(word) = words.next() {
            let word = spelt_in(table, word);
            if words.peek().is_none() {
                table.insert(word, node);
                return;
            }
            let place = node.place.clone();
            let inner =
                table.entry(word).or_insert_with(|| Node { place, content: Content::Table(Table::new()) });
            if !matches!(inner.content, Content::Table(_)) {
                inner.content = Content::Table(Table::new());
            }
            let Content::Table(next) = &mut inner.content else { return };
            table = next;
        }
    }

    /// All keys, with dots, of values that are no tables.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        add_keys(&self.0, "", &mut keys);
        keys
    }

    pub(crate) fn check<T: DeserializeOwned>(&self, key: &str) -> Result<(), ValueError> {
        self.get::<T>(key).map(drop)
    }

    pub(crate) fn check_if_set<T: DeserializeOwned>(&self, key: &str) -> Result<(), ValueError> {
        self.find::<T>(key).map(drop)
    }

    fn node(&self, key: &str) -> Option<&Node> {
        let mut table = &*self.0;
        let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
        for word in path.split('.').filter(|word| !word.is_empty()) {
            match &entry(table, word)?.content {
                Content::Table(inner) => table = inner,
                _ => return None,
            }
        }
        entry(table, last)
    }

    /// What is set and nobody asks for, where somebody asks for something that is called nearly so and is not set: with the place and what
    /// was meant, as lines of the log. What is called otherwise may be asked for later, by code.
    pub(crate) fn slips(&self, asked: &[&str]) -> Vec<String> {
        let is_part = |key: &str, of: &str| {
            plain(key).strip_prefix(&plain(of)).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let keys = self.keys().into_iter();
        let unasked =
            keys.filter(|key| !asked.iter().any(|asked| is_part(key, asked) || is_part(asked, key)));
        let slip = |key: String| {
            let near = asked.iter().filter(|asked| !self.contains(asked) && is_slip(asked, &key));
            let near = near.min_by_key(|asked| distance(asked, &key))?;
            let place = &self.node(&key)?.place;
            Some(format!("`{key}` ({place}) is nothing that is asked for: did you mean `{near}`?"))
        };
        unasked.filter_map(slip).collect()
    }

    fn missing(&self, key: &str) -> ValueError {
        let variable = format!("ENDPOINT_{}", key.replace('.', "__").replace('-', "_").to_uppercase());
        let how = match key.rsplit_once('.') {
            Some((table, name)) => {
                format!("write `{name}` under `[{table}]` in `endpoint.toml`, or set {variable}")
            }
            None => {
                "the application's own settings stand in tables: a key is one like `chat.max_len`".to_owned()
            }
        };
        let near = self
            .keys()
            .into_iter()
            .filter(|other| is_near(key, other))
            .min_by_key(|other| distance(key, other));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        ValueError { text: format!("`{key}` is not set: {how}{near}") }
    }
}

/// A key may be written in other letters in the environment, which has no small ones and no hyphens.
fn spelt_in(table: &Table, word: &str) -> String {
    let same = |other: &&String| plain(other) == plain(word);
    if table.contains_key(word) {
        return word.to_owned();
    }
    table.keys().find(same).cloned().unwrap_or_else(|| word.to_owned())
}

fn plain(word: &str) -> String {
    word.replace('-', "_").to_ascii_lowercase()
}

/// What a table has by this name, however that is spelt.
fn entry<'t>(table: &'t Table, word: &str) -> Option<&'t Node> {
    table.get(word).or_else(|| table.get(&spelt_in(table, word)))
}

fn add_keys(table: &Table, before: &str, keys: &mut Vec<String>) {
    for (name, node) in table {
        let key = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        match &node.content {
            Content::Table(inner) => add_keys(inner, &key, keys),
            _ => keys.push(key),
        }
    }
}

/// Whether one key may be meant by another.
fn is_near(key: &str, other: &str) -> bool {
    let last = |key: &str| bare(key.rsplit('.').next().unwrap_or(key));
    is_slip(key, other) || last(key) == last(other)
}

/// Whether one key is another but for a few letters.
fn is_slip(key: &str, other: &str) -> bool {
    distance(&bare(key), &bare(other)) <= other.len() / 4
}

fn bare(key: &str) -> String {
    key.replace(['_', '-', '.'], "").to_lowercase()
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys only: there may be passwords.
        write!(f, "Values({})", self.keys().join(", "))
    }
}

/// A value that a program sets.
#[derive(Clone, Debug)]
pub struct SetValue(Content);

macro_rules! set_value {
    ($($ty:ty: $value:ident => $content:expr),* $(,)?) => {
        $(
            impl From<$ty> for SetValue {
                fn from($value: $ty) -> Self {
                    SetValue($content)
                }
            }
        )*
    };
}

set_value! {
    &str: text => Content::Text(text.to_owned()),
    String: text => Content::Text(text),
    bool: boolean => Content::Boolean(boolean),
    i8: number => Content::Integer(number.into()),
    i16: number => Content::Integer(number.into()),
    i32: number => Content::Integer(number.into()),
    i64: number => Content::Integer(number.into()),
    u8: number => Content::Integer(number.into()),
    u16: number => Content::Integer(number.into()),
    u32: number => Content::Integer(number.into()),
    u64: number => Content::Integer(number.into()),
    usize: number => Content::Integer(number as i128),
    f32: number => Content::Float(number.to_string()),
    f64: number => Content::Float(number.to_string()),
}

impl<T: Into<SetValue>, const N: usize> From<[T; N]> for SetValue {
    fn from(items: [T; N]) -> Self {
        Vec::from(items).into()
    }
}

impl<T: Into<SetValue>> From<Vec<T>> for SetValue {
    fn from(items: Vec<T>) -> Self {
        let node = |item: T| Node { place: "the program".to_owned(), content: item.into().0 };
        SetValue(Content::List(items.into_iter().map(node).collect()))
    }
}

/// A setting of the application's own is missing, or is not what was expected. Names the key, where it was set, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    text: String,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ValueError {}

#[cfg(test)]
mod tests;

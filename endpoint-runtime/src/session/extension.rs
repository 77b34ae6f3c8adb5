//! [`Extension`]: an extension of the protocol, as a header names it (RFC 6455 9.1).

use std::fmt;

/// The one that the runtime has itself: messages are compressed (RFC 7692 7).
pub(crate) const DEFLATE: &str = "permessage-deflate";

/// An extension with its parameters, in the order of the header (Jakarta EX-01).
///
/// ```
/// use endpoint_runtime::Extension;
///
/// let offered = Extension::parse_list(r#"x-trace; id=7; sampled, x-tenant; name="blue sky""#).unwrap();
/// assert_eq!(offered[0].name(), "x-trace");
/// assert_eq!(offered[0].parameter("id"), Some(Some("7")));
/// assert_eq!(offered[0].parameter("sampled"), Some(None));
/// assert_eq!(offered[1].to_string(), r#"x-tenant; name="blue sky""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extension {
    name: String,
    parameters: Vec<(String, Option<String>)>,
}

/// A text that is not a list of extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidExtensions {
    at: usize,
}

impl fmt::Display for InvalidExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a list of extensions, from byte {}: `name; parameter=value, ..` is one", self.at)
    }
}

impl std::error::Error for InvalidExtensions {}

impl Extension {
    /// An extension without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Extension { name: name.into(), parameters: Vec::new() }
    }

    /// Adds a parameter; `None` is one without a value.
    #[must_use]
    pub fn with<'v>(mut self, name: impl Into<String>, value: impl Into<Option<&'v str>>) -> Self {
        self.parameters.push((name.into(), value.into().map(str::to_owned)));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its parameters, in their order; one may stand several times.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The first parameter of this name, if there is one, and its value, if it has one.
    pub fn parameter(&self, name: &str) -> Option<Option<&str>> {
        self.parameters().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// Reads the value of a `Sec-WebSocket-Extensions` header.
    ///
    /// # Errors
    /// It does not follow the grammar of RFC 6455 9.1. A peer that sends such a header is refused.
    pub fn parse_list(header: &str) -> Result<Vec<Extension>, InvalidExtensions> {
        Parser { text: header, at: 0 }.list()
    }

    /// Why an application cannot have it: no header can say it, or it is one of those that change frames.
    pub(crate) fn fault(&self) -> Option<String> {
        if !self.is_well_formed() {
            Some(format!("`{self}` is not an extension: its names are letters, digits and some signs"))
        } else if self.name == DEFLATE {
            Some(format!(
                "the extension `{self}` changes frames, which is the runtime's own business: `compression` says whether it is used"
            ))
        } else if self.name.starts_with("permessage-") {
            Some(format!("the extension `{self}` changes frames, which an endpoint cannot do"))
        } else {
            None
        }
    }

    /// Whether it can stand in a header: its names are tokens, and so are its values without their quotes.
    pub(crate) fn is_well_formed(&self) -> bool {
        is_token(&self.name)
            && self.parameters().all(|(name, value)| {
                is_token(name) && value.is_none_or(|value| value.bytes().all(is_quotable))
            })
    }
}

/// As it stands in a header.
impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (name, value) in self.parameters() {
            write!(f, "; {name}")?;
            match value {
                None => {}
                Some(value) if is_token(value) => write!(f, "={value}")?,
                Some(value) => write!(f, "=\"{}\"", value.replace('\\', r"\\").replace('"', "\\\""))?,
            }
        }
        Ok(())
    }
}

/// Whether a text is a token (RFC 9110 5.6.2), as the names of subprotocols and extensions must be.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_quotable(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Reads a header from left to right.
struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    /// Elements of a list may be empty (RFC 9110 5.6.1): what was joined from several lines often has some.
    fn list(mut self) -> Result<Vec<Extension>, InvalidExtensions> {
        let mut list = Vec::new();
        loop {
            self.space();
            match self.peek() {
                None => return Ok(list),
                Some(b',') => {}
                Some(_) => list.push(self.extension()?),
            }
            self.space();
            if !self.skip(b',') && self.peek().is_some() {
                return Err(self.fault());
            }
        }
    }

    fn extension(&mut self) -> Result<Extension, InvalidExtensions> {
        let mut extension = Extension::new(self.token()?);
        loop {
            self.space();
            if !self.skip(b';') {
                return Ok(extension);
            }
            self.space();
            let name = self.token()?.to_owned();
            self.space();
            let value = if self.skip(b'=') {
                self.space();
                Some(self.value()?)
            } else {
                None
            };
            extension.parameters.push((name, value));
        }
    }

    fn value(&mut self) -> Result<String, InvalidExtensions> {
        if !self.skip(b'"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        loop {
            let rest = &self.text[self.at..];
            let mut characters = rest.chars();
            let (character, width) = match characters.next() {
                Some('"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some('\\') => match characters.next() {
                    Some(escaped) => (escaped, 1 + escaped.len_utf8()),
                    None => return Err(self.fault()),
                },
                Some(character) => (character, character.len_utf8()),
                None => return Err(self.fault()),
            };
            if character.is_ascii_control() && character != '\t' {
                return Err(self.fault());
            }
            value.push(character);
            self.at += width;
        }
    }

    fn token(&mut self) -> Result<&str, InvalidExtensions> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(|&byte| is_token_byte(byte)).count();
        if length == 0 {
            return Err(self.fault());
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn space(&mut self) {
        while self.skip(b' ') || self.skip(b'\t') {}
    }

    fn skip(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self) -> InvalidExtensions {
        InvalidExtensions { at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_written() {
        let table = [
            ("", ""),
            (" , ,", ""),
            ("a", "a"),
            ("a,b ,\tc", "a, b, c"),
            ("a;b;c=d", "a; b; c=d"),
            ("a ; b = c ; b=d, a", "a; b=c; b=d, a"),
            (r#"a; b="c""#, "a; b=c"),
            (r#"a; b="c d, e;\"\\""#, r#"a; b="c d, e;\"\\""#),
            (r#"a; b="", c"#, r#"a; b="", c"#),
            (r#"a; b="größe""#, r#"a; b="größe""#),
        ];
        for (header, written) in table {
            let list = Extension::parse_list(header).unwrap();
            assert!(list.iter().all(Extension::is_well_formed), "{header}");
            let again = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            assert_eq!(again, written, "{header}");
            assert_eq!(Extension::parse_list(&again).unwrap(), list, "{header}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused_where_it_goes_wrong() {
        let table = [
            ("a b", 2),
            ("a;", 2),
            ("a; b=", 5),
            ("=a", 0),
            (";", 0),
            ("a; b=\"c", 7),
            ("a; b=\"c\\", 7),
            ("a; b=\"\u{7}\"", 6),
            ("ü", 0),
            ("a, b/c", 4),
        ];
        for (header, at) in table {
            assert_eq!(Extension::parse_list(header), Err(InvalidExtensions { at }), "{header}");
        }
    }

    #[test]
    fn parameters_are_found_by_name() {
        let extension = Extension::new("x").with("a", "1").with("b", None).with("a", "2");
        assert_eq!(extension.parameter("a"), Some(Some("1")));
        assert_eq!(extension.parameter("b"), Some(None));
        assert_eq!(extension.parameter("c"), None);
        assert_eq!(extension.parameters().count(), 3);
        assert!(!Extension::new("two words").is_well_formed());
        assert!(!Extension::new("x").with("a", "line\nbreak").is_well_formed());
    }

    #[test]
    fn tokens() {
        for good in ["chat.v1", "a", "x-y_z!"] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", "a b", "a,b", "ü", "a/b"] {
            assert!(!is_token(bad), "{bad}");
        }
    }
}

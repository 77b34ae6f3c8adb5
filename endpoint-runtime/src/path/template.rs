//! A template: the path that an endpoint is declared with.

use std::fmt;
use std::ops::Range;

use super::grammar::{self, Fault, Segment};

/// A path template such as `/rooms/{room}/seats/{seat}`, checked.
///
/// * It starts with `/`. A trailing slash is significant: `/a` and `/a/` are two paths.
/// * `{name}` is a variable; it fills a whole segment, and no name stands twice. A name is like a Rust
///   identifier, in ASCII.
/// * `{*name}`, as the last segment only, takes all segments that are left: at least one, and one that is not
///   empty. So `/files/{*rest}` matches `/files/a` and `/files/a/b/`, but neither `/files` nor `/files/`.
/// * Everything else is literal, case-sensitive, and may be written decoded (`/café`) or percent-encoded
///   (`/caf%C3%A9`), which means the same.
/// * No segment is `.`, `..` or empty (but for the one after a trailing slash); there is no query and no
///   fragment.
///
/// URI templates of RFC 6570 level 1, as Jakarta WebSocket 3.1.1 and 4.1.1 restrict them; `{*name}` is ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    ///
    /// The first violation of the rules above, from left to right.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        match grammar::parse(template) {
            Ok(segments) => Ok(Self { text: template.to_owned(), segments }),
            Err(fault) => Err(TemplateError { template: template.to_owned(), fault }),
        }
    }

    /// A template of variables alone, for values that were not read from a path: their names are not checked.
    pub(super) fn of_variables(names: impl Iterator<Item = String>) -> Self {
        let segments: Vec<_> = names.map(Segment::Variable).collect();
        let text = segments.iter().map(|_| "/{}").collect();
        Self { text, segments }
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its variables, from left to right.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Variable(name) | Segment::Rest(name) => Some(name.as_str()),
        })
    }

    /// What equivalent templates have in common: `/a/{}/c` for `/a/{x}/c`, `/{*}` for `/{*rest}`, and one
    /// encoding for literals.
    ///
    /// Two templates with the same normal form match the same requests, so that no two endpoints can have it.
    pub fn normal_form(&self) -> String {
        let mut form = String::with_capacity(self.text.len());
        for segment in &self.segments {
            form.push('/');
            match segment {
                Segment::Literal(text) => {
                    for character in text.chars() {
                        push_encoded(&mut form, character);
                    }
                }
                Segment::Variable(_) => form.push_str("{}"),
                Segment::Rest(_) => form.push_str("{*}"),
            }
        }
        form
    }

    /// Whether it has no variables, and so matches one path only.
    pub fn is_literal(&self) -> bool {
        self.names().next().is_none()
    }

    /// The template in the words of those who route by what requests say: literals are encoded.
    #[cfg(feature = "axum")]
    pub(crate) fn route(&self) -> String {
        let mut route = String::with_capacity(self.text.len());
        for segment in &self.segments {
            route.push('/');
            match segment {
                Segment::Literal(text) => {
                    let text = text.as_bytes();
                    route.extend(percent_encoding::percent_encode(text, IN_A_SEGMENT));
                }
                Segment::Variable(name) => route.push_str(&format!("{{{name}}}")),
                Segment::Rest(name) => route.push_str(&format!("{{*{name}}}")),
            }
        }
        route
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// What browsers encode in a segment of a path.
#[cfg(feature = "axum")]
const IN_A_SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Encodes what would make a normal form ambiguous or hard to read, and nothing else.
fn push_encoded(form: &mut String, character: char) {
    if !matches!(character, '/' | '%' | '{' | '}' | '?' | '#')
        && !character.is_whitespace()
        && !character.is_control()
    {
        return form.push(character);
    }
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        form.push_str(&format!("%{byte:02X}"));
    }
}

/// A path template breaks the rules of [`Template`].
///
/// Its text says what is wrong and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    template: String,
    fault: Fault,
}

impl TemplateError {
    /// The bytes of the template that are at fault. Empty for an empty template.
    pub fn range(&self) -> Range<usize> {
        self.fault.range.clone()
    }

    /// What is wrong, and the remedy, without the template.
    pub fn message(&self) -> &str {
        &self.fault.message
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.template, self.fault.message)
    }
}

impl std::error::Error for TemplateError {}

/// Whether a valid template has a variable of that name, `{name}` or `{*name}`.
///
/// A `const fn`, so that the code generated for `#[path] name: T` can ask at compile time.
pub(crate) const fn has_variable(template: &str, name: &str) -> bool {
    let (template, name) = (template.as_bytes(), name.as_bytes());
    let mut at = 0;
    while at < template.len() {
        if template[at] == b'{' {
            let marked = at + 1 < template.len() && template[at + 1] == b'*';
            let start = if marked { at + 2 } else { at + 1 };
            let end = start + name.len();
            if end < template.len() && template[end] == b'}' && stands_at(template, start, name) {
                return true;
            }
        }
        at += 1;
    }
    false
}

/// Whether `part` stands in `whole` at `start`; slices cannot be compared in a `const fn` yet.
const fn stands_at(whole: &[u8], start: usize, part: &[u8]) -> bool {
    let mut at = 0;
    while at < part.len() {
        if whole[start + at] != part[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn tells_what_it_holds() {
        let template = Template::parse("/rooms/{room}/{*rest}").unwrap();
        assert_eq!(template.as_str(), "/rooms/{room}/{*rest}");
        assert_eq!(template.to_string(), "/rooms/{room}/{*rest}");
        assert_eq!(template.names().collect::<Vec<_>>(), ["room", "rest"]);
        assert!(!template.is_literal());
        assert!(Template::parse("/rooms/").unwrap().is_literal());
    }

    #[test]
    fn equivalent_templates_have_one_normal_form() {
        let table = [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/a/{x}/c", "/a/{}/c"),
            ("/a/{y}/c", "/a/{}/c"),
            ("/{*rest}", "/{*}"),
            ("/caf%c3%a9", "/café"),
            ("/café", "/café"),
            ("/a%2fb", "/a%2Fb"),
            ("/%61/b", "/a/b"),
            ("/%7b%7d", "/%7B%7D"),
            ("/100%25", "/100%25"),
            ("/a%20b%3f", "/a%20b%3F"),
        ];
        for (template, form) in table {
            assert_eq!(Template::parse(template).unwrap().normal_form(), form, "{template}");
        }
    }

    #[test]
    fn an_error_names_the_template_the_place_and_the_remedy() {
        let error = Template::parse("/a/{b}.do").unwrap_err();
        assert_eq!(error.range(), 3..9);
        assert_eq!(
            error.message(),
            "a variable fills a whole segment: write \"{name}\" instead of \"{b}.do\""
        );
        assert_eq!(error.to_string(), format!("\"/a/{{b}}.do\": {}", error.message()));
    }

    #[test]
    fn variables_are_found_by_name() {
        const _: () = assert!(has_variable("/rooms/{room}/{*rest}", "room"));
        const _: () = assert!(!has_variable("/rooms/{room}", "rooms"));
        let table = [
            ("/a/{b}", "b", true),
            ("/a/{b}", "a", false),
            ("/a/{bc}", "b", false),
            ("/a/{bc}", "c", false),
            ("/a/{b}", "bc", false),
            ("/{a}/{b}/{*c}", "a", true),
            ("/{a}/{b}/{*c}", "b", true),
            ("/{a}/{b}/{*c}", "c", true),
            ("/{a}/{b}/{*c}", "*c", false),
            ("/{a}", "", false),
            ("/", "a", false),
            ("", "a", false),
        ];
        for (template, name, found) in table {
            assert_eq!(has_variable(template, name), found, "{template} {name}");
        }
    }

    #[test]
    fn both_crates_have_the_same_grammar() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        if !workspace.join("Cargo.toml").exists() {
            return; // Outside its workspace the runtime has no neighbour to agree with.
        }
        let copy = std::fs::read_to_string(workspace.join("endpoint-macros/src/template.rs")).unwrap();
        assert!(
            copy == include_str!("grammar.rs"),
            "copy path/grammar.rs to endpoint-macros/src/template.rs"
        );
    }
}

//! What a path template may look like, and what to tell its author when it does not.
//!
//! This file stands in both crates, byte for byte (a test of the runtime sees to it): the macros refuse a
//! template at compile time with the words with which the runtime refuses it at deployment, and cannot depend
//! on the runtime.

use std::borrow::Cow;
use std::ops::Range;

/// One segment of a template, as matching sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// Text to be met as it stands, percent-decoded. Empty only as the last one, after a trailing slash.
    Literal(String),
    /// `{name}`: any one segment that is not empty.
    Variable(String),
    /// `{*name}`: all segments that are left.
    Rest(String),
}

/// What is wrong with a template, with the remedy, and the bytes of the template that are at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
}

/// Takes a template apart, or finds the first thing that is wrong with it.
pub(crate) fn parse(template: &str) -> Result<Vec<Segment>, Fault> {
    let Some(path) = template.strip_prefix('/') else {
        let message = match template {
            "" => "the path is empty: write \"/\" for the root".to_owned(),
            _ => format!("the path must start with '/': write \"/{template}\""),
        };
        return fault(0..template.chars().next().map_or(0, char::len_utf8), message);
    };
    characters(template)?;

    let mut segments = Vec::new();
    let mut names = Vec::new();
    let mut start = 1;
    let mut texts = path.split('/').peekable();
    while let Some(text) = texts.next() {
        let range = start..start + text.len();
        let last = texts.peek().is_none();
        let segment =
            if text.contains(['{', '}']) { variable(text, &range)? } else { literal(text, &range, last)? };
        if let Segment::Variable(name) | Segment::Rest(name) = &segment {
            if names.contains(name) {
                return fault(
                    range,
                    format!("the variable \"{name}\" stands here twice: give one another name"),
                );
            }
            names.push(name.clone());
        }
        if matches!(segment, Segment::Rest(_)) && !last {
            return fault(
                range,
                format!("{text} takes all that is left of the path: make it the last segment"),
            );
        }
        segments.push(segment);
        start += text.len() + 1;
    }
    Ok(segments)
}

/// Decodes percent-encoding. `None` if a `%` is not followed by two hexadecimal digits, or the result is not
/// UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Refuses characters that cannot stand in the path of a request. Inside braces they are the name's business.
fn characters(template: &str) -> Result<(), Fault> {
    let mut in_braces = false;
    for (at, character) in template.char_indices() {
        match character {
            '{' => in_braces = true,
            '}' | '/' => in_braces = false,
            _ if in_braces => {}
            '?' => {
                let message = "the path has a query: end it before '?', and take the query with #[query]";
                return fault(at..template.len(), message);
            }
            '#' => {
                let message = "the path has a fragment, which no client sends: end it before '#'";
                return fault(at..template.len(), message);
            }
            _ if character.is_whitespace() || character.is_control() => {
                let end = at + character.len_utf8();
                let encoded: String = template[at..end].bytes().map(|byte| format!("%{byte:02X}")).collect();
                let kind = if character.is_control() { "a control character" } else { "a space" };
                return fault(at..end, format!("the path has {kind}: remove it, or write \"{encoded}\""));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A segment without braces.
fn literal(text: &str, range: &Range<usize>, last: bool) -> Result<Segment, Fault> {
    if text.is_empty() && !last {
        let slashes = range.start - 1..range.end + 1;
        return fault(slashes, "the path has an empty segment: remove one of the two '/'");
    }
    let Some(decoded) = decode(text) else {
        let message = format!("\"{text}\" is not percent-encoded UTF-8: write \"%25\" for a '%' itself");
        return fault(range.clone(), message);
    };
    if matches!(&*decoded, "." | "..") {
        let message = format!("clients resolve \"{text}\" before they send a path: remove this segment");
        return fault(range.clone(), message);
    }
    Ok(Segment::Literal(decoded.into_owned()))
}

/// A segment with braces: `{name}` or `{*name}`, and nothing beside it.
fn variable(text: &str, range: &Range<usize>) -> Result<Segment, Fault> {
    let at = |relative: usize| range.start + relative;
    let opened = match (text.find('{'), text.find('}')) {
        (Some(open), Some(close)) if open < close => open,
        (Some(open), None) => {
            let message = "this '{' is not closed in its segment: write \"{name}\" between two '/'";
            return fault(at(open)..range.end, message);
        }
        (_, close) => {
            let close = close.unwrap_or_default();
            return fault(at(close)..at(close) + 1, "this '}' closes nothing: put a '{' before the name");
        }
    };
    let inner = &text[opened + 1..];
    let inner = &inner[..inner.find('}').unwrap_or(inner.len())];
    if opened > 0 || inner.len() + 2 < text.len() {
        let message = format!("a variable fills a whole segment: write \"{{name}}\" instead of \"{text}\"");
        return fault(range.clone(), message);
    }

    let name = inner.strip_prefix('*').unwrap_or(inner);
    if name.is_empty() {
        let remedy = if inner.is_empty() { "{name}" } else { "{*name}" };
        return fault(range.clone(), format!("{text} has no name: write \"{remedy}\""));
    }
    if !is_name(name) {
        let message = format!(
            "\"{name}\" cannot name a variable: use ASCII letters, digits and '_', and no digit at the start"
        );
        return fault(range.end - 1 - name.len()..range.end - 1, message);
    }
    let kind = if inner.starts_with('*') { Segment::Rest } else { Segment::Variable };
    Ok(kind(name.to_owned()))
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn fault<T>(range: Range<usize>, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { message: message.into(), range })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(text: &str) -> Segment {
        Segment::Literal(text.into())
    }

    fn var(name: &str) -> Segment {
        Segment::Variable(name.into())
    }

    #[test]
    fn good_templates_come_apart() {
        let rest = |name: &str| Segment::Rest(name.into());
        let table = [
            ("/", vec![lit("")]),
            ("/a", vec![lit("a")]),
            ("/a/", vec![lit("a"), lit("")]),
            ("/a/b/c", vec![lit("a"), lit("b"), lit("c")]),
            ("/{a}", vec![var("a")]),
            ("/{a}/", vec![var("a"), lit("")]),
            ("/rooms/{room}/seats/{seat_2}", vec![lit("rooms"), var("room"), lit("seats"), var("seat_2")]),
            ("/{_}/{A}/{a}", vec![var("_"), var("A"), var("a")]),
            ("/{*rest}", vec![rest("rest")]),
            ("/files/{*path}", vec![lit("files"), rest("path")]),
            ("/café", vec![lit("café")]),
            ("/caf%C3%A9/a%2fb/100%25/%20", vec![lit("café"), lit("a/b"), lit("100%"), lit(" ")]),
            ("/.../.a/a.", vec![lit("..."), lit(".a"), lit("a.")]),
            ("/a:b@c;d=e,f+g!$&'()*~", vec![lit("a:b@c;d=e,f+g!$&'()*~")]),
        ];
        for (template, segments) in table {
            assert_eq!(parse(template), Ok(segments), "{template}");
        }
    }

    /// The template, the part of it that is at fault, and what its author is told.
    const BAD: &[(&str, &str, &str)] = &[
        ("", "", "the path is empty: write \"/\" for the root"),
        ("chat", "c", "the path must start with '/': write \"/chat\""),
        ("été/{a}", "é", "the path must start with '/': write \"/été/{a}\""),
        ("{a}", "{", "the path must start with '/': write \"/{a}\""),
        ("//", "//", "the path has an empty segment: remove one of the two '/'"),
        ("/a//b", "//", "the path has an empty segment: remove one of the two '/'"),
        ("/a//", "//", "the path has an empty segment: remove one of the two '/'"),
        ("/./a", ".", "clients resolve \".\" before they send a path: remove this segment"),
        ("/a/../b", "..", "clients resolve \"..\" before they send a path: remove this segment"),
        ("/a/..", "..", "clients resolve \"..\" before they send a path: remove this segment"),
        ("/a/%2E%2e", "%2E%2e", "clients resolve \"%2E%2e\" before they send a path: remove this segment"),
        ("/a/{b}.do", "{b}.do", "a variable fills a whole segment: write \"{name}\" instead of \"{b}.do\""),
        ("/v{b}/c", "v{b}", "a variable fills a whole segment: write \"{name}\" instead of \"v{b}\""),
        ("/{a}{b}", "{a}{b}", "a variable fills a whole segment: write \"{name}\" instead of \"{a}{b}\""),
        ("/{a}}", "{a}}", "a variable fills a whole segment: write \"{name}\" instead of \"{a}}\""),
        ("/{{a}}", "{{a}}", "a variable fills a whole segment: write \"{name}\" instead of \"{{a}}\""),
        ("/{a", "{a", "this '{' is not closed in its segment: write \"{name}\" between two '/'"),
        ("/x{a/b}", "{a", "this '{' is not closed in its segment: write \"{name}\" between two '/'"),
        ("/a}", "}", "this '}' closes nothing: put a '{' before the name"),
        ("/a}b{c", "}", "this '}' closes nothing: put a '{' before the name"),
        ("/}a{", "}", "this '}' closes nothing: put a '{' before the name"),
        ("/{}", "{}", "{} has no name: write \"{name}\""),
        ("/a/{*}", "{*}", "{*} has no name: write \"{*name}\""),
        (
            "/a/{room-id}",
            "room-id",
            "\"room-id\" cannot name a variable: use ASCII letters, digits and '_', and no digit at the start",
        ),
        (
            "/{1st}/b",
            "1st",
            "\"1st\" cannot name a variable: use ASCII letters, digits and '_', and no digit at the start",
        ),
        (
            "/{*a b}",
            "a b",
            "\"a b\" cannot name a variable: use ASCII letters, digits and '_', and no digit at the start",
        ),
        (
            "/{id:[0-9]+}",
            "id:[0-9]+",
            "\"id:[0-9]+\" cannot name a variable: use ASCII letters, digits and '_', and no digit at the start",
        ),
        (
            "/{größe}",
            "größe",
            "\"größe\" cannot name a variable: use ASCII letters, digits and '_', and no digit at the start",
        ),
        ("/{a}/b/{a}", "{a}", "the variable \"a\" stands here twice: give one another name"),
        ("/{a}/{*a}", "{*a}", "the variable \"a\" stands here twice: give one another name"),
        ("/{*a}/b", "{*a}", "{*a} takes all that is left of the path: make it the last segment"),
        ("/{*a}/", "{*a}", "{*a} takes all that is left of the path: make it the last segment"),
        (
            "/a/{b}?c={d}",
            "?c={d}",
            "the path has a query: end it before '?', and take the query with #[query]",
        ),
        ("/a#b", "#b", "the path has a fragment, which no client sends: end it before '#'"),
        ("/a b", " ", "the path has a space: remove it, or write \"%20\""),
        ("/a\u{a0}", "\u{a0}", "the path has a space: remove it, or write \"%C2%A0\""),
        ("/a\n", "\n", "the path has a control character: remove it, or write \"%0A\""),
        ("/100%", "100%", "\"100%\" is not percent-encoded UTF-8: write \"%25\" for a '%' itself"),
        ("/a/%fg/b", "%fg", "\"%fg\" is not percent-encoded UTF-8: write \"%25\" for a '%' itself"),
        ("/%ff", "%ff", "\"%ff\" is not percent-encoded UTF-8: write \"%25\" for a '%' itself"),
    ];

    #[test]
    fn bad_templates_are_refused_with_the_remedy_and_the_place() {
        for &(template, part, message) in BAD {
            let fault = parse(template).expect_err(template);
            assert_eq!(fault.message, message, "{template}");
            assert_eq!(&template[fault.range], part, "{template}");
        }
    }

    #[test]
    fn a_repeated_variable_is_found_at_its_second_place() {
        assert_eq!(parse("/{a}/b/{a}").expect_err("twice").range, 7..10);
    }

    #[test]
    fn decoding_is_strict() {
        let table = [
            ("", Some("")),
            ("a+b", Some("a+b")),
            ("%41%2f%2F", Some("A//")),
            ("%E2%82%ac!", Some("€!")),
            ("%2541", Some("%41")),
            ("é%41", Some("éA")),
            ("%", None),
            ("%4", None),
            ("%+4", None),
            ("%é", None),
            ("%E2%82", None),
            ("%C0%80", None),
        ];
        for (text, decoded) in table {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
    }
}

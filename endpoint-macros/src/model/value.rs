//! Values of arguments: what each may be, and what to write instead.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::punctuated::Pair;
use syn::{Expr, ExprLit, Lit, LitBool, LitStr, Type};

use super::options::Timeout;
use crate::hint;
use crate::parse::Value;
use crate::problems::Problems;

/// A year, in milliseconds: longer than anybody waits, and shorter than what overflows a clock.
const LONGEST: u64 = 8760 * 3600 * 1000;

/// A text.
pub(super) fn text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), attrs }) if attrs.is_empty() => Some(text),
        _ => None,
    }
}

/// One word of several.
pub(super) fn word(value: &Expr, known: &[&str], problems: &mut Problems) -> Option<Ident> {
    let word = match value {
        Expr::Path(path) => path.path.get_ident().cloned(),
        _ => text(value).and_then(|text| text.parse().ok()),
    };
    match word {
        Some(word) if known.iter().any(|known| word == known) => Some(word),
        other => {
            let written = other.map(|word| word.to_string()).unwrap_or_default();
            let hint = hint::did_you_mean(&written, known);
            problems.on(value, format!("expected {}{}", hint::list(known, "or"), hint.unwrap_or_default()));
            None
        }
    }
}

/// A duration of some length; what to write instead of none.
pub(super) fn some_time(value: &Expr, zero: &str, problems: &mut Problems) -> Option<u64> {
    // What is said of "off" elsewhere is no remedy here.
    if text(value).is_some_and(|text| is_none_at_all(&text.value())) {
        problems.on(value, zero);
        return None;
    }
    match timeout(value, problems)? {
        Timeout::Millis(millis) => Some(millis),
        Timeout::Off => None,
    }
}

/// A number of bytes: a number, or any constant expression.
pub(super) fn size(value: Expr, zero: &str, problems: &mut Problems) -> Option<Expr> {
    let fault = match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => match number.base10_parse::<u64>() {
            Ok(0) => Some(zero.to_owned()),
            _ => None,
        },
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value() == "off" => {
            Some("a size is a number of bytes, and there is no \"off\": leave it out, or write `usize::MAX` for no limit".to_owned())
        }
        Expr::Lit(ExprLit { lit: Lit::Str(_) | Lit::Float(_) | Lit::Bool(_) | Lit::Char(_), .. }) => {
            Some("expected a number of bytes, such as `65_536` or `64 * 1024`".to_owned())
        }
        _ => None,
    };
    match fault {
        Some(fault) => {
            problems.on(value, fault);
            None
        }
        None => Some(value),
    }
}

/// `true` or `false`.
pub(super) fn truth(value: &Expr, problems: &mut Problems) -> Option<LitBool> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Bool(truth), attrs }) if attrs.is_empty() => Some(truth.clone()),
        _ => {
            problems.on(value, "expected `true` or `false`");
            None
        }
    }
}

/// A duration, or "off".
pub(super) fn timeout(value: &Expr, problems: &mut Problems) -> Option<Timeout> {
    let read = match value {
        // `60s` without quotes is one token, too.
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => match parse_timeout(&number.to_string()) {
            Ok(_) => Err(format!("write it as a text: `\"{number}\"`")),
            Err(message) => Err(message),
        },
        other => match text(other) {
            Some(text) => parse_timeout(&text.value()),
            None => {
                Err("expected a duration such as \"250ms\", \"30s\", \"5m\", \"1h\", or \"off\"".to_owned())
            }
        },
    };
    read.map_err(|message| problems.on(value, message)).ok()
}

/// A duration, in milliseconds, such as this example.
pub(super) fn duration(value: &Expr, example: &str, problems: &mut Problems) -> Option<u64> {
    match timeout(value, problems)? {
        Timeout::Millis(millis) => Some(millis),
        Timeout::Off => {
            problems
                .on(value, format!("expected a duration, such as \"{example}\": without it, leave it out"));
            None
        }
    }
}

fn parse_timeout(text: &str) -> Result<Timeout, String> {
    if text == "off" {
        return Ok(Timeout::Off);
    }
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '_');
    let Ok(number) = text[..text.len() - unit.len()].replace('_', "").parse::<u64>() else {
        return Err(not_a_duration(text));
    };
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60 * 1000),
        "h" => number.checked_mul(3600 * 1000),
        "" => return Err(format!("`{text}` has no unit: write \"{text}s\" for seconds, or ms, m, h")),
        _ => return Err(not_a_duration(text)),
    };
    match millis {
        Some(0) => Err("no time at all: write \"off\" to have no such limit".to_owned()),
        Some(millis) if millis <= LONGEST => Ok(Timeout::Millis(millis)),
        _ => Err(format!("`{text}` is too long: write at most \"8760h\", which is a year")),
    }
}

fn is_none_at_all(text: &str) -> bool {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let is_zero = !digits.is_empty() && digits.bytes().all(|digit| digit == b'0');
    text == "off" || is_zero && digits.len() < text.len()
}

fn not_a_duration(text: &str) -> String {
    format!("`{text}` is not a duration: write one like \"250ms\", \"30s\", \"5m\", \"1h\", or \"off\"")
}

/// A list of texts, each of which `fault` finds nothing wrong with, and none of which stands there twice.
pub(super) fn list(
    value: &Expr,
    example: &str,
    fault: impl Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> Option<Vec<LitStr>> {
    let Expr::Array(array) = value else {
        problems.on(value, format!("expected a list, such as `[\"{example}\"]`"));
        return None;
    };
    if array.elems.is_empty() {
        problems.on(
            value,
            format!("the list is empty: name at least one, such as `[\"{example}\"]`, or leave it out"),
        );
    }
    let mut items: Vec<LitStr> = Vec::new();
    for element in &array.elems {
        let Some(item) = text(element) else {
            problems.on(element, format!("expected a text, such as `\"{example}\"`"));
            continue;
        };
        if let Some(fault) = fault(&item.value()) {
            problems.on(item, fault);
        } else if items.iter().any(|other| other.value() == item.value()) {
            problems.on(item, format!("`{}` stands here twice", item.value()));
        } else {
            items.push(item.clone());
        }
    }
    Some(items)
}

/// One role, or a list of roles.
pub(super) fn roles(value: &Expr, problems: &mut Problems) -> Option<Vec<LitStr>> {
    match text(value) {
        None if !matches!(value, Expr::Array(_)) => {
            problems.on(
                value,
                "expected a role, such as `\"admin\"`, or a list, such as `[\"admin\", \"editor\"]`",
            );
            None
        }
        None => list(value, "admin", role_fault, problems),
        Some(role) => match role_fault(&role.value()) {
            Some(fault) => {
                problems.on(role, fault);
                None
            }
            None => Some(vec![role.clone()]),
        },
    }
}

/// What to write instead of a bare `require`.
pub(super) const NO_ROLE: &str = "`require` names the role that is required: write `require = \"admin\"`, or `require = [\"admin\", \"editor\"]` for one of several";

/// Whether an expression is this word and nothing else.
pub(super) fn is_named(value: &Expr, word: &str) -> bool {
    matches!(value, Expr::Path(path) if path.path.is_ident(word))
}

/// Why nobody is in a role of this name.
fn role_fault(role: &str) -> Option<String> {
    match role.trim() {
        "" => Some("a role has a name, such as \"admin\"".to_owned()),
        name if name != role => Some(format!("roles are compared letter by letter: write \"{name}\"")),
        _ => None,
    }
}

/// A list of types, none of which stands there twice.
pub(super) fn types(value: Value, example: &str, problems: &mut Problems) -> Vec<Type> {
    let (bracket, elements) = match value {
        Value::Types(Some(bracket), elements) => (bracket, elements),
        Value::Expression(Expr::Array(array)) => {
            for element in array.elems.iter().filter(|element| !matches!(element, Expr::Path(_))) {
                problems.on(element, format!("expected a type, such as `{example}`"));
            }
            return Vec::new();
        }
        other => {
            problems.on(other, format!("expected a list of types, such as `[{example}]`"));
            return Vec::new();
        }
    };
    if elements.is_empty() {
        problems.at(
            bracket.span.join(),
            format!("the list is empty: name at least one, such as `[{example}]`, or leave it out"),
        );
    }
    let mut types: Vec<Type> = Vec::new();
    for element in elements {
        let text = |ty: &Type| ty.to_token_stream().to_string();
        if !is_type_name(&element) {
            problems.on(element, format!("expected a type of yours, such as `{example}`"));
        } else if types.iter().any(|other| text(other) == text(&element)) {
            problems.on(&element, format!("`{}` stands here twice", text(&element)));
        } else {
            types.push(element);
        }
    }
    types
}

/// One type.
pub(super) fn one_type(value: Value, example: &str, problems: &mut Problems) -> Option<Type> {
    match value {
        Value::Types(None, mut types) if types.first().is_some_and(is_type_name) => {
            types.pop().map(Pair::into_value)
        }
        other => {
            problems.on(other, format!("expected a type of yours, such as `{example}`"));
            None
        }
    }
}

/// Whether a type is written as its name, as types that implement something of ours are.
fn is_type_name(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_type_name(&group.elem),
        Type::Paren(paren) => is_type_name(&paren.elem),
        Type::Path(_) => true,
        _ => false,
    }
}

/// Why a subprotocol cannot have this name: it is a token of HTTP (RFC 6455 4.1, RFC 9110 5.6.2).
pub(super) fn subprotocol_fault(name: &str) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() {
        return Some("a subprotocol has a name, such as \"chat.v1\"".to_owned());
    }
    let bad = name.chars().find(|character| !u8::try_from(*character).is_ok_and(is_token))?;
    Some(format!("a subprotocol's name cannot have {bad:?}: use letters, digits and `-`, `.`, `_`"))
}

/// Why no browser sends such an `Origin` (RFC 6454 6.2: scheme, host, and the port unless it is the scheme's own).
pub(super) fn origin_fault(origin: &str) -> Option<String> {
    if matches!(origin, "*" | "null") {
        return None;
    }
    let fault = |remedy: String| Some(format!("`{origin}` is not an origin: write {remedy}"));
    let Some((scheme, rest)) = origin.split_once("://") else {
        return fault(format!("its scheme too, as in \"https://{origin}\""));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if scheme.is_empty() || host.is_empty() {
        return fault("one like \"https://example.com\"".to_owned());
    }
    if host.contains('*') {
        return fault("each host by name, or \"*\" for any origin".to_owned());
    }
    if host == rest { None } else { fault(format!("\"{scheme}://{host}\", without a path")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in
            [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1_000ms", 1000)]
        {
            assert!(matches!(parse_timeout(text), Ok(Timeout::Millis(read)) if read == millis), "{text}");
        }
        assert!(matches!(parse_timeout("off"), Ok(Timeout::Off)));
        for (text, part) in [
            ("", "is not a duration"),
            ("s", "is not a duration"),
            ("1.5s", "is not a duration"),
            ("5 s", "is not a duration"),
            ("5d", "is not a duration"),
            ("OFF", "is not a duration"),
            ("60", "write \"60s\" for seconds"),
            ("0s", "write \"off\""),
            ("8761h", "too long"),
            ("18446744073709551615h", "too long"),
        ] {
            assert!(parse_timeout(text).is_err_and(|message| message.contains(part)), "{text}");
        }
    }

    #[test]
    fn subprotocols_are_tokens() {
        for good in ["chat", "chat.v2", "graphql-transport-ws", "a!#$%&'*+-.^_`|~9"] {
            assert_eq!(subprotocol_fault(good), None, "{good}");
        }
        for bad in ["", "chat v2", "a,b", "a/b", "größe", "a\"b", "(a)"] {
            assert!(subprotocol_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn roles_have_names() {
        for good in ["admin", "orders:read", "Großer Rat"] {
            assert_eq!(role_fault(good), None, "{good}");
        }
        for bad in ["", " ", " admin", "admin\n"] {
            assert!(role_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for good in [
            "*",
            "null",
            "https://example.com",
            "http://localhost:3000",
            "http://[::1]:80",
            "tauri://localhost",
        ] {
            assert_eq!(origin_fault(good), None, "{good}");
        }
        for (bad, remedy) in [
            ("example.com", "\"https://example.com\""),
            ("https://example.com/", "\"https://example.com\", without a path"),
            ("https://example.com/a?b", "\"https://example.com\", without a path"),
            ("https://*.example.com", "each host by name"),
            ("https://", "one like"),
        ] {
            assert!(origin_fault(bad).is_some_and(|message| message.contains(remedy)), "{bad}");
        }
    }
}

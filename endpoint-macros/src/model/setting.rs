//! `#[value("table.key")]`: which setting of the application is meant.

use quote::ToTokens;
use syn::{Attribute, Expr, LitStr, Meta};

use super::{attributes, value};
use crate::hint;
use crate::parse::{Argument, Arguments, Value};
use crate::problems::Problems;

/// A setting of the application's own.
pub(crate) struct Setting {
    pub(crate) key: LitStr,
    /// `default = expression`
    pub(crate) default: Option<Expr>,
}

const MISSING: &str = "the key of the setting is missing: write `#[value(\"table.key\")]`";

impl Setting {
    /// What `#[value(..)]` says. `None` beside a problem.
    pub(super) fn of(attribute: &Attribute, problems: &mut Problems) -> Option<Self> {
        if let Meta::NameValue(_) = attribute.meta {
            problems.on(attribute, "write the key in parentheses: `#[value(\"table.key\")]`");
            return None;
        }
        let mut unreadable = Problems::default();
        let arguments = Arguments::parse(attributes::arguments(attribute), &mut unreadable);
        let is_readable = unreadable.is_empty();
        problems.add_all(unreadable);
        let default = default(arguments.named, problems);
        let Some((key, others)) = arguments.positional.split_first() else {
            if is_readable {
                problems.on(attribute, MISSING);
            }
            return None;
        };
        for other in others {
            problems.on(
                other,
                "only the key stands without a name: the value to have without it is `default = ..`",
            );
        }
        let Some(key) = value::text(key) else {
            problems.on(key, "expected the key of the setting as a text, such as `\"chat.max_len\"`");
            return None;
        };
        match fault(&key.value()) {
            Some(fault) => {
                problems.on(key, fault);
                None
            }
            None => Some(Setting { key: key.clone(), default }),
        }
    }
}

/// The one argument with a name that there is.
fn default(named: Vec<Argument>, problems: &mut Problems) -> Option<Expr> {
    let mut default = None;
    for Argument { name, value } in named {
        if name != "default" {
            let written = name.to_string();
            let hint =
                hint::did_you_mean(&written, &["default"]).unwrap_or_else(|| ": it has `default`".to_owned());
            problems.on(&name, format!("`#[value]` has no argument `{written}`{hint}"));
        } else if default.is_some() {
            problems.on(&name, "`default` is set twice: keep one of them");
        } else {
            default = Some(value);
        }
    }
    match default {
        Some(Value::Expression(expression)) => Some(expression),
        // Types are read only where they are expected.
        Some(other) => problems.keep(syn::parse2(other.into_token_stream())),
        None => None,
    }
}

/// Why there can be no such setting of the application's own.
fn fault(key: &str) -> Option<String> {
    if let Some(inner) = key.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        return Some(match inner.split_once(':') {
            Some((key, default)) => {
                format!("a key stands alone: write `#[value(\"{key}\", default = {default})]`")
            }
            None => format!("a key stands alone: write `#[value(\"{inner}\")]`"),
        });
    }
    let names = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    if key.is_empty() {
        return Some(MISSING.to_owned());
    }
    if !key.split('.').all(|part| !part.is_empty() && part.chars().all(names)) {
        return Some(format!(
            "`{key}` is not the key of a setting: write the names of its table and of itself, as in `\"chat.max_len\"`"
        ));
    }
    (!key.contains('.')).then(|| {
        format!(
            "the application's own settings stand in tables of their own: write one such as `\"app.{key}\"`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_a_table() {
        for good in ["chat.max_len", "chat.rooms.blue.size", "a-b.c1"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for (bad, part) in [
            ("", "is missing"),
            ("max_len", "\"app.max_len\""),
            ("chat.", "is not the key"),
            (".chat", "is not the key"),
            ("chat max.len", "is not the key"),
            ("${chat.max_len}", "`#[value(\"chat.max_len\")]`"),
            ("${chat.max_len:100}", "`#[value(\"chat.max_len\", default = 100)]`"),
        ] {
            assert!(fault(bad).is_some_and(|message| message.contains(part)), "{bad}");
        }
    }
}

//! `recover(size = 100, ttl = "5m", rooms = "chat/*")`: which rooms can be recovered, and how far back.

use syn::{Expr, ExprLit, Lit, LitStr};

use super::value;
use crate::hint;
use crate::parse::{Argument, Arguments, Nested, Value};
use crate::problems::Problems;

/// What to write instead of a bare `recover`.
pub(super) const NO_HISTORY: &str =
    "say how much is kept: `recover(size = 100, ttl = \"5m\")`, that is 100 messages for five minutes";

const NAMES: &[&str] = &["size", "ttl", "rooms"];

/// What the argument says. What is missing is a problem, or beside one.
pub(crate) struct Recover {
    pub(crate) size: Option<Expr>,
    /// Milliseconds.
    pub(crate) ttl: Option<u64>,
    /// All rooms, if it is not said.
    pub(crate) rooms: Option<LitStr>,
}

impl Recover {
    pub(super) fn new(Nested { name, arguments }: &Nested, problems: &mut Problems) -> Self {
        let mut recover = Recover { size: None, ttl: None, rooms: None };
        let arguments = Arguments::parse(arguments.clone(), problems);
        for other in &arguments.positional {
            problems
                .on(other, "expected `name = value`: `size`, `ttl` and, if not all rooms are meant, `rooms`");
        }
        let mut seen: Vec<String> = Vec::new();
        for Argument { name, value } in arguments.named {
            let written = name.to_string();
            if seen.contains(&written) {
                problems.on(&name, format!("`{written}` is set twice: keep one of them"));
                continue;
            }
            match (written.as_str(), value) {
                ("size", Value::Expression(value)) => recover.size = size(value, problems),
                ("ttl", Value::Expression(value)) => {
                    let zero =
                        "nothing is kept for no time: write how long, as \"5m\", or leave `recover` out";
                    recover.ttl = value::some_time(&value, zero, problems);
                }
                ("rooms", Value::Expression(value)) => recover.rooms = pattern(&value, problems),
                _ => {
                    let hint = hint::did_you_mean(&written, NAMES).unwrap_or_else(|| ".".to_owned());
                    let names = hint::list(NAMES, "and");
                    problems.on(&name, format!("`recover` has no argument `{written}`{hint} It has {names}"));
                }
            }
            seen.push(written);
        }
        let missing = ["size", "ttl"].into_iter().filter(|name| !seen.iter().any(|seen| seen == name));
        for missing in missing {
            problems.on(name, format!("`recover` has no `{missing}`: {NO_HISTORY}"));
        }
        recover
    }
}

/// A number of messages: a number, or any constant expression.
fn size(value: Expr, problems: &mut Problems) -> Option<Expr> {
    let fault = match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if matches!(number.base10_parse::<u64>(), Ok(0)) => {
            Some("of no messages nothing can be recovered: write how many are kept, or leave `recover` out")
        }
        Expr::Lit(ExprLit { lit: Lit::Int(_), .. }) => None,
        Expr::Lit(_) => Some("expected a number of messages, such as `100`"),
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

/// A name of a room, or the beginning of one and a `*`.
fn pattern(value: &Expr, problems: &mut Problems) -> Option<LitStr> {
    let Some(pattern) = value::text(value) else {
        problems.on(
            value,
            "expected the name of a room, or the beginning of one and a `*`, such as `\"chat/*\"`",
        );
        return None;
    };
    let text = pattern.value();
    let literal = text.strip_suffix('*').unwrap_or(&text);
    if text.is_empty() {
        problems.on(pattern, "a room has a name: write one, or `\"*\"` for all rooms");
        None
    } else if literal.contains('*') {
        problems.on(pattern, format!("a `*` stands at the end, once, or nowhere: `{text}` is neither"));
        None
    } else {
        Some(pattern.clone())
    }
}

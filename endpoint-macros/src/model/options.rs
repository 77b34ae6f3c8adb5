//! The arguments of `#[server_endpoint]`: the path, and what may be set for one endpoint.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::{Expr, LitStr, Path};

use super::value;
use crate::hint;
use crate::parse::{Argument, Arguments};
use crate::problems::Problems;
use crate::template;

/// What `#[server_endpoint(..)]` says.
#[derive(Default)]
pub(crate) struct Options {
    /// The path template. `None` only beside a problem.
    pub(crate) path: Option<LitStr>,
    pub(crate) scope: Option<Scope>,
    pub(crate) subprotocols: Option<Vec<LitStr>>,
    pub(crate) max_message_size: Option<Expr>,
    pub(crate) idle_timeout: Option<Timeout>,
    pub(crate) ping_interval: Option<Timeout>,
    pub(crate) send_buffer: Option<Expr>,
    pub(crate) overflow: Option<Ident>,
    pub(crate) origins: Option<Vec<LitStr>>,
    /// `crate = path`
    pub(crate) runtime: Option<Path>,
}

/// How many instances there are; with the place of the word that says so.
pub(crate) enum Scope {
    Connection(Span),
    Singleton(Span),
}

pub(crate) enum Timeout {
    Off,
    Millis(u64),
}

const NAMES: &[&str] = &[
    "subprotocols",
    "scope",
    "max_message_size",
    "idle_timeout",
    "ping_interval",
    "send_buffer",
    "overflow",
    "origins",
    "crate",
];

impl Options {
    pub(crate) fn new(arguments: Arguments, attribute: Span, problems: &mut Problems) -> Self {
        let mut options = Options::default();
        let mut seen: Vec<String> = Vec::new();
        let path_is_named = arguments.named.iter().any(|argument| is_path(&argument.name));
        for argument in arguments.named {
            let name = argument.name.to_string();
            if seen.contains(&name) {
                problems.on(&argument.name, format!("`{name}` is set twice: keep one of them"));
            } else {
                options.set(argument, problems);
                seen.push(name);
            }
        }
        match arguments.positional.split_first() {
            Some((path, rest)) => {
                options.path = path_template(path, problems);
                for other in rest {
                    problems.on(other, "expected `name = value`: only the path stands without a name");
                }
            }
            None if path_is_named => {}
            None => {
                problems.at(attribute, "the path is missing: write `#[server_endpoint(\"/path\")]`");
            }
        }
        options
    }

    fn set(&mut self, Argument { name, value }: Argument, problems: &mut Problems) {
        match name.to_string().as_str() {
            "subprotocols" => {
                self.subprotocols = value::list(&value, "chat.v1", value::subprotocol_fault, problems);
            }
            "scope" => {
                self.scope = value::word(&value, &["connection", "singleton"], problems).map(|word| {
                    if word == "singleton" {
                        Scope::Singleton(word.span())
                    } else {
                        Scope::Connection(word.span())
                    }
                });
            }
            "max_message_size" => {
                let zero = "no message is that small: leave it out to have the limit of the settings";
                self.max_message_size = value::size(value, zero, problems);
            }
            "idle_timeout" => self.idle_timeout = value::timeout(&value, problems),
            "ping_interval" => self.ping_interval = value::timeout(&value, problems),
            "send_buffer" => {
                let zero = "nothing could be sent: leave it out to have the limit of the settings";
                self.send_buffer = value::size(value, zero, problems);
            }
            "overflow" => {
                self.overflow =
                    value::word(&value, &["disconnect", "wait", "drop_newest", "drop_oldest"], problems);
            }
            "origins" => {
                self.origins = value::list(&value, "https://example.com", value::origin_fault, problems);
            }
            "crate" => self.runtime = problems.keep(syn::parse2(value.into_token_stream())),
            _ if is_path(&name) => {
                problems.on(&name, "the path comes first and has no name: `#[server_endpoint(\"/path\")]`");
            }
            other => problems.on(
                &name,
                format!(
                    "`#[server_endpoint]` has no argument `{other}`{} Its arguments are the path, {}",
                    hint::did_you_mean(other, NAMES).unwrap_or_else(|| ".".to_owned()),
                    hint::list(NAMES, "and")
                ),
            ),
        }
    }
}

/// What the path is called elsewhere.
fn is_path(name: &Ident) -> bool {
    ["path", "value", "uri", "route"].iter().any(|known| name == known)
}

fn path_template(value: &Expr, problems: &mut Problems) -> Option<LitStr> {
    let Some(literal) = value::text(value) else {
        problems.on(value, "expected the path as a text, such as `\"/rooms/{room}\"`");
        return None;
    };
    let path = literal.value();
    match template::parse(&path) {
        Ok(_) => Some(literal.clone()),
        Err(fault) => {
            // A part of a literal cannot be underlined, so the message has to say where it is.
            let part = &path[fault.range.clone()];
            let place = match path[..fault.range.start].chars().count() {
                _ if part.is_empty() || fault.message.contains(part) => String::new(),
                before => format!(" (`{part}`, character {})", before + 1),
            };
            problems.on(literal, format!("{}{place}", fault.message));
            None
        }
    }
}

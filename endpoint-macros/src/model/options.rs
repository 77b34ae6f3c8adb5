//! The arguments of `#[server_endpoint]` and `#[client_endpoint]`: the path, and what may be set for one endpoint.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::{Expr, LitBool, LitStr, Path, Type};

use super::recover::{self, Recover};
use super::value;
use crate::hint;
use crate::parse::{Argument, Arguments, Value};
use crate::problems::Problems;
use crate::template;

/// Whose endpoint it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// `#[server_endpoint]`
    Server,
    /// `#[client_endpoint]`
    Client,
}

/// What the attribute says.
pub(crate) struct Options {
    pub(crate) side: Side,
    /// The path template. `None` for a client, and beside a problem.
    pub(crate) path: Option<LitStr>,
    pub(crate) scope: Option<Scope>,
    pub(crate) subprotocols: Option<Vec<LitStr>>,
    pub(crate) decoders: Vec<Type>,
    pub(crate) encoders: Vec<Type>,
    pub(crate) configurator: Option<Type>,
    pub(crate) max_message_size: Option<Expr>,
    pub(crate) idle_timeout: Option<Timeout>,
    pub(crate) ping_interval: Option<Timeout>,
    pub(crate) send_buffer: Option<Expr>,
    pub(crate) overflow: Option<Ident>,
    pub(crate) compression: Option<Ident>,
    /// Milliseconds.
    pub(crate) resume: Option<u64>,
    pub(crate) origins: Option<Vec<LitStr>>,
    pub(crate) require_subprotocol: Option<LitBool>,
    pub(crate) require: Option<Vec<LitStr>>,
    pub(crate) recover: Option<Recover>,
    pub(crate) presence: bool,
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

impl Side {
    /// The name of the attribute.
    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Side::Server => "server_endpoint",
            Side::Client => "client_endpoint",
        }
    }

    /// The attribute, as one writes it.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Side::Server => "#[server_endpoint(\"/path\")]",
            Side::Client => "#[client_endpoint]",
        }
    }

    /// The names of its arguments.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Side::Server => &[
                "subprotocols",
                "require_subprotocol",
                "decoders",
                "encoders",
                "configurator",
                "scope",
                "max_message_size",
                "idle_timeout",
                "ping_interval",
                "send_buffer",
                "overflow",
                "compression",
                "resume",
                "origins",
                "require",
                "recover",
                "presence",
                "crate",
            ],
            Side::Client => &[
                "subprotocols",
                "decoders",
                "encoders",
                "max_message_size",
                "idle_timeout",
                "ping_interval",
                "send_buffer",
                "overflow",
                "compression",
                "crate",
            ],
        }
    }
}

impl Options {
    /// An endpoint of which nothing is said.
    pub(crate) fn none(side: Side) -> Self {
        Options {
            side,
            path: None,
            scope: None,
            subprotocols: None,
            decoders: Vec::new(),
            encoders: Vec::new(),
            configurator: None,
            max_message_size: None,
            idle_timeout: None,
            ping_interval: None,
            send_buffer: None,
            overflow: None,
            compression: None,
            resume: None,
            origins: None,
            require_subprotocol: None,
            require: None,
            recover: None,
            presence: false,
            runtime: None,
        }
    }

    pub(crate) fn new(side: Side, arguments: Arguments, attribute: Span, problems: &mut Problems) -> Self {
        let mut options = Options::none(side);
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
        for nested in arguments.nested {
            let name = nested.name.to_string();
            if seen.contains(&name) {
                problems.on(&nested.name, format!("`{name}` is set twice: keep one of them"));
            } else if options.is_served(&nested.name, problems) {
                options.recover = Some(Recover::new(&nested, problems));
            }
            seen.push(name);
        }
        if let Some(required) = options.require_subprotocol.as_ref().filter(|required| required.value)
            && !seen.iter().any(|name| name == "subprotocols")
        {
            problems
                .on(required, "nobody could connect: name what may be agreed on with `subprotocols = [..]`");
        }
        options.take_path(&arguments.positional, path_is_named, attribute, problems);
        options
    }

    /// The arguments without a name: the path of a server endpoint.
    fn take_path(&mut self, positional: &[Expr], is_named: bool, attribute: Span, problems: &mut Problems) {
        let rest = match (self.side, positional) {
            (Side::Server, [path, rest @ ..]) => {
                self.path = path_template(path, problems);
                rest
            }
            (Side::Server, []) => {
                if !is_named {
                    problems.at(attribute, "the path is missing: write `#[server_endpoint(\"/path\")]`");
                }
                return;
            }
            (Side::Client, [path, rest @ ..]) if value::text(path).is_some() => {
                problems.on(path, NO_PATH);
                rest
            }
            (Side::Client, rest) => rest,
        };
        for other in rest {
            if let Expr::Path(path) = other
                && let Some(name) = path.path.get_ident().filter(|name| *name == "presence")
            {
                if self.presence {
                    problems.on(name, "`presence` is set twice: keep one of them");
                } else if self.is_served(name, problems) {
                    self.presence = true;
                }
                continue;
            }
            let text = match self.side {
                Side::Server if value::is_named(other, "require") => value::NO_ROLE,
                Side::Server if value::is_named(other, "recover") => recover::NO_HISTORY,
                Side::Server => "expected `name = value`: only the path stands without a name",
                Side::Client => "expected `name = value`",
            };
            problems.on(other, text);
        }
    }

    /// Whether this is not an argument of server endpoints on a client one.
    fn is_served(&self, name: &Ident, problems: &mut Problems) -> bool {
        let reason = server_only(&name.to_string()).filter(|_| self.side == Side::Client);
        if let Some(reason) = reason {
            problems.on(name, format!("`{name}` belongs to a server endpoint: {reason}"));
        }
        reason.is_none()
    }

    fn set(&mut self, Argument { name, value }: Argument, problems: &mut Problems) {
        let known = name.to_string();
        if !self.is_served(&name, problems) {
            return;
        }
        match (known.as_str(), value) {
            ("decoders", value) => self.decoders = value::types(value, "MyDecoder", problems),
            ("encoders", value) => self.encoders = value::types(value, "MyEncoder", problems),
            ("configurator", value) => {
                self.configurator = value::one_type(value, "MyConfigurator", problems);
            }
            ("crate", value) => self.runtime = problems.keep(syn::parse2(value.into_token_stream())),
            (_, Value::Expression(value)) => self.set_value(&name, value, problems),
            // Types are read only where they are expected.
            (_, Value::Types(..)) => unknown(self.side, &name, problems),
        }
    }

    /// An argument that is set to a value.
    fn set_value(&mut self, name: &Ident, value: Expr, problems: &mut Problems) {
        match name.to_string().as_str() {
            "subprotocols" => {
                self.subprotocols = value::list(&value, "chat.v1", value::subprotocol_fault, problems);
            }
            "require_subprotocol" => self.require_subprotocol = value::truth(&value, problems),
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
            "compression" => {
                self.compression = value::word(&value, &["on", "context", "off"], problems);
            }
            "resume" => self.resume = value::duration(&value, "2m", problems),
            "origins" => {
                self.origins = value::list(&value, "https://example.com", value::origin_fault, problems);
            }
            "require" => self.require = value::roles(&value, problems),
            "recover" => problems.on(value, recover::NO_HISTORY),
            "presence" => {
                problems.on(value, "`presence` stands alone: write it if it is wanted, or leave it out");
            }
            _ => unknown(self.side, name, problems),
        }
    }
}

/// An argument that there is not.
fn unknown(side: Side, name: &Ident, problems: &mut Problems) {
    if is_path(name) {
        let text = match side {
            Side::Server => "the path comes first and has no name: `#[server_endpoint(\"/path\")]`",
            Side::Client => NO_PATH,
        };
        problems.on(name, text);
        return;
    }
    let (written, names) = (name.to_string(), side.names());
    problems.on(
        name,
        format!(
            "`#[{}]` has no argument `{written}`{} Its arguments are {}{}",
            side.attribute(),
            hint::did_you_mean(&written, names).unwrap_or_else(|| ".".to_owned()),
            if side == Side::Server { "the path, " } else { "" },
            hint::list(names, "and")
        ),
    );
}

const NO_PATH: &str = "a client endpoint has no path: each instance is connected to a URL, as in `connect(endpoint, \"wss://host/path\")`";

/// Why a client endpoint has no such argument, if a server endpoint has.
fn server_only(name: &str) -> Option<&'static str> {
    match name {
        "scope" => Some("each connection of a client has the instance that was passed to `connect`"),
        "resume" => Some("it is the server that keeps sessions"),
        "origins" => Some("a client says its origin, and the server decides"),
        "require" => Some("a client's peer is the server it has connected to, which is in no role"),
        "recover" | "presence" => Some("rooms are the server's"),
        "configurator" => Some("what a client sends and accepts is said where it connects"),
        "require_subprotocol" => Some(
            "a client is told by `session.subprotocol()` what was agreed on, and closes if it cannot do without",
        ),
        _ => None,
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

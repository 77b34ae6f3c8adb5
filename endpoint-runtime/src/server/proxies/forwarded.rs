//! What proxies say of a client in the headers of a request: `Forwarded` (RFC 7239), or `X-Forwarded-For` and its like.
//!
//! Each proxy adds whom it was talking to at the right end. So the list is walked from there, past those who are trusted: the first who
//! is not is the client, and whatever stands to the left of that is the client's own invention.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use http::uri::Authority;

/// A header that cannot be understood, or two that say different things: then one of them is not the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Contradiction(&'static str);

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const MALFORMED: Contradiction = Contradiction("the Forwarded header is malformed");
const MALFORMED_X: Contradiction = Contradiction("an X-Forwarded header is malformed");
const TWO_STORIES: Contradiction = Contradiction("Forwarded and X-Forwarded-For say different things");
const TWO_PLACES: Contradiction =
    Contradiction("Forwarded and X-Forwarded-Proto or -Host say different things");

/// An address, and the port if it is known; `None` for somebody unknown, or who is to stay so (RFC 7239 6.2, 6.3).
type Node = Option<(IpAddr, Option<u16>)>;

/// What one proxy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hop {
    node: Node,
    secure: Option<bool>,
    host: Option<String>,
}

/// What the headers of a request say, the client's end first.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// `Forwarded`, if there is one.
    standard: Option<Vec<Hop>>,
    /// `X-Forwarded-For`, if there is one, and what came with it.
    nodes: Option<Vec<Node>>,
    secure: Vec<bool>,
    hosts: Vec<String>,
    ports: Vec<u16>,
}

/// What is to be believed of a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) client: Node,
    pub(super) secure: Option<bool>,
    host: Option<String>,
    port: Option<u16>,
}

impl Chain {
    /// Reads the headers.
    ///
    /// # Errors
    /// One of them is not what it should be.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Contradiction> {
        let standard = match lines(headers, "forwarded") {
            None => None,
            Some(lines) => Some(standard(&lines?).ok_or(MALFORMED)?),
        };
        let items = |name: &'static str| match lines(headers, name) {
            None => Ok(None),
            Some(lines) => lines
                .map_err(|_| MALFORMED_X)
                .map(|lines| Some(lines.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>())),
        };
        let all = |name, fit: fn(&str) -> bool| match items(name)? {
            Some(items) if items.iter().all(|item| fit(item)) => Ok(items),
            Some(_) => Err(MALFORMED_X),
            None => Ok(Vec::new()),
        };
        Ok(Chain {
            standard,
            nodes: items("x-forwarded-for")?.map(|items| items.iter().map(|item| node(item)).collect()),
            secure: all("x-forwarded-proto", |item| scheme(item).is_some())?
                .iter()
                .filter_map(|item| scheme(item))
                .collect(),
            hosts: all("x-forwarded-host", is_host)?,
            ports: all("x-forwarded-port", |item| item.parse::<u16>().is_ok())?
                .iter()
                .filter_map(|item| item.parse().ok())
                .collect(),
        })
    }

    /// What there is to know of the client, if those are trusted of whom `trusted` says so; that whoever sent the request is one
    /// of them is settled.
    ///
    /// # Errors
    /// There are two stories.
    pub(super) fn of_client(self, trusted: impl Fn(IpAddr) -> bool) -> Result<Said, Contradiction> {
        let here = self.nodes.as_ref().map(|nodes| walk(nodes.iter().copied(), &trusted));
        let said = match self.standard {
            Some(hops) => {
                let (client, depth) = walk(hops.iter().map(|hop| hop.node), &trusted);
                // A client can send what its proxy does not know of: it must not be believed more than the proxy.
                if here.is_some_and(|(other, _)| address(other) != address(client)) {
                    return Err(TWO_STORIES);
                }
                let hop = from_right(&hops, depth).cloned().unwrap_or_default();
                // Nor what it makes of a header that says the right address, which it knows.
                let schemes = [hop.secure.as_ref(), from_right(&self.secure, depth)];
                let hosts = [hop.host.as_ref(), from_right(&self.hosts, depth)];
                if differ(schemes, |secure| *secure) || differ(hosts, |host| name(host)) {
                    return Err(TWO_PLACES);
                }
                Said { client, secure: hop.secure, host: hop.host, port: None }
            }
            None => {
                let (client, depth) = here.unwrap_or((None, 0));
                Said {
                    client,
                    secure: from_right(&self.secure, depth).copied(),
                    host: from_right(&self.hosts, depth).cloned(),
                    port: from_right(&self.ports, depth).copied(),
                }
            }
        };
        Ok(said)
    }
}

impl Said {
    /// The host that the client named, if it is another than the one that the request names.
    ///
    /// # Errors
    /// What comes out is no host.
    pub(super) fn host(&self, named: Option<&str>, secure: bool) -> Result<Option<String>, Contradiction> {
        let Some(port) = self.port else { return Ok(self.host.clone()) };
        let Some(host) = self.host.as_deref().or(named) else { return Ok(None) };
        let Ok(authority) = Authority::from_str(host) else { return Err(MALFORMED_X) };
        let usual = if secure { 443 } else { 80 };
        if authority.port().is_some() || port == usual {
            return Ok(self.host.clone());
        }
        Ok(Some(format!("{host}:{port}")))
    }
}

fn address(node: Node) -> Option<IpAddr> {
    node.map(|(address, _)| address)
}

/// Whether both are there, and say different things.
fn differ<'a, T, S: PartialEq>(both: [Option<&'a T>; 2], what: impl Fn(&'a T) -> S) -> bool {
    matches!(both.map(|said| said.map(&what)), [Some(one), Some(other)] if one != other)
}

/// A host without its port, which has a header of its own.
fn name(host: &str) -> String {
    let name = Authority::from_str(host).map(|authority| authority.host().to_ascii_lowercase());
    name.unwrap_or_default()
}

/// The client, and how many hops from the right it is. Somebody unknown ends the way: then the last who is known is the client, as far as
/// anybody can tell.
fn walk(nodes: impl DoubleEndedIterator<Item = Node>, trusted: impl Fn(IpAddr) -> bool) -> (Node, usize) {
    let (mut client, mut depth) = (None, 0);
    for (index, node) in nodes.rev().enumerate() {
        let Some((address, _)) = node else { break };
        (client, depth) = (node, index);
        if !trusted(address) {
            break;
        }
    }
    (client, depth)
}

/// The item that belongs to a hop; a list that is shorter has one item for all.
fn from_right<T>(items: &[T], depth: usize) -> Option<&T> {
    items.get(items.len().saturating_sub(depth + 1))
}

/// All lines of a header as one list; `None` if there is none.
fn lines(headers: &HeaderMap, name: &'static str) -> Option<Result<String, Contradiction>> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let texts: Result<Vec<_>, _> = lines.map(|line| line.to_str()).collect();
    Some(texts.map(|texts| texts.join(",")).map_err(|_| MALFORMED))
}

/// Whether a scheme is a secure one.
fn scheme(text: &str) -> Option<bool> {
    let is = |scheme: &str| text.eq_ignore_ascii_case(scheme);
    match () {
        () if is("https") || is("wss") => Some(true),
        () if is("http") || is("ws") => Some(false),
        () => None,
    }
}

/// A host, with a port perhaps, and nothing else.
fn is_host(text: &str) -> bool {
    !text.contains('@') && Authority::from_str(text).is_ok_and(|authority| !authority.host().is_empty())
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`; anything else is nobody we know.
fn node(text: &str) -> Node {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_canonical(), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    // A port may be obfuscated too (RFC 7239 6.4); then nobody knows it.
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok(),
        None if port.is_empty() => None,
        None => return None,
    };
    Some((host.parse::<IpAddr>().ok()?.to_canonical(), port))
}

/// Reads a `Forwarded` header (RFC 7239 4); `None` if it breaks the grammar.
fn standard(text: &str) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    let mut rest = text.trim();
    loop {
        let (mut hop, mut seen) = (Hop::default(), Vec::new());
        loop {
            rest = rest.trim_start();
            if !rest.is_empty() && !rest.starts_with([';', ',']) {
                let (name, after) = rest.split_once('=')?;
                let (value, after) = value(after)?;
                let name = name.to_ascii_lowercase();
                if !is_token(&name) || seen.contains(&name) {
                    return None;
                }
                match name.as_str() {
                    "for" => hop.node = node(&value),
                    "proto" => hop.secure = Some(scheme(&value)?),
                    "host" if is_host(&value) => hop.host = Some(value),
                    "host" => return None,
                    _ => {}
                }
                seen.push(name);
                rest = after.trim_start();
            }
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        hops.push(hop);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Some(hops),
            None => return None,
        }
    }
}

/// A token or a quoted string (RFC 9110 5.6.4), and what is behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return is_token(token).then(|| (token.to_owned(), rest));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in quoted.char_indices() {
        match character {
            _ if escaped => {
                value.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, &quoted[at + 1..])),
            _ => value.push(character),
        }
    }
    None
}

/// A token (RFC 9110 5.6.2). Colons and brackets must be quoted, but in a port many forget it.
fn is_token(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(sign)
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    /// `10.*` is trusted.
    fn said(lines: &[(&'static str, &str)]) -> Result<Said, Contradiction> {
        let trusted = |address: IpAddr| matches!(address, IpAddr::V4(address) if address.octets()[0] == 10);
        Chain::read(&headers(lines))?.of_client(trusted)
    }

    /// Address, scheme and host as one would write them.
    fn shown(said: &Said) -> String {
        let client = match said.client {
            Some((address, Some(port))) => format!("{address} {port}"),
            Some((address, None)) => address.to_string(),
            None => "?".to_owned(),
        };
        let scheme = said.secure.map_or("", |secure| if secure { " https" } else { " http" });
        let host = said.host(Some("named"), said.secure.unwrap_or(false)).unwrap();
        format!("{client}{scheme}{}", host.map_or(String::new(), |host| format!(" {host}")))
    }

    const FOR: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";
    const HOST: &str = "x-forwarded-host";
    const PORT: &str = "x-forwarded-port";
    const STANDARD: &str = "forwarded";

    #[test]
    fn who_the_client_is() {
        type Case = (&'static [(&'static str, &'static str)], &'static str);
        let table: &[Case] = &[
            (&[], "?"),
            // The right end is the proxy's; what is to the left of the first stranger is that one's own story.
            (&[(FOR, "192.0.2.1")], "192.0.2.1"),
            (&[(FOR, "203.0.113.9, 192.0.2.1")], "192.0.2.1"),
            (&[(FOR, "203.0.113.9, 192.0.2.1, 10.0.0.2")], "192.0.2.1"),
            (&[(FOR, "203.0.113.9"), (FOR, "192.0.2.1,10.0.0.2")], "192.0.2.1"),
            (&[(FOR, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            (&[(FOR, "192.0.2.1:4711")], "192.0.2.1 4711"),
            (&[(FOR, "[2001:db8::1]:4711")], "2001:db8::1 4711"),
            (&[(FOR, "2001:db8::1")], "2001:db8::1"),
            (&[(FOR, "::ffff:192.0.2.1")], "192.0.2.1"),
            (&[(FOR, "192.0.2.1, unknown, 10.0.0.2")], "10.0.0.2"),
            (&[(FOR, "unknown")], "?"),
            (&[(FOR, "")], "?"),
            (&[(FOR, "a, b, <script>")], "?"),
            // Lists that belong to it: one item for all, or one for each hop.
            (&[(FOR, "192.0.2.1"), (PROTO, "https"), (HOST, "example.com")], "192.0.2.1 https example.com"),
            (&[(FOR, "192.0.2.1, 10.0.0.2"), (PROTO, "WSS, http")], "192.0.2.1 https"),
            (&[(FOR, "192.0.2.1"), (PROTO, "http, https")], "192.0.2.1 https"),
            (&[(FOR, "192.0.2.1, 10.0.0.2"), (PROTO, "https")], "192.0.2.1 https"),
            (&[(PROTO, "https")], "? https"),
            (&[(PROTO, "https"), (PORT, "443")], "? https"),
            (&[(PROTO, "https"), (PORT, "8443")], "? https named:8443"),
            (&[(HOST, "example.com:81"), (PORT, "8443")], "? example.com:81"),
            (&[(HOST, "example.com"), (PORT, "81")], "? example.com:81"),
            // RFC 7239 4 and 6.
            (&[(STANDARD, "for=192.0.2.60;proto=http;by=203.0.113.43")], "192.0.2.60 http"),
            (&[(STANDARD, "For=\"[2001:db8:cafe::17]:4711\"")], "2001:db8:cafe::17 4711"),
            (&[(STANDARD, "for=192.0.2.43, for=198.51.100.17")], "198.51.100.17"),
            (
                &[(
                    STANDARD,
                    "for=192.0.2.43;proto=https;host=\"example.com:8443\" , for=10.0.0.2;proto=http",
                )],
                "192.0.2.43 https example.com:8443",
            ),
            (&[(STANDARD, "for=_hidden, for=10.0.0.2")], "10.0.0.2"),
            (&[(STANDARD, "for=unknown;proto=https")], "? https"),
            (&[(STANDARD, "for=\"192.0.2.1:_obscure\"")], "192.0.2.1"),
            (&[(STANDARD, "for=192.0.2.1;ext=\"a\\\"b;,c\";;")], "192.0.2.1"),
            (&[(STANDARD, "for=192.0.2.1"), (STANDARD, "for=10.0.0.2")], "192.0.2.1"),
            // Both, and they agree.
            (
                &[(STANDARD, "for=192.0.2.1;proto=https"), (FOR, "192.0.2.1"), (PROTO, "https")],
                "192.0.2.1 https",
            ),
            (
                &[
                    (STANDARD, "for=192.0.2.1;host=\"Example.com:8443\""),
                    (FOR, "192.0.2.1"),
                    (PROTO, "https"),
                    (HOST, "example.com"),
                ],
                "192.0.2.1 Example.com:8443",
            ),
        ];
        for (lines, expected) in table {
            let said = said(lines).unwrap_or_else(|fault| panic!("{lines:?}: {fault}"));
            assert_eq!(shown(&said), *expected, "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_believed() {
        type Case = (&'static [(&'static str, &'static str)], Contradiction);
        let table: &[Case] = &[
            (&[(STANDARD, "for")], MALFORMED),
            (&[(STANDARD, "for=")], MALFORMED),
            (&[(STANDARD, "for=\"192.0.2.1")], MALFORMED),
            (&[(STANDARD, "for=192.0.2.1 for=192.0.2.2")], MALFORMED),
            (&[(STANDARD, "for=192.0.2.1;for=192.0.2.2")], MALFORMED),
            (&[(STANDARD, "for=192.0.2.1;proto=gopher")], MALFORMED),
            (&[(STANDARD, "f or=192.0.2.1")], MALFORMED),
            (&[(PROTO, "gopher")], MALFORMED_X),
            (&[(PROTO, "https,")], MALFORMED_X),
            (&[(HOST, "a b")], MALFORMED_X),
            (&[(HOST, "user@example.com")], MALFORMED_X),
            (&[(HOST, "example.com/path")], MALFORMED_X),
            (&[(PORT, "65536")], MALFORMED_X),
            (&[(STANDARD, "for=203.0.113.9"), (FOR, "192.0.2.1")], TWO_STORIES),
            (&[(STANDARD, "for=_hidden"), (FOR, "192.0.2.1")], TWO_STORIES),
            (&[(STANDARD, "for=192.0.2.1;proto=https"), (FOR, "192.0.2.1"), (PROTO, "http")], TWO_PLACES),
            (&[(STANDARD, "proto=https"), (PROTO, "http")], TWO_PLACES),
            (
                &[(STANDARD, "for=192.0.2.1;host=a.example"), (FOR, "192.0.2.1"), (HOST, "b.example")],
                TWO_PLACES,
            ),
        ];
        for (lines, fault) in table {
            assert_eq!(said(lines).as_ref(), Err(fault), "{lines:?}");
        }
    }

    proptest! {
        /// Whatever is sent, something comes of it, and nobody panics.
        #[test]
        fn anything_can_be_read(
            values in prop::collection::vec(("[!-~ \\t]{0,60}|(for=|proto=|host=|\"|10[.]0[.]0[.]1|,|;|\\\\|:|\\[|\\]|http){0,12}", 0..5_usize), 0..6)
        ) {
            let names = [STANDARD, FOR, PROTO, HOST, PORT];
            let lines: Vec<_> = values.iter().map(|(value, name)| (names[*name], value.trim())).collect();
            if let Ok(said) = said(&lines) {
                let _ = said.host(Some("named:1"), true);
                let _ = said.host(None, false);
            }
        }
    }
}

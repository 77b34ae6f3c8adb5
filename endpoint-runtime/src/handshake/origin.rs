//! Origins: which pages may connect from a browser (RFC 6454, RFC 6455 10.2).
//!
//! A browser says which page opens a WebSocket, and sends that site's cookies along whoever the page belongs to. Unless the server
//! looks at the origin, any page on the web can act as its visitor (cross-site WebSocket hijacking).

use std::fmt;

use http::header::ORIGIN;

use crate::session::Handshake;

/// Which origins an endpoint admits. A request without an origin is not a browser's, and is always admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginRule {
    /// The page must come from this server: same scheme, host and port.
    Same,
    /// Any page.
    Any,
    /// Pages of these.
    Listed(Vec<Origin>),
}

/// A scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A text that is not an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidOrigin(pub(crate) String);

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an origin: write `https://example.com`, `http://localhost:8080`, or `*` for any",
            self.0
        )
    }
}

impl Origin {
    /// Reads `scheme://host[:port]`.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let well_formed = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !well_formed || authority.contains(['/', '?', '#', '@', ' ']) {
            return None;
        }
        let (host, port) = split_port(authority)?;
        let port = port.or_else(|| default_port(&scheme));
        Some(Origin { host: host.to_ascii_lowercase(), port, scheme })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) if default_port(&self.scheme) != Some(port) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Host and port of an authority; the host of an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.rfind(']') {
        Some(bracket) if authority.starts_with('[') => bracket + 1,
        Some(_) => return None,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_end);
    if host.is_empty() {
        return None;
    }
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port.parse().ok()?))),
        None if rest.is_empty() => Some((host, None)),
        None => None,
    }
}

impl OriginRule {
    /// The rule for a list of origins; `None` is the same origin.
    pub(crate) fn new(list: Option<&[String]>) -> Result<Self, Vec<InvalidOrigin>> {
        let Some(list) = list else { return Ok(OriginRule::Same) };
        if list.iter().any(|origin| origin == "*") {
            return Ok(OriginRule::Any);
        }
        let (mut origins, mut invalid) = (Vec::new(), Vec::new());
        for text in list {
            match Origin::parse(text) {
                Some(origin) => origins.push(origin),
                None => invalid.push(InvalidOrigin(text.clone())),
            }
        }
        if invalid.is_empty() { Ok(OriginRule::Listed(origins)) } else { Err(invalid) }
    }

    /// Whether the request may be upgraded.
    pub(crate) fn admits(&self, handshake: &Handshake) -> bool {
        if *self == OriginRule::Any {
            return true;
        }
        let mut stated = handshake.lines(ORIGIN.as_str());
        let Some(first) = stated.next() else { return true };
        if stated.next().is_some() {
            return false;
        }
        // `null`, as of a sandboxed page or a file, is nobody's origin.
        let Some(origin) = std::str::from_utf8(first).ok().and_then(Origin::parse) else { return false };
        match self {
            OriginRule::Any => true,
            OriginRule::Listed(list) => list.contains(&origin),
            OriginRule::Same => {
                let scheme = if handshake.is_secure() { "https" } else { "http" };
                let here = handshake.host().and_then(|host| Origin::parse(&format!("{scheme}://{host}")));
                here.is_some_and(|here| here == origin)
            }
        }
    }
}

impl fmt::Display for OriginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginRule::Same => f.write_str("same origin"),
            OriginRule::Any => f.write_str("any origin"),
            OriginRule::Listed(list) if list.is_empty() => f.write_str("no origin"),
            OriginRule::Listed(list) => {
                for (index, origin) in list.iter().enumerate() {
                    write!(f, "{}{origin}", if index > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;
    use crate::path::PathParams;
    use crate::session::Ends;

    fn handshake(secure: bool, host: &str, origins: &[&str]) -> Handshake {
        let mut request = http::Request::builder().uri("/").header(HOST, host);
        for origin in origins {
            request = request.header(ORIGIN, *origin);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Handshake::new(&mut parts, PathParams::default(), Ends { secure, ..Ends::default() })
    }

    #[test]
    fn the_same_origin_is_scheme_host_and_port() {
        let cases: &[(bool, &str, &[&str], bool)] = &[
            (false, "example.com", &[], true),
            (false, "example.com", &["http://example.com"], true),
            (false, "example.com:80", &["http://EXAMPLE.com"], true),
            (true, "example.com", &["https://example.com:443"], true),
            (true, "example.com:443", &["https://example.com"], true),
            (true, "example.com", &["https://example.com"], true),
            (true, "example.com:8443", &["https://example.com:8443"], true),
            (false, "example.com:443", &["http://example.com:443"], true),
            (false, "[::1]:8080", &["http://[::1]:8080"], true),
            (true, "[::1]", &["https://[::1]:443"], true),
            // The port of one scheme is not that of the other, and the scheme is part of it.
            (true, "example.com", &["http://example.com"], false),
            (true, "example.com:80", &["http://example.com"], false),
            (true, "example.com:80", &["https://example.com"], false),
            (true, "example.com:8443", &["https://example.com"], false),
            (false, "example.com:443", &["https://example.com"], false),
            (false, "example.com:443", &["http://example.com"], false),
            (true, "example.com", &["wss://example.com"], false),
            (false, "example.com", &["https://example.com"], false),
            (false, "example.com:8080", &["http://example.com"], false),
            (false, "example.com", &["http://evil.example"], false),
            (false, "example.com", &["http://example.com.evil.example"], false),
            (false, "example.com", &["null"], false),
            (false, "example.com", &[""], false),
            (false, "example.com", &["http://example.com", "http://example.com"], false),
            (false, "example.com", &["http://example.com/path"], false),
        ];
        for (secure, host, origins, admitted) in cases {
            assert_eq!(
                OriginRule::Same.admits(&handshake(*secure, host, origins)),
                *admitted,
                "{host} {origins:?}"
            );
        }
    }

    #[test]
    fn listed_origins_and_any() {
        let list = ["https://a.example".to_owned(), "http://b.example:8080".to_owned()];
        let rule = OriginRule::new(Some(&list)).unwrap();
        for (origin, admitted) in [
            ("https://a.example", true),
            ("https://a.example:443", true),
            ("http://a.example", false),
            ("http://b.example:8080", true),
            ("http://b.example", false),
        ] {
            assert_eq!(rule.admits(&handshake(false, "server", &[origin])), admitted, "{origin}");
        }
        assert_eq!(rule.to_string(), "https://a.example, http://b.example:8080");
        let any = OriginRule::new(Some(&["*".to_owned()])).unwrap();
        assert!(any.admits(&handshake(false, "server", &["null"])));
        assert!(OriginRule::new(Some(&["example.com".to_owned()])).is_err());
    }
}

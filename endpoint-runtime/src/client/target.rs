//! [`Target`]: where to connect to, as a WebSocket URL says it (RFC 6455 3).

use std::fmt;
use std::net::Ipv6Addr;

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What cannot stand in a request line as it is. `%` can: it is there already where the writer means it.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A URL that one can connect to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) secure: bool,
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path_and_query: PathAndQuery,
    /// User and password, decoded, if the URL has any. They go into a header, and nowhere else.
    pub(super) user: Option<(String, String)>,
}

impl Target {
    /// Reads `ws://host:port/path?query`; `wss`, and `http` and `https` for the same.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains('#') {
            return Err("a WebSocket URL has no fragment (`#`); as a part of a path write `%23`".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("a WebSocket URL begins with `ws://` or `wss://`".to_owned());
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err("a WebSocket URL begins with `ws://` or `wss://`".to_owned()),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (host, port) = host_and_port(authority)?;
        Ok(Target {
            secure,
            host,
            port: port.unwrap_or(if secure { 443 } else { 80 }),
            path_and_query: path_and_query(path)?,
            user: user.map(|user| {
                let (user, password) = user.split_once(':').unwrap_or((user, ""));
                let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
                (decode(user), decode(password))
            }),
        })
    }

    /// Where a `Location` leads from here (RFC 3986 5). Who redirects has no user and password to give.
    pub(super) fn join(&self, location: &str) -> Result<Self, String> {
        let location = location.split('#').next().unwrap_or_default();
        let origin = self.origin();
        let joined = if location.contains("://") {
            Self::parse(location)
        } else if let Some(authority) = location.strip_prefix("//") {
            Self::parse(&format!("{}://{authority}", self.scheme()))
        } else if location.starts_with('/') {
            Self::parse(&format!("{origin}{location}"))
        } else if location.starts_with('?') {
            Self::parse(&format!("{origin}{}{location}", self.path_and_query.path()))
        } else {
            let path = self.path_and_query.path();
            let folder = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
            let (relative, query) = location.split_at(location.find('?').unwrap_or(location.len()));
            Self::parse(&format!("{origin}{}{query}", without_dots(&format!("{folder}{relative}"))))
        };
        joined.map(|target| Target { user: None, ..target })
    }

    /// The URL without user and password.
    pub(super) fn uri(&self) -> Uri {
        let uri = Uri::builder().scheme(self.scheme()).authority(self.authority());
        // Its parts were checked one by one.
        uri.path_and_query(self.path_and_query.clone()).build().unwrap_or_default()
    }

    /// Host and port as the `Host` header has them: without the port that the scheme implies.
    pub(super) fn authority(&self) -> String {
        let implied = if self.secure { 443 } else { 80 };
        if self.port == implied { self.bracketed() } else { self.host_and_port() }
    }

    /// Host and port, both.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// Whether what is secret between us and this one may be told to the other.
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// For logs and errors: without user and password, and without the query, where people put their tokens.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path_and_query.path())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address ends with `]`")?;
            host.parse::<Ipv6Addr>().map_err(|_| format!("`{host}` is not an IPv6 address"))?;
            (host.to_owned(), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            if port.matches(':').count() > 1 {
                return Err("an IPv6 address stands in brackets, as in `ws://[::1]:8080/`".to_owned());
            }
            if host.is_empty() {
                return Err("the URL names no host".to_owned());
            }
            if !host.is_ascii() {
                return Err(format!("write the host `{host}` in its ASCII form, which begins with `xn--`"));
            }
            if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
                return Err(format!("`{host}` is not the name of a host"));
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = match port {
        "" | ":" => None,
        text => match text.strip_prefix(':').and_then(|port| port.parse().ok()) {
            Some(0) | None => return Err(format!("`{text}` is not a port")),
            port => port,
        },
    };
    Ok((host, port))
}

fn path_and_query(text: &str) -> Result<PathAndQuery, String> {
    let slash = if text.starts_with('/') { "" } else { "/" };
    let encoded = format!("{slash}{}", utf8_percent_encode(text, ENCODED));
    PathAndQuery::try_from(encoded).map_err(|error| format!("the path or the query: {error}"))
}

/// A path without its `.` and `..` segments (RFC 3986 5.2.4).
fn without_dots(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        segments.push("");
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[test]
    fn urls_that_can_be_connected_to() {
        let cases = [
            ("ws://host", "ws://host/", "host", 80),
            ("WSS://Host", "wss://host/", "host", 443),
            ("http://host:80/a", "ws://host/a", "host", 80),
            ("https://host/a?b=c", "wss://host/a?b=c", "host", 443),
            ("wss://host:8443?b", "wss://host:8443/?b", "host", 8443),
            ("ws://[::1]:9000/x", "ws://[::1]:9000/x", "::1", 9000),
            ("ws://[::1]", "ws://[::1]/", "::1", 80),
            ("ws://127.0.0.1:/", "ws://127.0.0.1/", "127.0.0.1", 80),
            ("ws://host/a b/ü?{x}", "ws://host/a%20b/%C3%BC?%7Bx%7D", "host", 80),
            ("ws://bo:secret@host/", "ws://host/", "host", 80),
        ];
        for (text, uri, host, port) in cases {
            let target = parse(text);
            assert_eq!(target.uri(), uri, "{text}");
            assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
        }
    }

    #[test]
    fn urls_that_cannot() {
        for text in [
            "",
            "host",
            "/path",
            "ftp://host/",
            "ws:host",
            "ws://",
            "ws:///path",
            "ws://host/#top",
            "ws://h:0/",
            "ws://h:x/",
            "ws://h:70000/",
            "ws://::1/",
            "ws://[::1/",
            "ws://[host]/",
            "ws://hö.example/",
            "ws://a b/",
            "ws://user@/",
            "ws://h\r\nX: y/",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let target = parse("ws://bo:s%65cret@host/path?token=secret");
        assert_eq!(target.user, Some(("bo".to_owned(), "secret".to_owned())));
        assert_eq!(format!("{target} {target:?}"), "ws://host/path ws://host/path");
        assert!(!target.uri().to_string().contains("bo"));
    }

    #[test]
    fn redirections_lead_somewhere() {
        let from = parse("wss://bo:pw@host:8443/a/b/c?q");
        let cases = [
            ("https://other/x?y#z", "wss://other/x?y"),
            ("ws://other/x", "ws://other/x"),
            ("//other:1/x", "wss://other:1/x"),
            ("/x", "wss://host:8443/x"),
            ("?x", "wss://host:8443/a/b/c?x"),
            ("x?y=../z", "wss://host:8443/a/b/x?y=../z"),
            ("../x", "wss://host:8443/a/x"),
            ("../../../x/.", "wss://host:8443/x/"),
            ("./..", "wss://host:8443/a/"),
        ];
        for (location, uri) in cases {
            let to = from.join(location).unwrap();
            assert_eq!(to.uri(), uri, "{location}");
            assert_eq!(to.user, None);
        }
        assert!(from.join("ftp://other/").is_err());
    }
}

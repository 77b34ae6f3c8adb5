//! Where in a request a token stands, and how it is taken out of it.

use http::header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::BEARER;
use crate::session::{Handshake, cookies, form_pairs};

/// The places that are asked for by name; the headers are looked at anyway.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    pub(super) cookie: Option<String>,
    pub(super) query: Option<String>,
}

impl Sources {
    /// Takes the token out, from every place where one stands. The first counts.
    pub(super) fn take(&self, handshake: &mut Handshake) -> Option<String> {
        // Most strangers bring none, and then nothing needs to be written anew.
        if !self.is_in(handshake) {
            return None;
        }
        let mut token = None;
        let mut among_subprotocols = false;
        handshake.edit(|uri, headers| {
            let offered = take_offered(headers);
            among_subprotocols = offered.is_some();
            let found = [
                take_authorization(headers),
                offered,
                self.cookie.as_deref().and_then(|name| take_cookie(headers, name)),
                self.query.as_deref().and_then(|name| take_query(uri, name)),
            ];
            token = found.into_iter().flatten().next();
        });
        handshake.answers_bearer |= among_subprotocols;
        token
    }

    fn is_in(&self, handshake: &Handshake) -> bool {
        handshake.lines(AUTHORIZATION.as_str()).next().is_some()
            || handshake.offered_subprotocols().any(|name| name == BEARER)
            || self.cookie.as_deref().is_some_and(|name| handshake.cookie(name).is_some())
            || self.query.as_deref().is_some_and(|name| handshake.query_param(name).is_some())
    }
}

/// `Authorization: Bearer <token>`. Other schemes are somebody else's business.
fn take_authorization(headers: &mut HeaderMap) -> Option<String> {
    let mut found = None;
    retain(headers, &AUTHORIZATION, |value| {
        let value = value.as_bytes().trim_ascii();
        let (scheme, token) =
            value.split_at(value.iter().position(|&byte| byte == b' ').unwrap_or(value.len()));
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return true;
        }
        // What is no text is no token either, but it is not kept all the same.
        let token = std::str::from_utf8(token.trim_ascii()).unwrap_or_default();
        found.get_or_insert_with(|| token.to_owned());
        false
    });
    found
}

/// `Sec-WebSocket-Protocol: bearer, <token>`: what stands behind `bearer`, wherever that is.
fn take_offered(headers: &mut HeaderMap) -> Option<String> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|line| line.to_str().ok());
    let names: Vec<&str> =
        lines.flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect();
    let bearer = names.iter().position(|name| *name == BEARER)?;
    let token = (*names.get(bearer + 1)?).to_owned();
    let others: Vec<&str> = names.into_iter().filter(|name| *name != token).collect();
    // They came out of a header.
    let others = HeaderValue::try_from(others.join(", ")).ok();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    headers.extend(others.map(|others| (SEC_WEBSOCKET_PROTOCOL, others)));
    Some(token)
}

fn take_cookie(headers: &mut HeaderMap, name: &str) -> Option<String> {
    let mut found = None;
    let mut lines = Vec::new();
    for line in headers.get_all(COOKIE) {
        let Ok(text) = line.to_str() else {
            lines.push(line.clone());
            continue;
        };
        let others: Vec<&str> = text
            .split(';')
            .map(str::trim)
            .filter(|pair| match cookies(pair).next() {
                Some((key, value)) if key == name => {
                    found.get_or_insert_with(|| value.to_owned());
                    false
                }
                _ => !pair.is_empty(),
            })
            .collect();
        if !others.is_empty() {
            lines.extend(HeaderValue::try_from(others.join("; ")));
        }
    }
    if found.is_some() {
        headers.remove(COOKIE);
        headers.extend(lines.into_iter().map(|line| (COOKIE, line)));
    }
    found
}

fn take_query(uri: &mut Uri, name: &str) -> Option<String> {
    let mut found = None;
    let others: Vec<&str> = uri
        .query()?
        .split('&')
        .filter(|pair| match form_pairs(pair).next() {
            Some((key, value)) if key == name => {
                found.get_or_insert_with(|| value.into_owned());
                false
            }
            _ => true,
        })
        .collect();
    let mark = if others.is_empty() { "" } else { "?" };
    let path = format!("{}{mark}{}", uri.path(), others.join("&"));
    found.as_ref()?;
    let mut parts = std::mem::take(uri).into_parts();
    // A part of a path and query is one. If it were not, better none than one with the token.
    parts.path_and_query =
        Some(PathAndQuery::try_from(path).unwrap_or_else(|_| PathAndQuery::from_static("/")));
    *uri = Uri::from_parts(parts).unwrap_or_default();
    found
}

/// Keeps the lines of a header for which this is true.
fn retain(headers: &mut HeaderMap, name: &HeaderName, mut keep: impl FnMut(&HeaderValue) -> bool) {
    let kept: Vec<HeaderValue> = headers.get_all(name).iter().filter(|value| keep(value)).cloned().collect();
    headers.remove(name);
    headers.extend(kept.into_iter().map(|value| (name.clone(), value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::PathParams;
    use crate::session::Ends;

    fn handshake(uri: &str, headers: &[(&str, &str)]) -> Handshake {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Handshake::new(&mut parts, PathParams::default(), Ends::default())
    }

    fn all() -> Sources {
        Sources { cookie: Some("token".to_owned()), query: Some("token".to_owned()) }
    }

    const PROTOCOL: &str = "sec-websocket-protocol";

    /// A request, the token in it, and what is left.
    #[test]
    fn what_is_taken_is_gone() {
        type Headers = &'static [(&'static str, &'static str)];
        let table: &[(&str, Headers, Option<&str>, &str, Headers)] = &[
            ("/", &[("authorization", "Bearer t0")], Some("t0"), "/", &[]),
            ("/", &[("authorization", "bearer  t0 ")], Some("t0"), "/", &[]),
            ("/", &[("authorization", "Bearer")], Some(""), "/", &[]),
            ("/", &[("authorization", "Basic eDp5")], None, "/", &[("authorization", "Basic eDp5")]),
            ("/", &[("authorization", "Bearers t0")], None, "/", &[("authorization", "Bearers t0")]),
            (
                "/",
                &[
                    ("authorization", "Basic eDp5"),
                    ("authorization", "Bearer t0"),
                    ("authorization", "Bearer t1"),
                ],
                Some("t0"),
                "/",
                &[("authorization", "Basic eDp5")],
            ),
            ("/", &[(PROTOCOL, "bearer, t0")], Some("t0"), "/", &[(PROTOCOL, "bearer")]),
            ("/", &[(PROTOCOL, "chat,bearer,t0,v2")], Some("t0"), "/", &[(PROTOCOL, "chat, bearer, v2")]),
            (
                "/",
                &[(PROTOCOL, "bearer"), (PROTOCOL, "t0, v2, t0")],
                Some("t0"),
                "/",
                &[(PROTOCOL, "bearer, v2")],
            ),
            ("/", &[(PROTOCOL, "chat, bearer")], None, "/", &[(PROTOCOL, "chat, bearer")]),
            ("/", &[(PROTOCOL, "chat, t0")], None, "/", &[(PROTOCOL, "chat, t0")]),
            ("/", &[("cookie", "a=1; token=\"t0\"; b=2")], Some("t0"), "/", &[("cookie", "a=1; b=2")]),
            ("/", &[("cookie", "token=t0"), ("cookie", "b=2")], Some("t0"), "/", &[("cookie", "b=2")]),
            ("/", &[("cookie", "tokens=t0")], None, "/", &[("cookie", "tokens=t0")]),
            ("/p?token=t%300", &[], Some("t00"), "/p", &[]),
            ("/p?a=1&token=t0&b&token=t1", &[], Some("t0"), "/p?a=1&b", &[]),
            ("http://x.example/p?%74oken=t0", &[], Some("t0"), "http://x.example/p", &[]),
            ("/p?tokens=t0", &[], None, "/p?tokens=t0", &[]),
            (
                "/p?token=t3",
                &[("cookie", "token=t2"), (PROTOCOL, "bearer, t1"), ("authorization", "Bearer t0")],
                Some("t0"),
                "/p",
                &[(PROTOCOL, "bearer")],
            ),
        ];
        for (uri, headers, token, uri_left, headers_left) in table {
            let mut handshake = handshake(uri, headers);
            let place = format!("{uri} {headers:?}");
            assert_eq!(all().take(&mut handshake).as_deref(), *token, "{place}");
            assert_eq!(*handshake.uri(), **uri_left, "{place}");
            let left =
                handshake.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            assert_eq!(left.collect::<Vec<_>>(), *headers_left, "{place}");
            let among = headers_left.iter().any(|(_, value)| token.is_some() && value.contains("bearer"));
            assert_eq!(handshake.answers_bearer, among, "{place}");
        }
    }

    #[test]
    fn cookies_and_queries_are_looked_at_when_asked_for() {
        let mut handshake = handshake("/p?token=t0", &[("cookie", "token=t1")]);
        assert_eq!(Sources::default().take(&mut handshake), None);
        assert_eq!((handshake.cookie("token"), handshake.query()), (Some("t1"), Some("token=t0")));
    }
}

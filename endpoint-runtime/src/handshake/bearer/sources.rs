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
        // A router of axum's keeps the URI as it came, for whoever is nested in it.
        #[cfg(feature = "axum")]
        if let Some(name) = &self.query
            && let Some(original) = handshake.extensions_mut().get_mut::<axum::extract::OriginalUri>()
        {
            take_query(&mut original.0, name);
        }
        token
    }

    fn is_in(&self, handshake: &Handshake) -> bool {
        let stands = |header: HeaderName, word: &str| {
            let mut lines = handshake.lines(header.as_str());
            lines.any(|line| word.is_empty() || line.windows(word.len()).any(|part| part == word.as_bytes()))
        };
        stands(AUTHORIZATION, "")
            || stands(SEC_WEBSOCKET_PROTOCOL, BEARER)
            || self.cookie.as_deref().is_some_and(|name| stands(COOKIE, name))
            || self.query.as_deref().is_some_and(|name| handshake.query_param(name).is_some())
    }
}

/// `Authorization: Bearer <token>`. Other schemes are somebody else's business.
fn take_authorization(headers: &mut HeaderMap) -> Option<String> {
    let mut found = None;
    rewrite(headers, &AUTHORIZATION, |line| {
        let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        let (scheme, token) = line.split_at(end);
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return line.to_vec();
        }
        found.get_or_insert_with(|| text(token));
        Vec::new()
    });
    found
}

/// `Sec-WebSocket-Protocol: bearer, <token>`: what stands behind `bearer`, wherever that is.
fn take_offered(headers: &mut HeaderMap) -> Option<String> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let mut names = names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
    let (mut others, mut tokens): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    while let Some(name) = names.next() {
        others.push(name);
        if name == BEARER.as_bytes() {
            tokens.extend(names.next());
        }
    }
    let token = text(tokens.first()?);
    others.retain(|name| !tokens.contains(name) || *name == BEARER.as_bytes());
    // What it was made of came out of a header.
    let others = HeaderValue::from_bytes(&others.join(&b", "[..])).ok();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    headers.extend(others.map(|others| (SEC_WEBSOCKET_PROTOCOL, others)));
    Some(token)
}

fn take_cookie(headers: &mut HeaderMap, name: &str) -> Option<String> {
    let mut found = None;
    rewrite(headers, &COOKIE, |line| {
        let mut others = Vec::new();
        for pair in line.split(|&byte| byte == b';').map(<[u8]>::trim_ascii) {
            let key = pair.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
            if key == name.as_bytes() {
                let value = cookies(&text(pair)).next().map(|(_, value)| value.to_owned());
                found.get_or_insert(value.unwrap_or_default());
            } else if !pair.is_empty() {
                others.push(pair);
            }
        }
        others.join(&b"; "[..])
    });
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

/// Puts something else in the place of each line of a header, which may be no text; nothing in the place of what comes out empty.
fn rewrite(headers: &mut HeaderMap, name: &HeaderName, mut line: impl FnMut(&[u8]) -> Vec<u8>) {
    let lines: Vec<Vec<u8>> =
        headers.get_all(name).iter().map(|value| line(value.as_bytes().trim_ascii())).collect();
    headers.remove(name);
    // What they were made of came out of a header.
    let lines =
        lines.iter().filter(|line| !line.is_empty()).filter_map(|line| HeaderValue::from_bytes(line).ok());
    headers.extend(lines.map(|line| (name.clone(), line)));
}

/// What is no text is no token either, but it is taken out all the same.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes.trim_ascii()).unwrap_or_default().to_owned()
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
            (
                "/",
                &[(PROTOCOL, "bearer, t0, v2, bearer, t1, t1")],
                Some("t0"),
                "/",
                &[(PROTOCOL, "bearer, v2, bearer")],
            ),
            ("/", &[(PROTOCOL, "bearer, bearer")], Some("bearer"), "/", &[(PROTOCOL, "bearer")]),
            ("/", &[(PROTOCOL, "chat, bearer")], None, "/", &[(PROTOCOL, "chat, bearer")]),
            ("/", &[(PROTOCOL, "chat, t0")], None, "/", &[(PROTOCOL, "chat, t0")]),
            ("/", &[("cookie", "a=1; token=\"t0\"; b=2")], Some("t0"), "/", &[("cookie", "a=1; b=2")]),
            ("/", &[("cookie", "token=t0"), ("cookie", "b=2")], Some("t0"), "/", &[("cookie", "b=2")]),
            ("/", &[("cookie", "a=ä; token=t0")], Some("t0"), "/", &[("cookie", "a=ä")]),
            ("/", &[("cookie", "token=ä")], Some("ä"), "/", &[]),
            ("/", &[("cookie", "token")], Some(""), "/", &[]),
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
            let left = handshake
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str(), std::str::from_utf8(value.as_bytes()).unwrap()));
            assert_eq!(left.collect::<Vec<_>>(), *headers_left, "{place}");
            let among = headers_left.iter().any(|(_, value)| token.is_some() && value.contains("bearer"));
            assert_eq!(handshake.answers_bearer, among, "{place}");
        }
    }

    #[test]
    fn what_is_no_text_is_no_token_and_goes_too() {
        let table: [(HeaderName, &[u8], &[u8]); 3] = [
            (AUTHORIZATION, b"Bearer \xff0", b""),
            (SEC_WEBSOCKET_PROTOCOL, b"bearer, \xff0, v1", b"bearer, v1"),
            (COOKIE, b"a=\xff; token=\xff0", b"a=\xff"),
        ];
        for (name, value, left) in table {
            let mut handshake = handshake("/", &[]);
            handshake.edit(|_, headers| drop(headers.insert(&name, HeaderValue::from_bytes(value).unwrap())));
            assert_eq!(all().take(&mut handshake).as_deref(), Some(""), "{name}");
            assert_eq!(handshake.lines(name.as_str()).next().unwrap_or_default(), left, "{name}");
        }
    }

    /// What a router has kept of the request is no place for a token either.
    #[cfg(feature = "axum")]
    #[test]
    fn what_axum_keeps_is_gone_too() {
        use axum::extract::OriginalUri;

        let mut handshake = handshake("/p?a=1&token=t0", &[]);
        let original = OriginalUri(Uri::from_static("/nested/p?a=1&token=t0"));
        handshake.extensions_mut().insert(original);
        assert_eq!(all().take(&mut handshake).as_deref(), Some("t0"));
        assert_eq!(handshake.extensions().get::<OriginalUri>().unwrap().0, "/nested/p?a=1");
    }

    #[test]
    fn cookies_and_queries_are_looked_at_when_asked_for() {
        let mut handshake = handshake("/p?token=t0", &[("cookie", "token=t1")]);
        assert_eq!(Sources::default().take(&mut handshake), None);
        assert_eq!((handshake.cookie("token"), handshake.query()), (Some("t1"), Some("token=t0")));
    }
}

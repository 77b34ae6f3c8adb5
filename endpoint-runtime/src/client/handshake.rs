//! The opening handshake from the client's side (RFC 6455 4.1): the request, and whether the answer to it is one.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Uri};
use http_body_util::Empty;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::proxy::basic;
use super::target::Target;
use crate::handshake::{compression, names};
use crate::message::Text;
use crate::session::{DEFLATE, Extension};
use crate::settings::Compression;
use crate::wire::Deflate;

/// A request for a WebSocket, about to be sent.
pub(super) struct Asking {
    pub(super) headers: HeaderMap,
    compression: Compression,
    key: String,
}

impl Asking {
    /// The headers of the request: what the protocol wants, `more`, and what `finish` makes of them. `trusted` says whether the
    /// target may see what is secret.
    pub(super) fn new(
        target: &Target,
        more: &HeaderMap,
        subprotocols: &[String],
        extensions: &[Extension],
        compression: Compression,
        trusted: bool,
        finish: impl FnOnce(&mut HeaderMap),
    ) -> Self {
        let key = generate_key();
        let mut headers = HeaderMap::with_capacity(8 + more.len());
        let mut set = |name, value: Option<HeaderValue>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                headers.insert(name, value);
            }
        };
        set(HOST, HeaderValue::try_from(target.authority()).ok());
        set(SEC_WEBSOCKET_PROTOCOL, HeaderValue::try_from(subprotocols.join(", ")).ok());
        set(AUTHORIZATION, target.user.as_ref().map(|(user, password)| basic(user, password)));
        for name in more.keys() {
            headers.remove(name);
        }
        headers.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        finish(&mut headers);
        if !trusted {
            headers.remove(AUTHORIZATION);
            headers.remove(COOKIE);
        }
        // What the protocol is made of is nobody else's business.
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if let Ok(key) = HeaderValue::from_str(&key) {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        let deflate = compression::offer(compression);
        let offer: Vec<_> = extensions.iter().chain(&deflate).map(ToString::to_string).collect();
        if let Some(offer) = HeaderValue::try_from(offer.join(", ")).ok().filter(|offer| !offer.is_empty()) {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, offer);
        }
        Asking { headers, compression, key }
    }

    pub(super) fn request(&self, target: &Target) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = Uri::from(target.path_and_query.clone());
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Whether the server has done all that makes a 101 a yes; then what it agreed to.
    ///
    /// # Errors
    /// What it did wrong.
    pub(super) fn accept(&self, answer: &HeaderMap) -> Result<Agreed, String> {
        let upgrade = only(answer, &UPGRADE)?;
        if !upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
            return Err("it does not upgrade to `websocket`".to_owned());
        }
        if !names(answer, &CONNECTION, "upgrade") {
            return Err("its `Connection` header does not say `Upgrade`".to_owned());
        }
        if only(answer, &SEC_WEBSOCKET_ACCEPT)? != Some(derive_accept_key(self.key.as_bytes()).as_str()) {
            return Err("its `Sec-WebSocket-Accept` does not answer our key".to_owned());
        }
        let extensions = listed(answer)?;
        let offered = listed(&self.headers)?;
        if let Some(foreign) =
            extensions.iter().find(|used| offered.iter().all(|offer| offer.name() != used.name()))
        {
            return Err(format!("it uses the extension `{}`, which was not offered", foreign.name()));
        }
        let mut compressed = extensions.iter().filter(|used| used.name() == DEFLATE);
        let deflate =
            compressed.next().map(|used| compression::settle(self.compression, used)).transpose()?;
        if compressed.next().is_some() {
            return Err(format!("it uses the extension `{DEFLATE}` twice"));
        }
        match only(answer, &SEC_WEBSOCKET_PROTOCOL)? {
            Some(chosen) if !names_exactly(&self.headers, &SEC_WEBSOCKET_PROTOCOL, chosen) => {
                Err(format!("it speaks the subprotocol `{chosen}`, which was not offered"))
            }
            chosen => Ok(Agreed { subprotocol: chosen.map(Text::from), extensions, deflate }),
        }
    }
}

/// What a server agreed to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Agreed {
    pub(super) subprotocol: Option<Text>,
    pub(super) extensions: Vec<Extension>,
    pub(super) deflate: Option<Deflate>,
}

/// The extensions that a message names, in all lines of the header.
fn listed(headers: &HeaderMap) -> Result<Vec<Extension>, String> {
    let mut all = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().filter(|value| !value.is_empty()) {
        let list = Extension::parse_list(&String::from_utf8_lossy(value.as_bytes()));
        all.append(&mut list.map_err(|error| error.to_string())?);
    }
    Ok(all)
}

/// The value of a header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(format!("it says `{name}` twice"));
    }
    value
        .map(|value| value.to_str().map(str::trim).map_err(|_| format!("its `{name}` is no text")))
        .transpose()
}

/// Whether a header, a list, has this item; the names of subprotocols differ by case too.
fn names_exactly(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|offered| offered.trim() == item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(subprotocols: &[&str]) -> Asking {
        let subprotocols: Vec<_> = subprotocols.iter().map(ToString::to_string).collect();
        let target = Target::parse("ws://bo:secret@server.example:9000/chat?x=1").unwrap();
        let own = [Extension::new("x-one")];
        Asking::new(&target, &HeaderMap::new(), &subprotocols, &own, Compression::Off, true, |_| {})
    }

    /// A good answer, with one header replaced, or one more line of it.
    fn answer(asking: &Asking, change: &[(&'static str, &str)], more: &[(&'static str, &str)]) -> HeaderMap {
        let accept = derive_accept_key(asking.key.as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", "WebSocket".parse().unwrap());
        headers.insert("connection", "keep-alive, Upgrade".parse().unwrap());
        headers.insert("sec-websocket-accept", accept.parse().unwrap());
        change.iter().for_each(|(name, value)| drop(headers.insert(*name, value.parse().unwrap())));
        for (name, value) in more {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_request_says_what_the_protocol_wants() {
        let asking = asking(&["chat.v2", "chat.v1"]);
        let target = Target::parse("ws://server.example:9000/chat?x=1").unwrap();
        let request = asking.request(&target);
        assert_eq!(request.uri(), "/chat?x=1");
        let headers = request.headers();
        assert_eq!(headers["host"], "server.example:9000");
        assert_eq!(headers["upgrade"], "websocket");
        assert_eq!(headers["connection"], "Upgrade");
        assert_eq!(headers["sec-websocket-version"], "13");
        assert_eq!(headers["sec-websocket-key"].len(), 24);
        assert_eq!(headers["sec-websocket-protocol"], "chat.v2, chat.v1");
        assert_eq!(headers["sec-websocket-extensions"], "x-one");
        assert_eq!(headers["authorization"], "Basic Ym86c2VjcmV0");
        assert!(headers["authorization"].is_sensitive());
        assert_ne!(headers["sec-websocket-key"], self::asking(&[]).headers["sec-websocket-key"]);
    }

    #[test]
    fn no_hook_can_break_the_protocol_and_no_stranger_sees_secrets() {
        let target = Target::parse("ws://host/").unwrap();
        let mut more = HeaderMap::new();
        more.insert("authorization", "Bearer x".parse().unwrap());
        more.insert("x-more", "1".parse().unwrap());
        let asking = Asking::new(&target, &more, &[], &[], Compression::Off, false, |headers| {
            headers.insert("cookie", "a=b".parse().unwrap());
            headers.insert("upgrade", "h2c".parse().unwrap());
            headers.insert("sec-websocket-key", "x".parse().unwrap());
            headers.insert("sec-websocket-extensions", "x-none".parse().unwrap());
        });
        assert_eq!(asking.headers["upgrade"], "websocket");
        assert_eq!(asking.headers["sec-websocket-key"], asking.key.as_str());
        assert_eq!(asking.headers["x-more"], "1");
        for gone in ["authorization", "cookie", "sec-websocket-extensions", "sec-websocket-protocol"] {
            assert!(!asking.headers.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn answers_that_are_a_yes() {
        let asking = asking(&["chat.v2", "chat.v1"]);
        assert_eq!(asking.accept(&answer(&asking, &[], &[])), Ok(Agreed::default()));
        let chosen = answer(
            &asking,
            &[("sec-websocket-protocol", "chat.v1"), ("sec-websocket-extensions", "x-one; a=1")],
            &[],
        );
        let agreed = asking.accept(&chosen).unwrap();
        assert_eq!(agreed.subprotocol.as_deref(), Some("chat.v1"));
        assert_eq!(agreed.extensions, [Extension::new("x-one").with("a", "1")]);
    }

    #[test]
    fn answers_that_are_none() {
        let asking = asking(&["chat.v2"]);
        for change in [
            ("upgrade", "h2c"),
            ("upgrade", "websocket, h2c"),
            ("connection", "keep-alive"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "chat.v1"),
            ("sec-websocket-protocol", "CHAT.V2"),
            ("sec-websocket-protocol", "chat.v2, chat.v2"),
            ("sec-websocket-protocol", ""),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-extensions", "x-one, permessage-deflate"),
            ("sec-websocket-extensions", "x-one; =1"),
        ] {
            assert!(asking.accept(&answer(&asking, &[change], &[])).is_err(), "{change:?}");
        }
        for more in [("upgrade", "websocket"), ("sec-websocket-accept", "x")] {
            assert!(asking.accept(&answer(&asking, &[], &[more])).is_err(), "twice {more:?}");
        }
        for gone in ["upgrade", "connection", "sec-websocket-accept"] {
            let mut headers = answer(&asking, &[], &[]);
            headers.remove(gone);
            assert!(asking.accept(&headers).is_err(), "without {gone}");
        }
    }
}

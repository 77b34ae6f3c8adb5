//! [`Handshake`]: what a session keeps of its opening request.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use http::header::{HeaderName, HeaderValue};
use http::{Extensions, HeaderMap, Uri};
use once_cell::race::OnceBox;

use crate::message::Text;
use crate::path::PathParams;

/// The opening handshake (RFC 6455 4.1): what the peer asked for, and from where.
///
/// It stays readable for the life of the session, and after.
pub struct Handshake {
    uri: Uri,
    headers: Headers,
    pub(crate) path_params: PathParams,
    remote: Option<SocketAddr>,
    local: Option<SocketAddr>,
    secure: bool,
    pub(crate) subprotocol: Option<Text>,
    extensions: Extensions,
    /// What the server answered, where we are the client.
    response: Option<Box<Headers>>,
}

/// The two ends of the connection that the request came over; `None` where an end has no IP address (a Unix socket, memory).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) secure: bool,
}

impl Handshake {
    pub(crate) fn new(parts: &mut http::request::Parts, path_params: PathParams, ends: Ends) -> Self {
        Handshake {
            uri: compact_uri(&parts.uri),
            headers: Headers::copy(&parts.headers),
            path_params,
            remote: ends.remote,
            local: ends.local,
            secure: ends.secure,
            subprotocol: None,
            extensions: std::mem::take(&mut parts.extensions),
            response: None,
        }
    }

    /// A handshake of ours: the whole URI, and the headers as they are about to be sent.
    #[cfg(feature = "client")]
    pub(crate) fn of_client(uri: &Uri, headers: &HeaderMap, ends: Ends) -> Self {
        Handshake {
            uri: compact_uri(uri),
            headers: Headers::copy(headers),
            path_params: PathParams::default(),
            remote: ends.remote,
            local: ends.local,
            secure: ends.secure,
            subprotocol: None,
            extensions: Extensions::new(),
            response: None,
        }
    }

    /// The server has said yes.
    #[cfg(feature = "client")]
    pub(crate) fn answered(&mut self, response: &HeaderMap, subprotocol: Option<Text>) {
        self.response = Some(Box::new(Headers::copy(response)));
        self.subprotocol = subprotocol;
    }

    /// The request's URI. On a server it is as it was sent: usually path and query. On a client it is the whole URL that led to the
    /// connection, after all redirects and without user and password (Jakarta SES-24).
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The path, not decoded.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The query string, not decoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The first header of this name, if it is text. Names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        self.headers.map()
    }

    /// The headers of the server's answer, where we are the client; `None` on a server.
    pub fn response_headers(&self) -> Option<&HeaderMap> {
        self.response.as_ref().map(|headers| headers.map())
    }

    /// The value of a variable of the endpoint's path, decoded.
    pub fn path_param(&self, name: &str) -> Option<&str> {
        self.path_params.get(name)
    }

    /// The variables of the endpoint's path.
    pub fn path_params(&self) -> &PathParams {
        &self.path_params
    }

    /// The first query parameter of this name, decoded (`application/x-www-form-urlencoded`).
    pub fn query_param(&self, name: &str) -> Option<String> {
        self.query_params().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The query parameters, decoded, in their order.
    pub fn query_params(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(name), form_decode(value))
        })
    }

    /// The subprotocols that the peer offered, in its order of preference.
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers
            .all("sec-websocket-protocol")
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The peer's address; `None` over a Unix socket or in memory.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Our address; `None` over a Unix socket or in memory.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Whether the connection is encrypted.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// What tower layers left in the request for the handlers, by type.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("uri", &self.uri)
            .field("peer", &self.remote)
            .field("subprotocol", &self.subprotocol)
            .finish_non_exhaustive()
    }
}

/// A URI of hyper's is a window on its read buffer, which would live as long as the session: copied, it is as long as it is.
fn compact_uri(uri: &Uri) -> Uri {
    Uri::try_from(uri.to_string()).unwrap_or_else(|_| uri.clone())
}

fn form_decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// The request's headers in one allocation; as a map only when asked for.
///
/// A header map of a browser's request is some 2 KiB, and its values are windows on hyper's read buffer of 8 KiB: far too much for
/// ten thousand idle connections that never look at it.
struct Headers {
    /// For each header: the lengths of name and value, as two u16; then all names and values, one after the other.
    lengths: Box<[(u16, u16)]>,
    bytes: Box<[u8]>,
    /// One word, where a lock around a box would be two.
    map: OnceBox<HeaderMap>,
}

impl Headers {
    fn copy(map: &HeaderMap) -> Self {
        let mut lengths = Vec::with_capacity(map.len());
        let mut bytes =
            Vec::with_capacity(map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum());
        for (name, value) in map {
            // The head of a request is far below 64 KiB; a longer value could not have come in.
            let (Ok(name_len), Ok(value_len)) =
                (u16::try_from(name.as_str().len()), u16::try_from(value.len()))
            else {
                continue;
            };
            lengths.push((name_len, value_len));
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        Headers { lengths: lengths.into(), bytes: bytes.into(), map: OnceBox::new() }
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest: &[u8] = &self.bytes;
        self.lengths.iter().map(move |&(name, value)| {
            let (name, after) = rest.split_at(usize::from(name));
            let (value, after) = after.split_at(usize::from(value));
            rest = after;
            (name, value)
        })
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| {
            let mut map = HeaderMap::with_capacity(self.lengths.len());
            for (name, value) in self.iter() {
                // Both came out of a header map, so they go into one.
                if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    map.append(name, value);
                }
            }
            Box::new(map)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(uri: &str, headers: &[(&str, &str)]) -> Handshake {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Handshake::new(&mut parts, PathParams::default(), Ends::default())
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let handshake = handshake("/", &[("X-One", "1"), ("x-two", "2"), ("x-one", "again")]);
        assert_eq!(handshake.header("x-ONE"), Some("1"));
        assert_eq!(handshake.header("x-three"), None);
        assert_eq!(handshake.headers().get_all("x-one").iter().count(), 2);
        assert_eq!(handshake.headers()["x-two"], "2");
    }

    #[test]
    fn query_parameters_are_decoded() {
        let handshake = handshake("/p?a=1&b=x+y%26z&a=2&flag&=e", &[]);
        assert_eq!(handshake.query_param("a").as_deref(), Some("1"));
        assert_eq!(handshake.query_param("b").as_deref(), Some("x y&z"));
        assert_eq!(handshake.query_param("flag").as_deref(), Some(""));
        assert_eq!(handshake.query_param("c"), None);
        assert_eq!(handshake.query_params().count(), 5);
    }

    #[test]
    fn offered_subprotocols_come_from_every_header_line() {
        let handshake =
            handshake("/", &[("sec-websocket-protocol", "a, b"), ("Sec-WebSocket-Protocol", "c,")]);
        assert_eq!(handshake.offered_subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}

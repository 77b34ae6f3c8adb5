//! The opening handshake (RFC 6455 4.2, and over HTTP/2 RFC 8441): a request becomes an accepted or refused upgrade.
//!
//! What is wrong with a request is answered in HTTP, with the status that says it and a line that explains it; a request that is
//! refused never becomes a socket.

mod bearer;
pub(crate) mod compression;
#[cfg(feature = "http2")]
mod connect;
mod negotiation;
mod origin;

use http::header::{
    ALLOW, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Response, StatusCode, Version, request};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

#[cfg(feature = "json")]
pub(crate) use self::bearer::challenged;
pub use self::bearer::{BearerTokens, TokenVerifier};
pub(crate) use self::negotiation::Terms;
pub(crate) use self::origin::OriginRule;
use crate::error::Refusal;
use crate::session::{Extension, Handshake};

/// The version of the protocol that RFC 6455 defines.
const VERSION: HeaderValue = HeaderValue::from_static("13");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A request that asks for a WebSocket in the right words.
#[derive(Debug)]
pub(crate) enum Opening {
    /// The connection becomes one.
    Upgrade {
        /// What proves to the client that its key was read (RFC 6455 1.3).
        accept: HeaderValue,
    },
    /// A stream of the connection becomes one.
    #[cfg(feature = "http2")]
    Connect,
}

impl Opening {
    /// Reads the request's head.
    ///
    /// # Errors
    /// 405: not a GET; 426: not an upgrade, or to another version; 400: no host, or a bad key. For HTTP/2 see [`connect`].
    pub(crate) fn read(head: &request::Parts) -> Result<Self, Refusal> {
        #[cfg(feature = "http2")]
        if head.version == Version::HTTP_2 {
            return connect::read(head).map(|()| Opening::Connect);
        }
        if head.method != Method::GET {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket is opened by GET");
            return Err(refusal.header(ALLOW, HeaderValue::from_static("GET")));
        }
        if !asks_for_websocket(head) {
            return Err(upgrade_required("this is a WebSocket endpoint: connect with ws:// or wss://"));
        }
        if only(&head.headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(upgrade_required("this server speaks version 13 of the WebSocket protocol"));
        }
        if only(&head.headers, &HOST).is_none() {
            // RFC 9112 3.2. Without it the same origin could not be told either.
            return Err(Refusal::bad_request("the request must name its Host, once"));
        }
        match only(&head.headers, &SEC_WEBSOCKET_KEY) {
            Some(key) if is_key(key.as_bytes()) => {
                let accept = derive_accept_key(key.as_bytes());
                // Base64 is fit for a header.
                let accept = HeaderValue::try_from(accept).map_err(|_| bad_key())?;
                Ok(Opening::Upgrade { accept })
            }
            _ => Err(bad_key()),
        }
    }

    /// 101, or over HTTP/2 200: there is a WebSocket from here on, with what was agreed on.
    fn accept<B: Default>(self, handshake: &Handshake) -> Response<B> {
        let mut response = Response::new(B::default());
        match self {
            Opening::Upgrade { accept } => {
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                let headers = response.headers_mut();
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(UPGRADE, WEBSOCKET);
                headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            }
            #[cfg(feature = "http2")]
            Opening::Connect => {}
        }
        let headers = response.headers_mut();
        // It came out of a header, so it is fit for one; so are extensions, which were checked.
        if let Some(Ok(name)) = handshake.subprotocol().map(HeaderValue::from_str) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        let agreed = handshake.agreed_extensions();
        if !agreed.is_empty() {
            let list: Vec<_> = agreed.iter().map(Extension::to_string).collect();
            if let Ok(list) = HeaderValue::try_from(list.join(", ")) {
                headers.insert(SEC_WEBSOCKET_EXTENSIONS, list);
            }
        }
        response
    }
}

/// Whether a request asks for a WebSocket at all, in whatever words; HTTP/1.0 cannot.
pub(crate) fn asks_for_websocket(head: &request::Parts) -> bool {
    #[cfg(feature = "http2")]
    if head.version == Version::HTTP_2 {
        return connect::asks_for_websocket(head);
    }
    head.version >= Version::HTTP_11
        && names(&head.headers, &CONNECTION, "upgrade")
        && names(&head.headers, &UPGRADE, "websocket")
}

/// 503: not now.
pub(crate) fn unavailable(reason: &'static str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason)
        .header(RETRY_AFTER, HeaderValue::from_static("5"))
        .header(CONNECTION, HeaderValue::from_static("close"))
}

/// 404: nothing here.
pub(crate) fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is no endpoint at this path")
}

fn upgrade_required(reason: &'static str) -> Refusal {
    Refusal::new(StatusCode::UPGRADE_REQUIRED, reason)
        .header(UPGRADE, WEBSOCKET)
        .header(CONNECTION, HeaderValue::from_static("Upgrade"))
        .header(SEC_WEBSOCKET_VERSION, VERSION)
}

fn bad_key() -> Refusal {
    Refusal::bad_request("Sec-WebSocket-Key must be 16 bytes in base64")
}

/// The value of a header that must not be repeated.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a header, a list over several lines perhaps, names `token`.
pub(crate) fn names(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        // Most say nothing else.
        value.as_bytes().eq_ignore_ascii_case(token.as_bytes())
            || value
                .as_bytes()
                .split(|&byte| byte == b',')
                .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// 24 characters that are 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let Some((digits, b"==")) = key.split_last_chunk::<2>() else { return false };
    digits.len() == 22
        && digits.iter().all(|digit| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::PathParams;
    use crate::session::Ends;

    const GOOD: [(&str, &str); 5] = [
        ("host", "server.example"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn head(method: &str, headers: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::builder().method(method).uri("/chat");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// The good headers with one replaced, removed (`None`) or, by another line of the same name, repeated.
    fn with(name: &'static str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
        let others = GOOD.into_iter().filter(|(other, _)| *other != name);
        others.chain(value.map(|value| (name, value))).collect()
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let mut request = head("GET", &GOOD);
        let opening = Opening::read(&request).unwrap();
        let mut handshake = Handshake::new(&mut request, PathParams::default(), Ends::default());
        handshake.subprotocol = Some(Box::new("chat".into()));
        handshake.agreed = [Extension::new("a").with("b", "c d"), Extension::new("e")].into();
        let response: Response<()> = opening.accept(&handshake);
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        assert_eq!(response.headers()["sec-websocket-extensions"], "a; b=\"c d\", e");
        assert_eq!(response.headers()["upgrade"], "websocket");
    }

    #[test]
    fn requests_and_their_status() {
        type Case = (&'static str, Vec<(&'static str, &'static str)>, u16);
        let cases: &[Case] = &[
            ("GET", with("connection", Some("keep-alive, Upgrade")), 101),
            ("GET", with("upgrade", Some("h2c, WebSocket")), 101),
            ("POST", GOOD.to_vec(), 405),
            ("HEAD", GOOD.to_vec(), 405),
            ("GET", vec![], 426),
            ("GET", with("connection", Some("keep-alive")), 426),
            ("GET", with("upgrade", Some("h2c")), 426),
            ("GET", with("upgrade", None), 426),
            ("GET", with("sec-websocket-version", Some("8")), 426),
            ("GET", with("sec-websocket-version", Some("13, 8")), 426),
            ("GET", with("sec-websocket-version", None), 426),
            ("GET", with("sec-websocket-key", None), 400),
            ("GET", with("sec-websocket-key", Some("")), 400),
            ("GET", with("sec-websocket-key", Some("c2hvcnQ=")), 400),
            ("GET", with("sec-websocket-key", Some("dGhlIHNhbXBsZSBub25jZQ=a")), 400),
            ("GET", with("sec-websocket-key", Some("dGhlIHNhbXBsZSBub25j*Q==")), 400),
            ("GET", GOOD.into_iter().chain([GOOD[4]]).collect(), 400),
            ("GET", with("host", None), 400),
            ("GET", GOOD.into_iter().chain([GOOD[0]]).collect(), 400),
        ];
        for (method, headers, status) in cases {
            let result = Opening::read(&head(method, headers));
            let answered = result.as_ref().map_or_else(|refusal| refusal.status().as_u16(), |_| 101);
            assert_eq!(answered, *status, "{method} {headers:?}");
            if let Err(refusal) = result {
                let response = refusal.into_response();
                match status {
                    405 => assert_eq!(response.headers()["allow"], "GET"),
                    426 => {
                        assert_eq!(response.headers()["upgrade"], "websocket");
                        assert_eq!(response.headers()["sec-websocket-version"], "13");
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn two_connection_headers_are_one_list() {
        let headers: Vec<_> = GOOD.into_iter().chain([("connection", "keep-alive")]).collect();
        assert!(Opening::read(&head("GET", &headers)).is_ok());
    }
}

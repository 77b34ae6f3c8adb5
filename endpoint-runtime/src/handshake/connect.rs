//! The opening handshake over HTTP/2: extended CONNECT (RFC 8441).

use http::header::{ALLOW, HOST, HeaderValue, SEC_WEBSOCKET_VERSION};
use http::{Method, StatusCode, request};
use hyper::ext::Protocol;

use super::{VERSION, only};
use crate::error::Refusal;

/// Whether a request asks for a WebSocket at all.
pub(super) fn asks_for_websocket(head: &request::Parts) -> bool {
    head.method == Method::CONNECT && protocol(head).is_some_and(is_websocket)
}

/// Reads the request's head. There is no key to be answered, and nothing about the connection (RFC 8441 5).
///
/// # Errors
/// 405: not a CONNECT; 501: to another protocol; 400: to another version of this one, or no host, or two. 426 asks for an upgrade, which
/// HTTP/2 has none of (RFC 9113 8.6).
pub(super) fn read(head: &request::Parts) -> Result<(), Refusal> {
    if head.method != Method::CONNECT {
        let reason = "this is a WebSocket endpoint: connect with ws:// or wss://";
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason);
        return Err(refusal.header(ALLOW, HeaderValue::from_static("CONNECT")));
    }
    match protocol(head) {
        Some(name) if is_websocket(name) => {}
        Some(_) => {
            return Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                "this server connects to no other protocol than websocket",
            ));
        }
        None => return Err(Refusal::bad_request("a CONNECT to an endpoint must name its :protocol")),
    }
    if only(&head.headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let refusal = Refusal::bad_request("this server speaks version 13 of the WebSocket protocol");
        return Err(refusal.header(SEC_WEBSOCKET_VERSION, VERSION));
    }
    if !names_one_host(head) {
        return Err(Refusal::bad_request("the request must name one host, in :authority"));
    }
    Ok(())
}

fn protocol(head: &request::Parts) -> Option<&str> {
    head.extensions.get::<Protocol>().map(Protocol::as_str)
}

/// The names of protocols are as those that one upgrades to, without regard to case (RFC 9110 7.8).
fn is_websocket(protocol: &str) -> bool {
    protocol.eq_ignore_ascii_case("websocket")
}

/// `:authority` names the host, and a `Host` beside it no other one (RFC 9113 8.3.1).
fn names_one_host(head: &request::Parts) -> bool {
    match head.uri.authority() {
        Some(authority) if authority.as_str().contains('@') => false,
        Some(authority) => {
            let same =
                |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
            head.headers.get_all(HOST).iter().all(same)
        }
        None => only(&head.headers, &HOST).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 1] = [("sec-websocket-version", "13")];

    fn head(
        method: &str,
        protocol: Option<&'static str>,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> request::Parts {
        let mut request = http::Request::builder().version(http::Version::HTTP_2).method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        if let Some(protocol) = protocol {
            head.extensions.insert(Protocol::from_static(protocol));
        }
        head
    }

    #[test]
    fn requests_and_their_status() {
        type Case =
            (&'static str, Option<&'static str>, &'static str, &'static [(&'static str, &'static str)], u16);
        let uri = "http://server.example/chat";
        let cases: &[Case] = &[
            ("CONNECT", Some("websocket"), uri, &GOOD, 200),
            ("CONNECT", Some("WebSocket"), uri, &GOOD, 200),
            ("CONNECT", Some("websocket"), uri, &[GOOD[0], ("host", "Server.example")], 200),
            ("CONNECT", Some("websocket"), "/chat", &[GOOD[0], ("host", "server.example")], 200),
            ("GET", None, uri, &GOOD, 405),
            ("POST", Some("websocket"), uri, &GOOD, 405),
            ("CONNECT", Some("connect-udp"), uri, &GOOD, 501),
            ("CONNECT", None, uri, &GOOD, 400),
            ("CONNECT", Some("websocket"), uri, &[], 400),
            ("CONNECT", Some("websocket"), uri, &[("sec-websocket-version", "8")], 400),
            ("CONNECT", Some("websocket"), uri, &[GOOD[0], GOOD[0]], 400),
            ("CONNECT", Some("websocket"), uri, &[GOOD[0], ("host", "other.example")], 400),
            ("CONNECT", Some("websocket"), "http://me@server.example/chat", &GOOD, 400),
            ("CONNECT", Some("websocket"), "/chat", &GOOD, 400),
        ];
        for (method, protocol, uri, headers, status) in cases {
            let head = head(method, *protocol, uri, headers);
            let refusal = read(&head).err();
            let answered = refusal.as_ref().map_or(200, |refusal| refusal.status().as_u16());
            assert_eq!(answered, *status, "{method} {protocol:?} {uri} {headers:?}");
            let Some(refusal) = refusal else {
                assert!(asks_for_websocket(&head));
                continue;
            };
            let response = refusal.into_response();
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("allow"), (*status == 405).then_some("CONNECT"));
            let version = *status == 400 && only(&head.headers, &SEC_WEBSOCKET_VERSION) != Some(&VERSION);
            assert_eq!(header("sec-websocket-version"), version.then_some("13"));
            assert_eq!(header("upgrade"), None);
        }
    }
}

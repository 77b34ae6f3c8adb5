//! Group M: what both sides learn from the handshake.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    self as runtime, Configurator, ConnectError, Endpoint, Refusal, Server, ServerEndpointConfig,
};
use http::{HeaderMap, HeaderValue};

use crate::stage::{Echo, serve, url};
use crate::table::{equal, rows};
use crate::told::{soon, until};

/// A client that hears nothing.
struct Silent;

impl Endpoint for Silent {}

// ---- the request

type Facts = BTreeMap<&'static str, String>;

/// All that a handshake says, by the names of the kit's tests.
fn facts(handshake: &Handshake) -> Facts {
    let headers = |name: &str| format!("{:?}", handshake.headers().get_all(name).iter().collect::<Vec<_>>());
    let parameter = |name: &str| format!("{:?}", handshake.parameters().get(name));
    let addresses = || (handshake.peer_addr().unwrap(), handshake.local_addr().unwrap());
    BTreeMap::from([
        ("getHeaders", headers("x-custom")),
        ("getHeaders, upper case", headers("X-CUSTOM")),
        ("getHeaders, one of them", format!("{:?}", handshake.header("x-CuStOm"))),
        ("getHeaders, absent", headers("x-absent")),
        ("getParameterMap, path", parameter("room")),
        ("getParameterMap, query", parameter("lang")),
        ("getParameterMap, several values", parameter("many")),
        ("getParameterMap, path and query", parameter("seat")),
        ("getParameterMap, decoded", parameter("a b")),
        ("getParameterMap, without value", parameter("flag")),
        ("getParameterMap, absent", parameter("absent")),
        ("getParameterMap, size", handshake.parameters().len().to_string()),
        ("getQueryString", format!("{:?}", handshake.query())),
        ("getRequestURI", handshake.url().to_string()),
        ("getRequestURI, as it was sent", handshake.uri().to_string()),
        ("getUserPrincipal", format!("{:?}", handshake.extensions().get::<Principal<String>>())),
        ("getRemoteAddress", addresses().0.ip().to_string()),
        ("getRemotePort", addresses().0.port().to_string()),
        ("getLocalAddress", addresses().1.ip().to_string()),
        ("getLocalPort", addresses().1.port().to_string()),
        ("getPreferredLocale", format!("{:?}", handshake.locales().first())),
        ("all locales", format!("{:?}", handshake.locales())),
        ("isSecure", handshake.is_secure().to_string()),
    ])
}

/// Keeps what each of the hooks that see the request has seen of it.
#[derive(Clone, Default)]
struct Looks(Arc<Mutex<Vec<(&'static str, Facts)>>>);

impl Looks {
    fn look(&self, place: &'static str, handshake: &Handshake) {
        self.0.lock().unwrap().push((place, facts(handshake)));
    }
}

impl Configurator for Looks {
    fn check_origin(&self, handshake: &Handshake, allowed: bool) -> bool {
        self.look("check_origin", handshake);
        allowed
    }

    fn modify_handshake(&self, handshake: &Handshake, _: &mut HeaderMap) {
        self.look("modify_handshake", handshake);
    }
}

/// HS-01 to HS-04, HS-08, SES-24 to SES-27: what the request says, says it to the configurator and to the session, and after the session too.
#[tokio::test]
async fn the_request_is_the_same_for_the_configurator_and_the_session() {
    let looks = Looks::default();
    let config =
        ServerEndpointConfig::builder("/m/{room}/{seat}", || Echo).configurator(looks.clone()).build();
    let server = serve([config]).await;
    let path = "/m/blue%20room/7?lang=en&many=1&many=2&seat=8&a+b=c%26d&flag";
    let client = runtime::client()
        .header("X-Custom", "one")
        .header("x-CUSTOM", "two")
        .header("Accept-Language", "en;q=0.5, de-AT, eo;q=0.9");
    let session = soon("connecting", client.connect(Silent, url(&server, path))).await.unwrap();
    let accepted = only_session(&server).await;
    looks.look("the session", accepted.handshake());
    soon("closing", session.close(CloseReason::normal())).await.unwrap();
    until("the end", || accepted.close_reason().is_some()).await;
    looks.look("the session, closed", accepted.handshake());

    let port = server.local_addr().port().to_string();
    let peer = session.handshake().local_addr().unwrap().port().to_string();
    let whole = format!("ws://127.0.0.1:{port}{path}");
    let expected: Facts = [
        ("getHeaders", r#"["one", "two"]"#),
        ("getHeaders, upper case", r#"["one", "two"]"#),
        ("getHeaders, one of them", r#"Some("one")"#),
        ("getHeaders, absent", "[]"),
        ("getParameterMap, path", r#"Some(["blue room"])"#),
        ("getParameterMap, query", r#"Some(["en"])"#),
        ("getParameterMap, several values", r#"Some(["1", "2"])"#),
        ("getParameterMap, path and query", r#"Some(["7", "8"])"#),
        ("getParameterMap, decoded", r#"Some(["c&d"])"#),
        ("getParameterMap, without value", r#"Some([""])"#),
        ("getParameterMap, absent", "None"),
        ("getParameterMap, size", "6"),
        ("getQueryString", r#"Some("lang=en&many=1&many=2&seat=8&a+b=c%26d&flag")"#),
        ("getRequestURI", &whole),
        ("getRequestURI, as it was sent", path),
        ("getUserPrincipal", "None"),
        ("getRemoteAddress", "127.0.0.1"),
        ("getRemotePort", &peer),
        ("getLocalAddress", "127.0.0.1"),
        ("getLocalPort", &port),
        ("getPreferredLocale", r#"Some("de-AT")"#),
        ("all locales", r#"["de-AT", "eo", "en"]"#),
        ("isSecure", "false"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    let seen = looks.0.lock().unwrap().clone();
    let places: Vec<_> = seen.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, ["check_origin", "modify_handshake", "the session", "the session, closed"]);
    equal(seen.into_iter().flat_map(|(place, seen)| {
        assert!(seen.keys().eq(expected.keys()), "every fact has its row");
        let expected = expected.clone();
        seen.into_iter()
            .map(move |(name, value)| (format!("{name} in {place}"), value, expected[name].clone()))
    }));
}

async fn only_session(server: &Server) -> Session {
    until("a session", || server.sessions().count() == 1).await;
    server.sessions().all().iter().next().unwrap()
}

// ---- the response

/// Answers the request's headers with others.
struct Answers;

impl Configurator for Answers {
    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap) {
        let asked = handshake.header("x-asked").unwrap_or("nothing");
        response.insert("x-answered", HeaderValue::try_from(asked).unwrap());
        response.append("x-several", HeaderValue::from_static("one"));
        response.append("x-several", HeaderValue::from_static("two"));
    }

    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        match handshake.query() {
            Some("refuse") => {
                let name = http::HeaderName::from_static("x-answered");
                Err(Refusal::forbidden("no").header(name, HeaderValue::from_static("no")))
            }
            _ => Ok(()),
        }
    }
}

/// HS-09, CL-10, CL-11: what one side's hook puts into its headers, the other side's hook sees; so it is when the connection fails.
#[tokio::test]
async fn headers_of_both_directions_reach_the_other_sides_hook() {
    let config = ServerEndpointConfig::builder("/m/answers", || Echo).configurator(Answers).build();
    let server = &serve([config]).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("ws://{}/m/answers", nobody.local_addr().unwrap());
    drop(nobody);
    // Where to, and what `after_response` sees of the answer, once: its status, and two headers; nothing where there was no answer.
    let table = [
        (
            "accepted",
            url(server, "/m/answers"),
            Some((101, "[\"before the request\"]", "[\"one\", \"two\"]")),
        ),
        ("refused", url(server, "/m/answers?refuse"), Some((403, "[\"no\"]", "[]"))),
        ("no match", url(server, "/m/elsewhere"), Some((404, "[]", "[]"))),
        ("no server", nowhere, None),
    ];
    rows(table.map(|(name, url, expected)| {
        (name, async move {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let hook = Arc::clone(&seen);
            let client = runtime::client()
                .before_request(|headers| {
                    headers.insert("x-asked", HeaderValue::from_static("before the request"));
                })
                .after_response(move |answer| {
                    let values = |name: &str| {
                        let all =
                            answer.map(|answer| answer.headers.get_all(name).iter().collect::<Vec<_>>());
                        format!("{:?}", all.unwrap_or_default())
                    };
                    let status = answer.map(|answer| answer.status.as_u16());
                    hook.lock().unwrap().push((status, values("x-answered"), values("x-several")));
                });
            let result = soon("connecting", client.connect(Silent, url)).await;
            match (&result, expected) {
                (Ok(session), Some((101, ..))) => {
                    let headers = session.handshake().response_headers().unwrap();
                    assert_eq!(headers["x-answered"], "before the request");
                }
                (Err(error @ ConnectError::Refused { .. }), Some((status, ..))) => {
                    assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
                }
                (Err(ConnectError::Io { .. }), None) => {}
                _ => panic!("{result:?}"),
            }
            let expected = match expected {
                Some((status, answered, several)) => (Some(status), answered.to_owned(), several.to_owned()),
                None => (None, "[]".to_owned(), "[]".to_owned()),
            };
            assert_eq!(*seen.lock().unwrap(), [expected]);
        })
    }))
    .await;
}

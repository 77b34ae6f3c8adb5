//! Redirects: followed only where that was asked for, not for ever, and not with what others must not see.

use endpoint_runtime::{self as runtime, Client, ConnectError};

use super::support::{Raw, Request, Teller, response, soon, switching, teller};

fn to(location: &str) -> String {
    response("302 Found", &format!("Location: {location}\r\n"), "")
}

/// A client with everything that is secret.
fn confidant() -> Client {
    runtime::client().redirects(5).bearer("token").header("Cookie", "a=b").header("X-Public", "1")
}

async fn connect(
    client: &Client,
    url: &str,
) -> (Result<runtime::Session, ConnectError>, super::support::Heard) {
    let (teller, heard): (Teller, _) = teller();
    (soon("connecting", client.connect(teller, url)).await, heard)
}

#[tokio::test]
async fn are_not_followed_unless_asked_for() {
    let raw = Raw::bind().await;
    let (client, url, answer) = (runtime::client(), raw.url("/"), to("/other"));
    let ((result, _), _) = tokio::join!(connect(&client, &url), raw.answer(&answer));
    let Err(ConnectError::Refused { status, headers, .. }) = result else { panic!("{result:?}") };
    assert_eq!((status.as_u16(), &headers["location"]), (302, &"/other".parse().unwrap()));
}

#[tokio::test]
async fn a_chain_leads_to_the_session() {
    let (first, second) = (Raw::bind().await, Raw::bind().await);
    let client = runtime::client().redirects(5);
    let elsewhere = format!("http://{}/c?d=e#f", second.address);
    let serve = async {
        for (line, location) in
            [("301 Moved", "/a/b"), ("307 Temporary", "../b?x"), ("308 Permanent", elsewhere.as_str())]
        {
            let (_, peer) = first.answer(&response(line, &format!("Location: {location}\r\n"), "")).await;
            drop(peer);
        }
        let mut peer = second.accept().await;
        let request = peer.request().await;
        peer.write(switching(&request, "").as_bytes()).await;
        (request, peer)
    };
    let url = first.url("/");
    let ((result, mut heard), (request, _peer)) = tokio::join!(connect(&client, &url), serve);
    let session = result.unwrap();
    assert_eq!(request.line, "GET /c?d=e HTTP/1.1");
    // The request that got the 101 (SES-24).
    assert_eq!(session.uri().to_string(), second.url("/c?d=e"));
    assert_eq!(session.handshake().peer_addr(), Some(second.address));
    heard.expect("open 1").await;
}

#[tokio::test]
async fn circles_end() {
    let raw = Raw::bind().await;
    let client = runtime::client().redirects(3);
    let (url, answer) = (raw.url("/a"), to("/a"));
    let serve = async {
        for _ in 0..4 {
            raw.answer(&answer).await;
        }
    };
    let ((result, _), ()) = tokio::join!(connect(&client, &url), serve);
    assert!(matches!(result, Err(ConnectError::Redirect(_))), "{result:?}");
    // Nobody asks a fifth time: the next request is another's.
    let (client, url) = (runtime::client(), raw.url("/other"));
    let (_, (request, _)) = tokio::join!(connect(&client, &url), raw.answer(&answer));
    assert_eq!(request.line, "GET /other HTTP/1.1");
}

#[tokio::test]
async fn nonsense_is_not_followed() {
    for location in ["ftp://host/", "ws://", "mailto://", "http://[::1/", "ws://h:99999/"] {
        let raw = Raw::bind().await;
        let (client, url, answer) = (runtime::client().redirects(3), raw.url("/"), to(location));
        let ((result, _), _) = tokio::join!(connect(&client, &url), raw.answer(&answer));
        assert!(matches!(result, Err(ConnectError::Redirect(_))), "{location}: {result:?}");
    }
}

fn secrets(request: &Request) -> [Option<&str>; 3] {
    ["authorization", "cookie", "x-public"].map(|name| request.header(name))
}

#[tokio::test]
async fn the_same_origin_may_know_what_it_knew() {
    let raw = Raw::bind().await;
    let (client, url, answer) = (confidant(), raw.url("/"), to("/other"));
    let serve = async {
        let (first, _) = raw.answer(&answer).await;
        let (second, _) = raw.answer(&response("404 Not Found", "", "")).await;
        (first, second)
    };
    let (_, (first, second)) = tokio::join!(connect(&client, &url), serve);
    assert_eq!(secrets(&first), [Some("Bearer token"), Some("a=b"), Some("1")]);
    assert_eq!(secrets(&second), secrets(&first));
}

#[tokio::test]
async fn another_origin_is_told_no_secrets_and_cannot_have_them_told_to_the_first() {
    let (first, second) = (Raw::bind().await, Raw::bind().await);
    // A hook is not asked whom it tells.
    let client = confidant().before_request(|headers| drop(headers.append("cookie", "c=d".parse().unwrap())));
    let (url, away, back) = (first.url("/"), to(&second.url("/")), to(&first.url("/delete-everything")));
    let serve = async {
        let (one, _) = first.answer(&away).await;
        let (two, _) = second.answer(&back).await;
        let (three, _) = first.answer(&response("404 Not Found", "", "")).await;
        assert_eq!(one.header("authorization"), Some("Bearer token"));
        [two, three]
    };
    let (_, others) = tokio::join!(connect(&client, &url), serve);
    for request in &others {
        assert_eq!(secrets(request), [None, None, Some("1")]);
    }
}

#[tokio::test]
async fn the_users_password_in_the_url_stays_with_its_host() {
    let (first, second) = (Raw::bind().await, Raw::bind().await);
    let client = runtime::client().redirects(5);
    let url = format!("ws://bo:secret@{}/", first.address);
    let away = to(&format!("ws://evil:pw@{}/", second.address));
    let serve = async {
        let (one, _) = first.answer(&to("/here")).await;
        let (two, _) = first.answer(&away).await;
        let (three, _) = second.answer(&response("404 Not Found", "", "")).await;
        [one, two, three].map(|request| request.header("authorization").map(str::to_owned))
    };
    let (_, seen) = tokio::join!(connect(&client, &url), serve);
    let basic = Some("Basic Ym86c2VjcmV0".to_owned());
    assert_eq!(seen, [basic.clone(), basic, None]);
}

//! The opening handshake: what is asked, what is answered, and what of it the application sees.

use std::sync::{Arc, Mutex};

use endpoint_runtime::{self as runtime, ConnectError, ConnectStep};
use http::StatusCode;

use super::support::{Raw, RawPeer, Request, response, soon, start_echo, switching, teller, url};

/// Connects to a server that answers what `answer` makes of the request.
async fn connect_to(
    client: runtime::Client,
    answer: impl Fn(&Request) -> String,
) -> Result<runtime::Session, ConnectError> {
    let raw = Raw::bind().await;
    let (teller, _heard) = teller();
    let serve = async {
        let mut peer = raw.accept().await;
        let request = peer.request().await;
        peer.write(answer(&request).as_bytes()).await;
        peer
    };
    let (result, _peer) =
        tokio::join!(soon("connecting", client.connect(teller, raw.url("/chat?x=1"))), serve);
    result
}

#[tokio::test]
async fn the_session_knows_its_handshake() {
    let server = start_echo().await;
    let (teller, mut heard) = teller();
    let client = runtime::client().header("X-One", "1");
    let address = server.local_addr();
    let url = format!("ws://bo:secret@{address}/echo?room=blue");
    let session = soon("connecting", client.connect(teller, &url)).await.unwrap();
    heard.expect("open 1").await;
    // The whole URL (SES-24), and nothing of the password.
    assert_eq!(session.uri().to_string(), format!("ws://{address}/echo?room=blue"));
    assert_eq!(session.path(), "/echo");
    let handshake = session.handshake();
    assert_eq!(handshake.query_param("room").as_deref(), Some("blue"));
    assert_eq!(handshake.header("x-one"), Some("1"));
    assert_eq!(handshake.header("authorization"), Some("Basic Ym86c2VjcmV0"));
    assert_eq!(handshake.header("host"), Some(address.to_string().as_str()));
    assert_eq!(handshake.peer_addr(), Some(address));
    assert!(handshake.local_addr().is_some_and(|local| local != address));
    assert!(!session.is_secure());
    let answer = handshake.response_headers().unwrap();
    assert_eq!(answer["upgrade"], "websocket");
    assert!(answer.contains_key("sec-websocket-accept"));
    // The server's own session has no answer to show, and the same peer on the other side.
    let accepted = server.sessions().all().iter().next().unwrap();
    assert!(accepted.handshake().response_headers().is_none());
    assert_eq!(accepted.handshake().peer_addr(), handshake.local_addr());
}

#[tokio::test]
async fn the_first_offered_subprotocol_is_agreed_on() {
    let config =
        runtime::ServerEndpointConfig::builder("/sub", || super::support::Echo).subprotocols(["a", "b"]);
    let server = super::support::start([config.build()]).await;
    let (teller, _heard) = teller();
    let client = runtime::client().subprotocols(["c", "b", "a"]);
    let session = soon("connecting", client.connect(teller, url(server.local_addr(), "/sub"))).await.unwrap();
    assert_eq!(session.subprotocol(), Some("b"));
    assert_eq!(session.handshake().offered_subprotocols().collect::<Vec<_>>(), ["c", "b", "a"]);
}

#[tokio::test]
async fn the_request_is_what_the_rfc_wants() {
    let client = runtime::client().bearer("token").subprotocols(["a", "b"]).header("X-More", "1");
    let seen = Arc::new(Mutex::new(None));
    let result = connect_to(client, |request| {
        *seen.lock().unwrap() = Some((
            request.line.clone(),
            [
                "authorization",
                "sec-websocket-protocol",
                "x-more",
                "sec-websocket-version",
                "upgrade",
                "connection",
            ]
            .map(|name| request.header(name).unwrap_or_default().to_owned()),
        ));
        switching(request, "Sec-WebSocket-Protocol: b\r\n")
    });
    assert_eq!(result.await.unwrap().subprotocol(), Some("b"));
    let (line, headers) = seen.lock().unwrap().take().unwrap();
    assert_eq!(line, "GET /chat?x=1 HTTP/1.1");
    assert_eq!(headers, ["Bearer token", "a, b", "1", "13", "websocket", "Upgrade"]);
}

#[tokio::test]
async fn answers_that_break_the_rules_are_no_connections() {
    let good = |request: &Request| switching(request, "");
    type Answer = Box<dyn Fn(&Request) -> String>;
    let cases: [(&str, Answer); 7] = [
        ("accept", Box::new(move |request| good(request).replace("Accept: ", "Accept: x"))),
        ("no accept", Box::new(move |request| good(request).replace("Sec-WebSocket-Accept", "X-Accept"))),
        ("upgrade", Box::new(move |request| good(request).replace("Upgrade: websocket", "Upgrade: h2c"))),
        (
            "connection",
            Box::new(move |request| good(request).replace("Connection: Upgrade", "Connection: close")),
        ),
        ("subprotocol", Box::new(|request| switching(request, "Sec-WebSocket-Protocol: c\r\n"))),
        ("two subprotocols", Box::new(|request| switching(request, "Sec-WebSocket-Protocol: a, b\r\n"))),
        (
            "extension",
            Box::new(|request| switching(request, "Sec-WebSocket-Extensions: permessage-bzip2\r\n")),
        ),
    ];
    for (name, answer) in cases {
        let result = connect_to(runtime::client().subprotocols(["a", "b"]), answer).await;
        assert!(matches!(result, Err(ConnectError::Invalid(_))), "{name}: {result:?}");
    }
}

#[tokio::test]
async fn a_refusal_shows_status_headers_and_body() {
    for (line, status) in
        [("200 OK", 200), ("404 Not Found", 404), ("401 Unauthorized", 401), ("302 Found", 302)]
    {
        let answer = response(line, "X-Why: because\r\nLocation: /other\r\n", "not here");
        let result = connect_to(runtime::client(), |_| answer.clone()).await;
        let Err(ConnectError::Refused { status: seen, headers, body }) = result else { panic!("{result:?}") };
        assert_eq!(seen, status);
        assert_eq!(headers["x-why"], "because");
        assert_eq!(body, "not here");
    }
}

#[tokio::test]
async fn of_an_endless_body_only_the_beginning_is_read() {
    let body = "x".repeat(200_000);
    let result = connect_to(runtime::client(), |_| response("503 Service Unavailable", "", &body)).await;
    let Err(ConnectError::Refused { body, .. }) = result else { panic!("{result:?}") };
    assert_eq!(body.len(), 64 * 1024);
    // A body that does not come keeps nobody waiting: its connection stays open, and the status is told all the same.
    let announced = "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhalf";
    let result = connect_to(runtime::client(), |_| announced.to_owned()).await;
    let Err(ConnectError::Refused { status, body, .. }) = result else { panic!("{result:?}") };
    assert_eq!((status, &body[..]), (StatusCode::FORBIDDEN, &b"half"[..]));
}

#[tokio::test]
async fn nonsense_and_silence_are_failures_of_the_handshake() {
    for answer in ["SSH-2.0-OpenSSH\r\n\r\n", "", "HTTP/1.1 101 Switching"] {
        let raw = Raw::bind().await;
        let (teller, _heard) = teller();
        let client = runtime::client();
        let serve = async { drop(raw.answer(answer).await) };
        let (result, ()) = tokio::join!(soon("connecting", client.connect(teller, raw.url("/"))), serve);
        let step = match result {
            Err(ConnectError::Io { step, .. }) => step,
            other => panic!("{answer:?}: {other:?}"),
        };
        assert_eq!(step, ConnectStep::Handshake);
    }
}

#[tokio::test]
async fn hooks_see_requests_and_answers_good_and_bad() {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&answers);
    let client = runtime::client()
        .before_request(|headers| drop(headers.insert("x-hook", "yes".parse().unwrap())))
        .before_request(|headers| drop(headers.insert("upgrade", "h2c".parse().unwrap())))
        .after_response(move |head| {
            let said = head.map(|head| (head.status.as_u16(), head.headers.contains_key("x-said")));
            seen.lock().unwrap().push(said);
        });
    let good = connect_to(client.clone(), |request| {
        assert_eq!(request.header("x-hook"), Some("yes"));
        assert_eq!(request.header("upgrade"), Some("websocket"));
        switching(request, "X-Said: 1\r\n")
    });
    assert_eq!(good.await.unwrap().handshake().response_headers().unwrap()["x-said"], "1");
    assert!(connect_to(client.clone(), |_| response("404 Not Found", "X-Said: 1\r\n", "")).await.is_err());
    assert!(
        connect_to(client.clone(), |request| switching(request, "Sec-WebSocket-Protocol: z\r\n"))
            .await
            .is_err()
    );
    let nobody = Raw::bind().await;
    let address = nobody.address;
    drop(nobody);
    let (teller, _heard) = teller();
    let refused = soon("connecting", client.connect(teller, url(address, "/"))).await;
    assert!(matches!(refused, Err(ConnectError::Io { step: ConnectStep::Tcp, .. })), "{refused:?}");
    assert_eq!(*answers.lock().unwrap(), [Some((101, true)), Some((404, true)), Some((101, false)), None]);
}

#[tokio::test]
async fn what_cannot_work_is_said_before_anything_is_sent() {
    let connect = async |client: runtime::Client, url: &str| {
        let (teller, _heard) = teller();
        soon("an error", client.connect(teller, url)).await.unwrap_err()
    };
    for url in ["ftp://host/", "host", "ws://host/#x", "ws://"] {
        let error = connect(runtime::client(), url).await;
        assert!(matches!(error, ConnectError::Url(_)), "{url}: {error}");
    }
    let broken = runtime::client()
        .header("no name", "x")
        .bearer("two\nlines")
        .subprotocols(["a b"])
        .max_message_size(0)
        .proxy(runtime::Proxy::http("https://proxy"));
    let ConnectError::Setup(problems) = connect(broken, "ws://host/").await else { panic!("it is broken") };
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[tokio::test]
async fn errors_and_debug_output_hold_no_secrets() {
    let raw = Raw::bind().await;
    let client = runtime::client()
        .bearer("hidden")
        .proxy(runtime::Proxy::http(format!("http://bo:hidden@{}", raw.address)));
    let (teller, _heard) = teller();
    let url = "ws://bo:hidden@host/path?token=hidden";
    let serve = async {
        let (request, _peer) = raw.answer(&response("403 Forbidden", "", "")).await;
        assert!(request.header("proxy-authorization").is_some());
    };
    let (result, ()) = tokio::join!(soon("connecting", client.connect(teller, url)), serve);
    let error = result.unwrap_err();
    let shown =
        format!("{error} {error:?} {client:?} {:?}", client.clone().reconnect(runtime::Backoff::default()));
    assert!(!shown.contains("hidden") && !shown.contains("aGlkZGVu"), "{shown}");
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    let (teller, _heard) = teller();
    let result = soon("an answer", runtime::client().connect(teller, "ws://no-such-host.invalid/")).await;
    match result {
        Err(ConnectError::Io { step: ConnectStep::Resolve, with, .. }) => {
            assert_eq!(with, "no-such-host.invalid:80");
        }
        // Where nobody answers the question, that takes the time there is.
        Err(ConnectError::Timeout { step: ConnectStep::Resolve, .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// A name that several addresses have is not given up after the first.
#[tokio::test]
async fn every_address_of_a_host_is_tried() {
    let raw = Raw::bind().await;
    let (teller, mut heard) = teller();
    // On most systems `localhost` is ::1 first, where nobody listens.
    let url = format!("ws://localhost:{}/", raw.address.port());
    let client = runtime::client();
    let (session, _peer): (_, RawPeer<_>) =
        tokio::join!(soon("connecting", client.connect(teller, url)), raw.open());
    assert_eq!(session.unwrap().handshake().peer_addr(), Some(raw.address));
    heard.expect("open 1").await;
}

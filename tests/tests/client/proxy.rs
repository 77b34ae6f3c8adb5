//! Through a proxy, by CONNECT.

use endpoint_runtime::{self as runtime, ConnectError, ConnectStep, Proxy};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::support::{Raw, RawPeer, Request, response, soon, start_echo, teller, url};

/// Connects one client where it wants to go, if it shows this.
async fn serve(raw: &Raw, authorization: Option<&str>) -> Request {
    let mut peer: RawPeer<TcpStream> = raw.accept().await;
    let request = peer.request().await;
    if request.header("proxy-authorization") != authorization {
        let answer = response("407 Proxy Authentication Required", "Proxy-Authenticate: Basic\r\n", "");
        peer.write(answer.as_bytes()).await;
        return request;
    }
    let to = request.line.split(' ').nth(1).unwrap();
    let mut server = TcpStream::connect(to).await.unwrap();
    peer.write(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    tokio::spawn(async move { copy_bidirectional(&mut peer.stream, &mut server).await });
    request
}

fn proxy(raw: &Raw) -> Proxy {
    Proxy::http(format!("http://{}", raw.address))
}

#[tokio::test]
async fn leads_to_the_server() {
    let (raw, server) = (Raw::bind().await, start_echo().await);
    let (teller, mut heard) = teller();
    let client = runtime::client().proxy(proxy(&raw)).bearer("for the server");
    let url = url(server.local_addr(), "/echo");
    let (session, request) = tokio::join!(soon("connecting", client.connect(teller, url)), serve(&raw, None));
    let session = session.unwrap();
    let to = server.local_addr();
    assert_eq!(request.line, format!("CONNECT {to} HTTP/1.1"));
    assert_eq!(request.header("host"), Some(to.to_string().as_str()));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(session.handshake().peer_addr(), Some(raw.address));
    session.send("through").await.unwrap();
    heard.expect("open 1").await;
    heard.expect("text through").await;
}

#[tokio::test]
async fn wants_to_know_who_we_are() {
    let server = start_echo().await;
    let url = url(server.local_addr(), "/echo");
    for (user, works) in [(None, false), (Some("wrong"), false), (Some("bo"), true)] {
        let raw = Raw::bind().await;
        let proxy = match user {
            Some(user) => proxy(&raw).basic_auth(user, "secret"),
            None => proxy(&raw),
        };
        let client = runtime::client().proxy(proxy);
        let (teller, _heard) = teller();
        let serve = serve(&raw, Some("Basic Ym86c2VjcmV0"));
        let (result, _) = tokio::join!(soon("connecting", client.connect(teller, &url)), serve);
        match result {
            Ok(session) => {
                assert!(works);
                // The server does not learn what the proxy was told.
                let accepted = server.sessions().all().iter().next().unwrap();
                assert_eq!(accepted.handshake().header("proxy-authorization"), None);
                assert_eq!(session.handshake().header("proxy-authorization"), None);
            }
            Err(ConnectError::ProxyRefused { status }) => assert!(!works && status == 407),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn the_name_of_the_server_is_the_proxys_to_look_up() {
    let raw = Raw::bind().await;
    let client = runtime::client().proxy(Proxy::http(format!("http://bo:secret@{}", raw.address)));
    let (teller, _heard) = teller();
    let answer = response("502 Bad Gateway", "", "");
    let (result, (request, _peer)) =
        tokio::join!(client.connect(teller, "wss://no-such-host.invalid/x"), raw.answer(&answer));
    assert_eq!(request.line, "CONNECT no-such-host.invalid:443 HTTP/1.1");
    assert_eq!(request.header("proxy-authorization"), Some("Basic Ym86c2VjcmV0"));
    assert!(
        matches!(&result, Err(error @ ConnectError::ProxyRefused { .. }) if error.is_transient()),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_is_none() {
    let raw = Raw::bind().await;
    for answer in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nand more than was asked"] {
        let client = runtime::client().proxy(proxy(&raw));
        let (teller, _heard) = teller();
        let serve = async {
            let (_, peer) = raw.answer(answer).await;
            drop(peer);
        };
        let (result, ()) =
            tokio::join!(soon("connecting", client.connect(teller, "ws://host.invalid/")), serve);
        assert!(result.is_err(), "{answer}: {result:?}");
        if !answer.ends_with("asked") {
            assert!(
                matches!(result, Err(ConnectError::Io { step: ConnectStep::Proxy, .. })),
                "{answer}: {result:?}"
            );
        }
    }
}

//! Proxies: whose word is taken for who a client is, by headers and by the PROXY protocol, and what that changes.

use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Counters, Listen, ServerEndpointExporter, Settings};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::support::{Directory, Echo, Raw, capture, only, soon, start, text, upgrade};

/// Tells its peer who that is.
#[server_endpoint("/who")]
struct Who;

#[handlers]
impl Who {
    #[on_open]
    fn open(&self, handshake: &Handshake) -> String {
        let shown = |address: Option<std::net::SocketAddr>| match address {
            // The test's own port is any.
            Some(address) if address.ip().is_loopback() => address.ip().to_string(),
            Some(address) => address.to_string(),
            None => "nobody".to_owned(),
        };
        format!(
            "{} by {}, secure: {}, {}",
            shown(handshake.peer_addr()),
            shown(handshake.proxy_addr()),
            handshake.is_secure(),
            handshake.url()
        )
    }
}

fn trusting(proxies: &'static [&'static str]) -> ServerEndpointExporter {
    believing(only::<Who>(), proxies)
}

fn believing(exporter: ServerEndpointExporter, proxies: &'static [&'static str]) -> ServerEndpointExporter {
    exporter.configure(move |settings| {
        settings.trusted_proxies = proxies.iter().map(|&proxy| proxy.to_owned()).collect();
    })
}

const OWN: &str = "127.0.0.1 by nobody, secure: false, ws://server.example/who";

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is() {
    type Case = (&'static [&'static str], &'static str);
    let table: &[Case] = &[
        (&[], "127.0.0.1 by 127.0.0.1, secure: false, ws://server.example/who"),
        (&["X-Forwarded-For: 192.0.2.1"], "192.0.2.1:0 by 127.0.0.1, secure: false, ws://server.example/who"),
        (
            &["X-Forwarded-For: 203.0.113.9, 192.0.2.1:99, 10.0.0.1", "X-Forwarded-Proto: https"],
            "192.0.2.1:99 by 127.0.0.1, secure: true, wss://server.example/who",
        ),
        (
            &["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: example.com", "X-Forwarded-Port: 8443"],
            "192.0.2.1:0 by 127.0.0.1, secure: false, ws://example.com:8443/who",
        ),
        (
            &["Forwarded: for=\"[2001:db8::7]:4711\";proto=https;host=example.com"],
            "[2001:db8::7]:4711 by 127.0.0.1, secure: true, wss://example.com/who",
        ),
        (
            &["Forwarded: for=192.0.2.1;proto=https, for=10.0.0.1;proto=http"],
            "192.0.2.1:0 by 127.0.0.1, secure: true, wss://server.example/who",
        ),
    ];
    let server = start(trusting(&["127.0.0.0/8", "10.0.0.0/8"])).await;
    for (headers, expected) in table {
        let mut raw = Raw::connect(server.local_addr()).await;
        assert_eq!(raw.ask(upgrade("/who", headers)).await.status, 101, "{headers:?}");
        assert_eq!(raw.text().await, *expected, "{headers:?}");
    }
    // From whoever is not trusted all of that means nothing.
    for proxies in [&[][..], &["10.0.0.0/8", "::1", "unix"]] {
        let server = start(trusting(proxies)).await;
        for (headers, _) in table {
            let mut raw = Raw::connect(server.local_addr()).await;
            assert_eq!(raw.ask(upgrade("/who", headers)).await.status, 101, "{headers:?}");
            assert_eq!(raw.text().await, OWN, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_contradicts_itself_is_400() {
    let server = start(trusting(&["127.0.0.1"])).await;
    let table: &[&[&str]] = &[
        &["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.2"],
        &["Forwarded: for=\"192.0.2.1"],
        &["X-Forwarded-Proto: gopher"],
        &["X-Forwarded-Host: a b"],
    ];
    for headers in table {
        let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/who", headers)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{headers:?}");
    }
    let counters = server.container().counters();
    assert_eq!((counters.proxy_errors, counters.http_errors), (4, 4));
}

/// The same origin is that of the page that the browser shows, whatever the proxy makes of it.
#[tokio::test]
async fn the_same_origin_is_the_one_that_the_client_sees() {
    let server = start(trusting(&["127.0.0.1"])).await;
    let https = &["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"];
    for (origin, status) in [
        ("Origin: https://example.com", 101),
        ("Origin: http://example.com", 403),
        ("Origin: http://server.example", 403),
        ("Origin: https://evil.example", 403),
    ] {
        let headers = [&https[..], &[origin]].concat();
        let answer = Raw::connect(server.local_addr()).await.ask(upgrade("/who", &headers)).await;
        assert_eq!(answer.status, status, "{origin}");
    }
}

#[tokio::test]
async fn whoever_comes_through_a_unix_socket_is_trusted_if_that_is_said() {
    let directory = Directory::new();
    for (proxies, expected) in [
        (&["unix"][..], "192.0.2.1:0 by nobody, secure: false, ws://server.example/who"),
        (&["127.0.0.1"], "nobody by nobody, secure: false, ws://server.example/who"),
    ] {
        let socket = directory.file("app.sock");
        let exporter = only::<Who>().bind(format!("unix:{}", socket.display())).configure(move |settings| {
            settings.trusted_proxies = proxies.iter().map(|&proxy| proxy.to_owned()).collect();
        });
        let server = start(exporter).await;
        let mut raw = Raw::connect_unix(&socket).await;
        assert_eq!(raw.ask(upgrade("/who", &["X-Forwarded-For: 192.0.2.1"])).await.status, 101);
        assert_eq!(raw.text().await, expected);
        drop(raw);
        soon("the shutdown", server.shutdown()).await;
    }
}

/// A server that expects the PROXY protocol.
fn introduced(change: impl Fn(&mut Settings) + Send + Sync + 'static) -> ServerEndpointExporter {
    let exporter = endpoint_runtime::export_all().settings(Settings::default());
    let exporter = exporter.bind(Listen::on("127.0.0.1:0").proxy_protocol(true));
    exporter.only(|config| config.is::<Who>() || config.is::<Echo>()).configure(change)
}

/// Version 2, about `192.0.2.1:4711`.
fn binary(command: u8, more: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 1, 203, 0, 113, 1, 0x12, 0x67, 0, 80];
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11]);
    header.extend((addresses.len() as u16 + more.len() as u16).to_be_bytes());
    header.extend(addresses);
    header.extend(more);
    header
}

#[tokio::test]
async fn the_proxy_protocol_introduces_a_client() {
    let told = "192.0.2.1:4711 by 127.0.0.1, secure: false, ws://server.example/who";
    let secure = "192.0.2.1:4711 by 127.0.0.1, secure: true, wss://server.example/who";
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"PROXY TCP4 192.0.2.1 203.0.113.1 4711 80\r\n".to_vec(), told),
        (
            b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n".to_vec(),
            "[2001:db8::1]:4711 by 127.0.0.1, secure: false, ws://server.example/who",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), OWN),
        (binary(0x21, &[]), told),
        (binary(0x21, &[0x20, 0, 5, 1, 0, 0, 0, 0]), secure),
        (binary(0x20, &[]), OWN),
    ];
    let server = start(introduced(|_| {})).await;
    for (header, expected) in &table {
        // All at once, and byte by byte: nothing behind the header is lost.
        for pieces in [1000, 1] {
            let mut raw = Raw::connect(server.local_addr()).await;
            let all = [&header[..], upgrade("/who", &[]).as_bytes()].concat();
            for piece in all.chunks(pieces) {
                raw.send(piece).await;
            }
            assert_eq!(raw.answer().await.unwrap().status, 101, "{}", header.escape_ascii());
            assert_eq!(raw.text().await, *expected, "{}", header.escape_ascii());
        }
    }
}

#[tokio::test]
async fn who_is_not_introduced_is_closed_and_counted() {
    let server = start(introduced(|settings| settings.head_timeout = Duration::from_millis(300))).await;
    let logged = capture();
    let mut long = binary(0x21, &[]);
    long[14..16].copy_from_slice(&5000_u16.to_be_bytes());
    let table: Vec<(Vec<u8>, &str)> = vec![
        (upgrade("/who", &[]).into_bytes(), "it does not begin with a header of the PROXY protocol"),
        (b"PROXY TCP4 192.0.2.1 203.0.113.1 4711\r\n".to_vec(), "malformed"),
        (long, "5000 bytes are too many"),
        // Silence, and half a header.
        (vec![], "no header of the PROXY protocol within `head_timeout`"),
        (binary(0x21, &[])[..20].to_vec(), "no header of the PROXY protocol within `head_timeout`"),
    ];
    let count = table.len() as u64;
    for (header, reason) in table {
        logged.forget();
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(&header).await;
        assert_eq!(raw.ended().await, b"", "{}", header.escape_ascii());
        let lines = logged.saying("connection closed");
        assert_eq!(lines.len(), 1, "{}: {lines:?}", header.escape_ascii());
        assert!(lines[0].field("reason").unwrap().contains(reason), "{lines:?}");
        assert!(logged.loud().is_empty(), "strangers are no news");
    }
    let Counters { proxy_errors, connections, accepted, .. } = server.container().counters();
    assert_eq!((proxy_errors, connections, accepted), (count, count, 0));
}

/// Where some are trusted, nobody else introduces anybody.
#[tokio::test]
async fn only_trusted_proxies_introduce_where_there_are_any() {
    for (proxies, served) in [(&["127.0.0.1"][..], true), (&["10.0.0.1", "unix"], false)] {
        let exporter = introduced(move |settings| {
            settings.trusted_proxies = proxies.iter().map(|&proxy| proxy.to_owned()).collect();
        });
        let server = start(exporter).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.try_send([&binary(0x21, &[])[..], upgrade("/who", &[]).as_bytes()].concat()).await;
        assert_eq!(raw.answer().await.map(|answer| answer.status), served.then_some(101), "{proxies:?}");
        assert_eq!(server.container().counters().proxy_errors, u64::from(!served));
    }
}

/// One listener for proxies, one for others; and the setting is about those that do not say it themselves.
#[tokio::test]
async fn each_listener_has_its_own_rule() {
    let exporter = introduced(|settings| settings.proxy_protocol = true);
    let server =
        start(exporter.bind(Listen::on("127.0.0.1:0").proxy_protocol(false)).bind("127.0.0.1:0")).await;
    let addresses: Vec<_> = server
        .addresses()
        .iter()
        .map(|address| match address {
            endpoint_runtime::Address::Tcp(address) => *address,
            other => panic!("{other}"),
        })
        .collect();
    for (address, expected) in addresses.into_iter().zip([true, false, true]) {
        let mut raw = Raw::connect(address).await;
        if expected {
            raw.send(binary(0x21, &[])).await;
        }
        assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101, "{address}");
        raw.send(text("hello")).await;
        assert_eq!(raw.text().await, "hello");
    }
}

/// Behind a proxy of TCP there may be one of HTTP: who that one says it is talking to is the client.
#[tokio::test]
async fn a_client_may_come_through_two_kinds_of_proxies() {
    let exporter = introduced(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1".into(), "192.0.2.0/24".into()];
    });
    let server = start(exporter).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    raw.send(binary(0x21, &[])).await;
    assert_eq!(raw.ask(upgrade("/who", &["X-Forwarded-For: 203.0.113.5"])).await.status, 101);
    assert_eq!(raw.text().await, "203.0.113.5:0 by 127.0.0.1, secure: false, ws://server.example/who");
}

/// Somebody else's server says who is at the other end, and that may be a proxy.
#[tokio::test]
async fn a_proxy_may_stand_in_front_of_what_is_mounted() {
    for (peer, expected) in [
        (Some("10.0.0.1:77"), "192.0.2.1:0 by 10.0.0.1:77, secure: true, wss://server.example/who"),
        (Some("10.1.0.1:77"), "10.1.0.1:77 by nobody, secure: false, ws://server.example/who"),
        // Nobody knows who that is, and it is no Unix socket.
        (None, "nobody by nobody, secure: false, ws://server.example/who"),
    ] {
        let exporter = endpoint_runtime::export_all().settings(Settings::default());
        let exporter = believing(
            exporter.only(endpoint_runtime::ServerEndpointConfig::is::<Who>),
            &["10.0.0.1", "unix"],
        );
        let service = exporter.into_service().await.unwrap();
        let service = match peer {
            Some(peer) => service.peer(peer.parse().unwrap()),
            None => service,
        };
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let _kept = service.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let mut service = service.clone();
                async move { service.call(request).await }
            });
            http1::Builder::new().serve_connection(TokioIo::new(theirs), service).with_upgrades().await
        });
        let mut raw = Raw::over(ours);
        let headers = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"];
        assert_eq!(raw.ask(upgrade("/who", &headers)).await.status, 101, "{peer:?}");
        assert_eq!(raw.text().await, expected);
    }
}

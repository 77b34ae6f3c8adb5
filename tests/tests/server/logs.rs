//! What a server logs, and how loud.

use std::time::Duration;

use endpoint_runtime::ServerEndpointConfig;
use endpoint_runtime::prelude::*;
use tracing::Level;

use super::support::{
    Echo, Raw, Reporter, capture, close, closed, connect, exporter, only, only_these, says_back, soon, start,
    upgrade,
};

/// Has something to say in each field of its line.
#[server_endpoint("/logged/{name}", subprotocols = ["log.v1", "log.v2"], scope = singleton, origins = ["https://a.example", "http://b.example:81"])]
struct Described;

#[handlers]
impl Described {
    #[on_message]
    fn message(&self, text: String) -> String {
        text
    }
}

#[tokio::test]
async fn each_endpoint_is_one_info_line() {
    let logged = capture();
    let exporter = exporter().only(|config| config.is::<Described>() || config.is::<Echo>());
    let report = exporter.check();
    assert!(logged.lines().is_empty(), "a check logs nothing");
    let server = start(exporter).await;
    let lines = logged.saying("endpoint");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.level == Level::INFO));
    let paths: Vec<_> = lines.iter().map(|line| line.field("path").unwrap()).collect();
    assert_eq!(paths, ["/echo", "/logged/{name}"], "in the order of the report");
    let described = &lines[1];
    let place = report.endpoints()[1].place().to_string();
    for (field, value) in [
        ("endpoint", "Described"),
        ("subprotocols", r#"["log.v1", "log.v2"]"#),
        ("scope", "singleton"),
        ("origins", "https://a.example, http://b.example:81"),
        ("place", place.as_str()),
    ] {
        assert_eq!(described.field(field), Some(value), "{field}");
    }
    assert!(place.starts_with(file!()), "{place}");
    assert_eq!(lines[0].field("origins"), Some("same origin"));
    assert_eq!(lines[0].field("subprotocols"), Some("[]"));
    let listening = logged.saying("listening");
    assert_eq!(listening.len(), 1);
    assert_eq!(listening[0].field("address"), Some(server.local_addr().to_string().as_str()));
    assert!(logged.loud().iter().all(|line| line.level == Level::INFO), "and nothing louder");
}

#[tokio::test]
async fn an_endpoint_that_admits_no_page_says_so() {
    let logged = capture();
    let (config, _reports) = Reporter::at("/logged/nobody");
    let _server = start(only_these([config]).origins([] as [&str; 0])).await;
    assert_eq!(logged.saying("endpoint")[0].field("origins"), Some("no origin"));
}

/// Once, not with every connection.
#[tokio::test]
async fn any_origin_is_one_warning() {
    struct Quiet;
    impl endpoint_runtime::Endpoint for Quiet {}
    let logged = capture();
    let config = ServerEndpointConfig::builder("/logged/any", || Quiet).origins(["*"]).build();
    let server = start(only_these([config])).await;
    for _ in 0..3 {
        let mut raw = Raw::connect(server.local_addr()).await;
        assert_eq!(raw.ask(upgrade("/logged/any", &["Origin: https://evil.example"])).await.status, 101);
    }
    let warnings: Vec<_> = logged.loud().into_iter().filter(|line| line.level == Level::WARN).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].field("path"), Some("/logged/any"));
    assert_eq!(logged.saying("endpoint")[0].field("origins"), Some("any origin"));
}

#[tokio::test]
async fn each_handshake_and_each_close_is_one_debug_line() {
    let logged = capture();
    let server = start(only::<Described>()).await;
    logged.forget();
    let request = upgrade("/logged/x", &["Sec-WebSocket-Protocol: log.v2"]);
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(request).await.status, 101);
    raw.send(close(4001)).await;
    raw.ended().await;
    let lines = logged.lines();
    assert_eq!(
        lines.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(),
        ["accepted", "closed"],
        "{lines:?}"
    );
    assert!(lines.iter().all(|line| line.level == Level::DEBUG), "{lines:?}");
    assert!(lines.iter().all(|line| line.field("path") == Some("/logged/{name}")), "{lines:?}");
    assert!(lines[0].field("subprotocol").unwrap().contains("log.v2"), "{lines:?}");
    assert!(lines[0].field("peer").unwrap().contains("127.0.0.1"), "{lines:?}");
    assert!(
        lines[1].field("reason").unwrap().contains("4001") && lines[1].field("by") == Some("Peer"),
        "{lines:?}"
    );
    assert!(lines[1].field("session").is_some());
}

#[tokio::test]
async fn a_refused_handshake_is_one_debug_line() {
    let logged = capture();
    let server = start(only::<Described>()).await;
    logged.forget();
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(upgrade("/logged/x", &["Origin: https://evil.example"])).await.status, 403);
    let lines = logged.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0].level, lines[0].message.as_str()), (Level::DEBUG, "refused"));
    assert_eq!((lines[0].field("status"), lines[0].field("path")), (Some("403"), Some("/logged/x")));
}

/// P-17: peers vanish all day long.
#[tokio::test]
async fn a_vanished_peer_is_nothing_above_debug() {
    let logged = capture();
    let (config, mut reports) = Reporter::at("/logged/vanished");
    let server =
        start(only_these([config]).configure(|settings| settings.head_timeout = Duration::from_millis(100)))
            .await;
    logged.forget();
    for abruptly in [false, true] {
        let mut client = connect(server.local_addr(), "/logged/vanished").await;
        says_back(&mut client, "hello").await;
        if abruptly {
            client.get_ref().set_zero_linger().unwrap();
        }
        drop(client);
        let reason = reports.closed().await;
        assert_eq!(u16::from(reason.code()), 1006);
    }
    // Those who vanish before or during the handshake, too.
    for begin in ["", "GET /logged/vanished HTTP/1.1\r\n"] {
        let stream = soon("TCP", tokio::net::TcpStream::connect(server.local_addr())).await.unwrap();
        stream.set_zero_linger().unwrap();
        let mut raw = Raw::over(stream);
        raw.send(begin).await;
    }
    let mut silent = Raw::connect(server.local_addr()).await;
    silent.ended().await;
    assert_eq!(logged.saying("closed").len(), 2);
    assert!(logged.loud().is_empty(), "{:?}", logged.loud());
}

/// Neither is what a peer does wrong.
#[tokio::test]
async fn a_peer_that_breaks_the_rules_is_nothing_above_debug() {
    let logged = capture();
    let server = start(only::<Echo>()).await;
    logged.forget();
    let mut raw = Raw::upgraded(server.local_addr(), "/echo").await;
    raw.send([0x81, 0x01, b'x']).await;
    assert_eq!(raw.frame().await.unwrap().reason().0, 1002);
    raw.ended().await;
    let mut raw = Raw::connect(server.local_addr()).await;
    raw.send("\x01\x02\x03\r\n\r\n").await;
    raw.ended().await;
    assert!(logged.loud().is_empty(), "{:?}", logged.loud());
}

#[tokio::test]
async fn a_shutdown_is_logged() {
    let logged = capture();
    let server = start(only::<Echo>()).await;
    let mut client = connect(server.local_addr(), "/echo").await;
    says_back(&mut client, "hello").await;
    logged.forget();
    let stopping = tokio::spawn(server.shutdown());
    closed(client).await;
    soon("the shutdown", stopping).await.unwrap();
    let loud = logged.loud();
    assert_eq!(
        loud.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(),
        ["shutting down", "stopped"]
    );
    assert_eq!(loud[0].field("sessions"), Some("1"));
}

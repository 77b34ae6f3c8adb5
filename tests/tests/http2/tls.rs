//! Under TLS the version of HTTP is agreed on there (ALPN), and is what the client and the settings allow.

use std::sync::Arc;

use endpoint_runtime::rustls::pki_types::ServerName;
use endpoint_runtime::rustls::{self, ClientConfig, RootCertStore};
use endpoint_runtime::{Server, Tls};
use rcgen::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::support::{Connection, End, Reporter, client, close, exporter, soon, start};

/// A certificate for `localhost`.
fn certified() -> CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// A client that offers these protocols.
async fn connect(
    server: &Server,
    certified: &CertifiedKey<rcgen::KeyPair>,
    offered: &[&str],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = soon("TCP", TcpStream::connect(server.local_addr())).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    soon("TLS", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

#[tokio::test]
async fn sockets_are_encrypted_and_share_a_connection() {
    let certified = certified();
    let (config, mut reports) = Reporter::at("/echo");
    let tls = Tls::pem(certified.cert.pem(), certified.signing_key.serialize_pem());
    let server = start(exporter([config]).tls(tls)).await;
    let stream = connect(&server, &certified, &["h2", "http/1.1"]).await;
    let peer = stream.get_ref().0.local_addr().unwrap();
    let mut connection = Connection::over(stream, &client()).await;
    for _ in 0..3 {
        let mut socket = connection.open_socket("/echo").await;
        let session = reports.opened().await;
        let handshake = session.handshake();
        assert!(session.is_secure() && handshake.version() == http::Version::HTTP_2);
        assert_eq!(handshake.peer_addr(), Some(peer));
        assert_eq!(handshake.url(), "wss://server.example/echo");
        socket.says_back("hello").await;
        socket.say(close(1000));
        socket.reason().await;
        assert_eq!(socket.ended().await, End::Closed);
        socket.end();
        reports.closed().await;
    }
}

#[tokio::test]
async fn the_version_is_agreed_on() {
    let certified = certified();
    let table: [(bool, &[&str], Option<&str>); 6] = [
        (true, &["h2", "http/1.1"], Some("h2")),
        (true, &["http/1.1", "h2"], Some("h2")),
        (true, &["http/1.1"], Some("http/1.1")),
        (true, &[], None),
        (false, &["h2", "http/1.1"], Some("http/1.1")),
        (false, &[], None),
    ];
    for (http2, offered, agreed) in table {
        let (config, _reports) = Reporter::at("/echo");
        let tls = Tls::pem(certified.cert.pem(), certified.signing_key.serialize_pem());
        let exporter = exporter([config]).tls(tls).configure(move |settings| settings.http2 = http2);
        let server = start(exporter).await;
        let stream = connect(&server, &certified, offered).await;
        let found = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(found.as_deref(), agreed, "{http2} {offered:?}");
        if agreed == Some("h2") {
            Connection::over(stream, &client()).await.open_socket("/echo").await.says_back("new").await;
        } else {
            let handshake = tokio_tungstenite::client_async("wss://localhost/echo", stream);
            assert!(soon("the handshake", handshake).await.is_ok(), "{http2} {offered:?}");
        }
    }
}

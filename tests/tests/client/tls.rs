//! Encrypted connections: whom the client trusts, and how it shows who it is.

use std::sync::Arc;

use endpoint_runtime::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use endpoint_runtime::rustls::server::WebPkiClientVerifier;
use endpoint_runtime::rustls::{self, RootCertStore, ServerConfig};
use endpoint_runtime::{self as runtime, Client, ClientTls, CloseReason, ConnectError, ConnectStep};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::support::{Raw, RawPeer, frame, response, soon, switching, teller};

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name, in PEM and DER, and its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// A server's configuration, for `localhost` and 127.0.0.1. With an authority for clients it wants their certificate.
    fn server(&self, name: &str, clients: Option<&Authority>) -> TlsAcceptor {
        let (certificate, key) = self.issue(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match clients {
            None => builder.unwrap().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.unwrap().with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            }
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = builder.with_single_cert(vec![certificate.der().clone()], key.into()).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

type Peer = RawPeer<TlsStream<TcpStream>>;

/// Accepts a connection and encrypts it.
async fn accept(raw: &Raw, tls: &TlsAcceptor) -> std::io::Result<Peer> {
    let stream = raw.accept().await.stream;
    Ok(RawPeer::over(soon("TLS", tls.accept(stream)).await?))
}

async fn open(raw: &Raw, tls: &TlsAcceptor) -> std::io::Result<Peer> {
    let mut peer = accept(raw, tls).await?;
    let request = peer.request().await;
    peer.write(switching(&request, "").as_bytes()).await;
    Ok(peer)
}

fn url(raw: &Raw, host: &str) -> String {
    format!("wss://{host}:{}/", raw.address.port())
}

async fn failure(client: Client, raw: &Raw, tls: &TlsAcceptor) -> ConnectError {
    let (teller, _heard) = teller();
    let url = url(raw, "localhost");
    let (result, _) = tokio::join!(soon("connecting", client.connect(teller, url)), accept(raw, tls));
    result.unwrap_err()
}

fn certificate_of(peer: &Peer) -> Option<CertificateDer<'static>> {
    peer.stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned())
}

#[tokio::test]
async fn who_is_trusted_is_connected_to() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let (raw, tls) = (Raw::bind().await, authority.server(host, None));
        let (teller, mut heard) = teller();
        let client = runtime::client().tls(ClientTls::roots_pem(authority.pem()));
        let (session, peer) =
            tokio::join!(soon("connecting", client.connect(teller, url(&raw, host))), open(&raw, &tls));
        let (session, mut peer) = (session.unwrap(), peer.unwrap());
        assert!(session.is_secure());
        assert_eq!(session.uri().to_string(), url(&raw, host));
        heard.expect("open 1").await;
        session.send("there").await.unwrap();
        assert_eq!(peer.text().await, "there");
        peer.write(&frame(0x81, b"back")).await;
        heard.expect("text back").await;
        assert!(certificate_of(&peer).is_none());
        session.close(CloseReason::normal()).await.unwrap();
        assert_eq!(peer.close_code().await, 1000);
    }
}

/// More than the socket takes at once: what TLS keeps back must go out too.
#[tokio::test]
async fn large_messages_go_both_ways() {
    const LARGE: usize = 8 << 20;
    let authority = Authority::new();
    let (raw, tls) = (Raw::bind().await, authority.server("localhost", None));
    let (teller, mut heard) = teller();
    let tls_client = ClientTls::roots_pem(authority.pem());
    let client = runtime::client().tls(tls_client).max_message_size(LARGE).send_buffer(4 * LARGE);
    let (session, peer) =
        tokio::join!(soon("connecting", client.connect(teller, url(&raw, "localhost"))), open(&raw, &tls));
    let (session, mut peer) = (session.unwrap(), peer.unwrap());
    let payload: Vec<u8> = (0..LARGE).map(|index| (index / 7) as u8).collect();
    session.send(payload.clone()).await.unwrap();
    session.send("behind it").await.unwrap();
    let flushed = session.send_and_flush("the last");
    let reading = async {
        assert!(peer.frame().await.unwrap().payload == payload, "damaged on the way");
        assert_eq!(peer.text().await, "behind it");
        assert_eq!(peer.text().await, "the last");
    };
    let (sent, ()) = tokio::join!(flushed, reading);
    sent.unwrap();
    peer.write(&frame(0x82, &payload)).await;
    heard.expect("open 1").await;
    heard.expect(&format!("binary {LARGE}")).await;
}

#[tokio::test]
async fn who_is_not_trusted_is_not() {
    let (authority, other) = (Authority::new(), Authority::new());
    let raw = Raw::bind().await;
    let ours = || ClientTls::roots_pem(authority.pem());
    let cases = [
        // An authority that we do not know, or that the system does not.
        (ours(), other.server("localhost", None)),
        (ClientTls::system(), authority.server("localhost", None)),
        // A certificate for somebody else.
        (ours(), authority.server("other.example", None)),
        // What is no certificate cannot be trusted.
        (ClientTls::roots_pem("nonsense"), authority.server("localhost", None)),
    ];
    for (tls, server) in cases {
        let error = failure(runtime::client().tls(tls), &raw, &server).await;
        assert!(matches!(error, ConnectError::Io { step: ConnectStep::Tls, .. }), "{error}");
        assert!(!error.is_transient(), "{error}");
    }
    // Several roots are all trusted.
    let both = ClientTls::roots_pem(other.pem()).and_roots_pem(authority.pem());
    let (teller, _heard) = teller();
    let (client, server) = (runtime::client().tls(both), authority.server("localhost", None));
    let (session, _peer) = tokio::join!(client.connect(teller, url(&raw, "localhost")), open(&raw, &server));
    assert!(session.unwrap().is_open());
}

#[tokio::test]
async fn a_certificate_of_the_clients_is_shown() {
    let authority = Authority::new();
    let (raw, tls) = (Raw::bind().await, authority.server("localhost", Some(&authority)));
    let (certificate, key) = authority.issue("bo");
    let own = ClientTls::roots_pem(authority.pem()).certificate_pem(certificate.pem(), key.serialize_pem());
    let (teller, _heard) = teller();
    let client = runtime::client().tls(own);
    let (session, peer) = tokio::join!(client.connect(teller, url(&raw, "localhost")), open(&raw, &tls));
    assert!(session.unwrap().is_open());
    assert_eq!(certificate_of(&peer.unwrap()).as_ref(), Some(certificate.der()));
    // A key that is none is noticed.
    let broken = ClientTls::roots_pem(authority.pem()).certificate_pem(certificate.pem(), "nonsense");
    let error = failure(runtime::client().tls(broken), &raw, &tls).await;
    assert!(error.to_string().contains("private key"), "{error}");
}

#[tokio::test]
async fn a_whole_configuration_is_used_as_it_is() {
    let authority = Authority::new();
    let (raw, tls) = (Raw::bind().await, authority.server("localhost", None));
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let client = runtime::client().tls(ClientTls::config(Arc::new(config)));
    let (teller, _heard) = teller();
    let (session, peer) = tokio::join!(client.connect(teller, url(&raw, "localhost")), open(&raw, &tls));
    assert!(session.unwrap().is_open());
    let version = peer.unwrap().stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
}

#[tokio::test]
async fn a_redirect_to_another_origin_does_not_see_the_certificate_nor_lead_out_of_tls() {
    let authority = Authority::new();
    let tls = authority.server("localhost", Some(&authority));
    let (first, second) = (Raw::bind().await, Raw::bind().await);
    let (certificate, key) = authority.issue("bo");
    let own = ClientTls::roots_pem(authority.pem()).certificate_pem(certificate.pem(), key.serialize_pem());
    let client = runtime::client().tls(own).redirects(5);
    let serve = async {
        let mut peer = accept(&first, &tls).await.unwrap();
        peer.request().await;
        let answer = response("302 Found", &format!("Location: {}\r\n", url(&second, "localhost")), "");
        peer.write(answer.as_bytes()).await;
        let mut other = accept(&second, &tls).await.unwrap();
        other.request().await;
        let downgrade = response("302 Found", &format!("Location: ws://{}/\r\n", first.address), "");
        other.write(downgrade.as_bytes()).await;
        (certificate_of(&peer), certificate_of(&other))
    };
    let (teller, _heard) = teller();
    let (result, seen) =
        tokio::join!(soon("connecting", client.connect(teller, url(&first, "localhost"))), serve);
    assert_eq!(seen, (Some(certificate.der().clone()), None));
    assert!(matches!(result, Err(ConnectError::Redirect(_))), "{result:?}");
}

#[tokio::test]
async fn through_a_proxy() {
    let authority = Authority::new();
    let (raw, tls) = (Raw::bind().await, authority.server("localhost", None));
    let proxy = runtime::Proxy::http(format!("http://{}", raw.address));
    let client = runtime::client().tls(ClientTls::roots_pem(authority.pem())).proxy(proxy);
    let serve = async {
        // The proxy is the server too.
        let mut peer = raw.accept().await;
        assert_eq!(peer.request().await.line, "CONNECT localhost:8443 HTTP/1.1");
        peer.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut peer = RawPeer::over(soon("TLS", tls.accept(peer.stream)).await.unwrap());
        let request = peer.request().await;
        assert_eq!(request.header("host"), Some("localhost:8443"));
        peer.write(switching(&request, "").as_bytes()).await;
        peer
    };
    let (teller, mut heard) = teller();
    let (session, mut peer) = tokio::join!(client.connect(teller, "wss://localhost:8443/"), serve);
    assert!(session.unwrap().is_secure());
    peer.write(&frame(0x81, b"secret")).await;
    heard.expect("open 1").await;
    heard.expect("text secret").await;
}

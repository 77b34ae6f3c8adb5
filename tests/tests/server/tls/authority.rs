//! [`Authority`]: it signs certificates, and who trusts it connects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use endpoint_runtime::Tls;
use endpoint_runtime::rustls::crypto::{CryptoProvider, ring};
use endpoint_runtime::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use endpoint_runtime::rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::soon;

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(super) struct Issued {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) chain: String,
    pub(super) key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Each of a name of its own, by which its certificates say who has signed them.
        let name = format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name, of which more may be said.
    pub(super) fn issue(&self, name: &str, more: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        more(&mut params);
        let signed = params.signed_by(&key, &self.0).unwrap();
        Issued { certificate: signed.der().clone(), chain: signed.pem(), key }
    }

    /// A certificate and its key in PEM.
    pub(super) fn issue_pem(&self, name: &str) -> (String, String) {
        let issued = self.issue(name, |_| {});
        (issued.chain, issued.key.serialize_pem())
    }

    /// A server's certificate, for [`name`].
    pub(super) fn tls(&self) -> Tls {
        let (chain, key) = self.issue_pem("localhost");
        Tls::pem(chain, key)
    }

    /// A server's configuration, whole, that knows the old protocol only.
    pub(super) fn server_of_tls_1_2(&self) -> Arc<ServerConfig> {
        let Issued { certificate, key, .. } = self.issue("localhost", |_| {});
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS12])
            .unwrap()
            .with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![certificate], private(&key)).unwrap())
    }

    /// A client that trusts this authority.
    pub(super) fn client(&self) -> TlsConnector {
        self.client_of(&["http/1.1"])
    }

    /// The same with other protocols to offer.
    pub(super) fn client_of(&self, protocols: &[&str]) -> TlsConnector {
        self.client_with(protocols, None)
    }

    /// The same with a certificate of its own.
    pub(super) fn client_as(&self, own: &Issued) -> TlsConnector {
        self.client_with(&[], Some(own))
    }

    fn client_with(&self, protocols: &[&str], own: Option<&Issued>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                builder.with_client_auth_cert(vec![own.certificate.clone()], private(&own.key)).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// Whom clients want to speak to.
pub(super) fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

pub(super) async fn shake_hands(
    address: SocketAddr,
    client: TlsConnector,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = soon("TCP", TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    soon("TLS", client.connect(name(), stream)).await
}

/// Why the server does not want to go on with this client; with TLS 1.3 the client has finished its part when it learns that.
pub(super) async fn refusal(address: SocketAddr, client: TlsConnector) -> String {
    let read = async {
        let mut stream = shake_hands(address, client).await?;
        soon("a refusal", stream.read_u8()).await
    };
    match read.await {
        Ok(byte) => panic!("the server says {byte} instead of refusing"),
        Err(error) => error.to_string(),
    }
}

//! [`ClientTls`]: whom a client trusts, and how it shows who it is.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::{ResolvesClientCert, Resumption};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SignatureScheme};

/// TLS for the connections of a [`Client`](crate::Client): whose certificates it trusts, and its own, if it has one. By rustls.
///
/// ```no_run
/// # fn f() -> std::io::Result<()> {
/// use endpoint_runtime::ClientTls;
///
/// let tls = ClientTls::roots_pem(std::fs::read("ca.pem")?)
///     .certificate_pem(std::fs::read("client.pem")?, std::fs::read("client.key")?);
/// let client = endpoint_runtime::client().tls(tls);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientTls {
    source: Source,
    /// Made when it is first needed: to read the system's roots takes time, and programs that never say `wss` need none.
    config: Arc<OnceCell<Arc<ClientConfig>>>,
}

#[derive(Clone)]
enum Source {
    Whole(Arc<ClientConfig>),
    Parts { system: bool, roots: Vec<Vec<u8>>, certificate: Option<Certificate> },
}

#[derive(Clone)]
struct Certificate {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl ClientTls {
    /// Trusts whom the operating system trusts: the default.
    pub fn system() -> Self {
        Self::new(Source::Parts { system: true, roots: Vec::new(), certificate: None })
    }

    /// Trusts these certificates, one or more in PEM, and nobody else.
    pub fn roots_pem(pem: impl Into<Vec<u8>>) -> Self {
        Self::new(Source::Parts { system: false, roots: vec![pem.into()], certificate: None })
    }

    /// A configuration of rustls' own, for everything else. Its ALPN protocols, if any, must include `http/1.1`.
    pub fn config(config: Arc<ClientConfig>) -> Self {
        Self::new(Source::Whole(config))
    }

    /// Trusts these certificates too. A whole [`config`](Self::config) says itself whom it trusts, and stays as it is.
    pub fn and_roots_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        if let Source::Parts { roots, .. } = &mut self.source {
            roots.push(pem.into());
        }
        Self::new(self.source)
    }

    /// Shows this certificate to servers that ask for one: the chain, the client's own first, and its private key, both in PEM. A
    /// whole [`config`](Self::config) has its own, and stays as it is.
    pub fn certificate_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        if let Source::Parts { certificate, .. } = &mut self.source {
            *certificate = Some(Certificate { chain: chain.into(), key: key.into() });
        }
        Self::new(self.source)
    }

    fn new(source: Source) -> Self {
        ClientTls { source, config: Arc::default() }
    }

    /// Agrees on encryption with the host. `trusted` says whether the host may see the client's certificate.
    pub(super) async fn connect(
        &self,
        host: &str,
        trusted: bool,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| invalid(format!("`{host}` cannot be in a certificate")))?;
        let mut config = Arc::clone(self.config.get_or_try_init(|| self.load()).await?);
        if !trusted && config.client_auth_cert_resolver.has_certs() {
            config = Arc::new(anonymous(&config));
        }
        TlsConnector::from(config).connect(name, stream).await
    }

    async fn load(&self) -> io::Result<Arc<ClientConfig>> {
        let source = self.source.clone();
        // It reads files.
        let loading = tokio::task::spawn_blocking(move || match source {
            Source::Whole(config) => Ok(config),
            Source::Parts { system, roots, certificate } => build(system, &roots, certificate).map(Arc::new),
        });
        loading.await.map_err(io::Error::other)?
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

fn build(system: bool, roots: &[Vec<u8>], certificate: Option<Certificate>) -> io::Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    if system {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::debug!(%error, "a trusted certificate of the system cannot be read");
        }
        // Some of what systems trust is too old for anybody to use.
        store.add_parsable_certificates(found.certs);
    }
    for pem in roots {
        for root in certificates(pem)? {
            store.add(root).map_err(|error| invalid(format!("a trusted certificate: {error}")))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_root_certificates(store);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(&own.key)
                .map_err(|error| invalid(format!("the client's private key: {error}")))?;
            builder
                .with_client_auth_cert(certificates(&own.chain)?, key)
                .map_err(|error| invalid(format!("the client's certificate: {error}")))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(invalid("there is no certificate in the PEM text")),
        Ok(found) => Ok(found),
        Err(error) => Err(invalid(format!("a certificate in PEM: {error}"))),
    }
}

/// The same for a host that is not told who we are.
fn anonymous(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    // A resumed session would bring our name along.
    config.resumption = Resumption::disabled();
    config
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

//! [`Tls`]: the certificate that a server shows, and whose certificates it wants to see (by rustls, RFC 8446 and RFC 5246).

mod handshake;
mod identity;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tokio_rustls::rustls::ServerConfig;

pub(super) use self::handshake::shown;
use self::identity::{Identity, Pem};
use self::watch::Look;
pub(super) use self::watch::watched;
use crate::error::{Error, Result};
use crate::settings::{ClientCertificates, Settings};

/// TLS for the listeners of a server: its certificate, and whose certificates it asks for. By rustls, with TLS 1.3 and 1.2.
///
/// ```no_run
/// use endpoint_runtime::{ClientAuthorities, ClientCertificates, Listen, Tls};
///
/// # async fn f() -> endpoint_runtime::Result<()> {
/// let tls = Tls::pem_files("server.pem", "server.key");
/// let clients = ClientAuthorities::pem_file("clients.pem");
/// endpoint_runtime::export_all()
///     .tls(tls.clone())                                   // for all TCP listeners that do not say otherwise
///     .bind("0.0.0.0:443")
///     .bind(Listen::on("127.0.0.1:8080").plain())
///     .bind(Listen::on("0.0.0.0:8443").tls(tls.client_certificates(ClientCertificates::Required, clients)))
///     .serve()
///     .await
/// # }
/// ```
///
/// Files are looked at now and then ([`Settings::tls_reload_interval`]): when they have changed, connections that come from then on are shown
/// the new certificate, and those that are there stay. A new file that cannot be used is an ERROR line in the log, and the old certificate
/// stays in use. What could not be used at the start is a problem of the deployment.
///
/// This value is a handle: clones are the same certificate, and [`reload`](Self::reload) by one of them is for all.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    source: Source,
    /// What new connections are accepted with.
    current: ArcSwapOption<ServerConfig>,
    /// What the files were like when they were last read, and when they were last looked at. It is locked by who reads them.
    looked: Mutex<Look>,
    /// Whether HTTP/2 is offered.
    http2: AtomicBool,
}

#[derive(Clone)]
enum Source {
    Whole(Arc<ServerConfig>),
    Parts { identity: Identity, clients: Option<Clients> },
}

/// Whose certificates clients are asked for.
#[derive(Clone)]
struct Clients {
    certificates: ClientCertificates,
    authorities: ClientAuthorities,
}

/// The authorities whose certificates are good for a client: see [`Tls::client_certificates`].
#[derive(Clone)]
pub struct ClientAuthorities(Pem);

impl ClientAuthorities {
    /// Those whose certificates stand in this file, in PEM. It is looked at for changes as the server's own.
    pub fn pem_file(path: impl Into<PathBuf>) -> Self {
        ClientAuthorities(Pem::File(path.into()))
    }

    /// Those whose certificates stand in this text, in PEM.
    pub fn pem(text: impl Into<Vec<u8>>) -> Self {
        ClientAuthorities(Pem::text(text.into()))
    }
}

impl Tls {
    /// A certificate and its private key, from files in PEM: the chain, the server's own certificate first, and the key (PKCS#8, PKCS#1 or
    /// SEC1). They may be one file.
    pub fn pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::parts(Pem::File(chain.into()), Pem::File(key.into()))
    }

    /// The same from texts in PEM. They stay what they are.
    pub fn pem(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self::parts(Pem::text(chain.into()), Pem::text(key.into()))
    }

    /// A configuration of rustls' own, for everything else: several certificates, revocation lists, another provider of cryptography, a
    /// resolver that changes its mind. Nothing of it is changed, so its `alpn_protocols` have to be `h2` and `http/1.1` for clients to be
    /// spoken to in either, `http/1.1` or none for HTTP/1.1 alone.
    pub fn config(config: Arc<ServerConfig>) -> Self {
        Self::new(Source::Whole(config))
    }

    /// Asks clients for a certificate that one of these authorities has signed. Who shows one that is not is turned away during the TLS
    /// handshake; `certificates` says what becomes of those who show none. Handlers and [`Configurator`](crate::Configurator)s find it as
    /// [`Handshake::client_certificates`](crate::Handshake::client_certificates).
    ///
    /// Certificates are looked at for each connection anew: no session of TLS is resumed. A whole [`config`](Self::config) has its own
    /// verifier, and stays as it is.
    pub fn client_certificates(
        self,
        certificates: ClientCertificates,
        authorities: ClientAuthorities,
    ) -> Self {
        let mut source = self.0.source.clone();
        if let Source::Parts { clients, .. } = &mut source {
            *clients = Some(Clients { certificates, authorities });
        }
        Self::new(source)
    }

    /// Reads the files again now, instead of when it is next noticed that they have changed. Connections that are there stay as they are.
    ///
    /// It reads files, and so blocks the thread for a moment.
    ///
    /// # Errors
    /// All that is wrong with them. Then the certificate stays the one that it was.
    pub fn reload(&self) -> Result<()> {
        self.load().map_err(|faults| Error::msg(faults.join("; ")))
    }

    fn parts(chain: Pem, key: Pem) -> Self {
        Self::new(Source::Parts { identity: Identity { chain, key }, clients: None })
    }

    fn new(source: Source) -> Self {
        Tls(Arc::new(Inner {
            source,
            current: ArcSwapOption::empty(),
            looked: Mutex::default(),
            http2: AtomicBool::new(false),
        }))
    }

    /// What the settings say, if they say enough. What is wrong with them they say themselves.
    pub(crate) fn of_settings(settings: &Settings) -> Option<Self> {
        let (chain, key) = (settings.tls_certificate.as_ref()?, settings.tls_key.as_ref()?);
        let tls = Self::pem_files(chain, key);
        Some(match &settings.tls_client_authorities {
            Some(file) => {
                tls.client_certificates(settings.tls_client_certificates, ClientAuthorities::pem_file(file))
            }
            None => tls,
        })
    }

    /// Offers HTTP/2 too, from when it is loaded.
    pub(crate) fn offer_http2(&self, offered: bool) {
        self.0.http2.store(offered, Ordering::Relaxed);
    }

    /// Reads everything, and accepts new connections with it.
    ///
    /// # Errors
    /// All that is wrong, with the names of the files. Then nothing has changed.
    pub(crate) fn load(&self) -> Result<(), Vec<String>> {
        let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
        self.read(&mut looked)
    }

    fn read(&self, looked: &mut Look) -> Result<(), Vec<String>> {
        // First what they are like, then what is in them: what is written in between will be seen to have changed.
        looked.note(&self.files());
        let config = match &self.0.source {
            Source::Whole(config) => Arc::clone(config),
            Source::Parts { identity, clients } => {
                Arc::new(identity.config(clients.as_ref(), self.0.http2.load(Ordering::Relaxed))?)
            }
        };
        self.0.current.store(Some(config));
        Ok(())
    }

    /// The files that it is made of.
    fn files(&self) -> Vec<&Path> {
        let Source::Parts { identity, clients } = &self.0.source else { return Vec::new() };
        let authorities = clients.as_ref().map(|clients| &clients.authorities.0);
        [Some(&identity.chain), Some(&identity.key), authorities]
            .into_iter()
            .flatten()
            .filter_map(Pem::file)
            .collect()
    }

    /// Whether these are handles on the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the key.
        f.debug_struct("Tls").field("files", &self.files()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientAuthorities").field(&self.0.file()).finish()
    }
}

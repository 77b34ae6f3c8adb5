//! [`Identity`]: a certificate and its key as they are written, and the configuration that comes of them, or all that is wrong with them.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{
    CertificateError, Error as TlsError, InconsistentKeys, RootCertStore, ServerConfig,
};

use super::Clients;
use crate::settings::ClientCertificates;

/// The protocols that are offered within TLS (ALPN, RFC 7301), the best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Text in PEM (RFC 7468), or where it stands.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    Text(Arc<[u8]>),
}

/// What the texts are, in problems.
const CERTIFICATE: &str = "the certificate";
const KEY: &str = "the private key";
const AUTHORITIES: &str = "the authorities of clients";

impl Pem {
    pub(super) fn text(text: Vec<u8>) -> Self {
        Pem::Text(text.into())
    }

    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Pem::File(path) => Some(path),
            Pem::Text(_) => None,
        }
    }

    fn read(&self, what: &str) -> Result<Cow<'_, [u8]>, String> {
        match self {
            Pem::Text(text) => Ok(Cow::Borrowed(text)),
            Pem::File(path) => match std::fs::read(path) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(error) => Err(format!("{what}{self} cannot be read: {error}")),
            },
        }
    }

    fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
        let text = self.read(what)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if found.is_empty() => Err(format!("{what}{self}: there is no certificate in it")),
            Ok(found) => Ok(found),
            Err(error) => Err(format!("{what}{self}: {error}")),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let text = self.read(KEY)?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            PemError::NoItemsFound => format!("{KEY}{self}: there is no private key in it"),
            error => format!("{KEY}{self}: {error}"),
        })
    }
}

/// As it stands in a sentence behind what it is.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => write!(f, " `{}`", path.display()),
            Pem::Text(_) => Ok(()),
        }
    }
}

/// Who the server is.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) chain: Pem,
    pub(super) key: Pem,
}

impl Identity {
    /// What connections are accepted with.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn config(&self, clients: Option<&Clients>, http2: bool) -> Result<ServerConfig, Vec<String>> {
        // Named here, so that nothing depends on what the process has installed, and nothing is installed for it.
        let provider = Arc::new(ring::default_provider());
        let mut faults = Vec::new();
        let identity = self.certified(&provider).map_err(|mut found| faults.append(&mut found));
        let verifier = clients.map(|clients| clients.verifier(&provider)).transpose();
        let verifier = verifier.map_err(|fault| faults.push(fault));
        let (Ok(identity), Ok(verifier)) = (identity, verifier) else { return Err(faults) };
        let mut config =
            self.assembled(identity, verifier, provider).map_err(|error| vec![error.to_string()])?;
        let offered = &PROTOCOLS[usize::from(!http2)..];
        config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }

    fn assembled(
        &self,
        identity: CertifiedKey,
        verifier: Option<Arc<dyn ClientCertVerifier>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let certificate = Arc::new(SingleCertAndKey::from(identity));
        Ok(match verifier {
            None => {
                let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
                // Who comes again need not be shown the certificate again, and nothing is kept of those who do not.
                config.ticketer = ring::Ticketer::new()?;
                config
            }
            Some(verifier) => {
                let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(certificate);
                // A certificate that has expired, or whose authority is trusted no longer, would go on in a session that is resumed.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                config
            }
        })
    }

    /// Chain and key, if they are good and belong together.
    fn certified(&self, provider: &Arc<CryptoProvider>) -> Result<CertifiedKey, Vec<String>> {
        let mut faults = Vec::new();
        let chain = self.chain.certificates(CERTIFICATE).map_err(|fault| faults.push(fault));
        let key = self.key.key().and_then(|key| {
            let loaded = provider.key_provider.load_private_key(key);
            loaded.map_err(|error| format!("{KEY}{} cannot be used: {error}", self.key))
        });
        let key = key.map_err(|fault| faults.push(fault));
        if let Ok(chain) = &chain
            && let Err(fault) = fit(chain, provider)
        {
            faults.push(format!("{CERTIFICATE}{} {fault}", self.chain));
        }
        let (Ok(chain), Ok(key)) = (chain, key) else { return Err(faults) };
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // Some keys do not tell.
            Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(TlsError::InconsistentKeys(_)) => faults
                .push(format!("{CERTIFICATE}{} and {KEY}{} do not belong together", self.chain, self.key)),
            Err(error) => faults.push(format!("{CERTIFICATE}{} cannot be used: {error}", self.chain)),
        }
        if faults.is_empty() { Ok(certified) } else { Err(faults) }
    }
}

impl Clients {
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let pem = &self.authorities.0;
        let mut roots = RootCertStore::empty();
        for authority in pem.certificates(AUTHORITIES)? {
            roots.add(authority).map_err(|error| format!("{AUTHORITIES}{pem}: {error}"))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = match self.certificates {
            ClientCertificates::Required => builder,
            ClientCertificates::Optional => builder.allow_unauthenticated(),
        };
        builder.build().map_err(|error| format!("{AUTHORITIES}{pem}: {error}"))
    }
}

/// Whether the certificate is valid today: clients would refuse one that is not.
fn fit(chain: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> Result<(), String> {
    // Of a client's verification only what it says about the time is of interest. It looks at that before it asks who has signed, so any
    // authority does. What else is wrong with the certificate will be told by who uses it.
    let mut anyone = RootCertStore::empty();
    let (Some((own, rest)), Ok(name)) = (chain.split_first(), ServerName::try_from("localhost")) else {
        return Ok(());
    };
    if anyone.add(own.clone()).is_err() {
        return Ok(());
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(anyone), Arc::clone(provider)).build();
    let Ok(verifier) = verifier else { return Ok(()) };
    match verifier.verify_server_cert(own, rest, &name, &[], UnixTime::now()) {
        Err(TlsError::InvalidCertificate(CertificateError::ExpiredContext { time, not_after })) => {
            Err(format!("has expired, {} ago", span(time, not_after)))
        }
        Err(TlsError::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before })) => {
            Err(format!("is not valid yet, but in {}", span(not_before, time)))
        }
        _ => Ok(()),
    }
}

/// How long it is from one time to a later one, as one says it.
fn span(later: UnixTime, earlier: UnixTime) -> String {
    let between = Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()));
    let (count, unit) = match between.as_secs() {
        seconds @ ..120 => (seconds, "seconds"),
        seconds @ ..7200 => (seconds / 60, "minutes"),
        seconds @ ..172_800 => (seconds / 3600, "hours"),
        seconds => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let table = [
            (0, "0 seconds"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7200, "2 hours"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
            (86_400 * 400, "400 days"),
        ];
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for (seconds, told) in table {
            assert_eq!(span(time(1_000_000 + seconds), time(1_000_000)), told);
        }
        assert_eq!(span(time(1), time(2)), "0 seconds");
    }
}

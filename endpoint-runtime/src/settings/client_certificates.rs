//! What becomes of clients that show no certificate.

use std::fmt;

/// Whether a client must show a certificate to a server that has
/// [authorities for it](super::Settings::tls_client_authorities).
///
/// A certificate that none of the authorities has signed, or that has expired, is refused either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Who shows none is turned away during the TLS handshake.
    #[default]
    Required,
    /// Who shows none comes in too: the application decides what such a client may do.
    Optional,
}

impl ClientCertificates {
    pub(super) const ALL: [Self; 2] = [Self::Required, Self::Optional];

    /// Its name in settings: `required` or `optional`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }
}

impl fmt::Display for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

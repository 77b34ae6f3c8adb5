//! [`Listen`]: where to listen, and what holds for the connections that come in there.

#[cfg(feature = "tls")]
use super::tls::Tls;

/// A listener of a server: an address, and what holds for the connections that come in there.
///
/// An address alone is one: `.bind("0.0.0.0:9000")`.
#[derive(Clone, Debug)]
pub struct Listen {
    pub(crate) address: String,
    #[cfg(feature = "tls")]
    pub(crate) encryption: Encryption,
}

/// Whether a listener speaks TLS.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub(crate) enum Encryption {
    /// As the server's other listeners, if it is one of TCP.
    AsOthers,
    No,
    By(Tls),
}

impl Listen {
    /// Listens here: `127.0.0.1:8080`, `[::]:8080`, `localhost:0` for any free port, `unix:/run/app.sock`.
    pub fn on(address: impl Into<String>) -> Self {
        Listen {
            address: address.into(),
            #[cfg(feature = "tls")]
            encryption: Encryption::AsOthers,
        }
    }

    /// Speaks TLS here, whatever holds for [the others](crate::ServerEndpointExporter::tls). A Unix socket may, too.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.encryption = Encryption::By(tls);
        self
    }

    /// Speaks no TLS here, whatever holds for the others: behind a proxy that does, or on a port that only this machine reaches.
    #[cfg(feature = "tls")]
    pub fn plain(mut self) -> Self {
        self.encryption = Encryption::No;
        self
    }
}

impl From<&str> for Listen {
    fn from(address: &str) -> Self {
        Listen::on(address)
    }
}

impl From<String> for Listen {
    fn from(address: String) -> Self {
        Listen::on(address)
    }
}

impl From<&String> for Listen {
    fn from(address: &String) -> Self {
        Listen::on(address)
    }
}

/// What holds for the connections of one listener, when all is thought through.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// What they are encrypted by.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl From<&Listen> for Rules {
    fn from(listen: &Listen) -> Self {
        #[cfg(not(feature = "tls"))]
        let _ = listen;
        Rules {
            #[cfg(feature = "tls")]
            tls: match &listen.encryption {
                Encryption::By(tls) => Some(tls.clone()),
                Encryption::AsOthers | Encryption::No => None,
            },
        }
    }
}

//! [`Listen`]: where to listen, and what holds for the connections that come in there.

use std::fmt;
use std::sync::Arc;

use super::endpoint::ServerEndpointConfig;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::settings::{Address, Settings};

/// Says of an endpoint whether it is there.
type Admits = Arc<dyn Fn(&ServerEndpointConfig) -> bool + Send + Sync>;

/// A listener of a server: an address, and what holds for the connections that come in there.
///
/// An address alone is one: `.bind("0.0.0.0:9000")`.
///
/// ```no_run
/// use endpoint_runtime::Listen;
///
/// # async fn f() -> endpoint_runtime::Result<()> {
/// endpoint_runtime::export_all()
///     .bind(Listen::on("0.0.0.0:9000").only(|endpoint| !endpoint.path().starts_with("/internal/")))
///     .bind("127.0.0.1:9001")
///     .serve()
///     .await
/// # }
/// ```
#[derive(Clone)]
pub struct Listen {
    pub(crate) address: String,
    only: Vec<Admits>,
    reuse_port: bool,
    proxy_protocol: Option<bool>,
    #[cfg(feature = "tls")]
    pub(crate) encryption: Encryption,
}

/// Whether a listener speaks TLS.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub(crate) enum Encryption {
    /// As the server's other listeners, if it is one of TCP.
    AsOthers,
    /// The same, when it is known what they speak.
    IfTcp(Tls),
    No,
    By(Tls),
}

impl Listen {
    /// Listens here: `127.0.0.1:8080`, `[::]:8080`, `localhost:0` for any free port, `unix:/run/app.sock`, `systemd:` or `systemd:web` for
    /// sockets that the service manager passes.
    pub fn on(address: impl Into<String>) -> Self {
        Listen {
            address: address.into(),
            only: Vec::new(),
            reuse_port: false,
            proxy_protocol: None,
            #[cfg(feature = "tls")]
            encryption: Encryption::AsOthers,
        }
    }

    /// Listens on the sockets that the service manager passes to this process (systemd's socket activation, `sd_listen_fds(3)`): on those
    /// of this name (`FileDescriptorName=`), or on all of them if the name is empty. The address `systemd:web` says the same.
    ///
    /// The manager holds such a socket while processes come and go, so that a restart turns nobody away: who connects meanwhile waits.
    pub fn systemd(name: impl AsRef<str>) -> Self {
        Listen::on(format!("systemd:{}", name.as_ref()))
    }

    /// For whoever comes in here there are only the endpoints for which this is true; a path of any other one is a path of nothing: it goes
    /// to the fallback, or is answered 404. Several filters must all agree. They are asked for each handshake, and about endpoints that are
    /// deployed while the server runs too.
    ///
    /// An endpoint that no listener has is a deployment problem: what is not to be served at all is left out by the exporter's own
    /// [`only`](crate::ServerEndpointExporter::only).
    pub fn only(mut self, select: impl Fn(&ServerEndpointConfig) -> bool + Send + Sync + 'static) -> Self {
        self.only.push(Arc::new(select));
        self
    }

    /// Lets other processes listen at the same TCP address (`SO_REUSEPORT`), as a new one does before the old one stops: the same as the
    /// [setting](Settings::reuse_port), for this listener.
    pub fn reuse_port(mut self) -> Self {
        self.reuse_port = true;
        self
    }

    /// Whether connections begin with a header of the PROXY protocol, version 1 or 2, by which a proxy that does not speak HTTP tells whose
    /// they are: `HAProxy`'s `send-proxy`, load balancers of TCP. Else what
    /// [`Settings::proxy_protocol`](crate::Settings::proxy_protocol) says.
    ///
    /// Then every connection must have one, within `head_timeout`, or is closed. Whoever can connect can say to be anybody: so it is taken
    /// from [`trusted_proxies`](crate::Settings::trusted_proxies) alone, and if there are none, nobody but the proxy must
    /// be able to connect here.
    ///
    /// ```no_run
    /// # async fn f() -> endpoint_runtime::Result<()> {
    /// use endpoint_runtime::Listen;
    ///
    /// endpoint_runtime::export_all()
    ///     .bind(Listen::on("10.0.0.9:9000").proxy_protocol(true))
    ///     .bind("127.0.0.1:9001")
    ///     .serve()
    ///     .await
    /// # }
    /// ```
    pub fn proxy_protocol(mut self, expected: bool) -> Self {
        self.proxy_protocol = Some(expected);
        self
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

    /// Whether others may listen there.
    pub(crate) fn reuses_port(&self, settings: &Settings) -> bool {
        self.reuse_port || settings.reuse_port
    }

    /// Whether this endpoint is there.
    pub(crate) fn admits(&self, endpoint: &ServerEndpointConfig) -> bool {
        self.only.iter().all(|select| select(endpoint))
    }

    /// What holds for the connections that come in at this address of it.
    pub(crate) fn rules(&self, address: &Address, handed_over: bool, settings: &Settings) -> Arc<Rules> {
        #[cfg(not(feature = "tls"))]
        let _ = address;
        Arc::new(Rules {
            only: self.only.clone(),
            handed_over,
            proxy_protocol: self.proxy_protocol.unwrap_or(settings.proxy_protocol),
            #[cfg(feature = "tls")]
            tls: match (&self.encryption, address) {
                (Encryption::By(tls), _) | (Encryption::IfTcp(tls), Address::Tcp(_)) => Some(tls.clone()),
                (Encryption::IfTcp(_) | Encryption::AsOthers | Encryption::No, _) => None,
            },
        })
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen").field("address", &self.address).finish_non_exhaustive()
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

/// What holds for the connections of one listener.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    only: Vec<Admits>,
    /// Others serve the same address, or will: who was accepted just before the server stops is not turned away.
    pub(crate) handed_over: bool,
    /// They begin with a header of the PROXY protocol.
    pub(super) proxy_protocol: bool,
    /// What they are encrypted by.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl Rules {
    /// Whether an endpoint is there for whoever comes in here.
    pub(crate) fn admit(&self, endpoint: &ServerEndpointConfig) -> bool {
        self.only.iter().all(|select| select(endpoint))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("handed_over", &self.handed_over).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    /// What the service manager passes may be either, and is known only when it is there.
    #[test]
    fn only_tcp_is_encrypted_because_others_are() {
        let tls = Tls::pem("", "");
        let tcp = Address::Tcp(([127, 0, 0, 1], 443).into());
        let unix = Address::Unix("/run/app.sock".into());
        let table = [
            (Encryption::AsOthers, [false, false]),
            (Encryption::IfTcp(tls.clone()), [true, false]),
            (Encryption::No, [false, false]),
            (Encryption::By(tls), [true, true]),
        ];
        for (encryption, encrypted) in table {
            let listen = Listen { encryption: encryption.clone(), ..Listen::systemd("web") };
            let found =
                [&tcp, &unix].map(|address| listen.rules(address, false, &Settings::default()).tls.is_some());
            assert_eq!(found, encrypted, "{encryption:?}");
        }
    }
}

//! [`Listen`]: where to listen, and what holds for the connections that come in there.

use crate::settings::Settings;

/// A listener of a server: an address, and what holds for the connections that come in there.
///
/// An address alone is one: `.bind("0.0.0.0:9000")`.
#[derive(Clone, Debug)]
pub struct Listen {
    pub(crate) address: String,
    proxy_protocol: Option<bool>,
}

/// What holds for all connections of one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// They begin with a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
}

impl Listen {
    /// Listens here: `127.0.0.1:8080`, `[::]:8080`, `localhost:0` for any free port, `unix:/run/app.sock`.
    pub fn on(address: impl Into<String>) -> Self {
        Listen { address: address.into(), proxy_protocol: None }
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

    /// What holds here, where the settings say what is not said.
    pub(crate) fn rules(&self, settings: &Settings) -> Rules {
        Rules { proxy_protocol: self.proxy_protocol.unwrap_or(settings.proxy_protocol) }
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

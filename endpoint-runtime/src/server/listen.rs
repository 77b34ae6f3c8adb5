//! [`Listen`]: where to listen, and what holds for the connections that come in there.

/// A listener of a server: an address, and what holds for the connections that come in there.
///
/// An address alone is one: `.bind("0.0.0.0:9000")`.
#[derive(Clone, Debug)]
pub struct Listen {
    pub(crate) address: String,
}

impl Listen {
    /// Listens here: `127.0.0.1:8080`, `[::]:8080`, `localhost:0` for any free port, `unix:/run/app.sock`.
    pub fn on(address: impl Into<String>) -> Self {
        Listen { address: address.into() }
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

//! [`Proxy`]: a way out through an HTTP proxy (CONNECT, RFC 9110 9.3.6).

use std::fmt;

use data_encoding::BASE64;
use http::HeaderValue;

use super::target::Target;

/// An HTTP proxy that connects a [`Client`](crate::Client) to its servers, by `CONNECT`: it sees where the connection leads, and
/// what goes through `ws://`, but not what goes through `wss://`.
///
/// ```
/// use endpoint_runtime::Proxy;
///
/// let proxy = Proxy::http("http://proxy.example:3128").basic_auth("bo", "secret");
/// let client = endpoint_runtime::client().proxy(proxy);
/// ```
#[derive(Clone)]
pub struct Proxy {
    /// A wrong URL is reported when the client connects.
    pub(super) target: Result<Target, String>,
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy at this URL, such as `http://user:password@host:3128`; user and password may be there.
    pub fn http(url: impl AsRef<str>) -> Self {
        let target = Target::parse(url.as_ref())
            .and_then(|target| if target.secure { Err(NO_TLS.to_owned()) } else { Ok(target) });
        let user = target.as_ref().ok().and_then(|target| target.user.clone());
        let authorization = user.map(|(user, password)| basic(&user, &password));
        Proxy { target, authorization }
    }

    /// Says who we are, in the `Proxy-Authorization` header.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.authorization = Some(basic(user, password));
        self
    }
}

const NO_TLS: &str =
    "a proxy is spoken to by plain HTTP: write `http://`; what goes through it may be encrypted all the same";

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.target).finish()
    }
}

/// The value of a header that shows user and password (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let token = BASE64.encode(format!("{user}:{password}").as_bytes());
    sensitive(&format!("Basic {token}")).unwrap_or(HeaderValue::from_static("Basic"))
}

/// A header's value that is not to be shown; `None` if it cannot stand in a header.
pub(super) fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

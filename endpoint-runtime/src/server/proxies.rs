//! What trusted [`Proxies`] say of who a client is: in headers ([`forwarded`]) or before anything else ([`protocol`]).

pub(super) mod forwarded;
pub(super) mod protocol;

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;

use self::forwarded::Chain;
pub(super) use self::forwarded::Contradiction;
use crate::session::{Ends, NamedHost};
use crate::settings::Proxies;

/// What a trusted proxy says of a request: its ends, and the host that the client named.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) ends: Ends,
    pub(super) host: Option<NamedHost>,
}

impl Proxies {
    /// What is said of a request by whoever it came from: `None` if that is nobody's word to take. `authority` is the one in its URI, which
    /// names the host in HTTP/2.
    ///
    /// # Errors
    /// It cannot be understood, or contradicts itself.
    pub(super) fn read(
        &self,
        headers: &HeaderMap,
        authority: Option<&Authority>,
        ends: &Ends,
    ) -> Result<Option<Forwarded>, Contradiction> {
        if self.are_none() || !self.have(ends.remote.map(|remote| remote.ip())) {
            return Ok(None);
        }
        let chain = Chain::read(headers)?;
        let said = chain.of_client(|address| self.have(Some(address)))?;
        // What comes by the PROXY protocol and then by headers has two proxies behind each other: the outer one's is asked for.
        let proxy = ends.proxy.or(ends.remote);
        let forwarded = Ends {
            remote: said.client.map_or(ends.remote, |(address, port)| {
                Some(SocketAddr::new(address, port.unwrap_or_default()))
            }),
            secure: said.secure.unwrap_or(ends.secure),
            proxy,
            counted: ends.counted && said.client.is_none(),
            ..ends.clone()
        };
        let named = headers.get(HOST).and_then(|host| host.to_str().ok());
        let named = authority.map(Authority::as_str).or(named);
        let host = said.host(named, forwarded.secure)?.map(NamedHost);
        Ok(Some(Forwarded { ends: forwarded, host }))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_port_belongs_to_the_host_that_the_request_names() {
        let trusted = Proxies::new(&["10.0.0.1".to_owned()]).unwrap();
        let ends = Ends { remote: Some(([10, 0, 0, 1], 4711).into()), ..Ends::default() };
        let other = Authority::from_static("other.example");
        let host = HeaderValue::from_static("host.example");
        for (host, authority, expected) in [
            (Some(&host), None, Some("host.example:8443")),
            (None, Some(&other), Some("other.example:8443")),
            (Some(&host), Some(&other), Some("other.example:8443")),
            (None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-port", HeaderValue::from_static("8443"));
            headers.extend(host.map(|host| (HOST, host.clone())));
            let read = trusted.read(&headers, authority, &ends).unwrap().unwrap();
            assert_eq!(read.host.map(|host| host.0).as_deref(), expected, "{headers:?} {authority:?}");
        }
    }
}

//! [`Proxies`]: whose word is taken for who a client is, and what it says: in headers ([`forwarded`]) or before anything else
//! ([`protocol`]).

pub(super) mod forwarded;
pub(super) mod protocol;

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use ipnet::IpNet;

use self::forwarded::Chain;
pub(super) use self::forwarded::Contradiction;
use crate::session::{Ends, NamedHost};

/// How a list of proxies says that whoever comes through a Unix socket is one.
const UNIX: &str = "unix";

/// The proxies that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    networks: Vec<IpNet>,
    unix: bool,
}

/// What a trusted proxy says of a request: its ends, and the host that the client named.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) ends: Ends,
    pub(super) host: Option<NamedHost>,
}

impl Proxies {
    /// Reads addresses, networks, and `unix`.
    ///
    /// # Errors
    /// What is none of these, each with the remedy.
    pub(crate) fn new(list: &[String]) -> Result<Self, Vec<String>> {
        let (mut proxies, mut faults) = (Proxies::default(), Vec::new());
        for text in list {
            match (text.as_str(), text.parse::<IpNet>(), text.parse::<IpAddr>()) {
                (UNIX, ..) => proxies.unix = true,
                (_, Ok(network), _) => proxies.networks.push(network.trunc()),
                (.., Ok(address)) => proxies.networks.push(address.into()),
                _ => faults.push(format!(
                    "{text:?} is no address: write \"10.0.0.5\", a network such as \"10.0.0.0/8\" or \"fd00::/8\", or \"unix\""
                )),
            }
        }
        if faults.is_empty() { Ok(proxies) } else { Err(faults) }
    }

    /// Whether nobody is trusted.
    pub(super) fn are_none(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether this is one of them; without an address, whoever comes through a Unix socket.
    pub(super) fn have(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => {
                let address = address.to_canonical();
                self.networks.iter().any(|network| network.contains(&address))
            }
            None => self.unix,
        }
    }

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

    fn proxies(list: &[&str]) -> Result<Proxies, Vec<String>> {
        Proxies::new(&list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_port_belongs_to_the_host_that_the_request_names() {
        let trusted = proxies(&["10.0.0.1"]).unwrap();
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

    #[test]
    fn proxies_are_addresses_and_networks() {
        let all = proxies(&["10.1.2.3/8", "192.0.2.1", "fd00::/8", "::1", "unix"]).unwrap();
        for (address, trusted) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("::1", true),
        ] {
            assert_eq!(all.have(Some(address.parse().unwrap())), trusted, "{address}");
        }
        assert!(all.have(None));
        assert!(!proxies(&["0.0.0.0/0", "::/0"]).unwrap().have(None));
        assert!(proxies(&[]).unwrap().are_none());
        let faults = proxies(&["10.0.0.0/33", "localhost", "10.0.0.1", "10.0.0.1:80"]).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[1].starts_with("\"localhost\" is no address: write"), "{faults:?}");
    }
}

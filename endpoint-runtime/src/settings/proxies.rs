//! [`Proxies`]: whose word is taken for who a client is, as `trusted_proxies` names them.

use std::net::IpAddr;

use ipnet::IpNet;

/// How a list of proxies says that whoever comes through a Unix socket is one.
const UNIX: &str = "unix";

/// The proxies that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    networks: Vec<IpNet>,
    unix: bool,
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
    pub(crate) fn are_none(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether this is one of them; without an address, whoever comes through a Unix socket.
    pub(crate) fn have(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => {
                let address = address.to_canonical();
                self.networks.iter().any(|network| network.contains(&address))
            }
            None => self.unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &[&str]) -> Result<Proxies, Vec<String>> {
        Proxies::new(&list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>())
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

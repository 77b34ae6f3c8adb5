//! Values with which no server could work, wherever they were set.

use std::time::Duration;

use super::value::LONGEST;
use super::{Proxies, Settings};
use crate::path::Template;

/// What a handshake cannot do without: `Host`, `Upgrade`, `Connection`, and the two of WebSocket (RFC 6455
/// 4.1).
const FEWEST_HEADERS: usize = 5;
/// Room for each is reserved per request, which bounds what is reasonable.
const MOST_HEADERS: usize = 10_000;
/// The HTTP parser cannot do with less.
const SMALLEST_HEAD: usize = 8 * 1024;
/// The window of a connection has room for all its streams, and a bound (RFC 9113 6.9.1).
const MOST_STREAMS: usize = 10_000;

impl Settings {
    /// All values that would break a server: the name of the setting, and why, with the remedy.
    ///
    /// [`Settings::load`] has asked already; whoever changes settings afterwards asks again.
    pub(crate) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = self.unusable_numbers();
        problems.extend(self.unusable_durations());
        problems.extend(self.unusable_tls());
        if self.bind.is_empty() {
            problems.push(("bind", "an empty list listens nowhere: write \"127.0.0.1:8080\"".to_owned()));
        }
        problems.extend(self.bind.iter().filter_map(|address| Some(("bind", address_fault(address)?))));
        problems.extend(prefix_fault(&self.prefix).map(|fault| ("prefix", fault)));
        let origins = self.origins.iter().flatten();
        problems.extend(origins.filter_map(|origin| Some(("origins", origin_fault(origin)?))));
        if let Err(faults) = Proxies::new(&self.trusted_proxies) {
            problems.extend(faults.into_iter().map(|fault| ("trusted_proxies", fault)));
        }
        problems
    }

    fn unusable_numbers(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut refuse = |unusable: bool, name, why: &str| {
            if unusable {
                problems.push((name, why.to_owned()));
            }
        };
        refuse(
            self.max_message_size == 0,
            "max_message_size",
            "0 admits no message: write the size of the largest one",
        );
        refuse(
            self.send_buffer == 0,
            "send_buffer",
            "0 has no room for any message: write more than the largest one",
        );
        refuse(
            self.drain_batch == 0,
            "drain_batch",
            "0 never closes a session: write how many to close in a round",
        );
        refuse(
            self.max_head_size < SMALLEST_HEAD,
            "max_head_size",
            "less than 8KiB has no room for common cookies and tokens: write \"8KiB\" or more",
        );
        refuse(
            self.max_headers < FEWEST_HEADERS,
            "max_headers",
            "less than 5 refuses every handshake, which needs as many: write 5 or more",
        );
        refuse(
            self.max_headers > MOST_HEADERS,
            "max_headers",
            "more than 10000 lets a request reserve memory that no client needs: write less",
        );
        refuse(
            self.http2_max_streams == 0,
            "http2_max_streams",
            "0 admits no request: write how many, or `http2` \"off\"",
        );
        refuse(
            self.http2_max_streams > MOST_STREAMS,
            "http2_max_streams",
            "more than 10000 is more than one connection can carry: write less",
        );
        refuse(
            self.http2_max_resets == 0,
            "http2_max_resets",
            "0 closes the connection of whoever leaves a page: write some dozens",
        );
        refuse(
            self.cluster_queue == 0,
            "cluster_queue",
            "0 has no room for any message to other nodes: write more than the largest one",
        );
        problems
    }

    /// What stands there of TLS without what it needs.
    fn unusable_tls(&self) -> Option<(&'static str, String)> {
        let (name, why) = match (&self.tls_certificate, &self.tls_key, &self.tls_client_authorities) {
            (None, None, None) => return None,
            // To serve without what the operator asks for would be to serve everybody.
            _ if cfg!(not(feature = "tls")) => (
                "tls_certificate",
                "this program was built without the feature `tls`: remove what is set for it",
            ),
            (Some(_), Some(_), _) => return None,
            (Some(_), None, _) => ("tls_certificate", "it needs its private key: write `tls_key` too"),
            (None, Some(_), _) => ("tls_key", "it needs its certificate: write `tls_certificate` too"),
            (None, None, Some(_)) => (
                "tls_client_authorities",
                "only who has a certificate can ask for one: write `tls_certificate` and `tls_key` too",
            ),
        };
        Some((name, why.to_owned()))
    }

    fn unusable_durations(&self) -> Vec<(&'static str, String)> {
        // What zero would do, where it would break something.
        let durations: &[(&'static str, Option<Duration>, Option<&str>)] = &[
            (
                "idle_timeout",
                self.idle_timeout,
                Some("would close every session at once: write \"off\" for no limit"),
            ),
            (
                "ping_interval",
                self.ping_interval,
                Some("would ping without pause: write \"off\" for no pings"),
            ),
            (
                "pong_timeout",
                Some(self.pong_timeout),
                Some("leaves no time to answer a ping: write some seconds"),
            ),
            (
                "send_timeout",
                Some(self.send_timeout),
                Some(
                    "leaves no time to wait: write some seconds, or choose another `overflow` than \"wait\"",
                ),
            ),
            ("handler_grace", Some(self.handler_grace), None),
            (
                "close_timeout",
                Some(self.close_timeout),
                Some("leaves no time for a closing handshake: write some seconds"),
            ),
            ("drain_delay", Some(self.drain_delay), None),
            ("drain_timeout", Some(self.drain_timeout), None),
            ("drain_interval", Some(self.drain_interval), None),
            ("drain_grace", Some(self.drain_grace), None),
            ("destroy_timeout", Some(self.destroy_timeout), None),
            (
                "head_timeout",
                Some(self.head_timeout),
                Some("leaves no time to send a request: write some seconds"),
            ),
            (
                "handshake_timeout",
                Some(self.handshake_timeout),
                Some("leaves a configurator no time to decide: write some seconds"),
            ),
            (
                "tls_handshake_timeout",
                Some(self.tls_handshake_timeout),
                Some("leaves no time for the TLS handshake: write some seconds"),
            ),
            (
                "tls_reload_interval",
                self.tls_reload_interval,
                Some("would look at files without pause: write \"off\" to look at them never"),
            ),
            (
                "cluster_deadline",
                Some(self.cluster_deadline),
                Some("leaves other nodes no time to answer: write a second or so"),
            ),
            (
                "close_when_isolated",
                self.close_when_isolated,
                Some(
                    "would close every session at each hiccup of the engine: write some seconds, or \"off\"",
                ),
            ),
        ];
        let mut problems = Vec::new();
        for &(name, duration, zero) in durations {
            match (duration, zero) {
                (Some(Duration::ZERO), Some(why)) => problems.push((name, format!("0s {why}"))),
                (Some(duration), _) if duration > LONGEST => {
                    problems.push((name, format!("{duration:?} is longer than a year: write less")));
                }
                _ => {}
            }
        }
        problems
    }
}

/// Why one cannot listen there, as far as its form tells.
pub(crate) fn address_fault(address: &str) -> Option<String> {
    if let Some(path) = address.strip_prefix("unix:") {
        return path.is_empty().then(|| format!("{address:?} names no socket: write \"unix:/run/app.sock\""));
    }
    if address.starts_with("systemd:") {
        return cfg!(not(unix)).then(|| format!("{address:?}: this system passes no sockets"));
    }
    let fault = |remedy: &str| Some(format!("{address:?} is not where one can listen: write {remedy}"));
    let Some((host, port)) = address.rsplit_once(':') else {
        return match address.parse::<u16>() {
            Ok(port) => fault(&format!("\"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for all interfaces")),
            Err(_) => fault(&format!("\"{address}:8080\", or \"unix:/run/app.sock\"")),
        };
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match port.parse::<u16>() {
        _ if address.contains("://") => fault("host and port only, such as \"127.0.0.1:8080\""),
        Ok(port) if host.is_empty() => fault(&format!("\"0.0.0.0:{port}\" for all interfaces")),
        _ if bracketed.is_none() && host.contains(':') => {
            fault("an IPv6 address in brackets, such as \"[::1]:8080\"")
        }
        Err(_) => fault("a port from 0 to 65535 after the ':', such as \"127.0.0.1:8080\""),
        Ok(_) => None,
    }
}

/// Why no path begins like this. None is fine.
fn prefix_fault(prefix: &str) -> Option<String> {
    if prefix.is_empty() {
        return None;
    }
    let fault = |text: &str| Some(format!("{prefix:?} cannot stand before a path: {text}"));
    match Template::parse(prefix) {
        Err(error) => fault(error.message()),
        Ok(_) if prefix.ends_with('/') => fault("write it without a slash in the end, such as \"/ws\""),
        Ok(template) if !template.is_literal() => fault("it has no variables"),
        Ok(_) => None,
    }
}

/// Why no browser sends such an `Origin` (RFC 6454 6.2: scheme, host, and the port unless it is the scheme's
/// own).
fn origin_fault(origin: &str) -> Option<String> {
    if matches!(origin, "*" | "null") {
        return None;
    }
    let fault = |remedy: String| Some(format!("{origin:?} is not an origin: write {remedy}"));
    let Some((scheme, rest)) = origin.split_once("://") else {
        return fault(format!("its scheme too, such as \"https://{origin}\""));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if scheme.is_empty() || host.is_empty() {
        return fault("one like \"https://example.com\"".to_owned());
    }
    if host.contains('*') {
        return fault("each host by name, or \"*\" for any origin".to_owned());
    }
    if host == rest { None } else { fault(format!("\"{scheme}://{host}\", without a path")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(Settings::default().problems(), []);
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in [
            "127.0.0.1:0",
            "localhost:8080",
            "[::]:8080",
            "[::1]:65535",
            "unix:/run/app.sock",
            "unix:app.sock",
            "systemd:",
            "systemd:web",
        ] {
            assert_eq!(address_fault(good), None, "{good}");
        }
        let table = [
            ("8080", "\"127.0.0.1:8080\", or \"0.0.0.0:8080\" for all interfaces"),
            ("localhost", "\"localhost:8080\", or \"unix:/run/app.sock\""),
            (":8080", "\"0.0.0.0:8080\" for all interfaces"),
            ("::1:8080", "an IPv6 address in brackets, such as \"[::1]:8080\""),
            ("localhost:", "a port from 0 to 65535 after the ':', such as \"127.0.0.1:8080\""),
            ("localhost:http", "a port from 0 to 65535 after the ':', such as \"127.0.0.1:8080\""),
            ("localhost:65536", "a port from 0 to 65535 after the ':', such as \"127.0.0.1:8080\""),
            ("http://localhost:8080", "host and port only, such as \"127.0.0.1:8080\""),
        ];
        for (bad, remedy) in table {
            assert_eq!(
                address_fault(bad),
                Some(format!("{bad:?} is not where one can listen: write {remedy}")),
                "{bad}"
            );
        }
        assert!(address_fault("unix:").is_some());
    }

    #[test]
    fn a_prefix_is_the_beginning_of_a_path() {
        for good in ["", "/ws", "/api/v1", "/caf%C3%A9"] {
            assert_eq!(prefix_fault(good), None, "{good}");
        }
        for bad in ["ws", "/", "/ws/", "/{tenant}", "//", "/a/../b", "/a?b"] {
            assert!(prefix_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for good in [
            "*",
            "null",
            "https://example.com",
            "http://localhost:3000",
            "http://[::1]:80",
            "tauri://localhost",
        ] {
            assert_eq!(origin_fault(good), None, "{good}");
        }
        let table = [
            ("example.com", "its scheme too, such as \"https://example.com\""),
            ("https://example.com/", "\"https://example.com\", without a path"),
            ("https://example.com/app?x", "\"https://example.com\", without a path"),
            ("https://*.example.com", "each host by name, or \"*\" for any origin"),
            ("https://", "one like \"https://example.com\""),
            ("://example.com", "one like \"https://example.com\""),
        ];
        for (bad, remedy) in table {
            assert_eq!(origin_fault(bad), Some(format!("{bad:?} is not an origin: write {remedy}")), "{bad}");
        }
    }
}

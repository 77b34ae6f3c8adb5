//! Why a connection could not be made: [`ConnectError`].

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

/// What a client is doing when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectStep {
    /// It looks the host's name up.
    Resolve,
    /// It opens a TCP connection to the host, or to the proxy.
    Tcp,
    /// It asks the proxy to connect it to the host.
    Proxy,
    /// It agrees on encryption with the host.
    Tls,
    /// It asks the server for a WebSocket: the opening handshake.
    Handshake,
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectStep::Resolve => "looking the host up",
            ConnectStep::Tcp => "connecting by TCP",
            ConnectStep::Proxy => "asking the proxy",
            ConnectStep::Tls => "the TLS handshake",
            ConnectStep::Handshake => "the opening handshake",
        })
    }
}

/// Why a [`Client`](crate::Client) could not connect.
///
/// None of them shows a password, a token, or the query of the URL.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none that one can connect to.
    Url(String),
    /// The client cannot be used as it is set up: an option with a wrong value, a component that an endpoint needs and nobody
    /// provides.
    Setup(Vec<String>),
    /// What the endpoint's parameters ask of the handshake is not there: a `#[query]` parameter that the URL lacks, for example.
    Argument(String),
    /// The connection could not be made, or broke before the server had answered.
    Io {
        /// What was being done.
        step: ConnectStep,
        /// Host and port.
        with: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It took longer than the client's [`timeout`](crate::Client::timeout).
    Timeout {
        /// What was being done when the time was over.
        step: ConnectStep,
        /// How much time there was.
        after: Duration,
    },
    /// The proxy did not connect us.
    ProxyRefused {
        /// What it answered; 407: it wants a user and a password.
        status: StatusCode,
    },
    /// The server answered, and not with a WebSocket.
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// The headers of its answer.
        headers: Box<HeaderMap>,
        /// The first 64 KiB of what it said.
        body: Bytes,
    },
    /// The server redirects us, and we do not follow: too often, in a circle, from `wss` to `ws`, or to nowhere.
    Redirect(String),
    /// The server said that it speaks WebSocket, but broke the rules of the handshake (RFC 6455 4.1).
    Invalid(String),
    /// The client has been shut down.
    ShutDown,
}

impl ConnectError {
    /// The status of the server's answer, if it refused.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            ConnectError::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether it may go better the next time: no connection, no time, or an answer that means "not now" (408, 429, 5xx).
    pub fn is_transient(&self) -> bool {
        match self {
            // A certificate that is not trusted will not be trusted the next time either.
            ConnectError::Io { step: ConnectStep::Tls, source, .. } => {
                source.kind() != io::ErrorKind::InvalidData && source.kind() != io::ErrorKind::Unsupported
            }
            ConnectError::Io { .. } | ConnectError::Timeout { .. } => true,
            ConnectError::Refused { status, .. } | ConnectError::ProxyRefused { status } => {
                status.is_server_error()
                    || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            }
            _ => false,
        }
    }

    /// How long the server wants us to wait (`Retry-After`, RFC 9110 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        let ConnectError::Refused { headers, .. } = self else { return None };
        let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Url(why) => write!(f, "not a URL to connect to: {why}"),
            ConnectError::Setup(problems) => {
                write!(f, "the client cannot connect: {}", problems.join("; "))
            }
            ConnectError::Argument(why) => write!(f, "the endpoint cannot take this connection: {why}"),
            ConnectError::Io { step, with, source } => write!(f, "{step} failed with {with}: {source}"),
            ConnectError::Timeout { step, after } => {
                write!(f, "no connection within {after:?}; the time was over in {step}")
            }
            ConnectError::ProxyRefused { status } => {
                write!(f, "the proxy refused to connect: {}", shown(*status))
            }
            ConnectError::Refused { status, .. } => {
                write!(f, "the server refused the WebSocket: {}", shown(*status))
            }
            ConnectError::Redirect(why) => write!(f, "not redirected: {why}"),
            ConnectError::Invalid(why) => {
                write!(f, "the server broke the rules of the opening handshake: {why}")
            }
            ConnectError::ShutDown => f.write_str("the client has been shut down"),
        }
    }
}

/// `404 Not Found`, or the number alone where it has no name.
fn shown(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ConnectError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, retry_after: Option<&str>) -> ConnectError {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        ConnectError::Refused { status, headers: Box::new(headers), body: Bytes::new() }
    }

    #[test]
    fn what_may_go_better_the_next_time() {
        for (status, transient) in [
            (408, true),
            (429, true),
            (500, true),
            (503, true),
            (400, false),
            (401, false),
            (404, false),
            (200, false),
        ] {
            assert_eq!(refused(status, None).is_transient(), transient, "{status}");
        }
        let tls = |kind: io::ErrorKind| ConnectError::Io {
            step: ConnectStep::Tls,
            with: "host:443".to_owned(),
            source: kind.into(),
        };
        assert!(tls(io::ErrorKind::ConnectionReset).is_transient());
        assert!(!tls(io::ErrorKind::InvalidData).is_transient());
        assert!(!ConnectError::Invalid(String::new()).is_transient());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(refused(503, Some("7")).retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(refused(503, Some("Wed, 21 Oct 2015 07:28:00 GMT")).retry_after(), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = refused(503, Some(&soon)).retry_after().unwrap();
        assert!((98..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(refused(503, Some("soon")).retry_after(), None);
        assert_eq!(refused(503, None).retry_after(), None);
    }
}

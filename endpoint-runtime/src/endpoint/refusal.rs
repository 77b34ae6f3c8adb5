//! [`Refusal`]: an opening handshake that is turned down, as an HTTP response.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

/// A handshake is refused with this status, these headers and this body: the connection never becomes a socket.
///
/// The body is one line of text that says why. It is shown to the peer, so it holds no internals.
#[derive(Clone)]
pub struct Refusal(Box<Answer>);

/// Boxed, because a refusal is the error of functions that usually succeed.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Refusal {
    /// A refusal with a status and a line of text.
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let mut body = reason.into().into_owned();
        body.push('\n');
        Refusal(Box::new(Answer { status, headers, body: body.into() }))
    }

    /// 400: the request makes no sense to this endpoint.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// 401: the peer must say who it is.
    pub fn unauthorized(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, reason)
    }

    /// 403: the peer may not.
    pub fn forbidden(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, reason)
    }

    /// Adds a header, or replaces the one of that name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The line of text.
    pub fn reason(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.0.body.trim_ascii_end())
    }

    pub(crate) fn into_response(self) -> http::Response<Bytes> {
        let Answer { status, headers, body } = *self.0;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.reason())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({self})")
    }
}

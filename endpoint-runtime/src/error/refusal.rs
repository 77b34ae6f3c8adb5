//! [`Refusal`]: an opening handshake that is turned down, as an HTTP response.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

/// A handshake is refused with this status, these headers and this body: the connection never becomes a socket.
///
/// Without a body of its own it says why in one line of text. That is shown to the peer, so it holds no internals.
///
/// ```
/// use endpoint_runtime::Refusal;
/// use endpoint_runtime::http::{HeaderValue, StatusCode, header};
///
/// let elsewhere = Refusal::new(StatusCode::TEMPORARY_REDIRECT, "this room has moved")
///     .header(header::LOCATION, HeaderValue::from_static("/rooms/green"));
/// let explained = Refusal::forbidden("the room is full")
///     .body(HeaderValue::from_static("application/json"), r#"{"error":"full","seats":0}"#);
/// assert_eq!(explained.reason(), "the room is full");
/// ```
#[derive(Clone)]
pub struct Refusal(Box<Answer>);

/// Boxed, because a refusal is the error of functions that usually succeed.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    reason: Cow<'static, str>,
    /// `None`: the reason.
    body: Option<Bytes>,
}

impl Refusal {
    /// A refusal with a status and a line of text.
    ///
    /// A status below 200 would not end the handshake, and 101 would even seem to accept it: 500 is answered instead.
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let status = if status.is_informational() { StatusCode::INTERNAL_SERVER_ERROR } else { status };
        Refusal(Box::new(Answer { status, headers, reason: reason.into(), body: None }))
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

    /// Adds a header, or replaces the one of that name. How long the body is and how it is framed is not a refusal's to say.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Adds a line of a header that may have several, such as `Set-Cookie`.
    #[must_use]
    pub fn append_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// Answers with this body instead of the line of text, which then stands in the log only.
    #[must_use]
    pub fn body(self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut refusal = self.header(CONTENT_TYPE, content_type);
        refusal.0.body = Some(body.into());
        refusal
    }

    pub(crate) fn has_header(&self, name: &HeaderName) -> bool {
        self.0.headers.contains_key(name)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The line of text.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    pub(crate) fn into_response(self) -> http::Response<Bytes> {
        let Answer { status, mut headers, reason, body } = *self.0;
        for framing in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(framing);
        }
        let body = body.unwrap_or_else(|| format!("{reason}\n").into());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_status_headers_and_body() {
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "slowly")
            .header(http::header::RETRY_AFTER, HeaderValue::from_static("7"))
            .append_header(http::header::SET_COOKIE, HeaderValue::from_static("a=1"))
            .append_header(http::header::SET_COOKIE, HeaderValue::from_static("b=2"))
            .body(HeaderValue::from_static("application/octet-stream"), vec![0, 255]);
        assert_eq!(refusal.to_string(), "429 Too Many Requests: slowly");
        let response = refusal.into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "7");
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(response.headers()["content-type"], "application/octet-stream");
        assert_eq!(response.body().as_ref(), [0, 255]);
    }

    #[test]
    fn what_would_break_the_answer_is_not_sent() {
        let refusal = Refusal::new(StatusCode::SWITCHING_PROTOCOLS, "welcome")
            .header(CONTENT_LENGTH, HeaderValue::from_static("1000"))
            .header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let response = refusal.into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers().len(), 1);
        assert_eq!(response.body(), "welcome\n");
    }
}

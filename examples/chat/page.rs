//! The chat's page as a tower service: five files, part of the program, and 404 for everything else.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

/// Everything comes from here and nothing else runs: no inline script or style, no frame around it.
const POLICY: &str = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The service to fall back to where a request is not for an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page;

impl<B> Service<Request<B>> for Page {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(answer(request.method(), request.uri().path())))
    }
}

fn answer(method: &Method, path: &str) -> Response<Full<Bytes>> {
    let (content_type, content): (_, &'static [u8]) = match path {
        "/" => ("text/html; charset=utf-8", include_bytes!("index.html")),
        "/chat.css" => ("text/css; charset=utf-8", include_bytes!("chat.css")),
        "/chat.js" => ("text/javascript; charset=utf-8", include_bytes!("chat.js")),
        "/resume.js" => ("text/javascript; charset=utf-8", include_bytes!("resume.js")),
        "/favicon.svg" => ("image/svg+xml", include_bytes!("favicon.svg")),
        _ => return refusal(StatusCode::NOT_FOUND, "There is no such page.\n"),
    };
    if method != Method::GET && method != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "This page can only be read.\n");
    }
    let mut response = text(StatusCode::OK, content_type, content);
    let headers = response.headers_mut();
    // A rebuilt program serves its new page at once.
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(POLICY));
    response
}

fn refusal(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(status, "text/plain; charset=utf-8", why.as_bytes());
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}

fn text(status: StatusCode, content_type: &'static str, content: &'static [u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(content)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

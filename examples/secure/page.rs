//! The page, and the HTTP that it speaks with the desk: `/login`, `/token` and `/logout`.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use endpoint_runtime::{CloseReason, Container};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Collected, Full, Limited};
use serde::Deserialize;
use tower_service::Service;

use crate::desk::{Desk, HOLDS};

/// Everything comes from here and nothing else runs.
const POLICY: &str = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The service to fall back to where a request is not for an endpoint.
#[derive(Clone)]
pub(crate) struct Page(pub(crate) Arc<Desk>);

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

impl<B> Service<Request<B>> for Page
where
    B: BodyExt<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let desk = Arc::clone(&self.0);
        let (head, body) = request.into_parts();
        Box::pin(async move {
            // Nothing that is longer, or breaks off, makes sense here.
            let body = Limited::new(body, 1024).collect().await.map(Collected::to_bytes);
            Ok(answer(&desk, &head, &body.unwrap_or_default()).await)
        })
    }
}

async fn answer(desk: &Desk, head: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/") => file("text/html; charset=utf-8", include_bytes!("index.html")),
        (&Method::GET, "/secure.css") => file("text/css; charset=utf-8", include_bytes!("secure.css")),
        (&Method::GET, "/secure.js") => file("text/javascript; charset=utf-8", include_bytes!("secure.js")),
        (&Method::POST, "/login") => {
            let login = serde_json::from_slice::<Login>(body).ok();
            given(login.and_then(|login| desk.sign_in(&login.name, &login.password)))
        }
        (&Method::POST, "/token") => given(token(&head.headers).and_then(|token| desk.renew(token))),
        (&Method::POST, "/logout") => {
            let name = token(&head.headers).and_then(|token| desk.sign_out(token));
            // The server says which one it is to who answers its requests.
            if let (Some(name), Some(container)) = (name, head.extensions.get::<Container>()) {
                container.sessions().user(name).close(CloseReason::policy("signed out")).await;
            }
            plain(StatusCode::NO_CONTENT, "")
        }
        _ => plain(StatusCode::NOT_FOUND, "There is no such page.\n"),
    }
}

/// The token that a request brings.
fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The token that was given out, and for how many seconds.
fn given(token: Option<String>) -> Response<Full<Bytes>> {
    let Some(token) = token else { return plain(StatusCode::UNAUTHORIZED, "That is not right.\n") };
    let body = serde_json::json!({ "token": token, "seconds": HOLDS.as_secs() });
    respond(StatusCode::OK, "application/json", body.to_string())
}

fn file(content_type: &'static str, content: &'static [u8]) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, content_type, content)
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

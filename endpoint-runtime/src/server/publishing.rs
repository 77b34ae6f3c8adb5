//! [`Publishing`]: `POST` with a message for sessions, from programs that speak HTTP and nothing else.

mod order;
mod outcome;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;

use self::order::Order;
use self::outcome::Outcome;
use super::body::{self, Answer, ResponseBody};
use crate::access::{Identity, Roles};
use crate::context::ApplicationContext;
use crate::error::Refusal;
use crate::handshake::{BearerTokens, challenged};
use crate::session::Sessions;
use crate::settings::Settings;

/// Where messages are taken, and from whom.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    /// The path, below the prefix of all paths.
    path: String,
    role: String,
}

impl Publishing {
    pub(crate) fn new(path: String, role: String) -> Self {
        Publishing { path, role }
    }

    /// What is wrong with it, so that nobody opens it to everybody by mistake.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> {
        let path = (!self.path.starts_with('/') || self.path.contains(['?', '#', '{', '}', ' '])).then(|| {
            format!("`.publishing({:?}, ..)`: a path begins with `/`, and is taken as it is: no variables, no query", self.path)
        });
        let role = self.role.is_empty().then(|| {
            format!(
                "`.publishing({:?}, \"\")`: name the role that may publish, since nobody else is to",
                self.path
            )
        });
        path.into_iter().chain(role)
    }

    /// Answers what is for this path, and lets the rest go on to the fallback.
    pub(crate) fn before(
        self,
        fallback: Option<Answer>,
        sessions: Sessions,
        context: &ApplicationContext,
        settings: &Settings,
    ) -> Answer {
        let desk = Arc::new(Desk {
            path: format!("{}{}", settings.prefix, self.path),
            roles: Roles::new(vec![self.role]),
            patience: settings.handshake_timeout,
            sessions,
            context: context.within(),
        });
        Arc::new(move |request| {
            if request.uri().path() == desk.path {
                let desk = Arc::clone(&desk);
                return Box::pin(async move { desk.answer(request).await });
            }
            match &fallback {
                Some(fallback) => fallback(request),
                None => Box::pin(std::future::ready(body::refused(crate::handshake::not_found()))),
            }
        })
    }
}

/// Where messages are handed in.
struct Desk {
    path: String,
    roles: Roles,
    /// How long a body may take.
    patience: Duration,
    sessions: Sessions,
    context: ApplicationContext,
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        match self.take(request).await {
            Ok(outcome) => respond(outcome),
            Err(refusal) => {
                let (status, reason) = (refusal.status().as_u16(), refusal.reason());
                tracing::debug!(path = self.path, status, reason, "a message is refused");
                body::refused(refusal)
            }
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Result<Outcome, Refusal> {
        if request.method() != Method::POST {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "messages are handed in by POST");
            return Err(refusal.header(ALLOW, HeaderValue::from_static("POST")));
        }
        // A stranger learns nothing of what there is to be had, not even what it should look like.
        let publisher = self.admit(request.headers()).await?;
        if !is_json(request.headers()) {
            let reason = "a message is handed in as `application/json`";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
        }
        let order = Order::read(&self.body(request).await?)?;
        tracing::debug!(path = self.path, publisher = publisher.name(), to = ?order.to(), "publishing");
        Ok(order.carry_out(&self.sessions).await)
    }

    /// Who publishes. A cookie says nothing here: a browser sends it whichever page asks.
    async fn admit(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let tokens = self.context.find::<BearerTokens>().ok_or_else(stopping)?;
        let Some(token) = bearer(headers) else {
            return Err(challenged(Refusal::unauthorized("who are you?")));
        };
        let established = tokens.verify(token, &self.context).await?;
        let identity = established.get::<Identity>().cloned().unwrap_or_default();
        if identity.has_expired() {
            return Err(challenged(Refusal::unauthorized("this token has expired")));
        }
        self.roles.admit(Some(&identity))?;
        Ok(identity)
    }

    /// The body. How large it may be was looked at before: `max_body_size`.
    async fn body(&self, request: Request<Incoming>) -> Result<Bytes, Refusal> {
        let late = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "the message takes too long");
        let collected = tokio::time::timeout(self.patience, request.into_body().collect()).await;
        let collected = collected.map_err(|_| late())?;
        collected.map(Collected::to_bytes).map_err(|_| Refusal::bad_request("the body breaks off"))
    }
}

/// The token of `Authorization: Bearer <token>` (RFC 6750 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn respond(outcome: Outcome) -> Response<ResponseBody> {
    // There is nothing in it that has no form in JSON.
    let text = serde_json::to_vec(&outcome).unwrap_or_default();
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = outcome.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if outcome.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn stopping() -> Refusal {
    crate::handshake::unavailable("the server is shutting down, try again later")
}

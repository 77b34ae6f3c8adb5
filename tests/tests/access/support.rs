//! What the tests share: users and their tokens, a layer that knows names, and a diary.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::App;
use endpoint_runtime::{BearerTokens, EndpointService, ResponseBody, TokenVerifier};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tower_service::Service;

/// How long anything is waited for. Where time is paused it passes at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who somebody is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User(pub(crate) String);

/// A secret that stands in every token, so that it is found wherever one is left behind.
pub(crate) const SECRET: &str = "s3cr3t";

/// The token of somebody, with as many roles as one likes: `bo`, `bo.admin.editor`. A number is how many seconds it holds.
pub(crate) fn token(of: &str) -> String {
    format!("{SECRET}.{of}")
}

/// Whose token that is.
pub(crate) fn principal(token: &str) -> Option<Principal<User>> {
    let mut parts = token.strip_prefix(SECRET)?.strip_prefix('.')?.split('.');
    let name = parts.next()?;
    let principal = Principal::new(User(name.to_owned())).named(name);
    Some(parts.fold(principal, |principal, part| match part.parse() {
        Ok(seconds) => principal.expires_at(SystemTime::now() + Duration::from_secs(seconds)),
        Err(_) => principal.role(part),
    }))
}

/// Knows the tokens, and counts how often it is asked.
#[derive(Clone, Default)]
pub(crate) struct Knows(Arc<AtomicUsize>);

impl Knows {
    pub(crate) fn asked(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl TokenVerifier for Knows {
    type Who = User;

    async fn verify(&self, token: &str, _: &ApplicationContext) -> Result<Principal<User>, Refusal> {
        self.0.fetch_add(1, Ordering::SeqCst);
        principal(token).ok_or_else(|| Refusal::unauthorized("this token is not valid"))
    }
}

pub(crate) fn tokens() -> BearerTokens {
    BearerTokens::new(Knows::default())
}

/// This endpoint alone, with tokens.
pub(crate) fn app<E: 'static>() -> App {
    runtime::test::app().only::<E>().with(|exporter| exporter.bearer(tokens()))
}

/// A header with somebody's token.
pub(crate) fn authorization(of: &str) -> String {
    format!("Bearer {}", token(of))
}

/// A layer in front of all endpoints that establishes whoever says a name.
#[derive(Clone)]
pub(crate) struct ByName(pub(crate) EndpointService);

impl Service<Request<Incoming>> for ByName {
    type Response = Response<ResponseBody>;
    type Error = <EndpointService as Service<Request<Incoming>>>::Error;
    type Future = <EndpointService as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let name = request.headers().get("x-name").and_then(|name| name.to_str().ok()).map(token);
        if let Some(principal) = name.as_deref().and_then(principal) {
            principal.establish(request.extensions_mut());
        }
        self.0.call(request)
    }
}

/// A component that handlers tell what they do.
#[derive(Clone)]
pub(crate) struct Told(UnboundedSender<String>);

/// What the handlers told, in its order.
pub(crate) struct Heard(UnboundedReceiver<String>);

pub(crate) fn diary() -> (Told, Heard) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Told(sender), Heard(receiver))
}

impl Told {
    pub(crate) fn tell(&self, what: impl Display) {
        // A test that is over listens no more.
        let _ = self.0.send(what.to_string());
    }
}

impl Heard {
    pub(crate) async fn next(&mut self) -> String {
        match tokio::time::timeout(PATIENCE, self.0.recv()).await {
            Ok(Some(told)) => told,
            Ok(None) => panic!("the application has gone"),
            Err(_) => panic!("nothing was told for {PATIENCE:?}"),
        }
    }

    /// What there is now.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

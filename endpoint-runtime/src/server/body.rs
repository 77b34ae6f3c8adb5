//! Bodies of responses, and tower services that answer requests: the fallback, and what stands inside the layers.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use crate::error::{BoxError, Refusal};

/// The body of a response.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Answers requests: a tower service without its type.
pub(crate) type Answer = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<Response<ResponseBody>> + Send + Sync>;

pub(super) fn refused(refusal: Refusal) -> Response<ResponseBody> {
    refusal.into_response().map(|body| Full::new(body).map_err(never).boxed_unsync())
}

pub(super) fn empty() -> ResponseBody {
    Empty::new().map_err(never).boxed_unsync()
}

fn never(never: Infallible) -> BoxError {
    match never {}
}

/// What [`layer`](crate::ServerEndpointExporter::layer) puts a tower layer around: the endpoints, as a service.
#[derive(Clone)]
pub struct EndpointService(pub(crate) Answer);

impl fmt::Debug for EndpointService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointService")
    }
}

impl Service<Request<Incoming>> for EndpointService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let answer = (self.0)(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

/// Any tower service. Each request has a clone of its own, so that one that is not ready holds nobody up.
pub(crate) fn boxed<S, B>(service: S) -> Answer
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Arc::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            let answered = async {
                std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(request).await
            };
            match answered.await {
                Ok(response) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
                Err(error) => {
                    let error: BoxError = error.into();
                    tracing::error!(%error, "a tower service failed");
                    refused(Refusal::new(http::StatusCode::INTERNAL_SERVER_ERROR, "internal error"))
                }
            }
        })
    })
}

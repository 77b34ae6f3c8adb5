//! Bodies of responses, and the service that answers what is not for an endpoint.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use crate::endpoint::Refusal;
use crate::error::BoxError;

/// The body of a response.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Answers every request that is not for an endpoint.
pub(crate) type Fallback = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<Response<ResponseBody>> + Send + Sync>;

pub(super) fn refused(refusal: Refusal) -> Response<ResponseBody> {
    refusal.into_response().map(|body| Full::new(body).map_err(never).boxed_unsync())
}

pub(super) fn empty() -> ResponseBody {
    Empty::new().map_err(never).boxed_unsync()
}

fn never(never: Infallible) -> BoxError {
    match never {}
}

/// Any tower service, as a fallback. Each request has a clone of its own, so that one that is not ready holds nobody up.
pub(crate) fn boxed_fallback<S, B>(service: S) -> Fallback
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
                    tracing::error!(%error, "the fallback service failed");
                    refused(Refusal::new(http::StatusCode::INTERNAL_SERVER_ERROR, "internal error"))
                }
            }
        })
    })
}

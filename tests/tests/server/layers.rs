//! Tower layers around the endpoints: they see a handshake once its path is found, may refuse it, and establish who it is.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use endpoint_runtime::ResponseBody;
use endpoint_runtime::prelude::*;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower_layer::layer_fn;
use tower_service::Service;

use crate::support::{Raw, connect_with, next_text, only, says_back, start, upgrade};

#[server_endpoint("/layered/{room}")]
struct Layered;

#[handlers]
impl Layered {
    #[on_open]
    fn open(&self, who: Principal<String>, handshake: &Handshake) -> String {
        let order = handshake.extensions().get::<Order>().map_or("", |order| order.0);
        format!("{} {order}", *who)
    }

    #[on_message]
    fn echo(&self, text: Text) -> Text {
        text
    }
}

/// Which layer was asked last before the endpoint.
#[derive(Clone)]
struct Order(&'static str);

/// Knows a peer by a header, and turns away whoever is called Mallory.
#[derive(Clone)]
struct ByName<S> {
    inner: S,
    name: &'static str,
}

impl<S> Service<Request<Incoming>> for ByName<S>
where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let name = request.headers().get("x-name").and_then(|name| name.to_str().ok()).map(str::to_owned);
        if name.as_deref() == Some("mallory") {
            let body = UnsyncBoxBody::new(Full::from("not you").map_err(|never| match never {}));
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            return Box::pin(async { Ok(response) });
        }
        if let Some(name) = name {
            request.extensions_mut().insert(Principal::new(name));
        }
        request.extensions_mut().insert(Order(self.name));
        Box::pin(self.inner.call(request))
    }
}

#[tokio::test]
async fn a_layer_refuses_or_says_who_it_is() {
    let exporter = only::<Layered>()
        .layer(layer_fn(|inner| ByName { inner, name: "inner" }))
        .layer(layer_fn(|inner| ByName { inner, name: "outer" }));
    let server = start(exporter).await;
    let address = server.local_addr();

    let mut ada = connect_with(address, "/layered/blue", &[("x-name", "ada")]).await;
    assert_eq!(next_text(&mut ada).await, "ada inner", "the last layer is the outermost");
    says_back(&mut ada, "through the layers").await;

    let table: [(&[&str], &str, u16); 3] =
        [(&["X-Name: mallory"], "/layered/blue", 418), (&[], "/layered/blue", 401), (&[], "/nowhere", 404)];
    for (headers, path, status) in table {
        let answer = Raw::connect(address).await.ask(upgrade(path, headers)).await;
        assert_eq!(answer.status, status, "{path} {headers:?}");
    }
    drop(ada);
    server.shutdown().await;
}

//! The applications, servers and endpoints that the rows of several modules need.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::App;
use endpoint_runtime::{
    self as runtime, Container, Endpoint, PathParams, ResponseBody, Server, ServerEndpointConfig,
    ServerEndpointExporter, Settings,
};
use http::{Request, Response};
use hyper::body::Incoming;
use tower_service::Service;

use crate::told::soon;

/// The exporter with these endpoints alone: one that is registered here is left out unless it is among them.
pub(crate) fn with_only(
    mut exporter: ServerEndpointExporter,
    configs: impl IntoIterator<Item = ServerEndpointConfig>,
) -> ServerEndpointExporter {
    let mut places = Vec::new();
    for config in configs {
        places.push(config.place());
        exporter = exporter.endpoint(config);
    }
    exporter.only(move |config| places.contains(&config.place()))
}

/// An application in memory with these endpoints alone.
pub(crate) fn these(configs: impl IntoIterator<Item = ServerEndpointConfig>) -> App {
    runtime::test::app().with(|exporter| with_only(exporter, configs))
}

/// An exporter of what is registered, with the default settings, on any free port.
pub(crate) fn exporter() -> ServerEndpointExporter {
    runtime::export_all().settings(Settings::default()).bind("127.0.0.1:0")
}

/// A server on any free port with these endpoints alone.
pub(crate) async fn serve(configs: impl IntoIterator<Item = ServerEndpointConfig>) -> Server {
    soon("the start", with_only(exporter(), configs).start()).await.unwrap()
}

pub(crate) fn url(server: &Server, path: &str) -> String {
    format!("ws://{}{path}", server.local_addr())
}

/// Behind the endpoints: turns every request into a session of this one, with no variables of any path.
#[derive(Clone)]
pub(crate) struct Lacking(pub(crate) Arc<ServerEndpointConfig>);

impl Service<Request<Incoming>> for Lacking {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let container = request.extensions().get::<Container>().unwrap().clone();
        let config = Arc::clone(&self.0);
        Box::pin(async move {
            let nothing: [(&str, &str); 0] = [];
            Ok(container.upgrade(request, &config, PathParams::from(nothing)).await.unwrap())
        })
    }
}

/// Says back what it hears.
pub(crate) struct Echo;

impl Endpoint for Echo {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        Ok(session.send(message).await?)
    }
}

#[track_caller]
pub(crate) fn echo(path: &str) -> ServerEndpointConfig {
    ServerEndpointConfig::builder(path, || Echo).build()
}

//! [`rows`] and [`equal`]: tables whose failing rows are all reported, by name; and what the rows of several modules need.

use std::convert::Infallible;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::test::App;
use endpoint_runtime::{
    self as runtime, Container, Endpoint, PathParams, ResponseBody, Server, ServerEndpointConfig,
    ServerEndpointExporter, Settings,
};
use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tower_service::Service;

/// How long anything is waited for. Where time is paused it passes at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: waited for {PATIENCE:?} in vain"),
    }
}

/// Waits for a state that no event announces.
pub(crate) async fn until(what: &str, mut state: impl FnMut() -> bool) {
    soon(what, async {
        while !state() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Runs the rows of a table one after the other. One that panics or hangs has failed; all that have are named in the end.
pub(crate) async fn rows<F: Future<Output = ()>>(table: impl IntoIterator<Item = (impl Display, F)>) {
    let (mut count, mut failed) = (0, Vec::new());
    for (name, row) in table {
        count += 1;
        match tokio::time::timeout(2 * PATIENCE, AssertUnwindSafe(row).catch_unwind()).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                failed.push(format!("{name}: {}", text.unwrap_or("a panic")));
            }
            Err(_) => failed.push(format!("{name}: hangs")),
        }
    }
    report(count, &failed);
}

/// Compares what there is with what is expected, row by row; all that differ are named in the end.
#[track_caller]
pub(crate) fn equal<T: PartialEq + Debug>(table: impl IntoIterator<Item = (impl Display, T, T)>) {
    let (mut count, mut failed) = (0, Vec::new());
    for (name, found, expected) in table {
        count += 1;
        if found != expected {
            failed.push(format!("{name}: {found:?} instead of {expected:?}"));
        }
    }
    report(count, &failed);
}

#[track_caller]
fn report(count: usize, failed: &[String]) {
    assert_ne!(count, 0, "a table without rows proves nothing");
    assert!(failed.is_empty(), "{} of {count} rows failed:\n{}", failed.len(), failed.join("\n"));
}

// ---- what endpoints tell

/// A component, or a field, that endpoints tell what they do.
#[derive(Clone)]
pub(crate) struct Told(UnboundedSender<String>);

/// What was told, in its order.
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
        soon("something to be told", self.0.recv())
            .await
            .unwrap_or_else(|| panic!("nobody is there any more"))
    }

    /// The next thing told is this.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let told = self.next().await;
            assert_eq!(told, expected, "at {place}");
        }
    }

    /// All that was told up to what begins so, that included.
    pub(crate) async fn up_to(&mut self, last: &str) -> Vec<String> {
        let mut told = Vec::new();
        while !told.last().is_some_and(|told: &String| told.starts_with(last)) {
            told.push(self.next().await);
        }
        told
    }

    /// What was told and not heard yet.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

// ---- applications and servers

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

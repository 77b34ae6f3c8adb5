//! What holds for one listener: which endpoints there are for those who come in there.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Address, Listen, Server, ServerEndpointExporter, Settings};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tower_service::Service;

use super::support::{Raw, Reporter, upgrade};

/// Says its page for everything.
#[derive(Clone)]
struct Page;

impl Service<Request<Incoming>> for Page {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        ready(Ok(Response::new(Full::from("a page"))))
    }
}

fn is_internal(endpoint: &ServerEndpointConfig) -> bool {
    endpoint.path().starts_with("/internal/")
}

/// An exporter of endpoints at these paths, without listeners.
#[track_caller]
fn of(paths: &[&str]) -> ServerEndpointExporter {
    let exporter = endpoint_runtime::export_all()
        .settings(Settings::default())
        .only(endpoint_runtime::ServerEndpointConfig::is::<Reporter>);
    paths.iter().fold(exporter, |exporter, path| exporter.endpoint(Reporter::at(path).0))
}

/// What a handshake comes to at each listener.
async fn statuses(server: &Server, path: &str) -> Vec<u16> {
    connections(server, path).await.into_iter().map(|(status, _)| status).collect()
}

async fn connections(server: &Server, path: &str) -> Vec<(u16, Raw)> {
    let mut all = Vec::new();
    for address in server.addresses() {
        let Address::Tcp(address) = address else { panic!("{address}") };
        let mut raw = Raw::connect(*address).await;
        all.push((raw.ask(upgrade(path, &[])).await.status, raw));
    }
    all
}

#[tokio::test]
async fn an_endpoint_is_there_for_those_who_come_in_where_it_is_admitted() {
    let exporter = of(&["/public/news", "/internal/news", "/{any}/news"])
        .bind(Listen::on("127.0.0.1:0").only(|endpoint| !is_internal(endpoint)))
        .bind(Listen::on("127.0.0.1:0").only(is_internal))
        .bind("127.0.0.1:0");
    let server = super::support::start(exporter).await;
    let mut table = vec![
        ("/public/news", vec![101, 404, 101]),
        // At the first it is a path of the third endpoint, as if there were no second one.
        ("/internal/news", vec![101, 101, 101]),
        ("/nothing", vec![404, 404, 404]),
        ("/internal/late", vec![404, 404, 404]),
    ];
    for (path, expected) in &table {
        assert_eq!(statuses(&server, path).await, *expected, "{path}");
    }
    let _open = connections(&server, "/internal/news").await;
    let paths: Vec<_> = server.sessions().all().iter().map(|session| session.path().to_owned()).collect();
    assert!(paths.iter().any(|path| path == "/{any}/news"), "{paths:?}");
    // What is deployed later is asked about too.
    server.deploy(Reporter::at("/internal/late").0).unwrap();
    table[3].1 = vec![404, 101, 101];
    assert_eq!(statuses(&server, table[3].0).await, table[3].1);
}

/// What is not there is the fallback's, and not even 426 says that there is something.
#[tokio::test]
async fn what_is_not_there_is_the_fallbacks() {
    let exporter = of(&["/public/news", "/internal/news"])
        .bind(Listen::on("127.0.0.1:0").only(|endpoint| !is_internal(endpoint)))
        .bind("127.0.0.1:0")
        .fallback(Page);
    let server = super::support::start(exporter).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    assert_eq!(raw.ask(upgrade("/internal/news", &[])).await.body, "a page");
    assert_eq!(raw.ask(upgrade("/public/news", &[])).await.status, 101);
}

#[tokio::test]
async fn filters_of_a_listener_must_all_agree() {
    let listen = Listen::on("127.0.0.1:0")
        .only(|endpoint| endpoint.path() != "/a")
        .only(|endpoint| endpoint.path() != "/b");
    let server = super::support::start(of(&["/a", "/b", "/c"]).bind(listen).bind("127.0.0.1:0")).await;
    for (path, status) in [("/a", 404), ("/b", 404), ("/c", 101)] {
        assert_eq!(statuses(&server, path).await[0], status, "{path}");
    }
}

#[test]
fn an_endpoint_that_is_nowhere_is_a_problem() {
    let nowhere = of(&["/public/news", "/internal/news"])
        .bind(Listen::on("127.0.0.1:0").only(|endpoint| !is_internal(endpoint)))
        .bind(Listen::on("127.0.0.1:0").only(|_| false));
    let report = nowhere.check();
    let [problem] = report.problems() else { panic!("{report}") };
    assert!(problem.to_string().contains("no listener admits `/internal/news`"), "{problem}");
    assert_eq!(problem.places().len(), 1);
}

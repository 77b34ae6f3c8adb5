//! A prefix: all endpoints are served below it, and everything that names a path names it too.

use endpoint_runtime::prelude::*;
use endpoint_runtime::{DeployError, Endpoint};

use super::support::{Echo, Raw, capture, connect, only, says_back, soon, start, upgrade};

struct Quiet;
impl Endpoint for Quiet {}

#[tokio::test]
async fn all_paths_begin_with_it() {
    let log = capture();
    let exporter = only::<Echo>().prefix("/api/ws").expect_paths(["/api/ws/echo"]);
    let report = exporter.check();
    assert_eq!(report.endpoints()[0].path(), "/api/ws/echo", "{report}");
    let server = start(exporter).await;
    assert_eq!(log.saying("endpoint")[0].field("path"), Some("/api/ws/echo"));
    let address = server.local_addr();
    let mut client = connect(address, "/api/ws/echo").await;
    says_back(&mut client, "hello").await;
    assert_eq!(Raw::connect(address).await.ask(upgrade("/echo", &[])).await.status, 404);
    let session = server.sessions().all().iter().next().unwrap();
    assert_eq!(session.path(), "/api/ws/echo");

    let late = ServerEndpointConfig::builder("/late/{x}", || Quiet).build();
    server.deploy(late.clone()).unwrap();
    server.deploy(late).unwrap();
    assert_eq!(Raw::connect(address).await.ask(upgrade("/api/ws/late/1", &[])).await.status, 101);
    assert_eq!(server.undeploy("/late/{x}"), None);
    assert!(server.undeploy("/api/ws/late/{x}").is_some());
    drop(client);
    soon("the end", server.shutdown()).await;
}

/// Filters see the path as it is served, in whatever order things are said.
#[tokio::test]
async fn filters_and_conflicts_name_the_whole_path() {
    let exporter = only::<Echo>().only(|endpoint| endpoint.path().starts_with("/x/")).prefix("/x");
    assert_eq!(exporter.check().endpoints().len(), 1);
    let twins = ["/twin", "/twin"].map(|path| ServerEndpointConfig::builder(path, || Quiet).build());
    let exporter = super::support::only_these([]).only(|_| true).prefix("/x").allow_empty();
    let [one, two] = twins;
    let report = exporter.endpoint(one).endpoint(two).only(|endpoint| endpoint.path() == "/x/twin").check();
    assert!(report.problems().is_empty(), "`only_these` leaves them out: {report}");
    let twins = ["/twin", "/twin"].map(|path| ServerEndpointConfig::builder(path, || Quiet).build());
    let [one, two] = twins;
    let report = super::support::exporter()
        .endpoint(one)
        .endpoint(two)
        .only(endpoint_runtime::ServerEndpointConfig::is::<Quiet>)
        .prefix("/x")
        .check();
    assert!(report.to_string().contains("have the same path: `/x/twin` and `/x/twin`"), "{report}");
}

#[tokio::test]
async fn a_prefix_that_is_none_is_a_problem() {
    for bad in ["x", "/x/", "/{x}", "/"] {
        let error = only::<Echo>().prefix(bad).start().await.unwrap_err();
        let problems = error.downcast_ref::<DeployError>().unwrap().problems();
        assert!(
            problems.iter().any(|problem| problem.to_string().starts_with("`prefix`: ")),
            "{bad}: {error}"
        );
    }
}

//! What endpoints ask for that NATS has not.

use std::time::Duration;

use endpoint_runtime as runtime;
use endpoint_runtime::cluster::{EngineError, Nats, Rooms};
use endpoint_runtime::prelude::*;
use endpoint_tests::nats_server::NatsServer;

use super::Node;

#[server_endpoint("/nats/kept", recover(size = 10, ttl = "5m", rooms = "nats/kept/*"))]
struct Kept;

#[handlers]
impl Kept {
    #[on_open]
    fn enter(&self, session: &Session) {
        session.join("nats/kept/blue");
    }
}

#[server_endpoint("/nats/seen", presence)]
struct Seen;

#[handlers]
impl Seen {
    #[on_open]
    fn enter(&self, session: &Session) {
        session.join("nats/seen");
    }
}

#[server_endpoint("/nats/resumed", resume = "2m")]
struct Resumed;

#[handlers]
impl Resumed {
    #[on_open]
    fn enter(&self, session: &Session) {
        session.join("nats/resumed");
    }
}

fn problems(engine: Nats) -> String {
    runtime::export_all()
        .only(|config| {
            ServerEndpointConfig::is::<Kept>(config)
                || ServerEndpointConfig::is::<Seen>(config)
                || ServerEndpointConfig::is::<Resumed>(config)
        })
        .rooms("nats/listed", Rooms::plain().presence())
        .cluster(engine)
        .check()
        .to_string()
}

/// Each names the endpoint and the engine.
#[tokio::test]
async fn what_nats_has_not_is_a_problem_of_the_deployment() {
    let options = || Nats::options("nats://localhost:1").unwrap();
    let without = problems(options().lazy().unwrap());
    println!("{without}");
    let lines =
        |text: &str, parts: &[&str]| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(
        lines(&without, &["Kept", "need a history", "`nats`", "Nats::options(url)?.history"]),
        "{without}"
    );
    assert!(lines(&without, &["Seen", "who is present", "`nats`"]), "{without}");
    assert!(lines(&without, &["nats/listed", "who is present", "`nats`"]), "{without}");
    assert!(lines(&without, &["Resumed", "`resume` needs", "nats"]), "{without}");
    let with = problems(options().history(1).lazy().unwrap());
    assert!(!with.contains("history"), "{with}");
    assert!(lines(&with, &["Seen", "who is present", "`nats`"]), "{with}");
    assert!(lines(&with, &["Resumed", "`resume` needs", "nats"]), "{with}");
}

#[tokio::test]
async fn a_server_that_cannot_keep_histories_is_an_error_at_the_start() {
    let without = NatsServer::start().await;
    let error = Nats::options(&without.url()).unwrap().history(1).connect().await.unwrap_err();
    assert!(matches!(error, EngineError::Refused(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("JetStream") && text.contains(&without.address().to_string()), "{text}");
    // Without being asked to, it need not.
    Node::at(&without).await;

    let alone = NatsServer::that_keeps().await;
    let options = || Nats::options(&alone.url()).unwrap();
    for engine in [options().history(3).connect().await.unwrap(), options().history(3).lazy().unwrap()] {
        let error = Node::start(engine).await.err().expect("one server cannot keep three copies");
        assert!(matches!(error, EngineError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains("replicas"), "{error}");
    }
    for replicas in [0, 6] {
        assert!(matches!(options().history(replicas).lazy(), Err(EngineError::Refused(_))), "{replicas}");
    }
    assert!(matches!(options().history(1).forget_after(Duration::ZERO).lazy(), Err(EngineError::Refused(_))));
    Node::with(options().history(1).connect().await.unwrap()).await;
    assert_eq!(alone.streams().await, [""; 0], "trying leaves nothing behind");
}

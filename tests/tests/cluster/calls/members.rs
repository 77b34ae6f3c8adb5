//! One session, wherever it is.

use std::time::Duration;

use endpoint_runtime::cluster::{Cluster, ClusterError, Local, Outcome};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Cut, SimEngine};
use endpoint_runtime::{SessionId, Settings};
use tokio::time::Instant;

use super::support::{DEAF, DOWN, Moody, WELL, acquainted, app, cluster, enter, node};

/// The only session of a node.
fn only(node: &endpoint_runtime::test::RunningApp) -> SessionId {
    *node.sessions().all().iter().next().unwrap().id()
}

#[tokio::test(start_paused = true)]
async fn a_session_is_reached_by_its_id_from_every_node() {
    let nodes = cluster(3).await;
    let mut peer = enter(&nodes[1], "/hall/blue?user=bo").await;
    let id = only(&nodes[1]);
    for (number, node) in nodes.iter().enumerate() {
        let outcome = node.sessions().session(&id).send(format!("from {number}")).await;
        assert_eq!(outcome.unwrap(), Outcome::Delivered);
        assert_eq!(peer.text().await, format!("from {number}"));
    }
    let member = nodes[2].sessions().session(&id);
    let info = member.info().await.unwrap().unwrap();
    assert_eq!((info.id, info.path.as_str(), info.user.as_deref()), (id, "/hall/{room}", Some("bo")));
    assert_eq!(info.rooms, ["blue"]);
    assert_eq!(info.node.to_string(), id.to_string()[..16]);

    assert_eq!(member.join("red").await.unwrap(), Outcome::Delivered);
    assert_eq!(member.leave("blue").await.unwrap(), Outcome::Delivered);
    assert_eq!(member.info().await.unwrap().unwrap().rooms, ["red"]);
    assert_eq!(
        member.close(CloseReason::new(CloseCode::from(4001), "enough")).await.unwrap(),
        Outcome::Delivered
    );
    assert_eq!(peer.closed().await.text(), "enough");
}

#[tokio::test(start_paused = true)]
async fn what_is_for_one_session_stays_in_order() {
    let nodes = cluster(2).await;
    let mut peer = enter(&nodes[1], "/hall/blue").await;
    let member = nodes[0].sessions().session(&only(&nodes[1]));
    for number in 0..100 {
        assert_eq!(member.send(format!("{number}")).await.unwrap(), Outcome::Delivered);
    }
    assert_eq!(member.close(CloseReason::away("done")).await.unwrap(), Outcome::Delivered);
    for number in 0..100 {
        assert_eq!(peer.text().await, format!("{number}"));
    }
    assert_eq!(peer.closed().await.text(), "done");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_is_gone() {
    let nodes = cluster(2).await;
    let peer = enter(&nodes[1], "/hall/blue").await;
    let id = only(&nodes[1]);
    drop(peer);
    while nodes[1].sessions().count() > 0 {
        tokio::task::yield_now().await;
    }
    for node in &nodes {
        let member = node.sessions().session(&id);
        assert_eq!(member.send("hello?").await.unwrap(), Outcome::Gone);
        assert_eq!(member.join("red").await.unwrap(), Outcome::Gone);
        assert_eq!(member.leave("red").await.unwrap(), Outcome::Gone);
        assert_eq!(member.close(CloseReason::away("bye")).await.unwrap(), Outcome::Gone);
        assert_eq!(member.info().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_a_node_that_is_gone_is_gone() {
    let mut nodes = cluster(2).await;
    let _peer = enter(&nodes[1], "/hall/blue").await;
    let id = only(&nodes[1]);
    nodes.remove(1).shutdown().await;
    let member = nodes[0].sessions().session(&id);
    assert_eq!(member.send("hello?").await.unwrap(), Outcome::Gone);
    assert_eq!(member.info().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hears_nothing_is_a_timeout() {
    let local = Local::new();
    let deaf = Moody::of(&local);
    let nodes = [node(local).await, node(deaf.clone()).await];
    acquainted(&nodes).await;
    let mut peer = enter(&nodes[1], "/hall/blue").await;
    let member = nodes[0].sessions().session(&only(&nodes[1]));
    deaf.becomes(DEAF);
    assert_eq!(member.send("hello?").await.unwrap(), Outcome::Timeout);
    assert_eq!(member.close(CloseReason::away("bye")).await.unwrap(), Outcome::Timeout);
    assert!(matches!(member.info().await, Err(ClusterError::Timeout)));
    deaf.becomes(WELL);
    assert_eq!(member.send("now").await.unwrap(), Outcome::Delivered);
    assert_eq!(peer.text().await, "now");
}

/// A node that is heard no more may be one that is only not heard, or that wakes: nobody knows what has become of what it was given.
#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_to_a_node_when_it_was_given_up_may_be_done_all_the_same() {
    let engine = SimEngine::new(1);
    let other = engine.clone();
    let way = other.control();
    let patient = |settings: &mut Settings| settings.cluster_deadline = Duration::from_secs(60);
    let nodes = [
        app().with(|exporter| exporter.cluster(engine)).configure(patient).start().await,
        app().with(|exporter| exporter.cluster(other)).start().await,
    ];
    acquainted(&nodes).await;
    let mut peer = enter(&nodes[1], "/hall/blue").await;
    let member = nodes[0].sessions().session(&only(&nodes[1]));
    way.cut(Cut::ToServer);
    let began = Instant::now();
    assert_eq!(member.send("unheard").await.unwrap(), Outcome::Timeout);
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    assert_eq!(nodes[0].context().get::<Cluster>().unwrap().nodes().len(), 1);
    assert_eq!(peer.text().await, "unheard");
    // What is not even sent nobody gets.
    assert_eq!(member.send("unsent").await.unwrap(), Outcome::Gone);
    way.heal();
    acquainted(&nodes).await;
    assert_eq!(member.send("heard").await.unwrap(), Outcome::Delivered);
    assert_eq!(peer.text().await, "heard");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_cross_is_an_error() {
    let local = Local::new();
    let down = Moody::of(&local);
    let nodes = [node(local).await, node(down.clone()).await];
    let _peer = enter(&nodes[0], "/hall/blue").await;
    let member = nodes[1].sessions().session(&only(&nodes[0]));
    let _own = enter(&nodes[1], "/hall/blue").await;
    down.becomes(DOWN);
    assert!(matches!(member.send("hello?").await, Err(ClusterError::Unavailable(_))));
    assert!(matches!(member.info().await, Err(ClusterError::Unavailable(_))));
    let own = nodes[1].sessions().session(&only(&nodes[1]));
    assert_eq!(own.send("here").await.unwrap(), Outcome::Delivered, "that needs no engine");
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_a_session_of_another_process_is_gone() {
    let alone = super::support::app().start().await;
    let id: SessionId = "00000000deadbeef0000000000000001".parse().unwrap();
    let member = alone.sessions().session(&id);
    assert_eq!(member.send("hello?").await.unwrap(), Outcome::Gone);
    assert_eq!(member.info().await.unwrap(), None);
}

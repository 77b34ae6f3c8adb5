//! How many there are, and who they are.

use std::collections::BTreeSet;
use std::time::Duration;

use endpoint_runtime::SessionId;
use endpoint_runtime::cluster::{Cluster, ClusterState, Local};

use super::support::{Annex, DEAF, DOWN, Hall, Moody, acquainted, cluster, enter, node};

#[tokio::test(start_paused = true)]
async fn sessions_are_counted_on_all_nodes() {
    let nodes = cluster(5).await;
    let mut peers = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        for _ in 0..=number {
            peers.push(enter(node, "/hall/blue?user=bo").await);
        }
    }
    peers.push(enter(&nodes[0], "/annex").await);
    let sessions = nodes[4].sessions();
    let own = sessions.all().iter().next().unwrap();
    let table = [
        (sessions.all(), 16),
        (sessions.room("blue"), 15),
        (sessions.room("red"), 0),
        (sessions.user("bo"), 15),
        (sessions.endpoint::<Hall>(), 15),
        (sessions.endpoint::<Annex>(), 1),
        (sessions.endpoint::<String>(), 0),
        (sessions.room("blue").except(&own), 14),
    ];
    for (audience, expected) in &table {
        let count = audience.count_exact().await;
        assert!(count.complete && count.missing.is_empty(), "{count:?}");
        assert_eq!(count.total, *expected, "{audience:?}");
    }
    // All know it without asking, a heartbeat later.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    for node in &nodes {
        assert_eq!(node.sessions().all().count(), 16);
        assert_eq!(node.sessions().endpoint::<Hall>().count(), 15);
        assert_eq!(node.sessions().endpoint::<Annex>().count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_list_every_session_once() {
    let nodes = cluster(3).await;
    let mut peers = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        for _ in 0..3 + number {
            peers.push(enter(node, "/hall/blue?user=bo").await);
        }
    }
    let all: BTreeSet<SessionId> =
        nodes.iter().flat_map(|node| node.sessions().all().iter()).map(|session| *session.id()).collect();
    assert_eq!(all.len(), 12);
    for limit in [1, 2, 5, 12, 1000, 0, usize::MAX] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = nodes[1].sessions().room("blue").list(after, limit).await;
            assert!(page.complete && page.missing.is_empty(), "{page:?}");
            assert!(page.sessions.len() <= limit.max(1));
            for listed in &page.sessions {
                assert_eq!((listed.path.as_str(), listed.user.as_deref()), ("/hall/{room}", Some("bo")));
                assert_eq!(listed.rooms, ["blue"]);
            }
            seen.extend(page.sessions.iter().map(|listed| listed.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all.iter().copied().collect::<Vec<_>>(), "pages of {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_named() {
    let local = Local::new();
    let deaf = Moody::of(&local);
    let nodes = [node(local.clone()).await, node(local).await, node(deaf.clone()).await];
    acquainted(&nodes).await;
    let mut peers = Vec::new();
    for node in &nodes {
        peers.push(enter(node, "/hall/blue").await);
    }
    deaf.becomes(DEAF);
    let silent = nodes[2].context().get::<Cluster>().unwrap().node_id();
    let room = nodes[0].sessions().room("blue");
    let count = room.count_exact().await;
    assert_eq!((count.total, count.complete, count.missing), (2, false, vec![silent]));
    let page = room.list(None, 10).await;
    assert_eq!((page.sessions.len(), page.complete, page.missing), (2, false, vec![silent]));
    assert_eq!(room.close(endpoint_runtime::CloseReason::away("bye")).await, 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_way_to_the_others_nothing_is_complete() {
    let local = Local::new();
    let down = Moody::of(&local);
    let nodes = [node(local).await, node(down.clone()).await];
    acquainted(&nodes).await;
    let _peer = enter(&nodes[1], "/hall/blue").await;
    down.becomes(DOWN);
    let room = nodes[1].sessions().room("blue");
    let count = room.count_exact().await;
    assert_eq!((count.total, count.complete), (1, false));
    let other = nodes[0].context().get::<Cluster>().unwrap().node_id();
    assert_eq!(count.missing, [other]);
    assert!(!room.list(None, 10).await.complete);
    assert_eq!(room.close(endpoint_runtime::CloseReason::away("bye")).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_says_who_its_nodes_are() {
    let engine = Local::new();
    let mut nodes = Vec::new();
    for name in ["blue", "red"] {
        let app = super::support::app().with(|exporter| exporter.cluster(engine.clone()));
        nodes.push(app.configure(move |settings| settings.node_name = Some(name.into())).start().await);
    }
    acquainted(&nodes).await;
    let cluster = nodes[1].context().get::<Cluster>().unwrap();
    let names: Vec<_> = cluster.nodes().into_iter().map(|node| node.name).collect();
    assert_eq!((names, cluster.node_name()), (vec!["blue".to_owned(), "red".to_owned()], "red"));
    assert_eq!(cluster.state(), ClusterState::Connected);
    nodes.remove(0).shutdown().await;
    // It has said goodbye: nobody waits until it would be thought dead.
    let gone = async {
        while cluster.nodes().len() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_millis(500), gone).await.unwrap();
}

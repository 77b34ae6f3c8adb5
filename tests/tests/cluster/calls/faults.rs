//! Engines that fail, and what comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Cluster, ClusterError, Crossing, Local};
use endpoint_runtime::prelude::*;
use tokio::time::Instant;

use super::support::{DOWN, HANGS, Hall, Moody, WELL, acquainted, all_texts, enter, node, still};

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_down_fails_at_once_and_those_here_have_it() {
    let local = Local::new();
    let moody = Moody::of(&local);
    let nodes = [node(moody.clone()).await, node(local).await];
    let mut here = enter(&nodes[0], "/hall/blue").await;
    let mut there = enter(&nodes[1], "/hall/blue").await;
    let room = nodes[0].sessions().room("blue");
    moody.becomes(DOWN);
    let delivery = room.send("while it is down").await;
    assert_eq!(delivery.queued(), 1);
    let error = delivery.elsewhere().error();
    assert!(matches!(error, Some(ClusterError::Unavailable(_))), "{delivery:?}");
    assert_eq!(here.text().await, "while it is down");
    still(&mut there).await;
    moody.becomes(WELL);
    assert!(matches!(room.send("again").await.elsewhere(), Crossing::Handed { .. }));
    assert_eq!((here.text().await, there.text().await), ("again".to_owned(), "again".to_owned()));
    let counters = nodes[0].context().get::<Cluster>().unwrap().counters();
    assert!(counters.failed >= 1 && counters.handed >= 1, "{counters:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_keeps_nobody_longer_than_the_deadline() {
    let local = Local::new();
    let moody = Moody::of(&local);
    let nodes = [node(moody.clone()).await, node(local).await];
    let mut here = enter(&nodes[0], "/hall/blue").await;
    let mut there = enter(&nodes[1], "/hall/blue").await;
    let room = nodes[0].sessions().room("blue");
    moody.becomes(HANGS);
    let before = Instant::now();
    let delivery = room.send("while it hangs").await;
    assert!(before.elapsed() <= Duration::from_millis(1050), "{:?}", before.elapsed());
    assert!(matches!(delivery.elsewhere().error(), Some(ClusterError::Timeout)), "{delivery:?}");
    // Behind it, and dropped when it has become old.
    assert!(matches!(room.post("behind it").elsewhere(), Crossing::Queued));
    assert_eq!(all_texts(&mut here, 2).await, ["while it hangs", "behind it"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    moody.becomes(WELL);
    assert!(matches!(room.send("again").await.elsewhere(), Crossing::Handed { .. }));
    assert_eq!(there.text().await, "again");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_engine_is_bounded_and_counted() {
    let moody = Moody::of(&Local::new());
    let app = super::support::app().with(|exporter| exporter.cluster(moody.clone()));
    let node = app.configure(|settings| settings.cluster_queue = 10_000).start().await;
    let mut here = enter(&node, "/hall/blue").await;
    let room = node.sessions().room("blue");
    moody.becomes(HANGS);
    let text = "x".repeat(1000);
    let crossings: Vec<_> = (0..20).map(|_| room.post(text.clone()).elsewhere().clone()).collect();
    let refused = crossings.iter().filter(|one| matches!(one.error(), Some(ClusterError::Full))).count();
    let queued = crossings.iter().filter(|one| matches!(one, Crossing::Queued)).count();
    assert!((5..10).contains(&queued) && queued + refused == 20, "{queued} {refused}");
    assert_eq!(all_texts(&mut here, 20).await.len(), 20, "those here have all of it");
    let cluster = node.context().get::<Cluster>().unwrap();
    assert_eq!(cluster.counters().refused, refused as u64);
    // What has waited too long makes room.
    tokio::time::sleep(Duration::from_secs(3)).await;
    moody.becomes(WELL);
    assert!(matches!(room.send(text).await.elsewhere(), Crossing::Handed { .. }));
    let counters = cluster.counters();
    assert_eq!(counters.failed + counters.expired, queued as u64, "{counters:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_the_engine_goes_nowhere() {
    let local = Local::new();
    let mut small = Moody::of(&local);
    small.largest = 10_000;
    let nodes = [node(small).await, node(local).await];
    let mut here = enter(&nodes[0], "/hall/blue").await;
    let mut there = enter(&nodes[1], "/hall/blue").await;
    let room = nodes[0].sessions().room("blue");
    for delivery in [room.send("x".repeat(10_000)).await, room.post("x".repeat(10_000))] {
        assert_eq!(delivery.queued(), 0);
        match delivery.elsewhere().error() {
            Some(&ClusterError::TooLarge { bytes, limit: 10_000 }) => assert!(bytes > 10_000),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(room.clone().local().send("x".repeat(10_000)).await.queued(), 1);
    assert_eq!(here.text().await.len(), 10_000);
    still(&mut there).await;
    let id = *nodes[1].sessions().all().iter().next().unwrap().id();
    let error = nodes[0].sessions().session(&id).send("x".repeat(10_000)).await.unwrap_err();
    assert!(matches!(error, ClusterError::TooLarge { .. }), "{error}");
    let _ = room.send("fits").await;
    assert_eq!(there.text().await, "fits");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_cannot_be_started_is_a_problem_that_names_it() {
    let moody = Moody::of(&Local::new());
    moody.becomes(DOWN);
    let exporter = endpoint_runtime::export_all()
        .settings(Default::default())
        .bind("127.0.0.1:0")
        .only(ServerEndpointConfig::is::<Hall>)
        .cluster(moody);
    let error = exporter.start().await.unwrap_err().to_string();
    assert!(error.contains("moody") && error.contains("it is down"), "{error}");
}

/// Rooms are subscribed to exactly while they have members, however fast these come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_are_subscribed_to_while_they_have_members() {
    let moody = Moody::of(&Local::new());
    let node = node(moody.clone()).await;
    let mut peers = Vec::new();
    for _ in 0..8 {
        peers.push(enter(&node, "/annex").await);
    }
    let threads: Vec<_> = node
        .sessions()
        .all()
        .iter()
        .enumerate()
        .map(|(number, session)| {
            std::thread::spawn(move || {
                for turn in 0..3000 {
                    let room = format!("room {}", (turn * 7 + number) % 5);
                    if session.join(&room) && (turn + number) % 3 != 0 {
                        session.leave(&room);
                    } else {
                        session.leave(&format!("room {}", turn % 5));
                    }
                }
                // What is left at the end differs.
                for room in (0..5).filter(|room| room % 2 == number % 2) {
                    session.leave(&format!("room {room}"));
                }
                if number % 2 == 0 {
                    for room in 0..5 {
                        session.leave(&format!("room {room}"));
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    }
    let expected: BTreeSet<Channel> =
        node.sessions().rooms().iter().map(|room| Channel::room(room)).collect();
    let subscribed = || -> BTreeSet<Channel> {
        let all = moody.subscribed.lock().unwrap();
        all.iter().filter(|channel| matches!(channel, Channel::Room(_))).cloned().collect()
    };
    let settled = async {
        while subscribed() != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(60);
    assert!(tokio::time::timeout(patience, settled).await.is_ok(), "{:?} {expected:?}", subscribed());
}

#[tokio::test(start_paused = true)]
async fn subscriptions_that_fail_are_tried_again() {
    let local = Local::new();
    let moody = Moody::of(&local);
    let nodes = [node(moody.clone()).await, node(local).await];
    acquainted(&nodes).await;
    let mut peer = enter(&nodes[0], "/annex").await;
    let session = nodes[0].sessions().all().iter().next().unwrap();
    moody.becomes(DOWN);
    session.join("blue");
    assert!(!session.reachable().await);
    moody.becomes(WELL);
    assert!(session.reachable().await);
    let _ = nodes[1].sessions().room("blue").send("at last").await;
    assert_eq!(peer.text().await, "at last");
}

#[server_endpoint("/needs-a-cluster")]
struct NeedsCluster {
    #[inject]
    cluster: Cluster,
}

#[handlers]
impl NeedsCluster {
    #[on_open]
    fn open(&self, cluster: Cluster) -> String {
        format!("{} {}", self.cluster.node_id(), cluster.node_id() == self.cluster.node_id())
    }
}

#[server_endpoint("/can-do-without")]
struct CanDoWithout {
    #[inject]
    cluster: Option<Cluster>,
}

#[handlers]
impl CanDoWithout {
    #[on_open]
    fn open(&self, cluster: Option<Cluster>) -> String {
        format!("{} {}", self.cluster.is_some(), cluster.is_some())
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_injected_where_there_is_one() {
    let both = || {
        endpoint_runtime::test::app().with(|exporter| {
            exporter.only(|endpoint| endpoint.is::<NeedsCluster>() || endpoint.is::<CanDoWithout>())
        })
    };
    let node = both().with(|exporter| exporter.cluster(Local::new())).start().await;
    let id = node.context().get::<Cluster>().unwrap().node_id();
    assert_eq!(node.connect("/needs-a-cluster").await.unwrap().text().await, format!("{id} true"));
    assert_eq!(node.connect("/can-do-without").await.unwrap().text().await, "true true");

    let alone = endpoint_runtime::test::app().only::<CanDoWithout>().start().await;
    assert_eq!(alone.connect("/can-do-without").await.unwrap().text().await, "false false");
    let without = endpoint_runtime::export_all()
        .settings(Default::default())
        .only(ServerEndpointConfig::is::<NeedsCluster>);
    let problems = without.check().to_string();
    for said in ["Cluster", ".cluster(Local::new())", ".cluster(Redis::connect(", "Option<Cluster>"] {
        assert!(problems.contains(said), "{said}: {problems}");
    }
    assert!(!problems.contains(".provide("), "{problems}");
}

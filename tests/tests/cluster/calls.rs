//! The calls of [`Sessions`], in clusters of several servers of this process.

mod asking;
mod faults;
mod members;
pub(crate) mod support;
mod surveys;
mod table;

use endpoint_runtime::cluster::{ClusterError, Crossing, Local};
use endpoint_runtime::prelude::*;
use futures_util::FutureExt;
use futures_util::future::join_all;

use self::support::{Annex, Hall, all_texts, cluster, enter, node, still};

/// Two nodes with a member of "blue" each.
async fn pair() -> (Vec<endpoint_runtime::test::RunningApp>, Vec<endpoint_runtime::test::Peer>) {
    let nodes = cluster(2).await;
    let peers = join_all(nodes.iter().map(|node| enter(node, "/hall/blue"))).await;
    (nodes, peers)
}

#[tokio::test(start_paused = true)]
async fn a_room_is_on_all_nodes() {
    let nodes = cluster(5).await;
    let mut blue = join_all(nodes.iter().map(|node| enter(node, "/hall/blue"))).await;
    let mut red = enter(&nodes[3], "/hall/red").await;
    let delivery = nodes[1].sessions().room("blue").send("to the blue ones").await;
    assert_eq!((delivery.queued(), delivery.missed()), (1, 0), "{delivery}");
    assert!(
        matches!(delivery.elsewhere(), Crossing::Handed { position: None, .. }),
        "{:?}",
        delivery.elsewhere()
    );
    for peer in &mut blue {
        assert_eq!(peer.text().await, "to the blue ones");
    }
    still(&mut red).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_said_from_one_node_arrives_once_and_in_order() {
    let (nodes, mut peers) = pair().await;
    let room = nodes[0].sessions().room("blue");
    for number in 0..300 {
        if number % 3 == 0 {
            let _ = room.post(format!("{number}"));
        } else {
            let _ = room.send(format!("{number}")).await;
        }
    }
    let expected: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    for peer in &mut peers {
        assert_eq!(all_texts(peer, 300).await, expected);
        still(peer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_excepted_gets_nothing_on_any_node() {
    let (nodes, mut peers) = pair().await;
    let sessions: Vec<Session> = nodes.iter().flat_map(|node| node.sessions().all().iter()).collect();
    let mut third = enter(&nodes[1], "/hall/blue").await;
    let _ =
        nodes[0].sessions().room("blue").except(&sessions[0]).except(&sessions[1]).send("to the third").await;
    assert_eq!(third.text().await, "to the third");
    for peer in &mut peers {
        still(peer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn users_endpoints_and_everybody_are_on_all_nodes() {
    let nodes = cluster(2).await;
    let mut bo = enter(&nodes[1], "/hall/blue?user=bo").await;
    let mut bo_too = enter(&nodes[0], "/annex?user=bo").await;
    let mut jo = enter(&nodes[1], "/annex?user=jo").await;
    let sessions = nodes[0].sessions();
    let _ = sessions.user("bo").send("to bo").await;
    let _ = sessions.endpoint::<Annex>().send("to the annex").await;
    let _ = sessions.endpoint::<Hall>().send(endpoint_runtime::Bytes::from_static(b"to the hall")).await;
    let _ = sessions.all().send("to all").await;
    assert_eq!(all_texts(&mut jo, 2).await, ["to the annex", "to all"]);
    assert_eq!(all_texts(&mut bo_too, 3).await, ["to bo", "to the annex", "to all"]);
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(bo.message().await.unwrap());
    }
    // A user has a way of its own; what is for an endpoint and what is for all go one way.
    assert!(heard.contains(&Message::Text("to bo".into())));
    heard.retain(|message| *message != Message::Text("to bo".into()));
    assert_eq!(heard, [Message::Binary(b"to the hall"[..].into()), Message::Text("to all".into())]);
}

#[tokio::test(start_paused = true)]
async fn local_is_this_process() {
    let (nodes, mut peers) = pair().await;
    let here = || nodes[0].sessions().room("blue").local();
    let delivery = here().send("here").await;
    assert!(matches!(delivery.elsewhere(), Crossing::Nowhere));
    assert_eq!(here().count_exact().await.total, 1);
    assert_eq!(here().list(None, 10).await.sessions.len(), 1);
    assert_eq!(here().close(CloseReason::away("bye")).await, 1);
    assert_eq!(peers[0].text().await, "here");
    still(&mut peers[1]).await;
    assert_eq!(nodes[1].sessions().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_close_comes_behind_what_was_said_before_and_counts_all() {
    let nodes = cluster(5).await;
    let mut peers = join_all(nodes.iter().map(|node| enter(node, "/hall/blue?user=bo"))).await;
    let room = nodes[2].sessions().room("blue");
    let _ = room.send("good night").await;
    assert_eq!(room.close(CloseReason::new(CloseCode::from(4100), "closing time")).await, 5);
    for peer in &mut peers {
        assert_eq!(peer.text().await, "good night");
        let reason = peer.closed().await;
        assert_eq!((reason.code(), reason.text()), (CloseCode::from(4100), "closing time"));
    }
    assert_eq!(nodes[0].sessions().user("bo").close(CloseReason::away("again")).await, 0);
}

#[tokio::test(start_paused = true)]
async fn everybody_is_closed_everywhere() {
    let (nodes, mut peers) = pair().await;
    assert_eq!(nodes[0].sessions().endpoint::<Annex>().close(CloseReason::away("no one")).await, 0);
    assert_eq!(nodes[0].sessions().all().close(CloseReason::away("the end")).await, 2);
    for peer in &mut peers {
        assert_eq!(peer.closed().await.text(), "the end");
    }
}

#[tokio::test(start_paused = true)]
async fn members_are_moved_between_rooms_everywhere() {
    let (nodes, mut peers) = pair().await;
    nodes[0].sessions().room("blue").join("red");
    // It goes the same way as the close and the count of the room, which are answered.
    let red = nodes[1].sessions().room("red");
    while red.count_exact().await.total < 2 {
        tokio::task::yield_now().await;
    }
    for node in &nodes {
        for session in node.sessions().all().iter() {
            assert!(session.reachable().await);
        }
    }
    let _ = red.send("to the red ones").await;
    for peer in &mut peers {
        assert_eq!(peer.text().await, "to the red ones");
    }
    nodes[1].sessions().room("blue").leave("red");
    while red.count_exact().await.total > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(nodes[0].sessions().room("blue").count_exact().await.total, 2);
}

/// Whoever is cancelled while waiting for the engine has said it all the same.
#[tokio::test(start_paused = true)]
async fn what_was_begun_to_be_said_is_said() {
    let (nodes, mut peers) = pair().await;
    let room = nodes[0].sessions().room("blue");
    assert!(room.send("in passing").now_or_never().is_none(), "it waits for the engine");
    for peer in &mut peers {
        assert_eq!(peer.text().await, "in passing");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_there_is_nowhere_else() {
    let alone = support::app().start().await;
    let mut peer = enter(&alone, "/hall/blue?user=bo").await;
    let room = alone.sessions().room("blue");
    assert!(matches!(room.send("a").await.elsewhere(), Crossing::Nowhere));
    assert!(matches!(room.post("b").elsewhere(), Crossing::Nowhere));
    assert_eq!(all_texts(&mut peer, 2).await, ["a", "b"]);
    let count = room.count_exact().await;
    assert_eq!((count.total, count.complete, count.missing.len()), (1, true, 0));
    let listing = room.list(None, 10).await;
    assert_eq!((listing.sessions.len(), listing.next, listing.complete), (1, None, true));
    assert!(alone.context().find::<endpoint_runtime::cluster::Cluster>().is_none());
}

#[tokio::test(start_paused = true)]
async fn two_clusters_do_not_know_each_other() {
    let one = node(Local::new()).await;
    let other = node(Local::new()).await;
    let (mut here, mut there) = (enter(&one, "/hall/blue").await, enter(&other, "/hall/blue").await);
    let _ = one.sessions().room("blue").send("to one").await;
    assert_eq!(here.text().await, "to one");
    still(&mut there).await;
}

#[tokio::test(start_paused = true)]
async fn more_exceptions_than_a_message_names_are_an_error() {
    let (nodes, mut peers) = pair().await;
    let mut many = Vec::new();
    let mut room = nodes[0].sessions().room("blue");
    for _ in 0..1001 {
        many.push(enter(&nodes[0], "/annex").await);
    }
    for session in nodes[0].sessions().endpoint::<Annex>().iter() {
        room = room.except(&session);
    }
    let delivery = room.send("to whom?").await;
    let error = delivery.elsewhere().error();
    assert!(
        matches!(error, Some(ClusterError::TooManyExcepted { sessions: 1001, limit: 1000 })),
        "{delivery:?}"
    );
    assert_eq!(delivery.queued(), 0);
    for peer in &mut peers {
        still(peer).await;
    }
}

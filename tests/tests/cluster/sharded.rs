//! `Sharded`, by which several engines are one.

use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Cluster, Crossing, Engine, Local, Redis, Sharded};
use endpoint_runtime::test::{RunningApp, SimEngine};
use endpoint_tests::redis_server::RedisServer;

use crate::calls::support::{DOWN, Moody, WELL, acquainted, enter, node, still};
use crate::suite;

#[tokio::test(start_paused = true)]
async fn several_engines_keep_what_one_promises() {
    for engines in [1, 3] {
        suite::run(|| async {
            let one = Sharded::new((0..engines).map(|_| Local::new())).unwrap();
            (one.clone(), one)
        })
        .await;
    }
}

#[tokio::test]
async fn several_redis_servers_keep_it_too() {
    let (one, other) = (RedisServer::start().await, RedisServer::start().await);
    let connect = async || {
        let engines =
            [Redis::connect(&one.url()).await.unwrap(), Redis::connect(&other.url()).await.unwrap()];
        Sharded::new(engines).unwrap()
    };
    suite::run(|| async { (connect().await, connect().await) }).await;
}

#[tokio::test]
async fn without_an_engine_there_is_nothing_to_share() {
    let error = Sharded::<Local>::new([]).unwrap_err();
    assert_eq!(error.to_string(), "the engine refuses: no engine to share the channels among");
}

/// A room of each engine, with a peer of the first node and one of the second in each.
fn rooms_of_each(engine: &impl Engine) -> [String; 2] {
    let room = |shard: usize| {
        (0..)
            .map(|number| format!("room{number}"))
            .find(|name| engine.shard(&Channel::room(name)) == shard)
            .unwrap()
    };
    [room(0), room(1)]
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_takes_its_own_part_along_and_no_more() {
    let engines = [Local::new(), Local::new()];
    let moods: Vec<_> = (0..2).map(|_| Moody::of(&engines[1])).collect();
    let sharded = |moody: &Moody| Sharded::new([Moody::of(&engines[0]), moody.clone()]).unwrap();
    let rooms = rooms_of_each(&sharded(&moods[0]));
    let nodes = [node(sharded(&moods[0])).await, node(sharded(&moods[1])).await];
    acquainted(&nodes).await;
    let mut heard = Vec::new();
    for room in &rooms {
        heard.push(enter(&nodes[1], &format!("/hall/{room}")).await);
    }
    moods.iter().for_each(|moody| moody.becomes(DOWN));
    let sends = async |text: &'static str| {
        let mut crossed = Vec::new();
        for room in &rooms {
            let delivery = nodes[0].sessions().room(room).send(text).await;
            crossed.push(matches!(delivery.elsewhere(), Crossing::Handed { .. }));
        }
        crossed
    };
    assert_eq!(sends("half of it").await, [true, false]);
    assert_eq!(heard[0].text().await, "half of it");
    // Longer than it takes to forget the dead.
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(nodes.iter().all(|node| known(node) == 2), "nobody is dead");
    moods.iter().for_each(|moody| moody.becomes(WELL));
    assert_eq!(sends("all of it").await, [true, true]);
    for peer in &mut heard {
        assert_eq!(peer.text().await, "all of it");
        still(peer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_of_the_others_are_found_while_one_is_away() {
    let engines = [Local::new(), Local::new()];
    let moody = Moody::of(&engines[1]);
    let sharded = Sharded::new([Moody::of(&engines[0]), moody.clone()]).unwrap();
    let rooms = rooms_of_each(&sharded);
    let nodes = [node(sharded).await, node(Sharded::new(engines.clone()).unwrap()).await];
    acquainted(&nodes).await;
    moody.becomes(DOWN);
    let mut found = enter(&nodes[0], &format!("/hall/{}", rooms[0])).await;
    nodes[1].sessions().room(&rooms[0]).send("here").await;
    assert_eq!(found.text().await, "here");
    // Who comes into a room that cannot be subscribed to now is found when it can.
    nodes[0].sessions().room(&rooms[0]).local().join(&rooms[1]);
    nodes[1].sessions().room(&rooms[1]).send("not heard").await;
    still(&mut found).await;
    moody.becomes(WELL);
    tokio::time::sleep(Duration::from_secs(1)).await;
    nodes[1].sessions().room(&rooms[1]).send("there").await;
    assert_eq!(found.text().await, "there");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_degraded_until_all_engines_are_there() {
    let engines = [SimEngine::new(1), SimEngine::new(2)];
    let controls = engines.each_ref().map(SimEngine::control);
    let other = Sharded::new(engines.clone()).unwrap();
    let nodes = [node(Sharded::new(engines).unwrap()).await, node(other).await];
    acquainted(&nodes).await;
    let cluster = nodes[0].context().get::<Cluster>().unwrap();
    let mut state = cluster.watch();
    assert!(cluster.state().is_connected());
    controls.iter().for_each(endpoint_runtime::test::SimNode::disconnect);
    state.wait_for(|state| !state.is_connected()).await.unwrap();
    controls[0].reconnect();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(!cluster.state().is_connected(), "one is still away");
    controls[1].reconnect();
    state.wait_for(endpoint_runtime::cluster::ClusterState::is_connected).await.unwrap();
    assert!(nodes.iter().all(|node| known(node) == 2), "half of the way was enough to be heard");
}

/// How many nodes a node knows, itself included.
fn known(node: &RunningApp) -> usize {
    node.context().get::<Cluster>().unwrap().nodes().len()
}

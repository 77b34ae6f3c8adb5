//! [`House`]: an engine and three nodes, and what befalls them, by a seed.

use std::sync::Arc;
use std::time::Duration;

use endpoint_tests::cut_proxy::{Cut, CutProxy};
use endpoint_tests::redis_server::RedisServer;
use tokio::time::sleep;

use super::Stage;
use crate::node::Node;
use crate::random::Random;

/// How many nodes there are, most of the time.
const NODES: usize = 3;

pub(super) struct House {
    redis: RedisServer,
    nodes: Vec<Node>,
    cables: Vec<CutProxy>,
    stage: Arc<Stage>,
}

/// What befalls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    EngineKilled,
    EngineStopped,
    EngineForgets,
    EngineFrozen,
    CableCut,
    CableCutOneWay,
    CablePulled,
    NodeKilled,
    NodeFrozen,
    NodeDrained,
}

const FAULTS: &[Fault] = &[
    Fault::EngineKilled,
    Fault::EngineStopped,
    Fault::EngineForgets,
    Fault::EngineFrozen,
    Fault::CableCut,
    Fault::CableCut,
    Fault::CableCutOneWay,
    Fault::CablePulled,
    Fault::NodeKilled,
    Fault::NodeKilled,
    Fault::NodeFrozen,
    Fault::NodeDrained,
    Fault::NodeDrained,
];

impl House {
    pub(super) async fn new(stage: Arc<Stage>) -> Self {
        let redis = RedisServer::that_keeps().await;
        let mut house = House { redis, nodes: Vec::new(), cables: Vec::new(), stage };
        for _ in 0..NODES {
            house.cables.push(CutProxy::to(house.redis.address()).await);
            let node = house.node(house.cables.len() - 1).await;
            house.nodes.push(node);
        }
        house.open();
        house
    }

    async fn node(&self, cable: usize) -> Node {
        Node::start(&format!("redis://{}", self.cables[cable].address()), &[]).await
    }

    /// Clients find all nodes.
    fn open(&self) {
        self.stage.set_doors(self.nodes.iter().map(|node| node.address).collect());
    }

    /// All but this one.
    fn open_without(&self, closed: usize) {
        let others = self.nodes.iter().enumerate().filter(|(number, _)| *number != closed);
        self.stage.set_doors(others.map(|(_, node)| node.address).collect());
    }

    /// Something happens, and is over.
    pub(super) async fn befall(&mut self, random: &mut Random) -> Fault {
        let fault = *random.one_of(FAULTS).expect("there are some");
        let victim = random.below(NODES as u64) as usize;
        // It seldom rains, but it pours.
        let other = (random.below(3) == 0).then_some((victim + 1) % NODES);
        let also = other.map_or(String::new(), |other| format!(", and CableCut {other}"));
        self.stage.trouble_begins(format!("{fault:?} {victim}{also}"));
        if let Some(other) = other {
            self.cables[other].cut(Cut::Both);
        }
        match fault {
            Fault::EngineKilled | Fault::EngineForgets => {
                self.redis.kill().await;
                if fault == Fault::EngineForgets {
                    self.redis.forget();
                    self.stage.engine_forgets();
                }
                sleep(random.millis(100, 3000)).await;
                self.redis.start_again().await;
            }
            Fault::EngineStopped => {
                self.redis.shut_down().await;
                sleep(random.millis(0, 1000)).await;
                self.redis.start_again().await;
            }
            Fault::EngineFrozen => {
                self.redis.freeze().await;
                sleep(random.millis(500, 6000)).await;
                self.redis.thaw().await;
            }
            Fault::CableCut | Fault::CableCutOneWay => {
                let how = match (fault, random.below(2)) {
                    (Fault::CableCut, _) => Cut::Both,
                    (_, 0) => Cut::ToClient,
                    _ => Cut::ToServer,
                };
                self.cables[victim].cut(how);
                sleep(random.millis(500, 10_000)).await;
                self.cables[victim].heal();
            }
            Fault::CablePulled => self.cables[victim].close(),
            Fault::NodeKilled => {
                self.nodes[victim].kill().await;
                self.open_without(victim);
                sleep(random.millis(0, 3000)).await;
                self.nodes[victim] = self.node(victim).await;
                self.open();
            }
            Fault::NodeFrozen => {
                self.nodes[victim].signal("STOP").await;
                sleep(random.millis(500, 14_000)).await;
                self.nodes[victim].signal("CONT").await;
            }
            Fault::NodeDrained => {
                let next = self.node(victim).await;
                self.open_without(victim);
                let mut before = std::mem::replace(&mut self.nodes[victim], next);
                self.open();
                before.shut_down().await;
            }
        }
        if let Some(other) = other {
            self.cables[other].heal();
        }
        self.stage.trouble_ends();
        fault
    }

    /// All is well again, and all nodes know it.
    pub(super) async fn settle(&self) {
        for node in &self.nodes {
            node.until("state", |state| state["connected"] == true).await;
            node.knows(NODES).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

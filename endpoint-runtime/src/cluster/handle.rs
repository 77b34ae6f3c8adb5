//! [`Cluster`]: the cluster, for the application on one of its nodes.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::{ClusterCounters, ClusterState, FeedCounters, Node, NodeId, NodeInfo};
use crate::context::{ApplicationContext, Injected};
use crate::context::{How, Needs};
use crate::endpoint::{Context, FromContext};
use crate::error::Result;

/// The cluster that this process is a node of. Cheap to clone.
///
/// A handler takes it as a parameter, an endpoint or component has it injected, and everybody else gets it from
/// [`Container::cluster`](crate::Container::cluster). Where there is no [engine](crate::ServerEndpointExporter::cluster), whoever asks for a
/// `Cluster` cannot be deployed, and an `Option<Cluster>` is `None`.
///
/// To send to the sessions of all nodes it is not needed: [`Sessions`](crate::Sessions) does that.
#[derive(Clone)]
pub struct Cluster(Arc<Node>);

impl Cluster {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Cluster(node)
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.0
    }

    /// Which node this is: the first half of the ids of its sessions.
    pub fn node_id(&self) -> NodeId {
        self.0.id()
    }

    /// What people call this node (`node_name`).
    pub fn node_name(&self) -> &str {
        self.0.name()
    }

    /// All nodes that live, this one too, sorted by name: as each has last said it, which is at most 3 s ago. A node that says goodbye is
    /// gone at once, and one that falls silent within 10 s.
    pub fn nodes(&self) -> Vec<NodeInfo> {
        self.0.members().map(|members| members.nodes()).unwrap_or_default()
    }

    /// Whether there is a way to the other nodes now.
    pub fn state(&self) -> ClusterState {
        *self.watch().borrow()
    }

    /// [`state`](Self::state), and its changes.
    pub fn watch(&self) -> watch::Receiver<ClusterState> {
        self.0.watch()
    }

    /// What was counted of what went to others and came from them.
    pub fn counters(&self) -> ClusterCounters {
        self.0.counters()
    }

    /// What was counted of recoverable rooms.
    pub fn recovery(&self) -> FeedCounters {
        self.0.feed_counters()
    }
}

impl Injected for Cluster {
    fn needs(needs: &mut Needs) {
        needs.component::<Cluster>();
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        context.get::<Cluster>().map(Arc::unwrap_or_clone)
    }
}

impl Injected for Option<Cluster> {
    fn needs(needs: &mut Needs) {
        needs.one::<Cluster>(None, How::Optional);
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok(context.find::<Cluster>().map(Arc::unwrap_or_clone))
    }
}

impl FromContext for Cluster {
    fn needs(needs: &mut Needs) {
        <Cluster as Injected>::needs(needs);
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        Cluster::inject(context.application())
    }
}

impl FromContext for Option<Cluster> {
    fn needs(needs: &mut Needs) {
        <Option<Cluster> as Injected>::needs(needs);
    }

    fn from_context(context: Context<'_>) -> Result<Self> {
        Option::<Cluster>::inject(context.application())
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.0).finish()
    }
}

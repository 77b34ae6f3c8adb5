//! What follows from what happens to the cluster, on this node: the application is told, and presence is put right.

use std::sync::{Arc, Weak};

use crate::cluster::Node;
use crate::cluster::NodeId;
use crate::cluster::members::{Change, Consequences, Departure, Members, Standing};
use crate::cluster::presence::{Presences, Surroundings};
use crate::cluster::rules::Rules;
use crate::context::{ApplicationContext, ApplicationEvent};
use crate::session::{ClusterState, SessionId, WeakSessions};

/// Tells the application.
pub(super) struct Aftermath {
    pub(super) context: ApplicationContext,
    pub(super) node: Weak<Node>,
}

impl Aftermath {
    /// Does something about who is where, if any room has presence.
    fn for_presences(&self, act: impl FnOnce(&Presences)) {
        if let Some(node) = self.node.upgrade()
            && let Some(presences) = node.present()
        {
            act(presences);
        }
    }

    fn publish(&self, event: impl FnOnce() -> ApplicationEvent) {
        if self.context.is_observed() {
            self.context.publish(&event());
        }
    }
}

impl Consequences for Aftermath {
    fn changed(&self, change: &Change) {
        match change {
            Change::Joined { node, name } => {
                self.publish(|| ApplicationEvent::NodeJoined { id: *node, name: name.clone() });
            }
            Change::Left { node, name, how } => {
                self.for_presences(|presences| presences.gone(*node, *how));
                let goodbye = *how == Departure::Goodbye;
                self.publish(|| ApplicationEvent::NodeLeft { id: *node, name: name.clone(), goodbye });
            }
        }
    }

    fn state(&self, state: ClusterState) {
        self.publish(|| ApplicationEvent::ClusterChanged { state });
    }

    fn away(&self) {
        self.for_presences(Presences::away);
        #[cfg(feature = "json")]
        if let Some(node) = self.node.upgrade() {
            node.begin_to_look_for_taken_sessions();
        }
    }
}

/// What presence knows of the node that it is on.
pub(super) struct Around {
    pub(super) context: ApplicationContext,
    pub(super) sessions: WeakSessions,
    pub(super) members: Arc<Members>,
    pub(super) rules: Arc<Rules>,
}

impl Surroundings for Around {
    fn has_presence(&self, room: &str) -> bool {
        self.rules.has_presence(room)
    }

    fn user(&self, session: SessionId) -> Option<String> {
        self.sessions.upgrade()?.get(&session)?.user()
    }

    fn standing(&self, node: NodeId) -> Standing {
        self.members.standing(node)
    }

    fn tell(&self, event: ApplicationEvent) {
        if self.context.is_observed() {
            self.context.publish(&event);
        }
    }
}

//! What happens to the application, for whoever wants to know: [`ApplicationEvent`] and [`Observer`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::component::Shared;
use super::{ApplicationContext, Inner};
use crate::error::Panicked;
use crate::message::CloseReason;
use crate::session::{ClusterState, NodeId, PresentMember, Session};
use crate::settings::Address;

/// Something that happened to the application (Spring's `ApplicationEvent`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ApplicationEvent {
    /// All components are built and told so, and all listeners are bound: the first connection is accepted next.
    #[non_exhaustive]
    ContextReady {
        /// The components.
        context: ApplicationContext,
        /// Where the server listens; none for one in memory or within another server.
        addresses: Vec<Address>,
    },
    /// A session is in the registry; its `#[on_open]` is called next.
    #[non_exhaustive]
    SessionOpened {
        /// The session.
        session: Session,
    },
    /// A session has ended, and its `#[on_close]` has been called.
    #[non_exhaustive]
    SessionClosed {
        /// The session.
        session: Session,
        /// How it ended.
        reason: CloseReason,
    },
    /// The server begins to shut down: nobody is accepted any more, and all sessions are closed.
    ShuttingDown,
    /// Another node of the cluster is there.
    #[non_exhaustive]
    NodeJoined {
        /// Which.
        id: NodeId,
        /// What people call it.
        name: String,
    },
    /// Another node has said goodbye, or was not heard for almost ten seconds.
    #[non_exhaustive]
    NodeLeft {
        /// Which.
        id: NodeId,
        /// What people call it.
        name: String,
        /// Whether it has said goodbye. Otherwise it is dead, or cannot be reached; it may come back.
        goodbye: bool,
    },
    /// The way to the other nodes is lost, or there again.
    #[non_exhaustive]
    ClusterChanged {
        /// How it is now.
        state: ClusterState,
    },
    /// Somebody has come into a room that has presence, on any node. Told at most once, on nodes that have sessions in the room; who
    /// is there is said by [`present`](crate::Audience::present).
    #[non_exhaustive]
    Entered {
        /// The room.
        room: Arc<str>,
        /// Who, and whose session it is.
        member: PresentMember,
    },
    /// Somebody has left a room that has presence: told as [`Entered`](Self::Entered) is. A session that can be resumed has left when it
    /// was not within fifteen seconds.
    #[non_exhaustive]
    Left {
        /// The room.
        room: Arc<str>,
        /// Who, and whose session it was.
        member: PresentMember,
    },
    /// More have come into a room that has presence, or left it, within a moment than are told one by one.
    #[non_exhaustive]
    Crowded {
        /// The room.
        room: Arc<str>,
        /// How many more have come.
        entered: usize,
        /// How many more have left.
        left: usize,
    },
}

/// What is told about [`ApplicationEvent`]s (Spring's `ApplicationListener`).
///
/// A component that implements it is one; any other is given to [`observe`](crate::ServerEndpointExporter::observe), which takes closures
/// too.
pub trait Observer: Send + Sync + 'static {
    /// Called where the event happens, which waits for it: what takes long goes into a task of its own. A panic is logged and hurts nobody
    /// else.
    fn observe(&self, event: &ApplicationEvent);
}

impl<F: Fn(&ApplicationEvent) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &ApplicationEvent) {
        self(event);
    }
}

/// The method of an [`Observer`] among the components, whatever its type.
#[derive(Clone, Copy)]
pub(super) struct ObserverOf {
    observe: fn(&Shared, &ApplicationEvent),
}

impl ObserverOf {
    pub(super) fn of<T: Observer>() -> Self {
        ObserverOf {
            observe: |shared, event| {
                if let Some(observer) = shared.downcast_ref::<Arc<T>>() {
                    observer.observe(event);
                }
            },
        }
    }
}

/// Who observes: those that were given to the exporter, and then components. It never changes.
#[derive(Default)]
pub(super) struct Observers {
    pub(super) given: Vec<Arc<dyn Observer>>,
    /// By their places among the components.
    pub(super) components: Vec<(usize, ObserverOf)>,
}

impl ApplicationContext {
    /// Whether anybody wants to know what happens. Most applications say no, and then nothing is made for nobody.
    pub(crate) fn is_observed(&self) -> bool {
        self.inner()
            .is_some_and(|inner| !inner.observers.given.is_empty() || !inner.observers.components.is_empty())
    }

    /// Tells all observers.
    pub(crate) fn publish(&self, event: &ApplicationEvent) {
        if let Some(inner) = self.inner() {
            inner.publish(event);
        }
    }
}

impl Inner {
    fn publish(&self, event: &ApplicationEvent) {
        for observer in &self.observers.given {
            self.tell(|| observer.observe(event));
        }
        for (index, observer) in &self.observers.components {
            // A lazy one that nobody has used yet is not there to be told.
            if let Some(built) = self.built(*index) {
                self.tell(|| (observer.observe)(built, event));
            }
        }
    }

    fn tell(&self, observe: impl FnOnce()) {
        let told = catch_unwind(AssertUnwindSafe(|| crate::session::enter(self.node, observe)));
        if let Err(payload) = told {
            let panicked = Panicked::from_payload(&*payload);
            tracing::error!(panic = panicked.message(), "an observer of application events panicked");
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.given.len() + self.components.len())
    }
}

//! [`Replies`]: who waits for answers of other nodes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use super::super::NodeId;
use super::command::Answer;

/// Those who wait, by the correlation of what they have asked. It is drawn at random, so that an answer to what was asked before a restart
/// finds nobody.
#[derive(Debug, Default)]
pub(super) struct Replies(Mutex<HashMap<u64, UnboundedSender<(NodeId, Answer)>>>);

impl Replies {
    /// Begins to wait.
    pub(super) fn expect(self: &Arc<Self>) -> Expected {
        let correlation = rand::random::<u64>().max(1);
        let (sender, answers) = unbounded_channel();
        self.waiting().insert(correlation, sender);
        Expected { correlation, answers, of: Arc::clone(self) }
    }

    /// An answer has come. What nobody waits for any more is dropped.
    pub(super) fn arrived(&self, correlation: u64, from: NodeId, answer: Answer) {
        if let Some(waiting) = self.waiting().get(&correlation) {
            let _ = waiting.send((from, answer));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, UnboundedSender<(NodeId, Answer)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers to one question. When it is dropped, nobody waits any more.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) correlation: u64,
    answers: UnboundedReceiver<(NodeId, Answer)>,
    of: Arc<Replies>,
}

impl Expected {
    /// The next one that comes before the deadline.
    pub(super) async fn next(&mut self, deadline: Instant) -> Option<(NodeId, Answer)> {
        timeout_at(deadline, self.answers.recv()).await.ok()?
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.of.waiting().remove(&self.correlation);
    }
}

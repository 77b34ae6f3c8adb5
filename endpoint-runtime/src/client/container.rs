//! [`Container`]: the sessions of a client, and how they end together.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::message::{CloseReason, ClosedBy};
use crate::session::{Current, Sessions};

/// How often sessions are looked for that came to be while the client was shutting down.
const LOOK: Duration = Duration::from_millis(50);

/// How long connections have to notice that they are cut off.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What all clones of a client share. Each session's task holds it, so it ends with the last of them.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) sessions: Sessions,
    /// The tasks that run the sessions, and connections that are being made.
    pub(super) tasks: TaskTracker,
    /// Nothing new is begun.
    pub(super) stop: CancellationToken,
    _current: Current,
}

impl Container {
    pub(super) fn new() -> Self {
        let sessions = Sessions::new();
        let current = Current::announce_client(&sessions);
        Container { sessions, tasks: TaskTracker::new(), stop: CancellationToken::new(), _current: current }
    }

    /// Closes all sessions with 1001 and waits until they have ended. What has not after `patience` is cut off.
    pub(super) async fn shut_down(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let reason = CloseReason::away("the client is shutting down").by(ClosedBy::Container);
        self.stop.cancel();
        self.tasks.close();
        loop {
            for session in self.sessions.snapshot() {
                session.begin_close(&reason);
            }
            let next_look = deadline.min(Instant::now() + LOOK);
            if timeout_at(next_look, self.tasks.wait()).await.is_ok() {
                return;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        tracing::warn!(connections = self.tasks.len(), "the time for shutting down is over, cutting off");
        for session in self.sessions.unfinished() {
            session.abort();
        }
        let _ = timeout_at(Instant::now() + LAST_MOMENT, self.tasks.wait()).await;
    }
}

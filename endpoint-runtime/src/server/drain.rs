//! Draining: every session is told to go, in rounds, and has its `on_close`.

use tokio::time::{Instant, sleep, timeout_at};

use super::door::Door;
use crate::message::{CloseReason, ClosedBy};

/// How long connections have to notice that they are cut off.
const LAST_MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

/// Closes all sessions with 1001, `drain_batch` at a time so that those who come back do not all come at once, and waits until
/// they have ended. What has not after `drain_timeout` is cut off.
pub(super) async fn drain(door: &Door) {
    let settings = door.settings();
    let deadline = Instant::now() + settings.drain_timeout;
    let reason = CloseReason::away("the server is shutting down").by(ClosedBy::Container);
    door.tasks().close();

    let all = door.sessions().snapshot();
    let mut rounds = all.chunks(settings.drain_batch.max(1)).peekable();
    while let Some(round) = rounds.next() {
        for session in round {
            session.begin_close(&reason);
        }
        if rounds.peek().is_some() && Instant::now() < deadline {
            sleep(settings.drain_interval).await;
        }
    }
    // Handshakes that were accepted a moment ago become sessions yet: they are told when they are seen.
    loop {
        let next_look =
            deadline.min(Instant::now() + settings.drain_interval.max(std::time::Duration::from_millis(10)));
        if timeout_at(next_look, door.tasks().wait()).await.is_ok() {
            return;
        }
        for session in door.sessions().snapshot() {
            session.begin_close(&reason);
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    tracing::warn!(connections = door.tasks().len(), "the time for draining is over, cutting off");
    for session in door.sessions().unfinished() {
        session.abort();
    }
    let _ = timeout_at(Instant::now() + LAST_MOMENT, door.tasks().wait()).await;
}

//! Draining: every session is told to go, in rounds, and has its `on_close`.

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use crate::message::{CloseCode, CloseReason, ClosedBy};

/// How long connections have to notice that they are cut off.
pub(crate) const LAST_MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

/// Why sessions are closed: where others take over the address, clients do well to come back at once (1012), else they had better wait (1001).
pub(super) fn reason(handed_over: bool) -> CloseReason {
    let reason = if handed_over {
        CloseReason::new(CloseCode::Restart, "the server is restarting")
    } else {
        CloseReason::away("the server is shutting down")
    };
    reason.by(ClosedBy::Container)
}

/// Closes all sessions, `drain_batch` at a time so that those who come back do not all come at once, and waits until
/// they have ended. What has not after `drain_timeout`, or when it must go at once, is cut off.
pub(super) async fn drain(door: &Door, reason: &CloseReason, at_once: &CancellationToken) {
    let ended = tokio::select! {
        biased;
        ended = close_all(door, reason) => ended,
        () = at_once.cancelled() => false,
    };
    if ended {
        return;
    }
    tracing::warn!(connections = door.tasks().len(), "the time for draining is over, cutting off");
    for session in door.sessions().unfinished() {
        session.abort();
    }
    let _ = timeout_at(Instant::now() + LAST_MOMENT, door.tasks().wait()).await;
}

/// Whether all have ended in time.
async fn close_all(door: &Door, reason: &CloseReason) -> bool {
    let settings = door.settings();
    let deadline = Instant::now() + settings.drain_timeout;
    door.tasks().close();

    let all = door.sessions().snapshot();
    let mut rounds = all.chunks(settings.drain_batch.max(1)).peekable();
    while let Some(round) = rounds.next() {
        for session in round {
            session.begin_close(reason);
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
            return true;
        }
        for session in door.sessions().snapshot() {
            session.begin_close(reason);
        }
        if Instant::now() >= deadline {
            return false;
        }
    }
}

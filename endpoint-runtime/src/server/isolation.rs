//! What a server does while it cannot reach the other nodes of its cluster: it is not ready, and may close its sessions.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::door::Door;
use crate::message::{CloseCode, CloseReason, ClosedBy};
use crate::session::ClusterState;

/// How long it goes on as if nothing were.
const PATIENCE: Duration = Duration::from_secs(5);

/// Minds the way to the others as long as the server is there.
pub(super) async fn mind(door: Weak<Door>, mut state: watch::Receiver<ClusterState>) {
    loop {
        let now = *state.borrow_and_update();
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = endure(&door, now) => return,
        }
    }
}

/// Does what is to be done in this state, until it changes; ends with the server.
async fn endure(door: &Weak<Door>, state: ClusterState) {
    let Some((ready, close)) = door.upgrade().map(|door| {
        let settings = door.settings();
        if state.is_connected() {
            door.container().set_isolated(false);
        }
        (settings.ready_when_isolated, settings.close_when_isolated)
    }) else {
        return;
    };
    let ClusterState::Degraded { since } = state else { return std::future::pending().await };
    let since = Instant::from_std(since);
    // Whatever comes first.
    let mut due: Vec<(Instant, bool)> = Vec::new();
    due.extend((!ready).then_some((since + PATIENCE, false)));
    due.extend(close.map(|after| (since + after, true)));
    due.sort();
    for (at, closes) in due {
        sleep_until(at).await;
        if closes {
            close_all(door).await;
        } else if let Some(door) = door.upgrade() {
            tracing::warn!("not ready: the other nodes of the cluster cannot be reached");
            door.container().set_isolated(true);
        }
    }
    std::future::pending::<()>().await;
}

/// Sends everybody to other nodes, in rounds as a shutdown does.
async fn close_all(door: &Weak<Door>) {
    let Some((sessions, round, pause)) = door.upgrade().map(|door| {
        let settings = door.settings();
        (door.sessions().snapshot(), settings.drain_batch.max(1), settings.drain_interval)
    }) else {
        return;
    };
    tracing::warn!(sessions = sessions.len(), "closing sessions: the other nodes cannot be reached");
    let reason = CloseReason::new(CloseCode::Restart, "this server is cut off from the others");
    let reason = reason.by(ClosedBy::Container);
    for round in sessions.chunks(round) {
        for session in round {
            session.begin_close(&reason);
        }
        // Servers that are cut off together do not send everybody away together.
        sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
    }
}

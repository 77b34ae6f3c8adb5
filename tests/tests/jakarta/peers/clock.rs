//! [`StoppedClock`]: time that stands still over real sockets, until a test lets it pass.

use std::sync::mpsc;
use std::time::Duration;

use crate::told::PATIENCE;

/// Time that passes only in [`advance`](Self::advance), however long the network takes.
pub(crate) struct StoppedClock {
    /// A thread that works keeps the runtime's clock from going forward on its own.
    _busy: mpsc::Sender<()>,
}

impl StoppedClock {
    pub(crate) fn stop() -> Self {
        tokio::time::pause();
        let (busy, until) = mpsc::channel::<()>();
        // When somebody waits for what never comes, time goes on and his patience ends.
        tokio::task::spawn_blocking(move || until.recv_timeout(PATIENCE));
        StoppedClock { _busy: busy }
    }

    /// Lets time pass, and everybody do what is due then.
    pub(crate) async fn advance(&self, time: Duration) {
        Self::settle().await;
        tokio::time::advance(time).await;
        Self::settle().await;
    }

    /// Lets everybody do what there is to do.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

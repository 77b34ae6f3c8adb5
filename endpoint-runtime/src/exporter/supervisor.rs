//! What `serve` tells whoever supervises the process: systemd, and all who speak its protocol (`sd_notify(3)`). Without one it is silent, and what
//! does not arrive is logged, no error.

use crate::server::Server;

/// The server is there.
pub(super) fn ready() {
    #[cfg(unix)]
    tell(&[sd_notify::NotifyState::Ready]);
}

/// Stops the server, and says that it takes as long as it may take.
pub(super) async fn stop(server: Server) {
    #[cfg(unix)]
    {
        let budget = server.time_to_stop().as_micros();
        tell(&[
            sd_notify::NotifyState::Stopping,
            sd_notify::NotifyState::ExtendTimeoutUsec(u32::try_from(budget).unwrap_or(u32::MAX)),
        ]);
    }
    server.shutdown().await;
}

#[cfg(unix)]
fn tell(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}

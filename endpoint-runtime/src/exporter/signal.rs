//! What `serve` adds to `start`: the signals that end a process, and logs where nobody has set up any.

/// Done at Ctrl-C, or at SIGTERM, by which service managers ask.
pub(super) async fn shutdown() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    () = interrupt() => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot listen for SIGTERM");
                interrupt().await;
            }
        }
    }
    #[cfg(not(unix))]
    interrupt().await;
}

async fn interrupt() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "cannot listen for Ctrl-C: the server stops only when its process does");
        std::future::pending::<()>().await;
    }
}

/// Writes the log to the standard error output, unless the program has set up something of its own. `RUST_LOG` chooses, as in
/// `RUST_LOG=endpoint_runtime=debug`; without it, `info`.
#[cfg(feature = "log")]
pub(super) fn log_if_nobody_does() {
    use std::io::IsTerminal;

    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;

    let chosen = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = chosen.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    // Fails when there is a subscriber already: then that one does it.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

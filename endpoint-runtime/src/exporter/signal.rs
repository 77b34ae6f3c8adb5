//! What `serve` adds to `start`: the signals that end a process, and logs where nobody has set up any.

/// Ctrl-C, and SIGTERM, by which service managers ask. Both are listened for from [`listen`](Self::listen) on, not only when somebody
/// waits: nothing lies between a server that is ready and one that stops gracefully.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: Asked,
    #[cfg(unix)]
    terminate: Asked,
}

impl Signals {
    pub(super) fn listen() -> Self {
        #[cfg(unix)]
        use tokio::signal::unix::SignalKind;
        Signals {
            #[cfg(unix)]
            interrupt: Asked::listen("SIGINT", SignalKind::interrupt()),
            #[cfg(unix)]
            terminate: Asked::listen("SIGTERM", SignalKind::terminate()),
        }
    }

    /// The next time that one of them comes.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        tokio::select! {
            () = self.interrupt.received() => {}
            () = self.terminate.received() => {}
        }
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "cannot listen for Ctrl-C: the server stops only when its process does");
            std::future::pending::<()>().await;
        }
    }
}

/// A signal that is listened for; `None` if that failed.
#[cfg(unix)]
struct Asked(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Asked {
    fn listen(name: &str, kind: tokio::signal::unix::SignalKind) -> Self {
        let signal = tokio::signal::unix::signal(kind);
        Asked(signal.inspect_err(|error| tracing::warn!(%error, "cannot listen for {name}")).ok())
    }

    async fn received(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
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

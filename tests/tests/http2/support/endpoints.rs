//! Endpoints that many tests use.

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Endpoint, ServerEndpointConfig};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::soon;

/// What became of a session.
#[derive(Debug)]
pub(crate) enum Reported {
    Opened(Session),
    Closed(CloseReason),
}

/// Says everything back, and reports the opening and the end of each session to the test.
#[derive(Clone)]
pub(crate) struct Reporter(Arc<UnboundedSender<Reported>>);

impl Reporter {
    /// The configuration of a reporter at this path, and where it reports to.
    #[track_caller]
    pub(crate) fn at(path: &str) -> (ServerEndpointConfig, Reports) {
        let (sender, receiver) = unbounded_channel();
        let reporter = Reporter(Arc::new(sender));
        (ServerEndpointConfig::builder(path, move || reporter.clone()).build(), Reports(receiver))
    }
}

impl Endpoint for Reporter {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        // A test that has seen enough no longer listens.
        let _ = self.0.send(Reported::Opened(session.clone()));
        Ok(())
    }

    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        Ok(session.send(message).await?)
    }

    async fn on_close(&mut self, _: &Session, reason: &CloseReason) {
        let _ = self.0.send(Reported::Closed(reason.clone()));
    }
}

/// What a [`Reporter`] reports.
pub(crate) struct Reports(UnboundedReceiver<Reported>);

impl Reports {
    async fn next(&mut self) -> Reported {
        soon("a report", self.0.recv()).await.unwrap()
    }

    /// The next session that has opened; sessions that end are skipped.
    pub(crate) async fn opened(&mut self) -> Session {
        loop {
            if let Reported::Opened(session) = self.next().await {
                return session;
            }
        }
    }

    /// Why the next session has ended; sessions that open are skipped.
    pub(crate) async fn closed(&mut self) -> CloseReason {
        loop {
            if let Reported::Closed(reason) = self.next().await {
                return reason;
            }
        }
    }
}

/// Says everything back, each when the test lets it through.
#[derive(Clone)]
pub(crate) struct Gate {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    #[track_caller]
    pub(crate) fn at(path: &str) -> (ServerEndpointConfig, Gate) {
        let gate = Gate { entered: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) };
        let ours = gate.clone();
        (ServerEndpointConfig::builder(path, move || ours.clone()).build(), gate)
    }

    /// A message stands before it.
    pub(crate) async fn is_entered(&self) {
        soon("a message", self.entered.acquire()).await.unwrap().forget();
    }

    /// Lets everything through from now on.
    pub(crate) fn open(&self) {
        self.open.close();
    }
}

impl Endpoint for Gate {
    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        self.entered.add_permits(1);
        // It is never let through: the gate is opened for all.
        let _ = self.open.acquire().await;
        Ok(session.send(message).await?)
    }
}

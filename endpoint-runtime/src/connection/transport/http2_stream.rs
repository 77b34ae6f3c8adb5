//! [`Http2Stream`]: one of the streams of an HTTP/2 connection, as the tasks that serve it know it.
//!
//! hyper answers each request in a task of its own. If the answer opens a WebSocket there are two more: hyper's, which passes on what is
//! written, and the session's. hyper resets a stream that nobody holds any more, and ends in good order one whose writer is let go: so whoever
//! wants it reset stops the task that passes on.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use tokio::task::AbortHandle;
use tokio_util::task::task_tracker::TaskTrackerToken;

tokio::task_local! {
    static CURRENT: Http2Stream;
}

/// What the tasks of one stream share.
#[derive(Clone, Debug)]
pub(crate) struct Http2Stream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The task that passes on what is written.
    writer: OnceLock<AbortHandle>,
    /// The stream's place among those of its connection.
    _counted: TaskTrackerToken,
}

impl Http2Stream {
    pub(crate) fn new(counted: TaskTrackerToken) -> Self {
        Http2Stream(Arc::new(Inner { writer: OnceLock::new(), _counted: counted }))
    }

    /// The stream whose request is being answered here.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Spawns the task that answers the request.
    pub(crate) fn spawn_answer<F: Future<Output: Send> + Send + 'static>(self, answer: F) {
        tokio::spawn(CURRENT.scope(self, answer));
    }

    /// Spawns the task that passes on what is written.
    pub(crate) fn spawn_writer<F: Future<Output: Send> + Send + 'static>(self, writer: F) {
        let stream = self.clone();
        let task = tokio::spawn(async move {
            writer.await;
            drop(stream);
        });
        // A stream is upgraded once.
        let _ = self.0.writer.set(task.abort_handle());
    }

    /// Nothing more is passed on.
    pub(super) fn reset(&self) {
        if let Some(writer) = self.0.writer.get() {
            writer.abort();
        }
    }
}

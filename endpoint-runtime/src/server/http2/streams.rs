//! [`Streams`]: those of one HTTP/2 connection, counted.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::connection::Http2Stream;

/// The streams of one connection. They run where hyper's tasks do: as tasks of the runtime.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Each stream has a token, until nothing is left of it.
    open: TaskTracker,
    /// How many requests there ever were.
    requests: AtomicUsize,
    /// How many more were reset before they were answered than were answered.
    reset: AtomicUsize,
    /// How many are too many.
    max_resets: usize,
    /// The first request has come.
    asked: Notify,
    worn_out: Notify,
}

impl Streams {
    pub(super) fn new(max_resets: usize) -> Self {
        let open = TaskTracker::new();
        // So that one can wait until there are none.
        open.close();
        Streams(Arc::new(Inner {
            open,
            requests: AtomicUsize::new(0),
            reset: AtomicUsize::new(0),
            max_resets,
            asked: Notify::new(),
            worn_out: Notify::new(),
        }))
    }

    /// A request has come. If this is dropped, it was reset.
    pub(super) fn request(&self) -> Counted {
        if self.0.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.0.asked.notify_one();
        }
        Counted(Some(self.clone()))
    }

    /// Until there has been a request.
    pub(super) async fn asked(&self) {
        if self.0.requests.load(Ordering::Relaxed) == 0 {
            self.0.asked.notified().await;
        }
    }

    /// Until there have been no streams for so long, or up to twice as long.
    pub(super) async fn none_for(&self, time: Duration) {
        loop {
            self.0.open.wait().await;
            let before = self.0.requests.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            if self.0.open.is_empty() && self.0.requests.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    /// Until the peer has reset too many.
    pub(super) async fn worn_out(&self) {
        self.0.worn_out.notified().await;
    }
}

/// hyper's tasks: one answers a request, and if that opens a WebSocket another passes on what is written to it.
impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, task: F) {
        match Http2Stream::current() {
            None => Http2Stream::new(self.0.open.token()).spawn_answer(task),
            Some(stream) => stream.spawn_writer(task),
        }
    }
}

/// A request, until it has an answer.
#[derive(Debug)]
pub(super) struct Counted(Option<Streams>);

impl Counted {
    pub(super) fn answered(mut self) {
        if let Some(streams) = self.0.take() {
            let less = |reset: usize| reset.checked_sub(1);
            // None were reset: there is nothing to make good.
            let _ = streams.0.reset.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(Streams(streams)) = &self.0
            && streams.reset.fetch_add(1, Ordering::Relaxed) >= streams.max_resets
        {
            streams.worn_out.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Whether it is ready at once.
    async fn is_ready(future: impl Future) -> bool {
        let mut future = pin!(future);
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn who_resets_more_than_it_lets_be_answered_wears_out() {
        let streams = Streams::new(3);
        for _ in 0..3 {
            drop(streams.request());
        }
        streams.request().answered();
        drop(streams.request());
        assert!(!is_ready(streams.worn_out()).await);
        drop(streams.request());
        assert!(is_ready(streams.worn_out()).await);

        let honest = Streams::new(1);
        for _ in 0..100 {
            honest.request().answered();
            drop(honest.request());
        }
        assert!(!is_ready(honest.worn_out()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_it_has_had_no_stream_for_a_while() {
        let second = Duration::from_secs(1);
        let streams = Streams::new(1);
        let begin = tokio::time::Instant::now();
        streams.none_for(second).await;
        assert_eq!(begin.elapsed(), second);

        let open = streams.0.open.token();
        let idle = tokio::spawn({
            let streams = streams.clone();
            async move { streams.none_for(second).await }
        });
        tokio::time::sleep(second * 10).await;
        assert!(!idle.is_finished());
        drop(open);
        tokio::time::sleep(second / 2).await;
        // One that comes and goes meanwhile puts it off.
        streams.request().answered();
        tokio::time::sleep(second).await;
        assert!(!idle.is_finished());
        idle.await.unwrap();
        assert_eq!(begin.elapsed(), second * 13);
    }
}

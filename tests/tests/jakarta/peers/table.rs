//! Tables and what their rows need: [`each`] runs them, handlers tell the row what happens ([`Told`]), and time may stand still
//! ([`StoppedClock`]).

use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long anything is waited for before its row fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs every row of a table in a runtime of its own, and fails with all the rows that have failed.
#[track_caller]
pub(crate) fn each<R>(rows: impl IntoIterator<Item = (String, R)>, run: impl AsyncFn(R)) {
    let (mut count, mut failed) = (0, Vec::new());
    for (name, row) in rows {
        count += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(soon("the row", run(row)));
        }));
        if let Err(panic) = outcome {
            failed.push(format!("\n- {name}: {}", said(&*panic)));
        }
    }
    assert!(count > 0, "a table without rows");
    assert!(failed.is_empty(), "{} of {count} rows failed:{}", failed.len(), failed.concat());
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Waits for a state that no event announces.
pub(crate) async fn until(what: &str, mut state: impl FnMut() -> bool) {
    soon(what, async {
        while !state() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A component that handlers tell what they do.
#[derive(Debug)]
pub(crate) struct Told(UnboundedSender<String>);

/// What they told, in its order.
pub(crate) struct Heard(UnboundedReceiver<String>);

impl Told {
    pub(crate) fn new() -> (Self, Heard) {
        let (sender, receiver) = unbounded_channel();
        (Told(sender), Heard(receiver))
    }

    pub(crate) fn tell(&self, what: impl Display) {
        // A row that is over listens no more.
        let _ = self.0.send(what.to_string());
    }
}

impl Heard {
    pub(crate) async fn next(&mut self) -> String {
        match soon("something to be told", self.0.recv()).await {
            Some(told) => told,
            None => panic!("nobody is left to tell anything"),
        }
    }

    /// What there is now.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

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

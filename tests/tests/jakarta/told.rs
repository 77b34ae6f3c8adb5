//! What handlers tell their test ([`Told`], [`Heard`]), and waiting for what must come ([`soon`], [`until`]).

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// How long anything is waited for before its row fails. Where time is paused it passes at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: waited for {PATIENCE:?} in vain"),
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

/// A component, or a field, that handlers and coders tell what they do.
#[derive(Clone, Debug)]
pub(crate) struct Told(UnboundedSender<String>);

/// What was told, in its order.
pub(crate) struct Heard(UnboundedReceiver<String>);

pub(crate) fn diary() -> (Told, Heard) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Told(sender), Heard(receiver))
}

impl Told {
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

    /// The next thing told is this.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            let told = self.next().await;
            assert_eq!(told, expected, "at {place}");
        }
    }

    /// All that was told up to what begins so, that included.
    pub(crate) async fn up_to(&mut self, last: &str) -> Vec<String> {
        let mut told = Vec::new();
        while !told.last().is_some_and(|told: &String| told.starts_with(last)) {
            told.push(self.next().await);
        }
        told
    }

    /// All that was told before this, which is not among it.
    pub(crate) async fn before(&mut self, last: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            match self.next().await {
                entry if entry == last => return told,
                entry => told.push(entry),
            }
        }
    }

    /// What was told and not heard yet.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

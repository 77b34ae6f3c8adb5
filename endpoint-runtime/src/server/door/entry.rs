//! [`Entry`]: what was accepted, on its way from the request to whoever goes on with its connection.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::upgrade::OnUpgrade;

use super::super::deployments::Deployed;
use super::Admission;
#[cfg(feature = "http2")]
use crate::connection::Http2Stream;
use crate::ledger::Places;
use crate::session::Handshake;

/// A handshake that an endpoint has accepted.
pub(in super::super) struct Accepted {
    pub(super) deployed: Arc<Deployed>,
    pub(super) handshake: Handshake,
    pub(super) places: Option<Box<Places>>,
    /// The stream that it came on, if that is one of an HTTP/2 connection of ours.
    #[cfg(feature = "http2")]
    pub(super) stream: Option<Http2Stream>,
}

impl Accepted {
    /// The session gets what its connection has taken.
    pub(in super::super) fn take_over(&mut self, admission: &mut Admission) {
        self.places = Places::with(self.places.take(), admission.place.take());
    }
}

/// Where a connection of our own listeners finds what was accepted of it, when it has sent the response: over HTTP/1.1, the task that spoke
/// HTTP goes on with it, and no other need wait; over HTTP/2 each request has an entry of its own.
#[derive(Clone, Default)]
pub(in super::super) struct Entry(Arc<AtEntry>);

#[derive(Default)]
struct AtEntry {
    left: Mutex<Option<(Accepted, OnUpgrade)>>,
    asks: AtomicU8,
}

/// Whether the connection waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Asks {
    /// It has asked nothing so far.
    NothingYet,
    Now,
    /// It has its answer.
    NothingMore,
}

impl Entry {
    pub(super) fn ask(&self, asks: Asks) {
        self.0.asks.store(asks as u8, Ordering::Relaxed);
    }

    pub(in super::super) fn asks(&self) -> Asks {
        let all = [Asks::NothingYet, Asks::Now, Asks::NothingMore];
        all[usize::from(self.0.asks.load(Ordering::Relaxed)).min(2)]
    }

    pub(super) fn leave(&self, accepted: Accepted, upgrade: OnUpgrade) {
        *self.place() = Some((accepted, upgrade));
    }

    pub(in super::super) fn take(&self) -> Option<(Accepted, OnUpgrade)> {
        self.place().take()
    }

    fn place(&self) -> MutexGuard<'_, Option<(Accepted, OnUpgrade)>> {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

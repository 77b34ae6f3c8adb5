//! Limits: how many may be in, by address and by principal; how many handshakes there may be a second; and how much memory queues may
//! take.
//!
//! What a limit refuses is counted ([`Tally`]) and answered; the log has a line a second about it.

mod memory;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;

pub(super) use self::memory::Allowance;
use crate::error::Refusal;
use crate::handshake::unavailable;
use crate::ledger::{
    Addresses, Bucket, Ledger, Place, Places, Principals, TOO_MANY_SESSIONS, Tally, note_crowded_principal,
};
use crate::settings::Settings;

/// Who is in, and who else may come.
pub(crate) struct Crowd {
    handshakes: Option<Mutex<Bucket>>,
    addresses: Arc<Addresses>,
    principals: Arc<Principals>,
}

/// What becomes of the place that a connection has among those of its address when it becomes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It has none, or keeps it beside the session's.
    No,
    /// The session gets it.
    HandedOver,
    /// The session takes one of its own, and the connection gives its back a moment later.
    GivenBack,
}

impl Crowd {
    pub(crate) fn new(settings: &Settings, ledger: &Ledger) -> Self {
        ledger.principals.bound(settings.max_connections_per_principal);
        let handshakes = settings.handshake_rate.map(|rate| Mutex::new(Bucket::new(rate, Instant::now())));
        Crowd {
            handshakes,
            addresses: Addresses::new(
                settings.max_connections_per_address,
                settings.handshake_rate_per_address,
            ),
            principals: Arc::clone(&ledger.principals),
        }
    }

    /// Takes a place for a connection from this address, and says whether it is one too many: then it may be told so, and by how many it
    /// is. `None`: nobody counts it.
    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Option<(Place, usize)> {
        self.addresses.enter(address?)
    }

    /// Whether there may be another handshake now, from this address.
    ///
    /// # Errors
    /// The refusal: 503, or 429 if it is the address that has had too many.
    pub(crate) fn handshake(&self, address: Option<IpAddr>, tally: &Tally) -> Result<(), Refusal> {
        let now = Instant::now();
        // In this order: a flood from one address does not use up what there is for everybody.
        if address.is_some_and(|address| !self.addresses.handshake(address, now)) {
            if let Some(unsaid) = tally.refused_address_rate.note() {
                tracing::warn!(
                    ?address,
                    unsaid,
                    "handshakes are refused: too many a second from one address (`handshake_rate_per_address`)"
                );
            }
            return Err(too_many("too many handshakes from this address, try again later"));
        }
        let Some(bucket) = &self.handshakes else { return Ok(()) };
        if bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return Ok(());
        }
        if let Some(unsaid) = tally.refused_rate.note() {
            tracing::warn!(unsaid, "handshakes are refused: too many a second (`handshake_rate`)");
        }
        Err(unavailable("too many handshakes at this moment, try again later"))
    }

    /// Takes the places of a session; `counted` says what its connection has taken for the address already.
    ///
    /// # Errors
    /// The refusal, 503.
    pub(crate) fn admit(
        &self,
        address: Option<IpAddr>,
        counted: Counted,
        principal: Option<&str>,
        tally: &Tally,
    ) -> Result<Option<Box<Places>>, Refusal> {
        let mut places = None;
        if counted != Counted::HandedOver
            && let Some((place, over)) = self.enter(address)
        {
            // Who has a place already is none more.
            if over > 0 && counted == Counted::No {
                note_crowded_address(address, tally);
                return Err(crowded_address());
            }
            places = Places::with(places, Some(place));
        }
        if let Some(name) = principal {
            match self.principals.admit(name) {
                Ok(seat) => places = Places::seated(places, seat),
                Err(limit) => {
                    note_crowded_principal(limit, tally);
                    return Err(unavailable(TOO_MANY_SESSIONS));
                }
            }
        }
        Ok(places)
    }
}

/// An address has more connections than it may.
pub(super) fn note_crowded_address(address: Option<IpAddr>, tally: &Tally) {
    if let Some(unsaid) = tally.refused_address.note() {
        tracing::warn!(
            ?address,
            unsaid,
            "connections are refused: too many from one address (`max_connections_per_address`; a proxy's address belongs into \
             `trusted_proxies`)"
        );
    }
}

/// 503: this address has too many.
pub(super) fn crowded_address() -> Refusal {
    unavailable("too many connections from this address, try again later")
}

/// 503: messages would find no memory.
pub(super) fn short_of_memory() -> Refusal {
    unavailable("the server is short of memory, try again later")
}

/// 429 (RFC 6585 4): not so often.
fn too_many(reason: &'static str) -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, reason)
        .header(RETRY_AFTER, HeaderValue::from_static("5"))
        .header(CONNECTION, HeaderValue::from_static("close"))
}

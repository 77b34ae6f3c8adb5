//! What a server counts: who came in, who was refused and why, what was dropped. [`Tally`] is counted in, [`Counters`] is what is
//! read of it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Milliseconds between two lines in the log about the same thing.
const PAUSE: u64 = 1000;

/// One thing that is counted. Of what comes in masses the log has a line a second.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    count: AtomicU64,
    /// What the count was when the log last had a line about it, and when that was; 0 is never.
    told: AtomicU64,
    told_at: AtomicU64,
}

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.count.fetch_add(more, Ordering::Relaxed);
    }

    /// Counts one, and says whether the log is to have a line about it: then, how many since the last line had none.
    pub(crate) fn note(&self) -> Option<u64> {
        self.note_at(now())
    }

    fn note_at(&self, now: u64) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let told_at = self.told_at.load(Ordering::Relaxed);
        if told_at != 0 && now < told_at + PAUSE {
            return None;
        }
        // One of those who come at the same time tells it.
        self.told_at.compare_exchange(told_at, now, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        let told = self.told.swap(count, Ordering::Relaxed);
        Some(count.saturating_sub(told + 1))
    }

    fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Milliseconds since this was first asked, from 1 on.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX - PAUSE) + 1
}

/// Makes a counter, and what is read of it, for each name.
macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// What a server has counted since it was started: [`Container::counters`](crate::Container::counters). They only grow, and are
        /// made for whoever exports metrics.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])+ pub $name: u64,)+
        }

        /// The counters of a server, while it counts.
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $name: Counter,)+
        }

        impl Tally {
            /// What was counted so far.
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Connections that came in through the server's listeners.
    connections,
    /// Handshakes that were accepted: each became a session, unless its peer left at that moment.
    accepted,
    /// Connections beyond `max_connections`: told so by a 503, or closed.
    refused_full,
    /// Connections and handshakes beyond `max_connections_per_address`.
    refused_address,
    /// Handshakes beyond `max_connections_per_principal`, and peers that would have signed in beyond it.
    refused_principal,
    /// Handshakes beyond `handshake_rate`.
    refused_rate,
    /// Handshakes beyond `handshake_rate_per_address`.
    refused_address_rate,
    /// Handshakes for whose messages there might be no memory: `max_queue_memory`.
    refused_memory,
    /// Handshakes while the server shut down.
    refused_draining,
    /// Requests whose body is larger than `max_body_size`, or of unknown size.
    refused_body,
    /// Requests to which the server itself answered 400 or more, for whatever reason, limits included. What the fallback and layers
    /// answer is not counted.
    http_errors,
    /// Connections that were closed because a request, or the head of one, did not come within `head_timeout`.
    slow_heads,
    /// Connections that were closed because their TLS handshake failed or took longer than `tls_handshake_timeout`: what they speak is
    /// no TLS, they do not trust the certificate, or show none that is trusted here.
    tls_errors,
    /// HTTP/2 connections that were closed because their peer reset too many streams: `http2_max_resets`.
    http2_worn_out,
    /// Connections whose header of the PROXY protocol was missing, malformed, late, or from somebody who is not trusted; and requests
    /// in which a trusted proxy contradicts itself.
    proxy_errors,
    /// Times that a session was not read from for a while because it had exceeded `message_rate` or `byte_rate`.
    rate_waits,
    /// Messages that were dropped for that.
    rate_dropped,
    /// Sessions that were closed for that, with 1008.
    rate_closed,
    /// Messages that were dropped because a peer was too slow to take them.
    dropped_messages,
    /// Sessions that were closed because their peer was too slow, with 1013.
    too_slow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_line_a_second_that_says_how_many_had_none() {
        let counter = Counter::default();
        let table = [
            (1, Some(0)),
            (2, None),
            (999, None),
            (1000, None),
            (1001, Some(3)),
            (1002, None),
            (5000, Some(1)),
            (6000, Some(0)),
        ];
        for (now, expected) in table {
            assert_eq!(counter.note_at(now), expected, "{now}");
        }
        assert_eq!(counter.get(), table.len() as u64);
    }

    #[test]
    fn what_is_counted_is_read() {
        let tally = Tally::default();
        tally.accepted.add(2);
        tally.rate_dropped.note();
        assert_eq!(tally.read(), Counters { accepted: 2, rate_dropped: 1, ..Counters::default() });
    }
}

//! [`Addresses`]: how many connections each address has, and how often it has come of late.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Bucket;
use crate::settings::Rate;

const SHARDS: usize = 16;

/// Entries of a shard from which on those are swept out that say nothing any more.
const SWEPT_FROM: usize = 256;

/// Who counts as one: an IPv4 address, or all IPv6 addresses of a /64, which is what one customer gets.
///
/// IPv4 stands where no IPv6 address can be, in the reserved `0:ffff::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Neighbourhood(u64);

impl Neighbourhood {
    /// Whose an address is; `None` for loopback, behind which are the machine's own programs.
    fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(Neighbourhood(0xffff_0000_0000 | u64::from(u32::from(address)))),
            IpAddr::V6(address) => Some(Neighbourhood((u128::from(address) >> 64) as u64)),
        }
    }
}

/// All addresses of which there is something to know.
pub(crate) struct Addresses {
    limit: usize,
    rate: Option<Rate>,
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Neighbourhood, Entry>,
    sweep_at: usize,
}

#[derive(Default)]
struct Entry {
    places: usize,
    /// What is left of its handshakes; made for the first.
    handshakes: Option<Bucket>,
}

impl Entry {
    /// Whether it says nothing any more.
    fn is_idle(&mut self, now: Instant) -> bool {
        self.places == 0 && self.handshakes.as_mut().is_none_or(|bucket| bucket.is_full(now))
    }
}

impl Shard {
    fn entry(&mut self, whose: Neighbourhood) -> &mut Entry {
        if self.entries.len() >= self.sweep_at.max(SWEPT_FROM) {
            let now = Instant::now();
            self.entries.retain(|_, entry| !entry.is_idle(now));
            // Each entry pays for the sweep that finds it once.
            self.sweep_at = self.entries.len() * 2;
            self.entries.shrink_to(self.sweep_at);
        }
        self.entries.entry(whose).or_default()
    }
}

impl Addresses {
    /// `limit`: how many connections one may have; 0 is no limit.
    pub(crate) fn new(limit: usize, rate: Option<Rate>) -> Arc<Self> {
        let (shards, hasher) = (Default::default(), RandomState::new());
        Arc::new(Addresses { limit, rate, shards, hasher })
    }

    /// Takes a place for a connection, and says by how many its address is over the limit with it. `None`: it is not counted.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<(Place, usize)> {
        if self.limit == 0 {
            return None;
        }
        let whose = Neighbourhood::of(address)?;
        let mut shard = self.shard(whose);
        let entry = shard.entry(whose);
        entry.places += 1;
        let over = entry.places.saturating_sub(self.limit);
        drop(shard);
        Some((Place { addresses: Arc::clone(self), whose }, over))
    }

    /// Whether this address may have another handshake now.
    pub(crate) fn handshake(&self, address: IpAddr, now: Instant) -> bool {
        let Some(rate) = self.rate else { return true };
        let Some(whose) = Neighbourhood::of(address) else { return true };
        let mut shard = self.shard(whose);
        shard.entry(whose).handshakes.get_or_insert_with(|| Bucket::new(rate, now)).take(now)
    }

    fn shard(&self, whose: Neighbourhood) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[self.hasher.hash_one(whose) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection among those of its address, for as long as it lives.
pub(crate) struct Place {
    addresses: Arc<Addresses>,
    whose: Neighbourhood,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shard = self.addresses.shard(self.whose);
        if let Some(entry) = shard.entries.get_mut(&self.whose) {
            entry.places = entry.places.saturating_sub(1);
            // What is left of its handshakes is forgotten when it is swept out.
            if entry.places == 0 && entry.handshakes.is_none() {
                shard.entries.remove(&self.whose);
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whose.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_counts_as_one() {
        let same = |a: &str, b: &str| Neighbourhood::of(ip(a)) == Neighbourhood::of(ip(b));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "0:0:0:ffff::192.0.2.1"));
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Neighbourhood::of(ip(loopback)), None, "{loopback}");
        }
    }

    #[test]
    fn places_are_given_back() {
        let addresses = Addresses::new(2, None);
        let over = |address| addresses.enter(ip(address)).unwrap();
        let (first, second, third) = (over("192.0.2.1"), over("192.0.2.1"), over("192.0.2.1"));
        assert_eq!((first.1, second.1, third.1, over("192.0.2.2").1), (0, 0, 1, 0));
        drop(third);
        drop(first);
        assert_eq!(over("192.0.2.1").1, 0);
        drop(second);
        assert!(addresses.shards.iter().all(|shard| shard.lock().unwrap().entries.is_empty()));
        assert!(addresses.enter(ip("127.0.0.1")).is_none());
        assert!(Addresses::new(0, None).enter(ip("192.0.2.1")).is_none());
    }

    #[test]
    fn whoever_came_too_often_may_come_again_later() {
        let addresses = Addresses::new(0, Some(Rate::per_second(2)));
        let start = Instant::now();
        let come = |address, millis| addresses.handshake(ip(address), start + Duration::from_millis(millis));
        assert!(come("192.0.2.1", 0) && come("192.0.2.1", 0) && !come("192.0.2.1", 0));
        assert!(come("192.0.2.2", 0), "another one");
        assert!(!come("192.0.2.1", 400) && come("192.0.2.1", 500));
        assert!((0..100).all(|_| come("127.0.0.1", 0)));
    }

    /// Whoever has many addresses makes no memory grow for ever.
    #[test]
    fn who_has_gone_is_forgotten() {
        let addresses = Addresses::new(10, Some(Rate::per_second(u32::MAX)));
        for number in 0..200_000_u32 {
            let address = IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number));
            addresses.enter(address);
            addresses.handshake(address, Instant::now());
        }
        let left: usize = addresses.shards.iter().map(|shard| shard.lock().unwrap().entries.len()).sum();
        assert!(left <= 2 * SHARDS * SWEPT_FROM, "{left}");
    }
}

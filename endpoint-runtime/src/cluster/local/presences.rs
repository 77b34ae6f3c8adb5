//! [`Presences`]: who is present in which channel.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::{Channel, Present, Recorded};
use super::expiring::{Expiring, after};

/// Those who are present in all channels, sorted, with what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Presences {
    members: Expiring<(Channel, Arc<str>), Bytes>,
    /// How many there are in each channel that has any.
    counts: HashMap<Channel, u64>,
}

impl Presences {
    pub(crate) fn enter(&mut self, now: Instant, channel: &Channel, members: &[Recorded], ttl: Duration) {
        self.expire(now);
        for Recorded { id, info } in members {
            let key = (channel.clone(), Arc::from(&**id));
            if self.members.insert(key, info.clone(), after(now, ttl)).is_none() {
                *self.counts.entry(channel.clone()).or_default() += 1;
            }
        }
    }

    pub(crate) fn exit(&mut self, channel: &Channel, members: &[String]) {
        for id in members {
            if self.members.remove(&(channel.clone(), Arc::from(&**id))).is_some() {
                self.one_less(channel);
            }
        }
    }

    pub(crate) fn present(
        &mut self,
        now: Instant,
        channel: &Channel,
        behind: Option<&str>,
        limit: usize,
    ) -> Present {
        self.expire(now);
        let from = match behind {
            None => Bound::Included((channel.clone(), Arc::from(""))),
            Some(id) => Bound::Excluded((channel.clone(), Arc::from(id))),
        };
        let here =
            self.members.range((from, Bound::Unbounded)).take_while(|((other, _), _)| other == channel);
        let recorded = here.map(|((_, id), info)| Recorded { id: String::from(&**id), info: info.clone() });
        let count = self.counts.get(channel).copied().unwrap_or(0);
        Present { count, page: recorded.take(limit).collect() }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(((channel, _), _)) = self.members.pop_due(now) {
            self.one_less(&channel);
        }
    }

    fn one_less(&mut self, channel: &Channel) {
        if let Some(count) = self.counts.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(channel);
            }
        }
    }
}

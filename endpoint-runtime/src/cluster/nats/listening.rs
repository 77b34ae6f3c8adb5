//! [`Listening`]: which subjects this process subscribes to, and for which of the channels that share each of them.
//!
//! One task serves each subscription. Measured, that costs a few hundred bytes beside the 5 KB of the client library, delivers four times
//! as much as one task for all of them, and a receiver that is slow with one channel does not hold up the others.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::order::Order;
use super::subject::{Place, name};
use super::{refused, stream};
use crate::cluster::{Arrival, Channel, EngineError, Receiver};

/// The subscriptions of one engine.
#[derive(Default)]
pub(super) struct Listening {
    places: HashMap<Place, Listened>,
    /// Places that are wanted and not subscribed to yet.
    missing: Vec<Place>,
}

/// A subject that is subscribed to, or will be.
struct Listened {
    names: Arc<Names>,
    task: Option<AbortHandle>,
}

impl Drop for Listened {
    /// The subscription ends with its task.
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The names of the channels of one place that are subscribed to.
#[derive(Default)]
struct Names(RwLock<HashSet<Arc<str>>>);

impl Names {
    fn add(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.into());
    }

    /// Whether none is left.
    fn remove(&self, name: &str) -> bool {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        names.remove(name);
        names.is_empty()
    }

    fn get(&self, name: &[u8]) -> Option<Arc<str>> {
        let name = std::str::from_utf8(name).ok()?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Listening {
    /// Wants these channels. Nothing is subscribed to before [`Listening::catch_up`].
    pub(super) fn want(&mut self, channels: &[Channel]) {
        for channel in channels {
            let place = Place::of(channel);
            let listened = self.places.entry(place).or_insert_with(|| {
                self.missing.push(place);
                Listened { names: Arc::default(), task: None }
            });
            listened.names.add(name(channel));
        }
    }

    /// Wants these channels no more, and ends the subscriptions that nobody wants now.
    pub(super) fn forget(&mut self, channels: &[Channel]) {
        for channel in channels {
            if let Entry::Occupied(listened) = self.places.entry(Place::of(channel))
                && listened.get().names.remove(name(channel))
            {
                listened.remove();
            }
        }
    }

    /// Subscribes to what is wanted and not subscribed to yet. May be dropped at any time, and be continued by another call.
    pub(super) async fn catch_up(
        &mut self,
        client: &Client,
        prefix: &Arc<str>,
        receiver: &Arc<dyn Receiver>,
    ) -> Result<(), EngineError> {
        while let Some(&place) = self.missing.last() {
            if let Some(listened) = self.places.get_mut(&place)
                && listened.task.is_none()
            {
                let subscriber = client.subscribe(place.subject(prefix)).await.map_err(refused)?;
                let (names, receiver) = (listened.names.clone(), receiver.clone());
                let task = tokio::spawn(listen(subscriber, place, prefix.clone(), names, receiver));
                listened.task = Some(task.abort_handle());
            }
            self.missing.pop();
        }
        Ok(())
    }
}

/// Hands on what arrives at a place.
async fn listen(
    mut subscriber: Subscriber,
    place: Place,
    prefix: Arc<str>,
    names: Arc<Names>,
    receiver: Arc<dyn Receiver>,
) {
    let mut order = Order::default();
    loop {
        let next = match order.due() {
            None => subscriber.next().await,
            Some(due) => match timeout_at(due, subscriber.next()).await {
                Ok(next) => next,
                Err(_) => {
                    order.overdue(Instant::now(), |arrival| receiver.receive(arrival));
                    continue;
                }
            },
        };
        let Some(arrived) = next else { return };
        let position = stream::position(&prefix, arrived.headers.as_ref());
        let Some((name, message)) = place.unframe(arrived.payload) else {
            tracing::debug!(subject = %arrived.subject, "what has arrived here is no message of ours");
            continue;
        };
        if let Some(name) = names.get(&name) {
            let arrival = Arrival { channel: place.channel(name), message, position };
            match arrival.position {
                None => receiver.receive(arrival),
                Some(_) => order.arrived(arrival, Instant::now(), |arrival| receiver.receive(arrival)),
            }
        }
    }
}

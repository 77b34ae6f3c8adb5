//! [`Subscriptions`]: what is subscribed to, by the names that Redis knows it by; and the [`Ear`], which finds there whom a message is for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use redis::Value;

use super::super::{Arrival, Channel, Receiver};
use super::frame;

/// What is subscribed to, or is to be as soon as there is a server. Only the supervisor changes it.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(RwLock<HashMap<Box<[u8]>, Channel>>);

impl Subscriptions {
    /// Adds channels by their names, and says which of the names are new.
    pub(super) fn add(&self, channels: Vec<(String, Channel)>) -> Vec<String> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::with_capacity(channels.len());
        for (name, channel) in channels {
            if held.insert(name.as_bytes().into(), channel).is_none() {
                new.push(name);
            }
        }
        new
    }

    /// Removes channels, and says which of the names were there.
    pub(super) fn remove(&self, mut names: Vec<String>) -> Vec<String> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        names.retain(|name| held.remove(name.as_bytes()).is_some());
        names
    }

    /// All names.
    pub(super) fn names(&self) -> Vec<String> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    fn find(&self, name: &[u8]) -> Option<Channel> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Hands what arrives to the receiver, in the task of the connection: nothing is queued, so nothing is lost for want of room.
#[derive(Clone)]
pub(super) struct Ear {
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) receiver: Arc<dyn Receiver>,
}

impl Ear {
    /// A message: the name of the channel, and a frame. Others than ours, and those of channels that nobody wants any more, are passed over.
    pub(super) fn hear(&self, message: Vec<Value>) {
        let mut parts = message.into_iter();
        let (Some(Value::BulkString(name)), Some(Value::BulkString(frame))) = (parts.next(), parts.next())
        else {
            return;
        };
        let Some(channel) = self.subscriptions.find(&name) else { return };
        match frame::read(frame) {
            Some((message, position)) => self.receiver.receive(Arrival { channel, message, position }),
            None => tracing::debug!(?channel, "a message of somebody else's has come over this channel"),
        }
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}

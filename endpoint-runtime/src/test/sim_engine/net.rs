//! [`Net`]: the server of a [`SimEngine`](super::SimEngine), its nodes, and what is on its way between them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{Cut, Faults, Harm};
use crate::cluster::{
    Appended, Arrival, Capabilities, Channel, EngineError, Hub, MessageId, Receiver, Retention,
};

/// Everything that nodes of one cluster share.
pub(super) struct Net {
    state: Mutex<State>,
    /// Something is due earlier than everything before.
    earlier: Notify,
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) capabilities: Capabilities,
    pub(super) max_message: usize,
}

const LIMITS: Limits = Limits {
    capabilities: Capabilities { history: true, store: true, presence: true, interest: true },
    max_message: 1 << 20,
};

struct State {
    limits: Limits,
    hub: Hub<usize>,
    nodes: Vec<Node>,
    faults: Faults,
    random: Random,
    harm: Harm,
    /// What is on its way, by when it arrives.
    flying: BTreeMap<(Instant, u64), (usize, Event)>,
    /// When the last of what flies to a node in a channel arrives.
    behind: HashMap<(usize, Channel), Instant>,
    serial: u64,
    /// Somebody hands over what has arrived; one at a time, so that the order stays.
    handing: bool,
    /// Some task waits for what is due later.
    waiting: bool,
}

#[derive(Default)]
struct Node {
    receiver: Option<Arc<dyn Receiver>>,
    subscriptions: HashSet<Channel>,
    connected: bool,
    cut: Option<Cut>,
}

/// What a receiver is told.
enum Event {
    Arrival(Arrival),
    Lost,
    Back,
    Missed,
}

/// How a call ends, before it is known whether the node is connected.
enum Fate {
    Done,
    /// It is done or not, and nobody knows.
    Timeout(bool),
    Refused,
}

/// A call that has reached the server.
pub(super) struct Way<'a> {
    pub(super) now: Instant,
    pub(super) hub: &'a Hub<usize>,
    number: usize,
    subscriptions: &'a mut HashSet<Channel>,
    /// What it sends to which nodes.
    sent: Vec<(usize, Arrival)>,
}

impl Way<'_> {
    pub(super) fn subscribe(&mut self, channels: &[Channel]) {
        self.subscriptions.extend(channels.iter().cloned());
        self.hub.subscribe(self.number as u64, &self.number, channels);
    }

    pub(super) fn unsubscribe(&mut self, channels: &[Channel]) {
        for channel in channels {
            self.subscriptions.remove(channel);
        }
        self.hub.unsubscribe(self.number as u64, channels);
    }

    pub(super) fn publish(&mut self, channel: &Channel, message: Bytes) -> u64 {
        let sent = &mut self.sent;
        self.hub.publish(self.now, channel, message, |&node, arrival| sent.push((node, arrival)))
    }

    pub(super) fn append(
        &mut self,
        channel: &Channel,
        message: Bytes,
        id: MessageId,
        keep: Retention,
    ) -> Appended {
        let sent = &mut self.sent;
        self.hub.append(self.now, channel, message, id, keep, |&node, arrival| sent.push((node, arrival)))
    }
}

impl Net {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let state = State {
            limits: LIMITS,
            hub: Hub::new(random.next()),
            nodes: Vec::new(),
            faults: Faults::default(),
            random,
            harm: Harm::default(),
            flying: BTreeMap::new(),
            behind: HashMap::new(),
            serial: 0,
            handing: false,
            waiting: false,
        };
        Net { state: Mutex::new(state), earlier: Notify::new() }
    }

    /// Sets what can be set before anything else.
    pub(super) fn limit(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut self.state().limits);
    }

    pub(super) fn limits(&self) -> Limits {
        self.state().limits
    }

    pub(super) fn add_node(&self) -> usize {
        let mut state = self.state();
        state.nodes.push(Node::default());
        state.nodes.len() - 1
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    pub(super) fn harm(&self) -> Harm {
        self.state().harm
    }

    pub(super) fn start(&self, number: usize, receiver: Arc<dyn Receiver>) -> Result<(), EngineError> {
        let node = &mut self.state().nodes[number];
        if node.receiver.is_some() {
            return Err(EngineError::Refused("it has been started before".into()));
        }
        node.receiver = Some(receiver);
        node.connected = true;
        Ok(())
    }

    pub(super) fn stop(&self, number: usize) {
        let mut state = self.state();
        state.hub.leave(number as u64);
        state.nodes[number] = Node::default();
        state.flying.retain(|_, (node, _)| *node != number);
    }

    /// Does something at the server for a node, if chance will have it.
    pub(super) async fn call<T>(
        self: &Arc<Self>,
        number: usize,
        effect: impl FnOnce(&mut Way<'_>) -> T,
    ) -> Result<T, EngineError> {
        let (there, back, fate) = {
            let mut state = self.state();
            let latency = state.faults.latency;
            let pauses = (state.random.within(latency), state.random.within(latency));
            (pauses.0, pauses.1, state.fate())
        };
        pause(there).await;
        let done = self.state().reach(number, fate, effect);
        self.hand_over();
        pause(back).await;
        let mut state = self.state();
        let answered = done.and_then(|value| match &state.nodes[number] {
            // The answer was on its way.
            node if !node.connected => Err(EngineError::Timeout),
            node if matches!(node.cut, Some(Cut::ToNode | Cut::Both)) => Err(EngineError::Timeout),
            _ => Ok(value),
        });
        state.harm.failed += u64::from(answered.is_err());
        answered
    }

    pub(super) fn disconnect(self: &Arc<Self>, number: usize) {
        self.state().disconnect(number);
        self.hand_over();
    }

    pub(super) fn reconnect(self: &Arc<Self>, number: usize) {
        self.state().reconnect(number);
        self.hand_over();
    }

    pub(super) fn cut(&self, number: usize, cut: Option<Cut>) {
        self.state().nodes[number].cut = cut;
    }

    pub(super) fn overflow(self: &Arc<Self>, number: usize) {
        {
            let mut state = self.state();
            state.drop_flying_to(number);
            state.tell(number, Event::Missed);
        }
        self.hand_over();
    }

    /// The server is another one, or the same one after something was done to it; with a number that may be its identity.
    pub(super) fn renew(self: &Arc<Self>, change: impl FnOnce(&mut Hub<usize>, u64)) {
        {
            let mut state = self.state();
            let connected = |(number, node): (usize, &Node)| node.connected.then_some(number);
            let connected: Vec<usize> = state.nodes.iter().enumerate().filter_map(connected).collect();
            connected.iter().for_each(|&number| state.disconnect(number));
            let chance = state.random.next();
            change(&mut state.hub, chance);
            connected.iter().for_each(|&number| state.reconnect(number));
        }
        self.hand_over();
    }

    pub(super) async fn settle(self: &Arc<Self>) {
        loop {
            let Some(due) = self.state().next_due() else { return };
            sleep_until(due).await;
            self.hand_over();
        }
    }

    /// Hands over what has arrived, and sees to it that somebody does so with what arrives later.
    fn hand_over(self: &Arc<Self>) {
        {
            let mut state = self.state();
            if state.handing || state.flying.is_empty() {
                return;
            }
            state.handing = true;
        }
        let now = Instant::now();
        loop {
            let (receiver, event) = {
                let mut state = self.state();
                match state.arrived(now) {
                    Some(arrived) => arrived,
                    None => {
                        state.handing = false;
                        break;
                    }
                }
            };
            // Without a lock: whoever hears it may do something about it.
            match event {
                Event::Arrival(arrival) => receiver.receive(arrival),
                Event::Lost => receiver.lost(&EngineError::Unavailable("it was told to be lost".into())),
                Event::Back => receiver.back(),
                Event::Missed => receiver.missed(&[]),
            }
        }
        self.wait_for_more();
    }

    fn wait_for_more(self: &Arc<Self>) {
        {
            let mut state = self.state();
            if state.flying.is_empty() {
                return;
            }
            if state.waiting {
                self.earlier.notify_one();
                return;
            }
            state.waiting = true;
        }
        let net = self.clone();
        tokio::spawn(async move {
            loop {
                let due = {
                    let mut state = net.state();
                    let Some(due) = state.next_due() else {
                        state.waiting = false;
                        return;
                    };
                    due
                };
                if timeout_at(due, net.earlier.notified()).await.is_err() {
                    net.hand_over();
                }
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fate(&mut self) -> Fate {
        let Faults { timeout, refusal, .. } = self.faults;
        if self.random.chance(refusal) {
            Fate::Refused
        } else if self.random.chance(timeout) {
            Fate::Timeout(self.random.chance(0.5))
        } else {
            Fate::Done
        }
    }

    /// A call reaches the server, or does not.
    fn reach<T>(
        &mut self,
        number: usize,
        fate: Fate,
        effect: impl FnOnce(&mut Way<'_>) -> T,
    ) -> Result<T, EngineError> {
        let node = &mut self.nodes[number];
        if !node.connected {
            return Err(EngineError::Unavailable("there is no way now".into()));
        }
        match (node.cut, &fate) {
            (_, Fate::Refused) => return Err(EngineError::Refused("as it was told to".into())),
            (Some(Cut::ToServer | Cut::Both), _) | (_, Fate::Timeout(false)) => {
                return Err(EngineError::Timeout);
            }
            _ => {}
        }
        let now = Instant::now();
        let subscriptions = &mut node.subscriptions;
        let mut way = Way { now, hub: &self.hub, number, subscriptions, sent: Vec::new() };
        let value = effect(&mut way);
        for (node, arrival) in way.sent {
            self.send(now, node, arrival);
        }
        if matches!(fate, Fate::Timeout(_)) { Err(EngineError::Timeout) } else { Ok(value) }
    }

    /// A message goes on its way to a node, or is lost, or goes twice.
    fn send(&mut self, now: Instant, number: usize, arrival: Arrival) {
        let Faults { loss, duplication, .. } = self.faults;
        if self.random.chance(loss) {
            self.harm.lost += 1;
            return;
        }
        if self.random.chance(duplication) {
            self.harm.duplicated += 1;
            self.fly(now, number, arrival.clone());
        }
        self.fly(now, number, arrival);
    }

    fn fly(&mut self, now: Instant, number: usize, arrival: Arrival) {
        let Faults { delay, disorder, .. } = self.faults;
        let mut due = now + self.random.within(delay);
        if self.flying.is_empty() {
            self.behind.clear();
        }
        if self.random.chance(disorder) {
            self.harm.disordered += 1;
        } else if delay > Duration::ZERO || !self.behind.is_empty() {
            let behind = self.behind.entry((number, arrival.channel.clone())).or_insert(due);
            due = due.max(*behind);
            *behind = due;
        }
        self.serial += 1;
        self.flying.insert((due, self.serial), (number, Event::Arrival(arrival)));
    }

    /// Something is told to a node at once.
    fn tell(&mut self, number: usize, event: Event) {
        self.serial += 1;
        self.flying.insert((Instant::now(), self.serial), (number, event));
    }

    fn next_due(&self) -> Option<Instant> {
        self.flying.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next that has arrived, if its node can hear it.
    fn arrived(&mut self, now: Instant) -> Option<(Arc<dyn Receiver>, Event)> {
        loop {
            let first = self.flying.first_entry().filter(|first| first.key().0 <= now)?;
            let (number, event) = first.remove();
            let node = &self.nodes[number];
            let cut = matches!(node.cut, Some(Cut::ToNode | Cut::Both)) && matches!(event, Event::Arrival(_));
            match &node.receiver {
                Some(receiver) if !cut => return Some((receiver.clone(), event)),
                _ => self.harm.lost += 1,
            }
        }
    }

    fn disconnect(&mut self, number: usize) {
        if self.nodes[number].connected {
            self.nodes[number].connected = false;
            self.hub.leave(number as u64);
            self.drop_flying_to(number);
            self.tell(number, Event::Lost);
        }
    }

    fn reconnect(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if node.receiver.is_some() && !node.connected {
            node.connected = true;
            let channels: Vec<Channel> = node.subscriptions.iter().cloned().collect();
            self.hub.subscribe(number as u64, &number, &channels);
            self.tell(number, Event::Back);
        }
    }

    fn drop_flying_to(&mut self, number: usize) {
        let before = self.flying.len();
        // What it is told of its way is no message.
        self.flying.retain(|_, (node, event)| *node != number || !matches!(event, Event::Arrival(_)));
        self.harm.lost += (before - self.flying.len()) as u64;
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && ((self.next() >> 11) as f64 / (1_u64 << 53) as f64) < probability
    }

    /// Whole microseconds.
    fn within(&mut self, most: Duration) -> Duration {
        if most.is_zero() {
            return most;
        }
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.next() % (micros + 1))
    }
}

//! [`Listener`]: a client in a room, and everything it is told, in its order; [`Account`] says what is wrong with that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::node::{Node, PATIENCE};
use crate::publisher::Published;

/// A place in the history of a room.
pub(crate) type Place = (String, u64);

/// Something that a client is told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A message, and where it stands if it has a place.
    Text { text: String, place: Option<Place>, at: Instant },
    /// Which session it has.
    Session { resumed: bool },
    /// From here on it gets everything.
    Joined(Place),
    /// What it has missed was told before this, or is lost.
    Recovered(bool),
    /// Something is missing, up to here.
    Broken(Place),
    /// Its connection has ended.
    Closed,
}

/// What a client that can come back remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) token: Option<String>,
    pub(crate) at: BTreeMap<String, Place>,
    pub(crate) seen: u64,
}

impl Memory {
    pub(crate) fn first(&self) -> String {
        format!("\u{1}{}", json!({ "resume": self.token, "at": self.at, "seen": self.seen }))
    }
}

#[derive(Default)]
struct Heard {
    events: Vec<Event>,
    memory: Memory,
}

/// A client that listens until it is dropped, or its connection ends.
pub(crate) struct Listener {
    heard: Arc<Mutex<Heard>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// One who knows nothing of places and sessions, once it is greeted: then it is reached from everywhere.
    pub(crate) async fn plain(node: &Node, path: &str) -> Self {
        let listener = Self::begin(&format!("ws://{}{path}", node.address), None).await.expect("a handshake");
        listener.until("a greeting", |events| events.iter().any(is_greeting)).await;
        listener
    }

    /// One who does, and goes on from what it remembers; once it is greeted, or told what it has missed.
    pub(crate) async fn wire(node: &Node, path: &str, memory: Memory) -> Self {
        let listener = Self::try_wire(&format!("ws://{}{path}?resume", node.address), memory).await;
        listener.expect("a session")
    }

    /// The same, where a server may be gone.
    pub(crate) async fn try_wire(url: &str, memory: Memory) -> Option<Self> {
        let listener = Self::begin(url, Some(memory)).await?;
        let greeted = |events: &[Event]| {
            events.iter().any(|event| is_greeting(event) || matches!(event, Event::Closed))
        };
        timeout(Duration::from_secs(10), listener.wait(greeted)).await.ok()?;
        (!listener.has(|event| matches!(event, Event::Closed))).then_some(listener)
    }

    async fn begin(url: &str, memory: Option<Memory>) -> Option<Self> {
        let (mut link, _) = timeout(Duration::from_secs(10), connect_async(url)).await.ok()?.ok()?;
        if let Some(memory) = &memory {
            link.send(Message::text(memory.first())).await.ok()?;
        }
        let heard =
            Arc::new(Mutex::new(Heard { events: Vec::new(), memory: memory.clone().unwrap_or_default() }));
        let (counts, count) = watch::channel(0);
        let to = Arc::clone(&heard);
        let knows = memory.is_some();
        let task = tokio::spawn(async move {
            let mut header = None;
            let mut frames = link.ready_chunks(256);
            while let Some(frames) = frames.next().await {
                let mut to = to.lock().unwrap();
                for frame in frames {
                    match frame {
                        Ok(Message::Text(text)) => to.text(&text, knows, &mut header),
                        Ok(_) => {}
                        Err(_) => break,
                    }
                }
                counts.send_replace(to.events.len());
            }
            let mut to = to.lock().unwrap();
            to.events.push(Event::Closed);
            counts.send_replace(to.events.len());
        });
        Some(Listener { heard, count, task })
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.heard.lock().unwrap().events.clone()
    }

    pub(crate) fn memory(&self) -> Memory {
        self.heard.lock().unwrap().memory.clone()
    }

    pub(crate) fn has(&self, is_so: impl Fn(&Event) -> bool) -> bool {
        self.heard.lock().unwrap().events.iter().any(is_so)
    }

    /// How many messages it has, greetings aside.
    pub(crate) fn messages(&self) -> usize {
        self.heard.lock().unwrap().events.iter().filter(|event| is_message(event)).count()
    }

    /// When the first message came that came after this.
    pub(crate) fn first_after(&self, then: Instant) -> Option<Instant> {
        self.heard.lock().unwrap().events.iter().find_map(|event| match event {
            Event::Text { at, .. } if *at > then => Some(*at),
            _ => None,
        })
    }

    /// The longest time after this in which no message came.
    pub(crate) fn longest_pause_after(&self, then: Instant) -> Option<Duration> {
        let (mut last, mut longest) = (then, None);
        for event in &self.heard.lock().unwrap().events {
            if let Event::Text { at, .. } = event
                && *at > then
            {
                longest = longest.max(Some(*at - last));
                last = *at;
            }
        }
        longest
    }

    /// Waits until its events are so.
    pub(crate) async fn until(&self, what: &str, are_so: impl Fn(&[Event]) -> bool) {
        assert!(timeout(PATIENCE, self.wait(are_so)).await.is_ok(), "no {what}: {:?}", self.last());
    }

    /// Waits until it has this message.
    pub(crate) async fn until_text(&self, wanted: &str) {
        self.until(wanted, |events| {
            events.iter().rev().any(|event| matches!(event, Event::Text { text, .. } if text == wanted))
        })
        .await;
    }

    /// Whether it has this message in time.
    pub(crate) async fn hears(&self, wanted: &str) -> bool {
        let has_it = |events: &[Event]| {
            events.iter().rev().any(|event| matches!(event, Event::Text { text, .. } if text == wanted))
        };
        timeout(PATIENCE, self.wait(has_it)).await.is_ok() && has_it(&self.events())
    }

    /// Waits until nothing comes for a while.
    pub(crate) async fn settled(&self, quiet: Duration) {
        let mut count = self.count.clone();
        while timeout(quiet, count.changed()).await.is_ok_and(|changed| changed.is_ok()) {}
    }

    async fn wait(&self, are_so: impl Fn(&[Event]) -> bool) {
        let mut count = self.count.clone();
        loop {
            count.borrow_and_update();
            if are_so(&self.heard.lock().unwrap().events) || count.changed().await.is_err() {
                return;
            }
        }
    }

    fn last(&self) -> Option<Event> {
        self.heard.lock().unwrap().events.last().cloned()
    }
}

pub(crate) fn is_greeting(event: &Event) -> bool {
    matches!(event, Event::Text { text, place: None, .. } if text.starts_with("open ") || text.starts_with("back "))
}

fn is_message(event: &Event) -> bool {
    matches!(event, Event::Text { .. }) && !is_greeting(event)
}

impl Heard {
    fn text(&mut self, text: &str, knows: bool, header: &mut Option<Option<Place>>) {
        if knows && header.is_none() && text.starts_with('\u{1}') {
            self.control(&text[1..], header);
            return;
        }
        let place = header.take().flatten();
        if place.is_none() {
            self.memory.seen += 1;
        }
        self.events.push(Event::Text { text: text.to_owned(), place, at: Instant::now() });
    }

    fn control(&mut self, text: &str, header: &mut Option<Option<Place>>) {
        let control: Value = serde_json::from_str(text).expect("a control message is an object");
        let place = |value: &Value, from: usize| -> Option<Place> {
            Some((value[from].as_str()?.to_owned(), value[from + 1].as_u64()?))
        };
        if let Some(session) = control.get("session") {
            self.memory.token = session["token"].as_str().map(ToOwned::to_owned);
            self.memory.seen = 0;
            self.events.push(Event::Session { resumed: session["resumed"].as_bool().unwrap_or_default() });
        } else if let Some(at) = control.get("at") {
            let place = place(at, 1);
            self.remember(at, place.as_ref());
            *header = Some(place);
        } else if let Some(joined) = control.get("joined") {
            let place = place(joined, 1);
            self.remember(joined, place.as_ref());
            self.events.extend(place.map(Event::Joined));
        } else if let Some(recovered) = control.get("recovered") {
            match place(recovered, 2) {
                Some(place) => {
                    self.remember(recovered, Some(&place));
                    self.events.push(Event::Broken(place));
                }
                None => self.events.push(Event::Recovered(recovered[1].as_bool().unwrap_or_default())),
            }
        } else {
            *header = Some(None);
        }
    }

    fn remember(&mut self, room: &Value, place: Option<&Place>) {
        if let (Some(room), Some(place)) = (room[0].as_str(), place) {
            self.memory.at.insert(room.to_owned(), place.clone());
        }
    }
}

/// What set arithmetic says of what a client was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Different messages.
    pub(crate) received: HashSet<String>,
    pub(crate) duplicates: usize,
    /// Messages that came after one of the same sender with a higher number, or of a higher place.
    pub(crate) disorder: usize,
    /// Places that were passed over without a word.
    pub(crate) silent_gaps: usize,
    /// Times that it was told that something is missing.
    pub(crate) told: usize,
    /// Messages with no place, after one that had one.
    pub(crate) placeless: usize,
    /// Where it was told that something is missing: behind the first place, if it knew one, and up to the other.
    missing: Vec<(Option<Place>, Place)>,
    /// The last place that it knew.
    last: Option<Place>,
}

impl Account {
    /// Of all events of one client, over all its connections. Where messages have places, these say what is missing and in which order
    /// they are; elsewhere the numbers of their senders do.
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut account = Account::default();
        let mut numbers: HashMap<String, u64> = HashMap::new();
        // Told that something is missing, and not yet where it goes on.
        let mut told = false;
        for event in events {
            match event {
                // The first place that it knows, or the next one; otherwise it only repeats where it is.
                Event::Joined(place) if told || account.last.is_none() => {
                    account.goes_on_behind(place.clone());
                    told = false;
                }
                Event::Broken(place) => {
                    account.told += 1;
                    account.goes_on_behind(place.clone());
                    told = false;
                }
                Event::Recovered(false) => {
                    account.told += 1;
                    told = true;
                }
                Event::Text { text, place, .. } if !is_greeting(event) => {
                    account.duplicates += usize::from(!account.received.insert(text.clone()));
                    match place {
                        Some(place) => account.message_at(place, std::mem::take(&mut told)),
                        None => {
                            account.placeless += usize::from(account.last.is_some());
                            account.numbered(text, &mut numbers);
                        }
                    }
                }
                _ => {}
            }
        }
        account
    }

    fn goes_on_behind(&mut self, place: Place) {
        self.missing.push((self.last.replace(place.clone()), place));
    }

    fn message_at(&mut self, place: &Place, told: bool) {
        let before = (place.0.clone(), place.1 - 1);
        match &self.last {
            // What was before the first message was not for it.
            None => self.goes_on_behind(before),
            Some(_) if told => self.goes_on_behind(before),
            Some((epoch, offset)) if *epoch == place.0 && place.1 <= *offset => self.disorder += 1,
            Some(last) if *last == before => {}
            // Of another history, or further on.
            Some(_) => self.silent_gaps += 1,
        }
        self.last = Some(place.clone());
    }

    fn numbered(&mut self, text: &str, numbers: &mut HashMap<String, u64>) {
        if let Some((name, number)) = numbered(text) {
            let last = numbers.entry(name.to_owned()).or_default();
            self.disorder += usize::from(number < *last);
            *last = number.max(*last);
        }
    }

    /// How much of what was acknowledged is not there, though it was never told that something is missing where that was.
    pub(crate) fn lost_untold(&self, published: &Published) -> usize {
        self.lost_where(published, |place| !self.was_told_of(place))
    }

    /// How much of what was acknowledged is not there, though it is of the history that the room has at last.
    pub(crate) fn lost_of_the_last_epoch(&self, published: &Published) -> usize {
        let (first, last) = (self.missing.first(), self.last.as_ref());
        self.lost_where(published, |place| {
            let before = first.is_some_and(|(_, first)| first.0 == place.0 && place.1 <= first.1);
            last.is_some_and(|last| last.0 == place.0) && !before
        })
    }

    fn lost_where(&self, published: &Published, is_so: impl Fn(&Place) -> bool) -> usize {
        let lost = published.acked.iter().filter(|number| !self.received.contains(&published.text(**number)));
        lost.filter(|number| published.places.get(number).is_none_or(&is_so)).count()
    }

    fn was_told_of(&self, (epoch, offset): &Place) -> bool {
        let is_behind = |place: &Place| place.0 == *epoch && *offset > place.1;
        let is_up_to = |place: &Place| place.0 == *epoch && *offset <= place.1;
        let in_one = self.missing.iter().any(|(from, to)| match from {
            Some(from) if from.0 == to.0 => is_behind(from) && is_up_to(to),
            from => from.as_ref().is_some_and(is_behind) || is_up_to(to),
        });
        // Of a history that it has never heard of, between two that it has.
        let is_unheard = || {
            let mut heard = self.missing.iter().flat_map(|(from, to)| from.iter().chain([to]));
            self.told > 0 && heard.all(|place| place.0 != *epoch)
        };
        in_one || is_unheard()
    }
}

/// The sender of a message, and which of its messages it is.
pub(crate) fn numbered(text: &str) -> Option<(&str, u64)> {
    let (name, rest) = text.split_once(' ')?;
    let number = rest.split(' ').next()?.parse().ok()?;
    Some((name, number))
}

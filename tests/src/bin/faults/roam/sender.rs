//! Those who send while all that goes on: to the room, and to one client alone. Each sends the next message only when it knows what has
//! become of this one, and goes to another node when its own does not answer.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::{Phase, ROOM, Stage};
use crate::listener::Place;
use crate::node::Link;
use crate::random::Random;

/// Somebody who gives commands to one node after the other.
struct Commander {
    stage: Arc<Stage>,
    random: Random,
    /// The last node that was asked, and the connection to it unless it has said nothing.
    door: Option<SocketAddr>,
    link: Option<Link>,
}

impl Commander {
    /// What a node answers; nothing if it does not in time, and then another is asked the next time.
    async fn ask(&mut self, command: &str) -> Option<Value> {
        if self.link.is_none() {
            let door = self.stage.door(&mut self.random);
            self.door = Some(door);
            let url = format!("ws://{door}/commands");
            self.link = Some(timeout(Duration::from_secs(3), connect_async(url)).await.ok()?.ok()?.0);
        }
        let link = self.link.as_mut()?;
        let asked = timeout(Duration::from_secs(4), async {
            link.send(Message::text(command)).await.ok()?;
            loop {
                if let Message::Text(text) = link.next().await?.ok()? {
                    return serde_json::from_str(&text).ok();
                }
            }
        });
        let answer = asked.await.ok().flatten();
        if answer.is_none() {
            self.link = None;
        }
        answer
    }
}

/// Publishes to the room until all is over, so many a second at most, and gives the place of its last message.
pub(super) async fn publishes(name: String, stage: Arc<Stage>, random: Random, pause: Duration) -> Place {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let run = now.rotate_left(20) ^ SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut node = Commander { stage: Arc::clone(&stage), random, door: None, link: None };
    for number in 0_u64.. {
        let text = format!("{name} {number}");
        let command = format!("publish {number} {run:016x}{number:016x} room:{ROOM} {text}");
        // Begun after all trouble is over, it is the last.
        let is_last = stage.phase() != Phase::Roaming;
        let place = loop {
            match node.ask(&command).await.as_ref().and_then(placed) {
                Some(place) => break place,
                None => sleep(Duration::from_millis(100)).await,
            }
        };
        stage.chronicle.lock().unwrap().acked(place.clone(), &text);
        if is_last {
            return place;
        }
        sleep(pause).await;
    }
    unreachable!("so many messages are never sent")
}

fn placed(answer: &Value) -> Option<Place> {
    Some((answer["epoch"].as_str()?.to_owned(), answer["offset"].as_u64()?))
}

/// What those who sent messages to one client alone were told of them.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Put into its queue.
    pub(super) delivered: BTreeSet<u64>,
    /// There was nobody to get them.
    pub(super) gone: BTreeSet<u64>,
    /// Given to a node that said nothing. The next one was given to another.
    pub(super) unanswered: BTreeSet<u64>,
    /// What there is to say about each.
    accounts: Vec<String>,
}

impl Letters {
    /// The last that was put into the client's queue.
    pub(super) fn last(&self) -> Option<u64> {
        self.delivered.last().copied()
    }

    /// What there is to say about one.
    pub(super) fn account(&self, number: u64) -> &str {
        self.accounts.get(number as usize).map_or("never sent", String::as_str)
    }
}

/// Sends to each of these clients alone, until all is over and each has been sent one since.
pub(super) async fn writes(
    clients: Vec<usize>,
    stage: Arc<Stage>,
    random: Random,
    pause: Duration,
) -> Vec<(usize, Letters)> {
    let mut node = Commander { stage: Arc::clone(&stage), random, door: None, link: None };
    let mut all: Vec<(usize, Letters)> = clients.into_iter().map(|name| (name, Letters::default())).collect();
    loop {
        let is_last = stage.phase() != Phase::Roaming;
        for (name, letters) in &mut all {
            // Sent until it is: in the end every client is there.
            while !write(&mut node, *name, letters).await && is_last {
                sleep(pause).await;
            }
            sleep(pause).await;
        }
        if is_last {
            return all;
        }
    }
}

/// Sends one, and says whether it was delivered.
async fn write(node: &mut Commander, name: usize, letters: &mut Letters) -> bool {
    let Some(session) = node.stage.where_is(name) else { return false };
    let number = letters.accounts.len() as u64;
    let began = node.stage.began.elapsed();
    let answer = node.ask(&format!("member-send {session} to-{name} {number}")).await;
    let (door, took) = (node.door, node.stage.began.elapsed() - began);
    let at = began.as_secs_f64();
    letters.accounts.push(match &answer {
        Some(answer) => format!("{at:8.2} s: by {door:?} to {session}: {answer} after {took:?}"),
        None => format!("{at:8.2} s: by {door:?} to {session}: nothing is said for {took:?}"),
    });
    match answer.as_ref().map(|answer| answer["outcome"].as_str()) {
        Some(Some("Delivered")) => return letters.delivered.insert(number),
        Some(Some("Gone")) => drop(letters.gone.insert(number)),
        // Nobody knows, but the next one goes the same way.
        Some(_) => {}
        None => drop(letters.unanswered.insert(number)),
    }
    false
}

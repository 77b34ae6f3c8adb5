//! [`Publisher`]: has messages published by a node, so many a second whatever becomes of them, and notes what it is told of each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::listener::Place;
use crate::node::{Link, Node};

/// How long it waits before it tries again what has failed: at first, and twice as long each time, up to the other.
const AGAIN: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(800);
/// How many go again in one tick at most: whoever comes back with all at once is the next fault.
const AGAIN_AT_A_TIME: usize = 10;

/// Whom it publishes to, and how.
#[derive(Clone)]
pub(crate) struct Plan {
    /// As `clustered` takes it.
    pub(crate) to: String,
    /// What its messages begin with.
    pub(crate) name: String,
    pub(crate) per_second: u32,
    /// Whether it sends again what has failed, as the same message.
    pub(crate) retries: bool,
}

/// What it has sent, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// When each was first sent.
    pub(crate) sent: BTreeMap<u64, Instant>,
    pub(crate) acked: BTreeSet<u64>,
    /// Where those stand that have a place.
    pub(crate) places: BTreeMap<u64, Place>,
    /// Those of the acknowledged that were there already.
    pub(crate) repeated: usize,
    /// Failures by what they are, retries too.
    pub(crate) failures: BTreeMap<String, usize>,
    /// How long each answer took, of the first attempts.
    pub(crate) took: Vec<Duration>,
    pub(crate) name: String,
}

impl Published {
    /// The text of a message.
    pub(crate) fn text(&self, number: u64) -> String {
        format!("{} {number}", self.name)
    }

    /// What was acknowledged and is not there.
    pub(crate) fn lost(&self, received: &HashSet<String>) -> usize {
        self.acked.iter().filter(|number| !received.contains(&self.text(**number))).count()
    }

    /// What failed, and how often.
    pub(crate) fn failed(&self) -> String {
        let failed: Vec<_> = self.failures.iter().map(|(what, count)| format!("{count} {what}")).collect();
        if failed.is_empty() { "nothing".into() } else { failed.join(", ") }
    }

    /// The answer that took longer than so many thousandths of all.
    pub(crate) fn percentile(&self, thousandths: usize) -> Duration {
        percentile(self.took.clone(), thousandths)
    }
}

pub(crate) fn percentile(mut took: Vec<Duration>, thousandths: usize) -> Duration {
    took.sort_unstable();
    let index = took.len() * thousandths / 1000;
    took.get(index.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(crate) struct Publisher {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Published>,
}

impl Publisher {
    pub(crate) async fn start(node: &Node, to: &str, name: &str, per_second: u32, retries: bool) -> Self {
        let plan = Plan { to: to.to_owned(), name: name.to_owned(), per_second, retries };
        let link = node.connect("/commands").await;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(publish(link, plan, stopped));
        Publisher { stop, task }
    }

    /// Stops it, and waits until it knows of each message what has become of it, or for a while.
    pub(crate) async fn stop(self) -> Published {
        let _ = self.stop.send(());
        self.task.await.expect("a publisher does not panic")
    }
}

/// A number that no other publisher has, now or before.
fn run() -> u64 {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    now.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ SERIAL.fetch_add(1, Ordering::Relaxed)
}

async fn publish(link: Link, plan: Plan, mut stopped: oneshot::Receiver<()>) -> Published {
    const TICK: Duration = Duration::from_millis(10);
    let run = run();
    let (mut commands, mut answers) = link.split();
    let mut published = Published { name: plan.name.clone(), ..Published::default() };
    let mut waiting: BTreeMap<u64, Instant> = BTreeMap::new();
    // When which is sent again, and how long it has waited for that.
    let mut again: BinaryHeap<Reverse<(Instant, u64)>> = BinaryHeap::new();
    let mut pauses: BTreeMap<u64, Duration> = BTreeMap::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    let mut next = 0;
    let mut goes_on = true;
    loop {
        let mut now = Vec::new();
        tokio::select! {
            _ = &mut stopped, if goes_on => goes_on = false,
            _ = ticks.tick() => {
                let due = if goes_on { (began.elapsed().as_secs_f64() * f64::from(plan.per_second)) as u64 } else { next };
                while next < due {
                    published.sent.insert(next, Instant::now());
                    now.push(next);
                    next += 1;
                }
                for _ in 0..AGAIN_AT_A_TIME {
                    if again.peek().is_some_and(|Reverse((at, _))| *at <= Instant::now()) {
                        now.extend(again.pop().map(|Reverse((_, number))| number));
                    }
                }
            }
            answer = answers.next() => match answer {
                Some(Ok(Message::Text(text))) => {
                    let answer: Value = serde_json::from_str(&text).expect("an answer is an object");
                    let number: u64 = answer["number"].as_str().unwrap().parse().unwrap();
                    let began = waiting.remove(&number);
                    if !pauses.contains_key(&number) {
                        published.took.extend(began.map(|began| began.elapsed()));
                    }
                    if answer["handed"] == true {
                        published.acked.insert(number);
                        let place = answer["epoch"].as_str().zip(answer["offset"].as_u64());
                        let place = place.map(|(epoch, offset)| (number, (epoch.to_owned(), offset)));
                        published.places.extend(place);
                        published.repeated += usize::from(answer["duplicate"] == true);
                    } else {
                        let kind = answer["failed"].as_str().unwrap_or("?").to_owned();
                        *published.failures.entry(kind).or_default() += 1;
                        if plan.retries {
                            let pause = pauses.get(&number).map_or(AGAIN, |pause| (*pause * 2).min(LONGEST));
                            pauses.insert(number, pause);
                            again.push(Reverse((Instant::now() + pause, number)));
                        }
                    }
                }
                Some(Ok(_)) => {}
                // Its node is gone.
                Some(Err(_)) | None => return published,
            }
        }
        for number in now {
            waiting.insert(number, Instant::now());
            let text = format!("{} {number}", plan.name);
            let command = format!("publish {number} {run:016x}{number:016x} {} {text}", plan.to);
            if commands.feed(Message::text(command)).await.is_err() {
                return published;
            }
        }
        match timeout(Duration::from_secs(5), commands.flush()).await {
            Ok(Ok(())) => {}
            _ => return published,
        }
        if !goes_on && waiting.is_empty() && again.is_empty() {
            return published;
        }
    }
}

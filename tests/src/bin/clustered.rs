//! A server that is a node of a cluster, as a process of its own: `faults` starts several, and kills, stops and cuts them off.
//!
//! `clustered ENGINE-URL [--name NAME] [--deadline MS] [--lazy] [--history REPLICAS]` serves, on a free port of 127.0.0.1, rooms of which nothing
//! is kept (`/plain/{room}`), rooms that are recoverable (`/kept/{room}`, `/short/{room}` with a history of ten, `/brief/{room}` with one of two
//! seconds, and `/held/{room}`, whose sessions are not resumed), and `/commands`, which takes a command in each text message and answers with
//! an object of JSON. With NATS there are `/plain` and `/commands`, and with `--history` there is `/held`. It writes `ready ADDRESS NODE` when it
//! serves.

#![forbid(unsafe_code)]

use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use endpoint_runtime as runtime;
use futures_util::FutureExt;
use futures_util::future::join_all;
use runtime::cluster::{Cluster, ClusterError, Crossing, Listed, MessageId, Nats, Outcome, Publisher, Redis};
use runtime::prelude::*;
use runtime::{Audience, Delivery};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How many messages of a burst wait for the engine at a time.
const AT_A_TIME: usize = 256;

/// How long servers that keep something together may take to agree on who leads.
const ELECTION: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Who {
    user: Option<String>,
    /// Further rooms to join.
    rooms: Option<usize>,
}

/// What every room does: it greets whoever is reached by the whole cluster.
async fn enter(session: &Session, room: String, who: Who) -> String {
    session.join(&room);
    if let Some(user) = who.user {
        session.set_user(&user);
    }
    for number in 0..who.rooms.unwrap_or_default() {
        session.join(&format!("many/{number}"));
    }
    let reached = session.reachable().await;
    format!("{} {} {reached}", if session.resumed().is_some() { "back" } else { "open" }, session.id())
}

/// Nothing is kept.
#[server_endpoint("/plain/{room}", send_buffer = 16_777_216)]
struct Plain;

#[handlers]
impl Plain {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String, Query(who): Query<Who>) -> String {
        enter(session, format!("plain/{room}"), who).await
    }

    /// `block MS`: a thread, for so long.
    #[on_message]
    fn block(&self, text: String) -> Result<String> {
        let time = text.strip_prefix("block ").ok_or_else(|| Error::msg("block MS"))?.parse()?;
        std::thread::sleep(Duration::from_millis(time));
        Ok("done".to_owned())
    }
}

/// As much is kept as is missed in any fault.
#[server_endpoint(
    "/kept/{room}",
    recover(size = 20_000, ttl = "5m", rooms = "kept/*"),
    resume = "2m",
    send_buffer = 16_777_216
)]
struct Kept;

#[handlers]
impl Kept {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String, Query(who): Query<Who>) -> String {
        enter(session, format!("kept/{room}"), who).await
    }
}

/// So little is kept that it is soon over.
#[server_endpoint("/short/{room}", recover(size = 10, ttl = "5m", rooms = "short/*"), resume = "2m")]
struct Short;

#[handlers]
impl Short {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String, Query(who): Query<Who>) -> String {
        enter(session, format!("short/{room}"), who).await
    }
}

/// So short a time.
#[server_endpoint("/brief/{room}", recover(size = 1000, ttl = "2s", rooms = "brief/*"), resume = "2m")]
struct Brief;

#[handlers]
impl Brief {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String, Query(who): Query<Who>) -> String {
        enter(session, format!("brief/{room}"), who).await
    }
}

/// As much is kept, and nothing of sessions: for an engine that has no store.
#[server_endpoint(
    "/held/{room}",
    recover(size = 20_000, ttl = "5m", rooms = "held/*"),
    send_buffer = 16_777_216
)]
struct Held;

#[handlers]
impl Held {
    #[on_open]
    async fn open(&self, session: &Session, #[path] room: String, Query(who): Query<Who>) -> String {
        enter(session, format!("held/{room}"), who).await
    }
}

/// Takes commands: the word, and what it needs, between spaces.
#[server_endpoint("/commands", max_message_size = 67_108_864, send_buffer = 67_108_864)]
struct Commands {
    #[inject]
    cluster: Cluster,
    #[inject]
    sessions: Sessions,
}

#[handlers]
impl Commands {
    #[on_message]
    async fn command(&self, text: String, session: &Session) -> Result<()> {
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if word == "publish" {
            self.publish(rest, session)?;
            return Ok(());
        }
        let answer = self.answer(word, rest).await?;
        session.send(answer.to_string()).await?;
        Ok(())
    }
}

impl Commands {
    /// `publish NUMBER ID TO TEXT`: an answer to each as soon as there is one, while the next ones are taken.
    fn publish(&self, rest: &str, session: &Session) -> Result<()> {
        let mut words = rest.splitn(4, ' ');
        let mut word = || words.next().ok_or_else(|| Error::msg("publish NUMBER ID TO TEXT"));
        let (number, id, to, text) = (word()?.to_owned(), word()?, word()?, word()?.to_owned());
        let id: MessageId = id.parse().map_err(|_| Error::msg("this is no id"))?;
        let audience = self.audience(to)?.id(id);
        let mut sending: Pin<Box<dyn Future<Output = Delivery> + Send>> =
            Box::pin(async move { audience.send(text).await });
        // Begun here, so that what comes one after the other is sent one after the other.
        let done = sending.as_mut().now_or_never();
        let session = session.clone();
        tokio::spawn(async move {
            let delivery = match done {
                Some(delivery) => delivery,
                None => sending.await,
            };
            let mut answer = told(&delivery);
            answer["number"] = number.into();
            // It does not ask any more when it is gone.
            let _ = session.send(answer.to_string()).await;
        });
        Ok(())
    }

    async fn answer(&self, word: &str, rest: &str) -> Result<Value> {
        let (to, argument) = rest.split_once(' ').unwrap_or((rest, ""));
        Ok(match word {
            "nodes" => {
                let nodes = self.cluster.nodes();
                nodes.iter().map(|node| json!({ "id": node.id.to_string(), "name": node.name, "sessions": node.sessions })).collect()
            }
            "state" => json!({
                "node": self.cluster.node_id().to_string(),
                "connected": self.cluster.state().is_connected(),
                "counters": format!("{:?}", self.cluster.counters()),
                "recovery": format!("{:?}", self.cluster.recovery()),
            }),
            "count" => json!({ "count": self.audience(to)?.count() }),
            "count_exact" => {
                let count = self.audience(to)?.count_exact().await;
                json!({ "count": count.total, "complete": count.complete, "missing": count.missing.len() })
            }
            "list" => {
                let mut words = argument.split(' ');
                let limit = words.next().unwrap_or_default().parse()?;
                let after = words.next().map(str::parse::<SessionId>).transpose()?;
                let listing = self.audience(to)?.list(after, limit).await;
                json!({
                    "sessions": listing.sessions.iter().map(listed).collect::<Vec<_>>(),
                    "next": listing.next.map(|id| id.to_string()),
                    "complete": listing.complete,
                })
            }
            "send" => told(&self.audience(to)?.send(argument.to_owned()).await),
            "post" => told(&self.audience(to)?.post(argument.to_owned())),
            "large" => told(&self.audience(to)?.send("x".repeat(argument.parse()?)).await),
            "burst" => self.burst(self.audience(to)?, argument).await?,
            "expiring" => expiring(to, argument).await?,
            "clock" => json!({ "seconds": SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() }),
            "close" => json!({ "closed": self.audience(to)?.close(CloseReason::normal()).await }),
            "join" => {
                self.audience(to)?.join(argument);
                json!({})
            }
            "leave" => {
                self.audience(to)?.leave(argument);
                json!({})
            }
            "member-send" => outcome(self.sessions.session(&to.parse()?).send(argument.to_owned()).await),
            "member-close" => outcome(self.sessions.session(&to.parse()?).close(CloseReason::normal()).await),
            "member-join" => outcome(self.sessions.session(&to.parse()?).join(argument).await),
            "member-leave" => outcome(self.sessions.session(&to.parse()?).leave(argument).await),
            "member-info" => match self.sessions.session(&to.parse()?).info().await {
                Ok(Some(member)) => listed(&member),
                Ok(None) => json!({ "gone": true }),
                Err(error) => failure(&error),
            },
            _ => return Err(Error::msg(format!("what is {word}?"))),
        })
    }

    /// `burst TO NAME FROM COUNT BYTES`: messages `NAME NUMBER ...` of this length, as fast as the engine takes them.
    async fn burst(&self, audience: Audience, rest: &str) -> Result<Value> {
        let words: Vec<_> = rest.split(' ').collect();
        let [name, from, count, bytes] = words[..] else {
            return Err(Error::msg("burst TO NAME FROM COUNT BYTES"));
        };
        let (from, count, bytes): (usize, usize, usize) = (from.parse()?, count.parse()?, bytes.parse()?);
        let began = Instant::now();
        let (mut handed, mut failed) = (0, 0);
        let mut number = from;
        while number < from + count {
            let group = (from + count - number).min(AT_A_TIME);
            let sends = (number..number + group).map(|number| {
                let mut text = format!("{name} {number} ");
                text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len())));
                audience.send(text)
            });
            for delivery in join_all(sends).await {
                match delivery.elsewhere() {
                    Crossing::Handed { .. } => handed += 1,
                    _ => failed += 1,
                }
            }
            number += group;
        }
        Ok(json!({ "handed": handed, "failed": failed, "micros": began.elapsed().as_micros() as u64 }))
    }

    /// `room:NAME`, `user:NAME`, `endpoint:plain`, `endpoint:kept`, `all`, and `local:` before it.
    fn audience(&self, to: &str) -> Result<Audience> {
        if let Some(to) = to.strip_prefix("local:") {
            return Ok(self.audience(to)?.local());
        }
        Ok(match to.split_once(':').unwrap_or((to, "")) {
            ("room", name) => self.sessions.room(name),
            ("user", name) => self.sessions.user(name),
            ("endpoint", "plain") => self.sessions.endpoint::<Plain>(),
            ("endpoint", "kept") => self.sessions.endpoint::<Kept>(),
            ("all", _) => self.sessions.all(),
            _ => return Err(Error::msg(format!("who is {to}?"))),
        })
    }
}

/// `expiring ROOM MS TEXT`: a message that is of use for so long, as a program sends it that is no server.
async fn expiring(room: &str, rest: &str) -> Result<Value> {
    static PUBLISHER: OnceCell<Publisher> = OnceCell::const_new();
    let (time, text) = rest.split_once(' ').ok_or_else(|| Error::msg("expiring ROOM MS TEXT"))?;
    let connect = async || -> Result<Publisher> {
        let url = std::env::args().nth(1).ok_or_else(|| Error::msg("no engine"))?;
        Ok(Publisher::new(Redis::connect(&url).await?).await?)
    };
    let publisher = PUBLISHER.get_or_try_init(connect).await?;
    let sent = publisher.room(room).expires_in(Duration::from_millis(time.parse()?)).send(text).await;
    Ok(sent.map_or_else(|error| failure(&error), |_| json!({ "handed": true })))
}

fn told(delivery: &Delivery) -> Value {
    let mut told = json!({ "queued": delivery.queued() });
    match delivery.elsewhere() {
        Crossing::Handed { receivers, position, duplicate, .. } => {
            told["handed"] = true.into();
            told["receivers"] = (*receivers).into();
            told["duplicate"] = (*duplicate).into();
            if let Some(position) = position {
                told["epoch"] = (*position.epoch.0).into();
                told["offset"] = position.offset.into();
            }
        }
        Crossing::Failed(error) => told["failed"] = failure(error)["failed"].clone(),
        other => told["elsewhere"] = other.to_string().into(),
    }
    told
}

fn failure(error: &ClusterError) -> Value {
    let kind = match error {
        ClusterError::Timeout => "timeout",
        ClusterError::Unavailable(_) => "unavailable",
        ClusterError::TooLarge { .. } => "too large",
        ClusterError::Full => "full",
        _ => "other",
    };
    json!({ "failed": kind, "why": error.to_string() })
}

fn outcome(outcome: Result<Outcome, ClusterError>) -> Value {
    match outcome {
        Ok(outcome) => json!({ "outcome": format!("{outcome:?}") }),
        Err(error) => failure(&error),
    }
}

fn listed(member: &Listed) -> Value {
    json!({
        "id": member.id.to_string(),
        "node": member.node.to_string(),
        "path": member.path,
        "user": member.user,
        "rooms": member.rooms,
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or_else(|| Error::msg("clustered ENGINE-URL"))?;
    let mut exporter = runtime::export_all().bind("127.0.0.1:0");
    let (mut lazy, mut deadline, mut history) = (false, Duration::from_secs(1), None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| Error::msg(format!("{argument} needs a value")));
        match argument.as_str() {
            "--lazy" => lazy = true,
            "--name" => {
                let name = value()?;
                exporter = exporter.configure(move |settings| settings.node_name = Some(name.clone()));
            }
            "--history" => history = Some(value()?.parse()?),
            "--deadline" => deadline = Duration::from_millis(value()?.parse()?),
            other => return Err(Error::msg(format!("what is {other}?"))),
        }
    }
    exporter = exporter.configure(move |settings| {
        settings.cluster_deadline = deadline;
        settings.max_connections = 0;
        settings.handshake_timeout = Duration::from_secs(30);
        settings.handshake_rate_per_address = None;
    });
    exporter = match (url.starts_with("nats"), lazy) {
        (true, _) => {
            let options = Nats::options(&url)?;
            let options = match history {
                Some(replicas) => options.history(replicas),
                None => options,
            };
            let mut engine = if lazy { options.lazy()? } else { options.connect().await? };
            let keeps = history.is_some();
            if keeps {
                engine = engine.timeout(ELECTION);
            }
            exporter.only(move |endpoint| needs_no_store(endpoint, keeps)).cluster(engine)
        }
        (false, true) => exporter.cluster(Redis::lazy(&url)?),
        (false, false) => exporter.cluster(Redis::connect(&url).await?),
    };
    exporter.on_ready(ready).serve().await
}

/// What an engine will do for that keeps messages, or nothing at all.
fn needs_no_store(endpoint: &ServerEndpointConfig, keeps_messages: bool) -> bool {
    endpoint.is::<Plain>() || endpoint.is::<Commands>() || (keeps_messages && endpoint.is::<Held>())
}

fn ready(server: &runtime::Server) {
    let node = server.context().find::<Cluster>().map(|cluster| cluster.node_id().to_string());
    println!("ready {} {}", server.local_addr(), node.unwrap_or_default());
}

//! A chat on several nodes: `cargo run --example cluster`, open the printed addresses in two windows, talk to each other.
//!
//! This program starts a Redis server on a free port of this machine, and itself again as so many nodes as its argument says (2). Each node is a process with a port of its own, and the page shows which of them each person is on. Ctrl-C
//! ends all of them: see `cluster/machine.rs`.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use endpoint_runtime as runtime;
use runtime::cluster::{Cluster, NodeId, Redis};
use runtime::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

#[path = "cluster/machine.rs"]
mod machine;
#[path = "chat/page.rs"]
mod page;

/// Characters of the longest message.
const LONGEST: usize = 2_000;

/// What the page says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Command {
    Say { text: String },
    Rename { nick: Name },
}

/// What it is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Welcome { nick: Name, greeting: String, longest: usize },
    People { names: BTreeSet<String> },
    Joined { nick: String },
    Left { nick: String },
    Said { nick: String, text: String },
    Sent { text: String },
    Error { text: String },
}

/// The name of a person or a room.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = name.trim();
        let fits = (1..=24).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        fits.then(|| Name(name.into())).ok_or("a name has 1 to 24 visible characters")
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

/// Rooms keep their last messages, and sessions go on where they were, on whichever node their client finds.
#[server_endpoint("/chat/{room}", recover(size = 100, ttl = "5m", rooms = "*"), resume = "2m")]
struct Chat {
    #[inject]
    cluster: Cluster,
}

#[handlers]
impl Chat {
    #[on_open]
    async fn enter(
        &self,
        session: &Session,
        sessions: Sessions,
        #[path] room: Name,
        #[query] nick: Name,
    ) -> Json<Event> {
        session.set_user(&nick.0);
        session.join(&room.0);
        // From here on it gets what is said there, its own name in the list of people first.
        session.reachable().await;
        let joined = Event::Joined { nick: on_node(&nick.0, self.cluster.node_name()) };
        sessions.room(&room.0).except(session).send(Json(&joined)).await;
        tell_people(&sessions, &self.cluster, &room).await;
        let greeting = format!("You are on the node {}.", self.cluster.node_name());
        Json(Event::Welcome { nick, greeting, longest: LONGEST })
    }

    #[on_message]
    async fn command(
        &self,
        Json(command): Json<Command>,
        session: &Session,
        sessions: Sessions,
        #[path] room: Name,
    ) -> Json<Event> {
        Json(match command {
            Command::Say { text } if !(1..=LONGEST).contains(&text.trim().chars().count()) => {
                Event::Error { text: format!("A message has 1 to {LONGEST} characters.") }
            }
            Command::Say { text } => {
                let nick = on_node(&session.user().unwrap_or_default(), self.cluster.node_name());
                let said = Event::Said { nick, text: text.clone() };
                let delivery = sessions.room(&room.0).except(session).send(Json(&said)).await;
                match delivery.elsewhere().error() {
                    None => Event::Sent { text },
                    Some(error) => Event::Error { text: error.to_string() },
                }
            }
            Command::Rename { nick: Name(nick) } => {
                Event::Error { text: format!("Come back as {nick}: here people keep their names.") }
            }
        })
    }

    #[on_close]
    async fn leave(&self, session: &Session, sessions: Sessions, #[path] room: Name) {
        session.leave(&room.0);
        let left =
            Event::Left { nick: on_node(&session.user().unwrap_or_default(), self.cluster.node_name()) };
        sessions.room(&room.0).send(Json(&left)).await;
        tell_people(&sessions, &self.cluster, &room).await;
    }

    #[on_error]
    fn misread(&self, error: &DecodeError) -> Json<Event> {
        Json(Event::Error { text: error.to_string() })
    }
}

fn on_node(nick: &str, node: &str) -> String {
    format!("{nick} · {node}")
}

/// Tells everybody in the room who is there, and on which node.
async fn tell_people(sessions: &Sessions, cluster: &Cluster, room: &Name) {
    let here = sessions.room(&room.0);
    let nodes: HashMap<NodeId, String> =
        cluster.nodes().into_iter().map(|node| (node.id, node.name)).collect();
    let listed = here.list(None, 1_000).await.sessions.into_iter();
    let names = listed.filter_map(|session| {
        let node = nodes.get(&session.node).map_or("?", String::as_str);
        Some(on_node(&session.user?, node))
    });
    here.send(Json(&Event::People { names: names.collect() })).await;
}

/// One node, until whoever has started it is gone.
async fn node(name: String, engine: &str) -> runtime::Result<()> {
    let orphaned = async {
        // It says nothing: it is there, or it is gone.
        let _ = tokio::io::stdin().read_u8().await;
    };
    runtime::export_all()
        .bind("127.0.0.1:0")
        .configure(move |settings| settings.node_name = Some(name.clone()))
        .cluster(Redis::connect(engine).await?)
        .fallback(page::Page)
        .on_ready(|server| println!("{}", server.local_addr()))
        .serve_with_shutdown(orphaned)
        .await
}

#[tokio::main]
async fn main() -> runtime::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = match &arguments[..] {
        [command, name, engine] if command == "node" => return node(name.clone(), engine).await,
        [] => 2,
        [count] => count.parse()?,
        _ => return Err(Error::msg("cluster [NUMBER OF NODES]")),
    };
    machine::run(count).await
}

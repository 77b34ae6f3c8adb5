//! A chat with rooms and nicknames: `cargo run --example chat`, open the printed address in two windows, talk.
//!
//! A person is a connection to `/chat/{room}?nick=…`. Every command is answered by exactly one event ("sent", "named"
//! or "error"); what concerns the others goes to their room. Rooms keep their last messages, so that a page whose
//! connection was cut gets what it has missed. The page comes from the same port: see `chat/page.rs`.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use endpoint_runtime as runtime;
use runtime::Resumed;
use runtime::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

#[path = "chat/page.rs"]
mod page;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Command {
    Say { text: String },
    Rename { nick: Name },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Welcome { nick: Name, greeting: &'static str, longest: usize },
    People { names: BTreeSet<Name> },
    Joined { nick: Name },
    Left { nick: Name },
    Renamed { from: Name, to: Name },
    Said { nick: Name, text: String },
    Sent { text: String },
    Named { nick: Name },
    Error { text: String },
}

/// The name of a person or a room: what is not one never gets past the handshake or the decoder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What a session is called: kept with the session, so that others find it there, and carried to the session that resumes it.
#[derive(Clone, Serialize, Deserialize)]
struct Nickname(Name);

/// The host: what newcomers hear, what is too long, and the door.
struct Host {
    greeting: &'static str,
    longest: usize,
    /// Held while somebody comes, goes or is renamed: everyone sees these in one order, ending in the same list.
    door: Mutex<()>,
}

#[server_endpoint("/chat/{room}", max_message_size = 16_384, recover(size = 100, ttl = "5m"), resume = "2m")]
struct Chat {
    #[inject]
    host: Arc<Host>,
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
        let _door = self.host.door.lock().await;
        let nick = match session.attributes().get() {
            // Carried over: the page may not have heard yet that it was renamed.
            Some(Nickname(nick)) => nick,
            None => nick,
        };
        session.attributes().insert(Nickname(nick.clone()));
        session.join(&room.0);
        // From here on it gets what is said there, its own name in the list of people first.
        session.reachable().await;
        // Whoever had not left yet does not join again.
        if !session.resumed().is_some_and(Resumed::was_open) {
            announce(&sessions, &room, session, Event::Joined { nick: nick.clone() }).await;
        }
        Json(Event::Welcome { nick, greeting: self.host.greeting, longest: self.host.longest })
    }

    #[on_message]
    async fn command(
        &self,
        Json(command): Json<Command>,
        session: &Session,
        sessions: Sessions,
        #[path] room: Name,
    ) -> Option<Json<Event>> {
        let Nickname(nick) = session.attributes().get()?;
        Some(Json(match command {
            Command::Say { text } if !(1..=self.host.longest).contains(&text.trim().chars().count()) => {
                Event::Error { text: format!("A message has 1 to {} characters.", self.host.longest) }
            }
            Command::Say { text } => {
                let said = Event::Said { nick, text: text.clone() };
                sessions.room(&room.0).except(session).send(Json(&said)).await;
                Event::Sent { text }
            }
            Command::Rename { nick: to } => {
                let _door = self.host.door.lock().await;
                session.attributes().insert(Nickname(to.clone()));
                announce(&sessions, &room, session, Event::Renamed { from: nick, to: to.clone() }).await;
                Event::Named { nick: to }
            }
        }))
    }

    #[on_close]
    async fn leave(&self, session: &Session, sessions: Sessions, reason: &CloseReason, #[path] room: Name) {
        // Replaced by a session that goes on where this one was.
        if u16::from(reason.code()) == 4009 {
            return;
        }
        let _door = self.host.door.lock().await;
        session.leave(&room.0);
        if let Some(Nickname(nick)) = session.attributes().get() {
            announce(&sessions, &room, session, Event::Left { nick }).await;
        }
    }

    #[on_error]
    fn misread(&self, error: &DecodeError) -> Json<Event> {
        Json(Event::Error { text: error.to_string() })
    }
}

/// Tells the others in the room what happened to `session`, and everybody who is here now.
async fn announce(sessions: &Sessions, room: &Name, session: &Session, event: Event) {
    let here = sessions.room(&room.0);
    here.clone().except(session).send(Json(&event)).await;
    let nickname = |session: Session| session.attributes().get().map(|Nickname(nick)| nick);
    let names = here.iter().filter_map(nickname).collect();
    here.send(Json(&Event::People { names })).await;
}

#[tokio::main]
async fn main() -> runtime::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    runtime::export_all()
        .bind(format!("127.0.0.1:{port}"))
        .carry::<Nickname>("nickname")
        .provide(Host { greeting: "Welcome. Be kind to each other.", longest: 2_000, door: Mutex::new(()) })
        .fallback(page::Page)
        .on_ready(|server| println!("Open http://{}/", server.local_addr()))
        .serve()
        .await
}

//! [`Order`]: what somebody wants to have sent, and to whom, as JSON says it.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;

use super::outcome::Outcome;
use crate::cluster;
use crate::error::Refusal;
use crate::message::{EncodeError, IntoMessage, Message};
use crate::session::{Audience, MessageId, SessionId, Sessions};

/// As it is written: one of the first four, and one of the next two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    room: Option<String>,
    user: Option<String>,
    session: Option<String>,
    #[serde(default)]
    all: bool,
    text: Option<String>,
    bytes: Option<String>,
    id: Option<String>,
}

/// To whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    Room(String),
    User(String),
    Session(SessionId),
    All,
}

/// A message that is to be sent.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    to: To,
    message: Message,
    id: Option<MessageId>,
}

impl Order {
    /// # Errors
    /// 400: it is no such thing.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let written: Written = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(format!("this is no message to be sent: {error}")))?;
        Ok(Order { to: written.to()?, message: written.message()?, id: written.id()? })
    }

    pub(super) fn to(&self) -> &To {
        &self.to
    }

    pub(super) async fn carry_out(self, sessions: &Sessions) -> Outcome {
        let audience = match self.to {
            To::Session(id) => return to_session(sessions, &id, self.message).await,
            To::Room(room) => sessions.room(&room),
            To::User(user) => sessions.user(&user),
            To::All => sessions.all(),
        };
        to_many(audience, self.id, self.message).await
    }
}

async fn to_many(audience: Audience, id: Option<MessageId>, message: Message) -> Outcome {
    let audience = match id {
        Some(id) => audience.id(id),
        None => audience,
    };
    Outcome::of(&audience.send(Whole(message)).await)
}

async fn to_session(sessions: &Sessions, id: &SessionId, message: Message) -> Outcome {
    match sessions.session(id).send(Whole(message)).await {
        Ok(cluster::Outcome::Delivered) => Outcome::queued(1),
        Ok(cluster::Outcome::Gone) => Outcome::gone(),
        Ok(cluster::Outcome::Timeout) => Outcome::failed(&cluster::ClusterError::Timeout),
        Err(error) => Outcome::failed(&error),
    }
}

impl Written {
    fn to(&self) -> Result<To, Refusal> {
        let session = match &self.session {
            None => None,
            Some(id) => match id.parse() {
                Ok(id) => Some(To::Session(id)),
                Err(error) => return Err(Refusal::bad_request(format!("`session`: {error}"))),
            },
        };
        let named = [
            self.room.clone().map(To::Room),
            self.user.clone().map(To::User),
            session,
            self.all.then_some(To::All),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(to), None) => Ok(to),
            _ => Err(Refusal::bad_request("say to whom: one of `room`, `user`, `session`, `\"all\": true`")),
        }
    }

    fn message(&self) -> Result<Message, Refusal> {
        match (&self.text, &self.bytes) {
            (Some(text), None) => Ok(Message::Text(text.as_str().into())),
            (None, Some(bytes)) => match BASE64.decode(bytes.as_bytes()) {
                Ok(bytes) => Ok(Message::Binary(Bytes::from(bytes))),
                Err(error) => Err(Refusal::bad_request(format!("`bytes` is not base64: {error}"))),
            },
            _ => Err(Refusal::bad_request("say what: either `text`, or `bytes` in base64")),
        }
    }

    fn id(&self) -> Result<Option<MessageId>, Refusal> {
        let id = self.id.as_deref().map(str::parse).transpose();
        id.map_err(|error| Refusal::bad_request(format!("`id`: {error}")))
    }
}

/// A message that has its form.
struct Whole(Message);

impl IntoMessage for Whole {
    fn into_message(self) -> Result<Message, EncodeError> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let session = SessionId::new(7, 8);
        let order = |to, message: Message, id| Order { to, message, id };
        let table = [
            (
                r#"{"room":"blue","text":"hi"}"#.to_owned(),
                order(To::Room("blue".into()), Message::Text("hi".into()), None),
            ),
            (
                r#"{"user":"","bytes":"AP8="}"#.to_owned(),
                order(To::User(String::new()), Message::Binary(b"\0\xff"[..].into()), None),
            ),
            (
                format!(r#"{{"all":true,"text":"","id":"{id}"}}"#),
                order(To::All, Message::Text("".into()), Some(id.parse().unwrap())),
            ),
            (
                format!(r#"{{"session":"{session}","text":"hi"}}"#),
                order(To::Session(session), Message::Text("hi".into()), None),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(Order::read(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_order_is_refused() {
        let table = [
            "",
            "null",
            "[]",
            "{}",
            r#"{"text":"hi"}"#,
            r#"{"all":false,"text":"hi"}"#,
            r#"{"room":"blue"}"#,
            r#"{"room":"blue","user":"bo","text":"hi"}"#,
            r#"{"room":"blue","all":true,"text":"hi"}"#,
            r#"{"room":"blue","text":"hi","bytes":"AA=="}"#,
            r#"{"room":"blue","text":7}"#,
            r#"{"room":"blue","text":"hi","txet":"hi"}"#,
            r#"{"room":"blue","room":"red","text":"hi"}"#,
            r#"{"room":"blue","text":"hi"}}"#,
            r#"{"room":"blue","bytes":"AA"}"#,
            r#"{"session":"7","text":"hi"}"#,
            r#"{"room":"blue","text":"hi","id":"7"}"#,
            "{\"room\":\"\u{0}",
        ];
        for text in table {
            let refused = Order::read(text.as_bytes());
            assert!(refused.is_err_and(|refusal| refusal.status() == 400), "{text}");
        }
        assert!(Order::read(b"{\"room\":\"\xff\",\"text\":\"\"}").is_err(), "not UTF-8");
    }
}

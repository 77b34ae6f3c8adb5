//! The stream that keeps the messages of one channel: what it is called, how it is configured, and what JetStream is asked about it.
//!
//! It takes what is published to one subject of its own, and publishes it again to the live subject of the channel, with its number in the
//! stream as a header: that is the offset. The last token of its subject is the epoch, which is made up by whoever creates it. So what
//! was meant for a stream that is gone is taken by nobody, and who gets a message reads its whole [`Position`] from the headers.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind, RequestErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::jetstream::{Context, ContextBuilder, ErrorCode};
use async_nats::{Client, HeaderMap, Subject, header, jetstream};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::subject::Place;
use crate::cluster::{Channel, Epoch, MessageId, Position, Retention};

/// How long the same message is known to be the same; a server knows it no longer than it may keep the message.
const KNOWN: Duration = Duration::from_secs(300);

/// The shortest age that a server knows.
const SHORTEST: Duration = Duration::from_millis(100);

/// The longest: nanoseconds are counted in 63 bits.
const LONGEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// Bytes of the header that a message is appended with.
pub(super) const HEADERS: usize = 64;

/// Characters of the name of a channel that its stream shows to people.
const SHOWN: usize = 100;

/// What the stream of a channel is called: by the hash of all that distinguishes it, for names of streams may hold neither any character
/// nor many of them.
pub(super) fn name(prefix: &str, channel: &Channel) -> String {
    let shown: String = prefix.chars().take(SHOWN).collect();
    format!("{shown}-{}", hash(prefix, channel))
}

/// What all subjects begin with that streams of this prefix take messages from.
pub(super) fn subjects(prefix: &str) -> String {
    format!("{prefix}.h.")
}

fn subject(prefix: &str, channel: &Channel, epoch: &Epoch) -> String {
    format!("{}{}.{}", subjects(prefix), hash(prefix, channel), epoch.0)
}

fn hash(prefix: &str, channel: &Channel) -> String {
    let hash = Sha256::digest(format!("{prefix} {channel}"));
    hash.iter().take(20).fold(String::with_capacity(40), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One that nobody else has made up.
fn new_epoch() -> Epoch {
    Epoch(format!("{:016x}", rand::random::<u64>()).into())
}

/// The epoch of the stream that takes messages from this subject, if it is one of this prefix.
fn epoch<'a>(prefix: &str, subject: &'a str) -> Option<&'a str> {
    subject.strip_prefix(prefix)?.strip_prefix(".h.")?.split_once('.').map(|(_, epoch)| epoch)
}

/// Where a message stands that a stream has published again.
pub(super) fn position(prefix: &str, headers: Option<&HeaderMap>) -> Option<Position> {
    let headers = headers?;
    let offset = headers.get(header::NATS_SEQUENCE)?.as_str().parse().ok()?;
    let epoch = epoch(prefix, headers.get(header::NATS_SUBJECT)?.as_str())?;
    Some(Position { epoch: Epoch(epoch.into()), offset })
}

/// The id that a message was appended with.
pub(super) fn id(headers: &HeaderMap) -> Option<MessageId> {
    headers.get(header::NATS_MESSAGE_ID)?.as_str().parse().ok()
}

/// A stream as it is to be.
#[derive(Debug, Serialize)]
pub(super) struct Wanted {
    name: String,
    description: String,
    subjects: [String; 1],
    republish: Republish,
    max_msgs: usize,
    max_age: u64,
    duplicate_window: u64,
    num_replicas: usize,
    /// Streams in memory are gone with their server, and nobody is told.
    storage: &'static str,
    retention: &'static str,
    discard: &'static str,
    max_consumers: i64,
    max_bytes: i64,
    max_msg_size: i64,
    max_msgs_per_subject: i64,
}

#[derive(Debug, Serialize)]
struct Republish {
    src: String,
    dest: String,
}

impl Wanted {
    /// A stream of this epoch, or of a new one.
    pub(super) fn new(
        prefix: &str,
        channel: &Channel,
        keep: Retention,
        replicas: usize,
        epoch: Option<&Epoch>,
    ) -> Self {
        let subject = subject(prefix, channel, epoch.unwrap_or(&new_epoch()));
        let dest = Place::of(channel).subject(prefix).to_string();
        let Retention { size, ttl } = possible(keep);
        let age = nanos(ttl);
        Wanted {
            name: name(prefix, channel),
            // Different each time: so who looks for streams that nobody uses sees that this one is used.
            description: format!("{} {:08x}", shown(channel), rand::random::<u32>()),
            subjects: [subject.clone()],
            republish: Republish { src: subject, dest },
            max_msgs: size,
            max_age: age,
            duplicate_window: age.min(nanos(KNOWN)),
            num_replicas: replicas,
            storage: "file",
            retention: "limits",
            discard: "old",
            max_consumers: -1,
            max_bytes: -1,
            max_msg_size: -1,
            max_msgs_per_subject: -1,
        }
    }
}

fn shown(channel: &Channel) -> String {
    let shown = channel.to_string();
    shown.chars().filter(|character| !character.is_control()).take(SHOWN).collect()
}

/// As much as a server can keep.
pub(super) fn possible(keep: Retention) -> Retention {
    let Retention { size, ttl } = keep;
    let most = usize::try_from(i64::MAX).unwrap_or(usize::MAX);
    Retention { size: size.clamp(1, most), ttl: ttl.clamp(SHORTEST, LONGEST) }
}

/// As JetStream counts time.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A stream as it is.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) config: Config,
    pub(super) state: State,
}

#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    subjects: Vec<String>,
    max_msgs: i64,
    max_age: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct State {
    pub(super) messages: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
}

impl Info {
    /// The subject that it takes messages from, and its epoch: nothing if it is no stream of ours.
    pub(super) fn subject(&self, prefix: &str) -> Option<(Subject, Epoch)> {
        let [subject] = &self.config.subjects[..] else { return None };
        let epoch = Epoch(epoch(prefix, subject)?.into());
        Some((subject.as_str().into(), epoch))
    }

    /// What it keeps.
    pub(super) fn keep(&self) -> Retention {
        let size = usize::try_from(self.config.max_msgs).unwrap_or(usize::MAX);
        Retention { size, ttl: Duration::from_nanos(self.config.max_age) }
    }
}

/// What is said with what needs no words: JetStream knows no other way to say nothing.
#[derive(Serialize)]
struct Nothing {}

/// Some of many streams.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) total: usize,
    #[serde(default)]
    pub(super) streams: Option<Vec<Info>>,
}

/// JetStream does not do it.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no such stream.
    Missing,
    /// There is one of this name already.
    Exists,
    /// Not now: nobody answers, or there is no leader.
    Later(String),
    /// It has reasons that do not go away.
    Never(String),
}

impl Refusal {
    fn of(error: &jetstream::Error) -> Self {
        match error.error_code() {
            ErrorCode::STREAM_NOT_FOUND => Refusal::Missing,
            ErrorCode::STREAM_NAME_EXIST => Refusal::Exists,
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                Refusal::Never(format!("JetStream is not enabled: {error}"))
            }
            _ if error.code() == 503 => Refusal::Later(error.to_string()),
            _ => Refusal::Never(error.to_string()),
        }
    }
}

/// What becomes of a message that was appended.
#[derive(Debug)]
pub(super) enum Fate {
    /// It has this number in its stream, and perhaps had it before.
    Kept { sequence: u64, duplicate: bool },
    /// Nobody takes messages from that subject.
    Untaken,
    /// It was refused.
    Refused(Refusal),
    /// Nobody knows.
    Unknown(String),
}

/// Asks JetStream.
#[derive(Clone, Debug)]
pub(super) struct Api(Context);

impl Api {
    /// Waits so long for each answer.
    pub(super) fn new(client: Client, patience: Duration) -> Self {
        Api(ContextBuilder::new().timeout(patience).build(client))
    }

    /// Whether there is a JetStream, and we may use it.
    pub(super) async fn is_there(&self) -> Result<(), Refusal> {
        #[derive(Deserialize)]
        struct Account {}
        self.ask("INFO".to_owned(), &Nothing {}).await.map(|Account {}| ())
    }

    pub(super) async fn info(&self, name: &str) -> Result<Info, Refusal> {
        self.ask(format!("STREAM.INFO.{name}"), &Nothing {}).await
    }

    pub(super) async fn create(&self, wanted: &Wanted) -> Result<Info, Refusal> {
        self.ask(format!("STREAM.CREATE.{}", wanted.name), wanted).await
    }

    pub(super) async fn update(&self, wanted: &Wanted) -> Result<Info, Refusal> {
        self.ask(format!("STREAM.UPDATE.{}", wanted.name), wanted).await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Refusal> {
        #[derive(Deserialize)]
        struct Deleted {}
        self.ask(format!("STREAM.DELETE.{name}"), &Nothing {}).await.map(|Deleted {}| ())
    }

    /// A page of the streams of this prefix.
    pub(super) async fn list(&self, prefix: &str, offset: usize) -> Result<Page, Refusal> {
        #[derive(Serialize)]
        struct Which {
            subject: String,
            offset: usize,
        }
        let which = Which { subject: format!("{}>", subjects(prefix)), offset };
        self.ask("STREAM.LIST".to_owned(), &which).await
    }

    /// A message of a stream, from its leader, if it is kept.
    pub(super) async fn message(&self, name: &str, sequence: u64) -> Result<Option<StreamMessage>, Refusal> {
        let later = |error: &dyn std::fmt::Display| Refusal::Later(error.to_string());
        let stream = self.0.get_stream_no_info(name).await.map_err(|error| later(&error))?;
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message)),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(error) => match Refusal::of(&error) {
                    Refusal::Missing => Ok(None),
                    refusal => Err(refusal),
                },
                _ => Err(later(&error)),
            },
        }
    }

    /// Sends a message to a stream. What is sent first arrives first; the answer is its fate.
    pub(super) async fn append(
        &self,
        subject: &Subject,
        message: Bytes,
        id: MessageId,
    ) -> impl Future<Output = Fate> + Send + use<> {
        let message = PublishMessage::build().payload(message).message_id(id.to_string());
        let sent = self.0.send_publish(subject.clone(), message).await;
        async move {
            let answer = match sent {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(kept) => Fate::Kept { sequence: kept.sequence, duplicate: kept.duplicate },
                Err(error) => fate(&error),
            }
        }
    }

    async fn ask<T: DeserializeOwned>(&self, what: String, with: &impl Serialize) -> Result<T, Refusal> {
        match self.0.request::<_, _, Response<T>>(what, with).await {
            Ok(Response::Ok(answer)) => Ok(answer),
            Ok(Response::Err { error }) => Err(Refusal::of(&error)),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                Err(Refusal::Later("nobody answers for JetStream".to_owned()))
            }
            Err(error) => Err(Refusal::Later(error.to_string())),
        }
    }
}

fn fate(error: &PublishError) -> Fate {
    match error.kind() {
        PublishErrorKind::StreamNotFound => Fate::Untaken,
        PublishErrorKind::MaxPayloadExceeded => Fate::Refused(Refusal::Never(error.to_string())),
        _ => match error.source().and_then(|source| source.downcast_ref::<jetstream::Error>()) {
            Some(error) => Fate::Refused(Refusal::of(error)),
            None => Fate::Unknown(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_a_stream_of_its_own() {
        let mut names: Vec<_> = [
            ("app", Channel::All),
            ("app", Channel::Control),
            ("app", Channel::room("blue")),
            ("app", Channel::user("blue")),
            ("app", Channel::room("")),
            ("app", Channel::room("a.*> \n")),
            ("app", Channel::room(&"x".repeat(10_000))),
            ("shop", Channel::room("blue")),
            (&"x".repeat(1000), Channel::room("blue")),
        ]
        .map(|(prefix, channel)| name(prefix, &channel))
        .into();
        for name in &names {
            assert!(name.len() < 200 && !name.contains(['.', '*', '>', ' ', '\n', '/']), "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 9);
        // Nodes of different versions must agree on it.
        assert_eq!(
            name("app", &Channel::room("blue")),
            format!("app-{}", hash("app", &Channel::room("blue")))
        );
    }

    #[test]
    fn a_place_is_read_from_headers() {
        let (channel, epoch) = (Channel::room("blue"), new_epoch());
        let read = |prefix: &str, subject: &str, sequence: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_SUBJECT, subject);
            headers.insert(header::NATS_SEQUENCE, sequence);
            position(prefix, Some(&headers))
        };
        let ours = subject("app", &channel, &epoch);
        assert_eq!(read("app", &ours, "7"), Some(Position { epoch, offset: 7 }));
        for (prefix, subject, sequence) in
            [("app", &*ours, "x"), ("ap", &*ours, "7"), ("app", "app.h.x", "7"), ("app", "app.r.7", "7")]
        {
            assert_eq!(read(prefix, subject, sequence), None, "{prefix} {subject} {sequence}");
        }
        assert_eq!(position("app", None), None);
    }

    #[test]
    fn servers_get_no_numbers_that_they_refuse() {
        let most = usize::try_from(i64::MAX).unwrap_or(usize::MAX);
        for (keep, expected) in [
            (Retention { size: 0, ttl: Duration::ZERO }, (1, 100_000_000, 100_000_000)),
            (Retention { size: 100, ttl: Duration::from_secs(600) }, (100, 600_000_000_000, 300_000_000_000)),
            (
                Retention { size: usize::MAX, ttl: Duration::MAX },
                (most, i64::MAX.unsigned_abs(), 300_000_000_000),
            ),
        ] {
            let wanted = Wanted::new("app", &Channel::All, keep, 1, None);
            assert_eq!((wanted.max_msgs, wanted.max_age, wanted.duplicate_window), expected);
        }
    }
}

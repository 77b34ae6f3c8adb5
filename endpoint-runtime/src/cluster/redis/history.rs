//! Messages that are kept, with their positions.

use bytes::Bytes;
use redis::{Cmd, FromRedisValue, Pipeline, Value};

use super::super::{Appended, Channel, EngineError, Epoch, History, MessageId, Position, Retention};
use super::link::{Link, cannot};
use super::scripts::{APPEND, HISTORY, TOPS};
use super::{Shared, millis};

/// How long (ms) the same message is known to be the same.
const KNOWN: u64 = 300_000;
/// How long (ms) a channel's position is known after its messages are gone, so that whoever has missed nothing can be told so.
const POSITION: u64 = 3_600_000;

/// How much shorter (ms) that may be before a reading has it prolonged: those of a crowd need not all do it.
const NEARLY: u64 = 60_000;
/// How many messages one call of the script appends: more is hardly faster, and the server does nothing else meanwhile.
const TOGETHER: usize = 64;

/// Several, as few calls as may be, in one pipeline.
pub(super) async fn append_all(
    shared: &Shared,
    channel: &Channel,
    messages: &[(MessageId, Bytes)],
    keep: Retention,
) -> Result<Vec<Appended>, EngineError> {
    let link = shared.link()?;
    let names = &shared.names;
    let keys = [names.meta(channel), names.history(channel)];
    let (owner, epoch, name) = (link.owner(), link.epoch(), names.channel(channel));
    let ttl = millis(keep.ttl);
    let write = |command: &mut Cmd, messages: &&[(MessageId, Bytes)]| {
        command.arg(2 + messages.len()).arg(&keys);
        for (id, _) in *messages {
            command.arg(names.once(channel, *id));
        }
        command.arg(&owner).arg(&epoch).arg(&name);
        command.arg(keep.size).arg(ttl).arg(ttl.saturating_add(POSITION)).arg(KNOWN);
        for (_, message) in *messages {
            command.arg(&**message);
        }
    };
    let calls: Vec<_> = messages.chunks(TOGETHER).collect();
    let answers = APPEND.run_all(&link, &calls, write).await.map_err(cannot)?;
    let mut all = Vec::with_capacity(messages.len());
    for answer in answers {
        appended(answer, &mut all)?;
    }
    Ok(all)
}

/// What the script says: the epoch, and of each message its offset, and whether it was there before.
fn appended(answer: Value, all: &mut Vec<Appended>) -> Result<(), EngineError> {
    let refused = || EngineError::Refused("an answer that was not asked for".into());
    let mut values = Vec::<Value>::into_iter(read(answer)?);
    let epoch = Epoch(read::<String>(values.next().ok_or_else(refused)?)?.into());
    while let Some(offset) = values.next() {
        let (offset, before): (u64, u8) = (read(offset)?, read(values.next().ok_or_else(refused)?)?);
        all.push(Appended { position: Position { epoch: epoch.clone(), offset }, duplicate: before == 1 });
    }
    Ok(())
}

pub(super) async fn history(
    shared: &Shared,
    channel: &Channel,
    after: u64,
    limit: usize,
) -> Result<History, EngineError> {
    let link = shared.link()?;
    let part = Part {
        meta: shared.names.meta(channel),
        stream: shared.names.history(channel),
        first: after.saturating_add(1),
        // What is behind the last offset there can be is nothing.
        limit: if after == u64::MAX { 0 } else { limit },
    };
    match part.read(&link).await? {
        Some(history) => Ok(history),
        None => part.claim(&link).await,
    }
}

/// A part of a history that is read.
struct Part {
    meta: String,
    stream: String,
    first: u64,
    limit: usize,
}

impl Part {
    /// Reads it if nothing is to be written: it is our server's, and kept for long enough. For a server that takes a third of the time that the script
    /// takes, which turns all messages into values of its language.
    async fn read(&self, link: &Link) -> Result<Option<History>, EngineError> {
        let mut commands = Pipeline::new();
        commands.cmd("HMGET").arg(&self.meta).arg("e").arg("s").arg("o").arg("b");
        commands.cmd("PTTL").arg(&self.meta);
        if self.limit > 0 {
            let first = format!("{}-0", self.first);
            commands.cmd("XRANGE").arg(&self.stream).arg(first).arg("+").arg("COUNT").arg(self.limit);
        }
        let mut answers =
            Vec::<Value>::into_iter(read(link.send_atomically(commands).await.map_err(cannot)?)?);
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let [epoch, top, owner, origins]: [Option<String>; 4] = read(next())?;
        let left: i64 = read(next())?;
        let is_kept = u64::try_from(left).is_ok_and(|left| left >= POSITION - NEARLY);
        let (Some(epoch), Some(top), true) = (epoch, top, is_kept && owner == Some(link.owner())) else {
            return Ok(None);
        };
        let top = top.parse().map_err(|_| EngineError::Refused("an offset that is no number".into()))?;
        let entries = if self.limit > 0 { read(next())? } else { Vec::new() };
        Ok(Some(read_back(epoch, top, entries, &origins.unwrap_or_default())))
    }

    /// The same by the script, which sees to it that it is our server's, and prolongs it.
    async fn claim(&self, link: &Link) -> Result<History, EngineError> {
        let (owner, epoch) = (link.owner(), link.epoch());
        let write = |command: &mut Cmd| {
            command.arg(2).arg(&self.meta).arg(&self.stream).arg(&owner).arg(&epoch);
            command.arg(self.first).arg(self.limit).arg(POSITION);
        };
        let answer = HISTORY.run(link, write).await.map_err(cannot)?;
        let (epoch, offset, entries, origins): (String, u64, Vec<Entry>, String) = read(answer)?;
        Ok(read_back(epoch, offset, entries, &origins))
    }
}

fn read_back(epoch: String, offset: u64, entries: Vec<Entry>, origins: &str) -> History {
    let messages = entries.into_iter().filter_map(|(id, mut fields)| {
        let offset = id.split_once('-')?.0.parse().ok()?;
        Some((offset, Bytes::from(fields.pop()?)))
    });
    let origins = origins.split_whitespace().filter_map(place).collect();
    History { messages: messages.collect(), top: position(epoch, offset), origins }
}

/// Where the histories of several channels stand.
pub(super) async fn tops(
    shared: &Shared,
    channels: &[Channel],
) -> Result<Vec<Option<Position>>, EngineError> {
    let link = shared.link()?;
    let keys: Vec<String> = channels.iter().map(|channel| shared.names.meta(channel)).collect();
    let owner = link.owner();
    let write = |command: &mut Cmd| {
        command.arg(keys.len()).arg(&keys).arg(&owner).arg(POSITION);
    };
    let tops: Vec<Option<String>> = read(TOPS.run(&link, write).await.map_err(cannot)?)?;
    Ok(tops.iter().map(|top| place(top.as_deref()?)).collect())
}

/// A message in a stream: its id there, and its one field.
type Entry = (String, Vec<Vec<u8>>);

/// A place as it is written in the server: `epoch:offset`.
fn place(text: &str) -> Option<Position> {
    let (epoch, offset) = text.rsplit_once(':')?;
    Some(position(epoch.to_owned(), offset.parse().ok()?))
}

fn position(epoch: String, offset: u64) -> Position {
    Position { epoch: Epoch(epoch.into()), offset }
}

/// What a script of ours has answered.
pub(super) fn read<T: FromRedisValue>(answer: Value) -> Result<T, EngineError> {
    redis::from_redis_value(answer).map_err(|error| EngineError::Refused(error.into()))
}

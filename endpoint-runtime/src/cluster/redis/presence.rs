//! Who is present in a channel.

use std::time::Duration;

use bytes::Bytes;

use super::super::{Channel, EngineError, Present, Recorded};
use super::history::read;
use super::link::{Link, cannot};
use super::scripts::{ENTER, EXIT, PRESENT, Script};
use super::{Shared, millis};

/// How many members one run of a script is about: a server does nothing else meanwhile.
const BATCH: usize = 500;

pub(super) async fn enter(
    shared: &Shared,
    channel: &Channel,
    members: &[Recorded],
    ttl: Duration,
) -> Result<(), EngineError> {
    let link = shared.link()?;
    let keys = Keys::of(shared, channel);
    for batch in members.chunks(BATCH) {
        let arguments = batch.iter().flat_map(|member| [member.id.as_bytes(), &member.info]);
        keys.run(&ENTER, &link, &[millis(ttl).to_string().as_bytes()], arguments).await?;
    }
    Ok(())
}

pub(super) async fn exit(shared: &Shared, channel: &Channel, members: &[String]) -> Result<(), EngineError> {
    let link = shared.link()?;
    let keys = Keys::of(shared, channel);
    for batch in members.chunks(BATCH) {
        keys.run(&EXIT, &link, &[], batch.iter().map(String::as_bytes)).await?;
    }
    Ok(())
}

pub(super) async fn present(
    shared: &Shared,
    channel: &Channel,
    after: Option<&str>,
    limit: usize,
) -> Result<Present, EngineError> {
    let link = shared.link()?;
    let keys = Keys::of(shared, channel);
    // Exclusive; everything is behind `-`.
    let after = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
    let (batch, limit) = (BATCH.to_string(), limit.to_string());
    loop {
        let arguments = [batch.as_bytes(), after.as_bytes(), limit.as_bytes()];
        let answer = keys.run(&PRESENT, &link, &arguments, std::iter::empty()).await?;
        let answer: Option<(u64, Vec<String>, Vec<Vec<u8>>)> = read(answer)?;
        if let Some((count, ids, known)) = answer {
            let page = ids.into_iter().zip(known);
            return Ok(Present {
                count,
                page: page.map(|(id, info)| Recorded { id, info: Bytes::from(info) }).collect(),
            });
        }
    }
}

struct Keys([String; 3]);

impl Keys {
    fn of(shared: &Shared, channel: &Channel) -> Self {
        let names = &shared.names;
        Keys([names.expiry(channel), names.present(channel), names.known(channel)])
    }

    async fn run<'a>(
        &self,
        script: &Script,
        link: &Link,
        arguments: &[&[u8]],
        more: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<redis::Value, EngineError> {
        let fill = |command: &mut redis::Cmd| {
            command.arg(self.0.len()).arg(&self.0).arg(arguments);
            for argument in more.clone() {
                command.arg(argument);
            }
        };
        script.run(link, fill).await.map_err(cannot)
    }
}

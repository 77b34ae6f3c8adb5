//! [`Histories`]: messages that are kept, in one stream of JetStream for each channel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, Subject};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use super::link::Link;
use super::stream::{Api, Fate, Info, Refusal, State, Wanted, id, name, possible};
use super::{refused, unavailable};
use crate::cluster::{Appended, Channel, EngineError, Epoch, History, MessageId, Position, Retention};

/// How many messages are asked for at the same time.
const READ_AHEAD: usize = 64;

/// What a stream keeps before anything is appended to it: somebody has asked where it stands.
const NOTHING_YET: Retention = Retention { size: 1, ttl: Duration::from_secs(300) };

/// Of so many channels it is remembered where their streams are, before those that are not used are forgotten.
const REMEMBERED: usize = 4096;

/// How long an answer is waited for before it is asked again, of a leader that is another one now. At most half of the time there is.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest that is waited before something is tried again.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How often a stream that has less than it had is looked at before that is believed, with so long between: a leader that is new may not
/// have caught up with itself.
const DOUBTS: usize = 3;
const DOUBT: Duration = Duration::from_millis(100);

/// The histories of all channels.
#[derive(Debug)]
pub(super) struct Histories {
    pub(super) api: Api,
    pub(super) prefix: Arc<str>,
    replicas: usize,
    limit: Duration,
    /// How long nothing may happen to a channel of which nothing is kept any more before its place is forgotten.
    pub(super) forget: Duration,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    channels: HashMap<Channel, Place>,
    /// At so many it is looked for some that are not used.
    most: usize,
}

/// What is known of the history of a channel.
#[derive(Clone, Debug)]
struct Place {
    name: Arc<str>,
    subject: Subject,
    epoch: Epoch,
    /// What the stream keeps.
    keep: Retention,
    /// By which connection that is known: behind another one may be another server, or the same one after it was killed.
    connection: u64,
    /// The newest message that is known to be there, and its id.
    newest: (u64, Option<MessageId>),
    /// When the server was last told that the channel is used.
    told: Option<Instant>,
    used: Instant,
}

/// Messages on their way into a history.
struct Appending<'a> {
    channel: &'a Channel,
    messages: &'a [(MessageId, Bytes)],
    keep: Retention,
    done: Vec<Appended>,
    /// How many have ever been sent. What was sent and not answered is sent again, and may be there already.
    sent: usize,
    /// Whether something may have been kept of which nothing is known.
    unsure: bool,
    why: String,
}

impl Appending<'_> {
    /// A message was not kept. Nor was it ever sent, then, unless it had been before; of those sent behind it nobody knows.
    fn is_not_kept(&mut self, index: usize, last: usize, sent_before: usize, was_unsure: bool) {
        let is_last = index + 1 == last;
        if is_last {
            self.sent = sent_before.max(index);
        }
        self.unsure = was_unsure || !is_last;
    }
}

impl Histories {
    pub(super) fn new(
        client: Client,
        prefix: Arc<str>,
        replicas: usize,
        limit: Duration,
        forget: Duration,
    ) -> Self {
        let known = Known { channels: HashMap::new(), most: REMEMBERED };
        let api = Api::new(client, (limit / 2).min(PATIENCE));
        Histories { api, prefix, replicas, limit, forget, known: Mutex::new(known) }
    }

    /// Whether the server can keep histories as they are wanted: makes one, and removes it.
    pub(super) async fn try_out(&self) -> Result<(), EngineError> {
        let channel = Channel::room(&format!("probe {:016x}", rand::random::<u64>()));
        let tried = async {
            let made =
                self.api.create(&self.wanted(&channel, NOTHING_YET, None)).await.map_err(no_history)?;
            self.api.delete(&made.config.name).await.map_err(no_history)
        };
        timeout(self.limit, tried).await.unwrap_or(Err(EngineError::Timeout))
    }

    /// Appends messages, as they are sent, one after the other.
    pub(super) async fn append(
        &self,
        link: &Link,
        channel: &Channel,
        messages: &[(MessageId, Bytes)],
        keep: Retention,
    ) -> Result<Vec<Appended>, EngineError> {
        let keep = possible(keep);
        let mut appending = Appending {
            channel,
            messages,
            keep,
            done: Vec::with_capacity(messages.len()),
            sent: 0,
            unsure: false,
            why: "it has no time for that".to_owned(),
        };
        match timeout(self.limit, self.append_until_done(link, &mut appending)).await {
            Ok(Ok(())) => Ok(appending.done),
            Ok(Err(error)) => Err(error),
            Err(_) if appending.unsure => Err(EngineError::Timeout),
            Err(_) => Err(unavailable(format!("NATS JetStream: {}", appending.why))),
        }
    }

    /// Tries again and again: while a stream has no leader nobody takes its messages, and what nobody answers for may have been kept. The
    /// same id makes it the same message.
    async fn append_until_done(&self, link: &Link, appending: &mut Appending<'_>) -> Result<(), EngineError> {
        let mut pause = Duration::from_millis(5);
        while appending.done.len() < appending.messages.len() {
            if !appending.unsure {
                // Nothing is kept here for a server that is not there.
                link.client()?;
            }
            match self.append_some(link, appending).await {
                Ok(()) => continue,
                Err(Refusal::Never(why)) => return Err(refused(format!("NATS JetStream: {why}"))),
                Err(Refusal::Later(why)) => appending.why = why,
                Err(Refusal::Missing | Refusal::Exists) => {
                    appending.why = "its stream comes and goes".to_owned();
                }
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    async fn append_some(&self, link: &Link, appending: &mut Appending<'_>) -> Result<(), Refusal> {
        link.client().map_err(|error| Refusal::Later(error.to_string()))?;
        let place = self.place(link, appending.channel, appending.keep).await?;
        let first = appending.done.len();
        // If one were taken and the one before it not, their order would be lost: the first shows whether the stream takes any.
        let last = if first == 0 { 1 } else { appending.messages.len() };
        let was_unsure = std::mem::replace(&mut appending.unsure, true);
        let known_as_sent = appending.sent;
        appending.sent = last.max(known_as_sent);
        let mut fates = Vec::with_capacity(last - first);
        for (id, message) in &appending.messages[first..last] {
            fates.push(self.api.append(&place.subject, message.clone(), *id).await);
        }
        for (index, fate) in (first..).zip(fates) {
            match fate.await {
                Fate::Kept { sequence, duplicate } => {
                    self.note(appending.channel, &place, sequence, appending.messages[index].0);
                    let position = Position { epoch: place.epoch.clone(), offset: sequence };
                    let duplicate = duplicate && index >= known_as_sent;
                    appending.done.push(Appended { position, duplicate });
                }
                Fate::Untaken => {
                    self.forget(appending.channel, &place);
                    appending.is_not_kept(index, last, known_as_sent, was_unsure);
                    return Err(Refusal::Later("no stream takes the message".to_owned()));
                }
                Fate::Refused(refusal) => {
                    appending.is_not_kept(index, last, known_as_sent, was_unsure);
                    return Err(refusal);
                }
                Fate::Unknown(why) => return Err(Refusal::Later(why)),
            }
        }
        appending.unsure = false;
        Ok(())
    }

    /// What is kept behind an offset.
    pub(super) async fn read(
        &self,
        link: &Link,
        channel: &Channel,
        after: u64,
        limit: usize,
    ) -> Result<History, EngineError> {
        let reading = async {
            let mut pause = Duration::from_millis(5);
            loop {
                link.client()?;
                match self.read_now(link, channel, after, limit).await {
                    Ok(history) => return Ok(history),
                    Err(Refusal::Never(why)) => return Err(refused(format!("NATS JetStream: {why}"))),
                    Err(why) => tracing::debug!(?why, %channel, "a history cannot be read yet"),
                }
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        };
        timeout(self.limit, reading).await.unwrap_or(Err(EngineError::Timeout))
    }

    async fn read_now(
        &self,
        link: &Link,
        channel: &Channel,
        after: u64,
        limit: usize,
    ) -> Result<History, Refusal> {
        let (place, state) = self.look_up(link, channel, None).await?;
        self.tell_use(channel, &place, state).await?;
        let top = Position { epoch: place.epoch.clone(), offset: state.last_seq };
        let first = after.saturating_add(1).max(state.first_seq);
        let sequences = (first..=state.last_seq).take(if state.messages == 0 { 0 } else { limit });
        let read = |sequence| {
            let (api, name) = (&self.api, &place.name);
            async move { Ok((sequence, api.message(name, sequence).await?)) }
        };
        let mut reading = stream::iter(sequences).map(read).buffered(READ_AHEAD);
        let mut messages = Vec::new();
        while let Some(read) = reading.next().await {
            let (sequence, message): (u64, _) = read?;
            // What is over by now is not there.
            let Some(message) = message else { continue };
            if message.subject != place.subject {
                self.forget(channel, &place);
                return Err(Refusal::Later("its stream is another one now".to_owned()));
            }
            // Streams are written by us alone.
            if let Some((_, message)) = super::subject::Place::of(channel).unframe(message.payload) {
                messages.push((sequence, message));
            }
        }
        Ok(History { top, origins: Vec::new(), messages })
    }

    /// Where several channels stand; of one of which that cannot be said now, nothing.
    pub(super) async fn tops(
        &self,
        link: &Link,
        channels: &[Channel],
    ) -> Result<Vec<Option<Position>>, EngineError> {
        link.client()?;
        let look = |index: usize| async move {
            let channel = &channels[index];
            let (place, state) = self.look_up(link, channel, None).await.ok()?;
            self.tell_use(channel, &place, state).await.ok()?;
            Some(Position { epoch: place.epoch, offset: state.last_seq })
        };
        let looking = stream::iter(0..channels.len()).map(look).buffered(READ_AHEAD).collect();
        timeout(self.limit, looking).await.map_err(|_| EngineError::Timeout)
    }

    /// Where to append to a channel of which so much is to be kept.
    async fn place(&self, link: &Link, channel: &Channel, keep: Retention) -> Result<Place, Refusal> {
        if let Some(place) = self.lock().channels.get_mut(channel)
            && place.keep == keep
            && link.connection() == Some(place.connection)
        {
            place.used = Instant::now();
            return Ok(place.clone());
        }
        Ok(self.look_up(link, channel, Some(keep)).await?.0)
    }

    /// Asks the server where the history of a channel is. If there is none it is made.
    async fn look_up(
        &self,
        link: &Link,
        channel: &Channel,
        keep: Option<Retention>,
    ) -> Result<(Place, State), Refusal> {
        let nobody = || Refusal::Later("there is no connection".to_owned());
        let connection = link.connection().ok_or_else(nobody)?;
        let before = self.lock().channels.get(channel).cloned();
        let name = name(&self.prefix, channel);
        let mut info = match self.api.info(&name).await {
            Err(Refusal::Missing) => self.create(channel, keep).await?,
            info => info?,
        };
        if let Some(before) = &before
            && before.connection != connection
            && self.is_another(before, &mut info).await?
        {
            tracing::warn!(%channel, "the server has lost messages that it had taken: a new history begins");
            self.api.delete(&name).await?;
            info = self.create(channel, Some(keep.unwrap_or(before.keep))).await?;
        }
        let ours = || info.subject(&self.prefix);
        let not_ours = || Refusal::Never(format!("the stream {name} is not of this cluster"));
        let (subject, epoch) = ours().ok_or_else(not_ours)?;
        if let Some(keep) = keep
            && keep != info.keep()
        {
            self.api.update(&self.wanted(channel, keep, Some(&epoch))).await?;
        }
        let (newest, told) = before
            .filter(|before| before.epoch == epoch)
            .map_or(((0, None), None), |before| (before.newest, before.told));
        let newest = if newest.0 < info.state.last_seq { (info.state.last_seq, None) } else { newest };
        let keep = keep.unwrap_or(info.keep());
        let used = Instant::now();
        let place = Place { name: name.into(), subject, epoch, keep, connection, newest, told, used };
        self.remember(channel, place.clone());
        Ok((place, info.state))
    }

    async fn create(&self, channel: &Channel, keep: Option<Retention>) -> Result<Info, Refusal> {
        match self.api.create(&self.wanted(channel, keep.unwrap_or(NOTHING_YET), None)).await {
            // Somebody else was faster.
            Err(Refusal::Exists) => self.api.info(&name(&self.prefix, channel)).await,
            made => made,
        }
    }

    /// Whether a stream is no continuation of what is known: its server has lost what it had acknowledged, as servers may that lose their
    /// power. Offsets would be given again, to other messages.
    async fn is_another(&self, before: &Place, info: &mut Info) -> Result<bool, Refusal> {
        let (newest, known_as) = before.newest;
        for _ in 0..DOUBTS {
            if info.subject(&self.prefix).is_none_or(|(_, epoch)| epoch != before.epoch) {
                // Everybody sees that.
                return Ok(false);
            }
            if info.state.last_seq >= newest {
                let is_kept = info.state.messages > 0 && info.state.first_seq <= newest;
                let Some(known_as) = known_as.filter(|_| is_kept) else { return Ok(false) };
                let there = self.api.message(&before.name, newest).await?;
                return Ok(there.is_some_and(|there| id(&there.headers) != Some(known_as)));
            }
            sleep(DOUBT).await;
            *info = self.api.info(&before.name).await?;
        }
        Ok(info.state.last_seq < newest)
    }

    /// Tells the server now and then that somebody uses a channel of which nothing is kept, by changing the description of its stream.
    async fn tell_use(&self, channel: &Channel, place: &Place, state: State) -> Result<(), Refusal> {
        if state.messages > 0 || place.told.is_some_and(|told| told.elapsed() < self.forget / 4) {
            return Ok(());
        }
        self.api.update(&self.wanted(channel, place.keep, Some(&place.epoch))).await?;
        if let Some(place) = self.lock().channels.get_mut(channel) {
            place.told = Some(Instant::now());
        }
        Ok(())
    }

    fn wanted(&self, channel: &Channel, keep: Retention, epoch: Option<&Epoch>) -> Wanted {
        Wanted::new(&self.prefix, channel, keep, self.replicas, epoch)
    }

    fn remember(&self, channel: &Channel, place: Place) {
        let mut known = self.lock();
        known.channels.insert(channel.clone(), place);
        if known.channels.len() >= known.most {
            let recent = self.forget;
            known.channels.retain(|_, place| place.used.elapsed() < recent);
            known.most = (2 * known.channels.len()).max(REMEMBERED);
        }
    }

    fn forget(&self, channel: &Channel, place: &Place) {
        let mut known = self.lock();
        if let Some(known) = known.channels.get_mut(channel).filter(|known| known.epoch == place.epoch) {
            // What was the newest is still known.
            known.connection = 0;
        }
    }

    /// Notes that a message is there.
    fn note(&self, channel: &Channel, place: &Place, sequence: u64, id: MessageId) {
        if let Some(known) = self.lock().channels.get_mut(channel)
            && known.epoch == place.epoch
            && known.newest.0 <= sequence
        {
            known.newest = (sequence, Some(id));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server keeps histories at all, and lets us have them.
pub(super) async fn check(client: &Client, limit: Duration) -> Result<(), EngineError> {
    if !client.is_server_compatible(2, 9, 0) {
        let version = client.server_info().version;
        return Err(refused(format!("a history needs NATS 2.9 or later, and this server is {version}")));
    }
    let api = Api::new(client.clone(), limit);
    match api.is_there().await {
        // Of several servers that are connected to each other another one might answer.
        Err(Refusal::Later(why)) if !client.server_info().jetstream => Err(refused(format!(
            "a history needs JetStream, which this server has not enabled (`jetstream {{}}` in its configuration, or `--jetstream`): {why}"
        ))),
        answer => answer.map_err(no_history),
    }
}

/// Why there can be no histories.
fn no_history(refusal: Refusal) -> EngineError {
    match refusal {
        Refusal::Later(why) => unavailable(format!("a history needs JetStream, and now {why}")),
        Refusal::Never(why) => refused(format!("a history needs JetStream, and that refuses: {why}")),
        Refusal::Missing | Refusal::Exists => {
            refused("a history needs JetStream, and a stream there comes and goes")
        }
    }
}

//! What presence does by itself: the store follows the rooms of this node, and whoever is concerned is told.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::book::{Farewell, News};
use super::notice::{NAMED, Notice};
use super::{BATCH, Presences, TTL, lock, record};
use crate::cluster::envelope::{Envelope, Kind, To};
use crate::cluster::{Channel, EngineError, Recorded};
use crate::session::{PresentMember, SessionId};

/// How often other nodes hear of a room at most.
const PACE: Duration = Duration::from_millis(250);

/// Who comes is often called by a name a moment later.
const MOMENT: Duration = Duration::from_millis(20);

/// How often records are renewed.
const RENEWAL: Duration = Duration::from_secs(25);

/// And how soon once more after somebody has asked for it.
const SOON: Duration = Duration::from_secs(6);

/// How soon they are renewed when something could not be done.
const RETRY: Duration = Duration::from_secs(2);

/// Rooms that are brought up to date at the same time.
const ROOMS_AT_ONCE: usize = 32;

/// Between two batches of a renewal, so that it does not come as one burst.
const PAUSE: Duration = Duration::from_millis(5);

/// What could not be taken out of the store: tried again until it has expired there anyway.
#[derive(Debug, Default)]
pub(super) struct Failed(Vec<(Instant, Channel, Vec<String>)>);

/// How many calls of that are kept.
const MOST_FAILED: usize = 4096;

impl Failed {
    pub(super) fn add(&mut self, now: Instant, channel: Channel, members: Vec<String>) {
        if self.0.len() < MOST_FAILED {
            self.0.push((now, channel, members));
        }
    }
}

impl Presences {
    /// Keeps the store up to date, and tells who has come and gone, until it is dropped.
    pub(crate) async fn work(&self) {
        tokio::join!(self.keep(), self.renew_now_and_then(), self.reap(), self.tell_what_arrives());
    }

    /// The last of the sessions has ended: whatever is to be told is told now. Those that can be resumed stay in the store until they are,
    /// or until others clear up.
    pub(crate) async fn settle(&self) {
        let _turn = self.turn.lock().await;
        let news = self.book().news(Instant::now());
        if news.is_empty() {
            return;
        }
        let index = Channel::Node(self.own);
        let rooms = |of: fn(&&News) -> bool| news.iter().filter(of).map(|news| news.room.to_string());
        let opened: Vec<_> = rooms(|news| news.opened && !news.emptied).map(entry).collect();
        let emptied: Vec<_> = rooms(|news| news.emptied).collect();
        // A room is noted before its members are: nobody is in the store whom no reaper would find.
        self.enter(&index, &opened).await;
        stream::iter(news).for_each_concurrent(ROOMS_AT_ONCE, |news| self.spread(news)).await;
        self.exit(&index, emptied).await;
    }

    async fn keep(&self) {
        let mut last = None;
        loop {
            let next = self.book().next();
            tokio::select! {
                () = self.changed.notified() => {}
                () = until(next) => {}
            }
            let soon = Instant::now() + MOMENT;
            sleep_until(last.map_or(soon, |last: Instant| soon.max(last + PACE))).await;
            last = Some(Instant::now());
            self.settle().await;
        }
    }

    async fn tell_what_arrives(&self) {
        loop {
            self.noticed.notified().await;
            while let Some((room, notice)) = self.next_notice() {
                self.tell(&room, notice);
            }
        }
    }

    fn next_notice(&self) -> Option<(Arc<str>, Notice)> {
        lock(&self.notices).pop_front()
    }

    /// Brings what has happened in one room to the store and to the others.
    async fn spread(&self, news: News) {
        let channel = Channel::Room(Arc::clone(&news.room));
        let (mut notice, mut exits, mut enters) = (Notice::default(), Vec::new(), Vec::new());
        for gone in news.left {
            exits.push(gone.id.to_string());
            let told = match gone.farewell {
                Farewell::Told => true,
                Farewell::Silent => false,
                // In a crowd nobody is looked for.
                Farewell::Unless => {
                    notice.left.len() >= NAMED || self.is_recorded(&channel, gone.id).await.unwrap_or(true)
                }
            };
            if told {
                notice.leaves(PresentMember::new(gone.id, gone.user.map(|user| user.to_string())));
            }
        }
        for (id, old) in news.entered {
            let user = self.surroundings.user(id);
            self.book().is_users(&news.room, id, user.as_deref());
            enters.push(record(id, user.as_deref()));
            if let Some(old) = old {
                let unknown = notice.entered.len() >= NAMED;
                let resumed = unknown || self.is_recorded(&channel, old).await.unwrap_or(true);
                exits.push(old.to_string());
                if resumed {
                    continue;
                }
            }
            notice.enters(PresentMember::new(id, user));
        }
        self.enter(&channel, &enters).await;
        self.exit(&channel, exits).await;
        self.announce(&news.room, notice, true).await;
    }

    /// Tells the other nodes, and the application here.
    pub(super) async fn announce(&self, room: &Arc<str>, notice: Notice, here: bool) {
        if notice.is_empty() {
            return;
        }
        let to = To::Room(Arc::clone(room));
        let message = Envelope::new(Kind::Presence, self.own, to, notice.encode()).encode();
        if here {
            self.tell(room, notice);
        }
        if let Err(error) = self.engine.publish(&Channel::Room(Arc::clone(room)), message).await {
            tracing::debug!(%error, "other nodes do not hear who has come and gone");
        }
    }

    /// Whether somebody is still in the store.
    async fn is_recorded(&self, channel: &Channel, id: SessionId) -> Result<bool, EngineError> {
        let before = SessionId::new(id.node(), id.serial().saturating_sub(1)).to_string();
        let found = self.engine.present(channel, Some(&before), 1).await?;
        Ok(found.page.first().is_some_and(|first| first.id == id.to_string()))
    }

    async fn enter(&self, channel: &Channel, members: &[Recorded]) {
        for batch in members.chunks(BATCH) {
            if let Err(error) = self.engine.enter(channel, batch, TTL).await {
                tracing::debug!(%error, "presence is not noted; it is tried again");
                self.renew.notify_one();
                return;
            }
        }
    }

    pub(super) async fn exit(&self, channel: &Channel, members: Vec<String>) {
        for batch in members.chunks(BATCH) {
            if let Err(error) = self.engine.exit(channel, batch).await {
                tracing::debug!(%error, "presence is not taken back; it is tried again");
                lock(&self.failed).add(Instant::now(), channel.clone(), batch.to_vec());
                self.renew.notify_one();
            }
        }
    }

    async fn renew_now_and_then(&self) {
        let mut next = Instant::now() + RENEWAL;
        loop {
            let pause = tokio::select! {
                () = sleep_until(next) => RENEWAL,
                // Whoever has taken this node for dead may be clearing up still: soon once more.
                () = self.renew.notified() => SOON,
            };
            next = Instant::now() + pause;
            self.try_again().await;
            self.renew_all().await;
            // However many batches have failed, they ask for one more.
            sleep(RETRY).await;
        }
    }

    /// Takes out what could not be taken out before.
    async fn try_again(&self) {
        let failed = std::mem::take(&mut lock(&self.failed).0);
        for (since, channel, members) in failed {
            if since.elapsed() < TTL {
                let _turn = self.turn.lock().await;
                let members = self.still_gone(&channel, members);
                self.exit(&channel, members).await;
            }
        }
    }

    /// Those who have not come back since.
    fn still_gone(&self, channel: &Channel, mut members: Vec<String>) -> Vec<String> {
        let book = self.book();
        members.retain(|id| match (channel, id.parse::<SessionId>()) {
            (Channel::Room(room), Ok(session)) => !book.is_here(room, session),
            (Channel::Node(_), _) => !book.knows(id),
            _ => true,
        });
        members
    }

    async fn renew_all(&self) {
        let here = self.book().here();
        let rooms: Vec<Recorded> = here.iter().map(|(room, _)| entry(room.to_string())).collect();
        for batch in rooms.chunks(BATCH) {
            {
                let _turn = self.turn.lock().await;
                let open: Vec<_> = batch.iter().filter(|room| self.book().knows(&room.id)).cloned().collect();
                self.enter(&Channel::Node(self.own), &open).await;
            }
            sleep(PAUSE).await;
        }
        for (room, members) in here {
            for batch in members.chunks(BATCH) {
                self.renew_some(&room, batch).await;
                sleep(PAUSE).await;
            }
        }
    }

    async fn renew_some(&self, room: &Arc<str>, members: &[SessionId]) {
        let _turn = self.turn.lock().await;
        let mut records = Vec::with_capacity(members.len());
        for id in members {
            let user = self.surroundings.user(*id);
            let mut book = self.book();
            // Whoever has left meanwhile is not brought back.
            if book.is_here(room, *id) {
                book.is_users(room, *id, user.as_deref());
                records.push(record(*id, user.as_deref()));
            }
        }
        self.enter(&Channel::Room(Arc::clone(room)), &records).await;
    }
}

/// A room in the list of a node's rooms.
fn entry(room: String) -> Recorded {
    Recorded { id: room, info: bytes::Bytes::new() }
}

/// At this time, or never.
pub(super) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

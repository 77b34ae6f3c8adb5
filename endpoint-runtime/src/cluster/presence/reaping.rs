//! Clearing up after nodes that are gone: their members are taken out of the rooms, by one of the nodes that live.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::book::GRACE;
use super::keeping::until;
use super::notice::Notice;
use super::{BATCH, Presences, before, last_of, lock, member};
use crate::cluster::members::{Departure, Standing};
use crate::cluster::{Channel, EngineError, NodeId, Put};

/// How long one node has a dead one for itself. If it dies too, another takes over.
const LOCK: Duration = Duration::from_secs(30);

/// How soon it is tried again when the engine could not be reached.
const RETRY: Duration = Duration::from_secs(2);

/// How often it is tried. By then all has expired.
const TRIES: u32 = 3;

/// Dead nodes that wait at most.
const MOST_DEAD: usize = 4096;

const ROOMS_AT_ONCE: usize = 16;

/// After whom somebody has to clear up, and when.
#[derive(Debug, Default)]
pub(super) struct Dead(Vec<Body>);

#[derive(Clone, Copy, Debug)]
struct Body {
    node: NodeId,
    due: Instant,
    tries: u32,
}

impl Dead {
    pub(super) fn add(&mut self, now: Instant, node: NodeId, how: Departure) {
        if self.0.len() >= MOST_DEAD || self.0.iter().any(|body| body.node == node) {
            return;
        }
        let due = match how {
            Departure::Silence => now,
            // Its last sessions may be resumed until then.
            Departure::Goodbye => now + GRACE,
        };
        self.0.push(Body { node, due, tries: 0 });
    }

    fn next(&self) -> Option<Instant> {
        self.0.iter().map(|body| body.due).min()
    }

    fn take(&mut self, now: Instant) -> Option<Body> {
        let at = self.0.iter().position(|body| body.due <= now)?;
        Some(self.0.swap_remove(at))
    }
}

impl Presences {
    pub(super) async fn reap(&self) {
        loop {
            let next = lock(&self.dead).next();
            tokio::select! {
                () = self.died.notified() => {}
                () = until(next) => {}
            }
            while let Some(body) = self.next_body() {
                if let Err(wait) = self.clear_up(body.node).await
                    && body.tries < TRIES
                {
                    let again = Body { due: Instant::now() + wait, tries: body.tries + 1, ..body };
                    lock(&self.dead).0.push(again);
                }
            }
        }
    }

    fn next_body(&self) -> Option<Body> {
        lock(&self.dead).take(Instant::now())
    }

    /// Clears up after a node; or says when to look again.
    async fn clear_up(&self, node: NodeId) -> Result<(), Duration> {
        let failed = |error: EngineError| {
            tracing::debug!(%error, %node, "what is left of a node is not cleared up yet");
            RETRY
        };
        let rooms = self.rooms_of(node).await.map_err(failed)?;
        if rooms.is_empty() {
            return Ok(());
        }
        if !self.is_first(node).await.map_err(failed)? {
            return Err(LOCK + RETRY);
        }
        tracing::info!(%node, "clearing up after a node");
        loop {
            let rooms = self.rooms_of(node).await.map_err(failed)?;
            if rooms.is_empty() {
                return Ok(());
            }
            let names: Vec<Arc<str>> = rooms.iter().map(|room| room.as_str().into()).collect();
            let each = stream::iter(names).map(|room| self.clear_room(node, room));
            let cleared: Vec<_> = each.buffer_unordered(ROOMS_AT_ONCE).collect().await;
            cleared.into_iter().collect::<Result<(), _>>().map_err(failed)?;
            if self.is_back(node) {
                return Ok(());
            }
            self.engine.exit(&Channel::Node(node), &rooms).await.map_err(failed)?;
        }
    }

    /// Some of the rooms that a node has had members in.
    async fn rooms_of(&self, node: NodeId) -> Result<Vec<String>, EngineError> {
        let found = self.engine.present(&Channel::Node(node), None, BATCH).await?;
        Ok(found.page.into_iter().map(|room| room.id).collect())
    }

    /// Of the nodes that have noticed, one does it. All could: nothing is done twice, but told twice.
    async fn is_first(&self, node: NodeId) -> Result<bool, EngineError> {
        if !self.engine.capabilities().store {
            return Ok(true);
        }
        let own = Bytes::from(self.own.to_string());
        self.engine.put(&format!("reaper:{node}"), own, LOCK, Put::New).await
    }

    /// It was not dead at all.
    fn is_back(&self, node: NodeId) -> bool {
        self.surroundings.standing(node) == Standing::Alive
    }

    /// Takes the members of a node out of a room, page by page.
    async fn clear_room(&self, node: NodeId, room: Arc<str>) -> Result<(), EngineError> {
        let channel = Channel::Room(Arc::clone(&room));
        let (mut behind, last) = (before(node), last_of(node));
        let mut notice = Notice::default();
        loop {
            let found = self.engine.present(&channel, Some(&behind), BATCH).await?;
            let of_node: Vec<_> = found.page.iter().take_while(|record| record.id <= last).collect();
            let Some(end) = of_node.last().filter(|_| !self.is_back(node)) else { break };
            behind.clone_from(&end.id);
            of_node.iter().filter_map(|record| member(record)).for_each(|member| notice.leaves(member));
            let ids: Vec<String> = of_node.iter().map(|record| record.id.clone()).collect();
            self.engine.exit(&channel, &ids).await?;
            if ids.len() < BATCH {
                break;
            }
        }
        let here = self.book().knows(&room);
        self.announce(&room, notice, here).await;
        Ok(())
    }
}

//! A client that does not stay: it goes from node to node, in every manner in which clients leave.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::judge::{Heard, Judge};
use super::{Phase, ROOM, Stage};
use crate::node::Link;
use crate::random::Random;

/// A server that says nothing for so long is left.
const STALLED: Duration = Duration::from_secs(5);

/// How long a connection that was left without a word stays open.
const LIMBO: Duration = Duration::from_secs(8);

/// How it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As a page that is left, with 1001: it may come back.
    Away,
    /// With 1000: the session is over.
    ForGood,
    /// The connection ends without a close frame.
    Hangs,
    /// It stays open, and nobody is there.
    Vanishes,
}

/// What became of sessions that were to be resumed.
#[derive(Debug, Default)]
pub(super) struct Resumptions {
    pub(super) connections: usize,
    pub(super) resumed: usize,
    /// The client had closed it for good, or asked for it before, or there was trouble.
    pub(super) excused: usize,
    pub(super) unexplained: usize,
    /// It was, though its client had closed it for good: because of trouble, and without that.
    pub(super) revived: usize,
    pub(super) too_many: usize,
    /// Sessions greeted in a room whose place they were not told.
    pub(super) without_place: usize,
}

pub(super) struct Client {
    pub(super) name: usize,
    stage: Arc<Stage>,
    random: Random,
    judge: Arc<Mutex<Judge>>,
    limbo: VecDeque<(Instant, Link)>,
    /// When it has closed its session for good.
    over: Option<Instant>,
    /// It has asked for this session, and was not told what became of that.
    has_tried: bool,
    since: Instant,
    pub(super) resumptions: Resumptions,
}

impl Client {
    pub(super) fn new(name: usize, stage: Arc<Stage>, random: Random) -> (Self, Arc<Mutex<Judge>>) {
        let judge = Arc::new(Mutex::new(Judge::new(name, stage.began)));
        let client = Client {
            name,
            stage,
            random,
            judge: Arc::clone(&judge),
            limbo: VecDeque::new(),
            over: None,
            has_tried: false,
            since: Instant::now(),
            resumptions: Resumptions::default(),
        };
        (client, judge)
    }

    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap()
    }

    /// Roams until all is over.
    pub(super) async fn run(mut self) -> Self {
        while self.stage.phase() != Phase::Over {
            while self.limbo.front().is_some_and(|(since, _)| since.elapsed() > LIMBO) {
                self.limbo.pop_front();
            }
            let door = self.stage.door(&mut self.random);
            let url = format!("ws://{door}/{ROOM}?resume&user=client-{}", self.name);
            if let Ok(Ok((link, _))) = timeout(Duration::from_secs(3), connect_async(url)).await {
                self.visit(link).await;
            }
            sleep(self.random.millis(20, 400)).await;
        }
        self
    }

    /// One connection, from its first word to its end.
    async fn visit(&mut self, mut link: Link) {
        self.resumptions.connections += 1;
        let first = self.judge().begins();
        if link.send(Message::text(first)).await.is_err() {
            return;
        }
        let named = self.judge().memory.token.is_some();
        let mut phases = self.stage.phases();
        let stays = match *phases.borrow_and_update() {
            Phase::Roaming => self.random.millis(300, 7000),
            Phase::Settling | Phase::Over => Duration::from_secs(86_400),
        };
        let end = tokio::time::Instant::now() + stays;
        let (mut said, mut is_greeted) = (0, false);
        let manner = loop {
            tokio::select! {
                heard = timeout(STALLED, self.hears(&mut link)) => match heard {
                    Ok(Some(heard)) => {
                        said = if matches!(heard, Heard::Session { .. }) { 0 } else { said };
                        is_greeted |= matches!(heard, Heard::Greeting(_));
                        self.learns(named, heard);
                    }
                    Ok(None) => break None,
                    Err(_) => break Some(Manner::Hangs),
                },
                () = sleep_until(end) => break Some(self.manner()),
                changed = phases.changed() => {
                    if changed.is_err() || *phases.borrow_and_update() == Phase::Over {
                        break Some(Manner::Away);
                    }
                }
            }
            let seen = self.judge().memory.seen;
            if is_greeted && seen >= said + 8 {
                said = seen;
                let _ = link.feed(Message::text(format!("\u{1}{{\"seen\":{seen}}}"))).await;
                let _ = timeout(Duration::from_secs(1), link.flush()).await;
            }
        };
        self.resumptions.without_place += usize::from(is_greeted && self.judge().last().is_none());
        if let Some(manner) = manner {
            self.leave(link, named, manner).await;
        }
        self.has_tried |= named && !self.judge().has_session();
    }

    fn manner(&mut self) -> Manner {
        match self.random.below(10) {
            0 => Manner::ForGood,
            1..=3 => Manner::Away,
            4..=6 => Manner::Hangs,
            _ => Manner::Vanishes,
        }
    }

    /// The next thing that it hears. `None` when the connection has ended.
    async fn hears(&self, link: &mut Link) -> Option<Heard> {
        loop {
            match link.next().await?.ok()? {
                Message::Text(text) => return Some(self.judge().hears(&text, &self.stage.chronicle)),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// What a server says of its session, which it had `named`.
    fn learns(&mut self, named: bool, heard: Heard) {
        let resumed = match heard {
            Heard::Session { resumed } => resumed,
            Heard::Greeting(id) => return self.stage.is_at(self.name, id),
            Heard::Message | Heard::Nothing => return,
        };
        let counts = &mut self.resumptions;
        if named {
            match resumed {
                // Where it was closed the engine could not be told.
                true if self.over.is_some_and(|over| self.stage.had_trouble_since(over)) => {
                    counts.revived += 1;
                }
                true if self.over.is_some() => counts.too_many += 1,
                true => counts.resumed += 1,
                false
                    if self.over.is_some() || self.has_tried || self.stage.had_trouble_since(self.since) =>
                {
                    counts.excused += 1;
                }
                false => {
                    counts.unexplained += 1;
                    let ago = self.since.elapsed();
                    let mut judge = self.judge.lock().unwrap();
                    judge.remark(format_args!("is not resumed, {ago:?} after it got its session"));
                }
            }
        }
        (self.over, self.has_tried, self.since) = (None, false, Instant::now());
    }

    async fn leave(&mut self, mut link: Link, named: bool, manner: Manner) {
        let code = match manner {
            Manner::Hangs => return,
            Manner::Vanishes => return self.limbo.push_back((Instant::now(), link)),
            Manner::Away => 1001,
            Manner::ForGood => 1000,
        };
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        if link.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        // What comes before the answer has been received like anything else.
        let closed = timeout(Duration::from_secs(1), async {
            while let Some(heard) = self.hears(&mut link).await {
                self.learns(named, heard);
            }
            link.next().await.is_none()
        });
        let is_closed = closed.await.unwrap_or_default();
        if manner == Manner::ForGood {
            // Without an answer nobody knows.
            (self.over, self.has_tried) = (is_closed.then(Instant::now), !is_closed);
        }
    }
}

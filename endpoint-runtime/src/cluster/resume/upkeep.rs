//! What is due for the sessions that can be resumed: their records are written, renewed and taken away, and whoever misses one finds out why.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::record;
use super::shelf::{Kept, What};
use super::{AT_ONCE, RETRY, Resumption, replaced};
use crate::cluster::{EngineError, Put};

/// Who misses a record looks after a while whether somebody has taken it, who then has not reached this server to ask for the session …
const ASKING: Duration = Duration::from_secs(1);
/// … and concludes only after this time that nobody has, and the engine has lost it.
pub(super) const SETTLED: Duration = Duration::from_secs(5);

/// What came of writing a record.
enum Stored {
    Yes,
    /// It is not there any more, and it is too early to say why.
    Missing,
    /// Somebody has taken it.
    Gone,
    Failed(EngineError),
}

impl Resumption {
    /// Starts to see to what is due.
    pub(super) fn run(&self) {
        self.running.get_or_init(|| {
            tokio::spawn(run(Weak::clone(&self.me), Arc::clone(&self.shelf.earlier)));
        });
    }

    /// Looks at one session, and writes what there is to write.
    pub(super) async fn attend(&self, serial: u64) {
        let Some(kept) = self.shelf.get(serial) else { return };
        match &kept.what {
            What::Open(session) => {
                if let Some(continuity) = session.continuity() {
                    continuity.is_looked_at();
                }
                match self.record(session, true).encode(self.limit()) {
                    Ok(record) => self.renew(serial, &kept, record).await,
                    Err(record::TooLarge) => {
                        tracing::warn!(session = %session.id(), "a session cannot be resumed: rooms and attributes are more than the engine keeps");
                        self.shelf.change(serial, Instant::now() + kept.ttl / 3, |_| {});
                    }
                }
            }
            What::Ended(record, until) if Instant::now() < *until => {
                self.renew(serial, &kept, record.clone()).await;
            }
            What::Ended(..) => drop(self.shelf.remove(serial)),
            What::Over(until) if Instant::now() < *until => self.withdraw(serial, &kept, *until).await,
            // What may be left of it has ended by itself.
            What::Over(_) => drop(self.shelf.remove(serial)),
        }
    }

    /// Takes away the record of a session that is not to be resumed.
    async fn withdraw(&self, serial: u64, kept: &Kept, until: Instant) {
        let now = Instant::now();
        match self.engine.take(&kept.key.record()).await {
            Ok(Some(_)) => drop(self.shelf.remove(serial)),
            Ok(None) => {
                // Somebody may just have taken it, who will ask for the session.
                let until = until.min(now + SETTLED);
                self.shelf.change(serial, until, |kept| kept.what = What::Over(until));
            }
            Err(error) => {
                tracing::debug!(%error, "what is needed to resume a session could not be taken away");
                self.shelf.change(serial, now + RETRY, |_| {});
            }
        }
    }

    async fn renew(&self, serial: u64, kept: &Kept, record: Bytes) {
        let is_open = matches!(kept.what, What::Open(_));
        let now = Instant::now();
        match self.store(kept, record).await {
            Stored::Yes => {
                // It may have ended meanwhile, and then there is more to be written.
                let same = |now: &What| is_open == matches!(now, What::Open(_));
                if !is_open {
                    self.shelf.remove(serial);
                } else if self.shelf.get(serial).is_some_and(|kept| same(&kept.what)) {
                    self.shelf.change(serial, now + kept.ttl / 3, |kept| {
                        (kept.stored, kept.missing, kept.doubted) = (true, None, false);
                    });
                } else {
                    self.shelf.change(serial, now, |kept| {
                        (kept.stored, kept.missing, kept.doubted) = (true, None, false);
                    });
                }
            }
            Stored::Missing => {
                let (since, due) = match kept.missing {
                    None => (now, now + ASKING),
                    Some(since) => (since, since + SETTLED),
                };
                self.shelf.change(serial, due, |kept| (kept.missing, kept.doubted) = (Some(since), false));
            }
            Stored::Gone => {
                if let Some(What::Open(session)) = self.shelf.remove(serial).map(|kept| kept.what) {
                    tracing::info!(session = %session.id(), "a session was resumed elsewhere, closing with 4009");
                    session.begin_close(&replaced());
                }
            }
            Stored::Failed(error) => {
                tracing::debug!(%error, "what is needed to resume a session could not be written");
                self.shelf.change(serial, now + RETRY, |_| {});
            }
        }
    }

    /// Writes a record, unless somebody has taken the one before.
    async fn store(&self, kept: &Kept, record: Bytes) -> Stored {
        let ttl = match &kept.what {
            What::Ended(_, until) => until.saturating_duration_since(Instant::now()),
            What::Open(_) | What::Over(_) => kept.ttl,
        };
        let put = async |how| self.engine.put(&kept.key.record(), record.clone(), ttl, how).await;
        let (first, second) = if kept.stored { (Put::Again, None) } else { (Put::New, Some(Put::Again)) };
        let mut written = put(first).await;
        if let (Ok(false), Some(second)) = (&written, second) {
            // It was written after all when it seemed that it could not be.
            written = put(second).await;
        }
        match written {
            Ok(true) => return Stored::Yes,
            Ok(false) => {}
            Err(error) => return Stored::Failed(error),
        }
        let since = match kept.missing {
            Some(since) => since,
            None if kept.doubted => Instant::now(),
            // Whoever has taken it asks for the session next, which is the better way to let go of it.
            None => return Stored::Missing,
        };
        match self.engine.put(&kept.key.gone(), Bytes::new(), kept.ttl, Put::Again).await {
            Ok(true) => return Stored::Gone,
            Ok(false) => {}
            Err(error) => return Stored::Failed(error),
        }
        // Who has just taken it may not have said so yet.
        if since.elapsed() < SETTLED {
            return Stored::Missing;
        }
        // Nobody has: the engine has lost it.
        match put(Put::New).await {
            Ok(true) => Stored::Yes,
            Ok(false) => Stored::Missing,
            Err(error) => Stored::Failed(error),
        }
    }
}

/// Sees to what is due, for as long as there is somebody for whom.
async fn run(resumption: Weak<Resumption>, earlier: Arc<Notify>) {
    loop {
        let Some(this) = resumption.upgrade() else { return };
        let (due, next) = this.shelf.take_due(Instant::now());
        if !due.is_empty() {
            stream::iter(due).for_each_concurrent(AT_ONCE, |serial| this.attend(serial)).await;
            continue;
        }
        drop(this);
        match next {
            None => earlier.notified().await,
            Some(time) => {
                tokio::select! {
                    () = tokio::time::sleep_until(time) => {}
                    () = earlier.notified() => {}
                }
            }
        }
    }
}

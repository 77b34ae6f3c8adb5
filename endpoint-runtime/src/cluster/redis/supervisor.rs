//! The supervisor: the one task that makes links, subscribes over them, notices when one is dead, and makes the next.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use rand::RngExt;
use redis::RedisResult;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::super::{Channel, EngineError, Receiver};
use super::Shared;
use super::link::{Link, cannot};
use super::scripts::APPEND;
use super::subscriptions::Ear;

/// How many channels are subscribed to with one command: more is no faster, and one by one is 30 times slower.
const BATCH: usize = 512;
/// How many such commands are on their way at a time, so that neither side waits for the other.
const AT_A_TIME: usize = 4;
/// How often a link is probed, and how long a probe may take.
const PROBE: Duration = Duration::from_secs(1);
/// A link that has said nothing for as long is dead, whatever TCP thinks of it. Noticed within two probes more.
const SILENCE: Duration = Duration::from_secs(4);
/// Pauses before a new link is tried: the first one, and the longest. They are never more, however long a server is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A link that has held for as long was a good one: after it, the pauses are short again.
const GOOD: Duration = Duration::from_secs(5);

/// What is asked of the supervisor.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) what: Change,
    pub(super) done: oneshot::Sender<Result<(), EngineError>>,
}

/// A change of what is subscribed to.
#[derive(Debug)]
pub(super) enum Change {
    Subscribe(Vec<(String, Channel)>),
    Unsubscribe(Vec<String>),
}

pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) receiver: Arc<dyn Receiver>,
    pub(super) requests: mpsc::UnboundedReceiver<Request>,
    /// Is told whether there is a link to begin with.
    pub(super) begun: Option<oneshot::Sender<Result<(), EngineError>>>,
}

impl Supervisor {
    /// Until the task is aborted.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut lost = false;
        loop {
            let began = Instant::now();
            let why = match self.open().await {
                Ok(link) => {
                    if lost {
                        tracing::info!(redis = %self.shared.address, "connected again, with all subscriptions");
                        self.receiver.back();
                        lost = false;
                    }
                    self.begun(Ok(()));
                    self.serve(&link).await
                }
                Err(why) => why,
            };
            self.shared.lost(&why);
            if !lost {
                tracing::warn!(redis = %self.shared.address, "the connection is lost: {why}");
                self.receiver.lost(&why);
                lost = true;
            }
            self.begun(Err(why));
            pause = if began.elapsed() > GOOD { FIRST_PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
            // Nodes that have lost the same server do not come back in step.
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            self.declining(sleep(jittered)).await;
        }
    }

    fn begun(&mut self, outcome: Result<(), EngineError>) {
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(outcome);
        }
    }

    /// A link over which everything is subscribed to.
    async fn open(&mut self) -> Result<Arc<Link>, EngineError> {
        let shared = Arc::clone(&self.shared);
        let ear =
            Ear { subscriptions: Arc::clone(&shared.subscriptions), receiver: Arc::clone(&self.receiver) };
        let link = self.declining(Link::connect(&shared.client, shared.timeout, Some(ear))).await?;
        let link = Arc::new(link);
        // The probe comes first: from its subscription on, silence is not golden.
        let mut names = vec![shared.probe.clone()];
        names.extend(shared.subscriptions.names());
        let subscribed = async {
            // Pipelines of a script that the server does not know would be out of order if it got to know it meanwhile.
            APPEND.load(&link).await?;
            // When this is done all subscriptions hold: the server confirms each of them.
            subscribe(&link, &names).await
        };
        tokio::select! {
            subscribed = subscribed => subscribed.map_err(cannot)?,
            () = link.ended() => return Err(ended()),
        }
        shared.found(Arc::clone(&link));
        Ok(link)
    }

    /// Waits for something while there is no link. What is asked meanwhile is noted, for the next one, and declined.
    async fn declining<T>(&mut self, until: impl Future<Output = T>) -> T {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                done = &mut until => return done,
                request = next(&mut self.requests) => {
                    let outcome = match request.what {
                        Change::Subscribe(channels) => {
                            self.shared.subscriptions.add(channels);
                            self.shared.link().map(drop)
                        }
                        Change::Unsubscribe(names) => {
                            self.shared.subscriptions.remove(names);
                            Ok(())
                        }
                    };
                    let _ = request.done.send(outcome);
                }
            }
        }
    }

    /// Does what is asked as long as the link works, and says why it does no more.
    async fn serve(&mut self, link: &Link) -> EngineError {
        tokio::select! {
            why = watch(link, &self.shared.probe) => why,
            why = change(link, &self.shared, &mut self.requests) => why,
            () = link.ended() => ended(),
        }
    }
}

fn ended() -> EngineError {
    EngineError::Unavailable("the server has closed the connection".into())
}

/// The next request. When nobody is left to ask, the task is about to be aborted.
async fn next(requests: &mut mpsc::UnboundedReceiver<Request>) -> Request {
    match requests.recv().await {
        Some(request) => request,
        None => pending().await,
    }
}

/// Probes a link until it is dead, and says why.
async fn watch(link: &Link, channel: &str) -> EngineError {
    let mut clock = interval(PROBE);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = Instant::now();
    loop {
        clock.tick().await;
        match timeout(PROBE, link.probe(channel)).await {
            Ok(Ok(())) => answered = Instant::now(),
            // Perhaps it is only slow.
            Err(_) | Ok(Err(EngineError::Timeout)) => {}
            Ok(Err(why)) => return why,
        }
        if answered.elapsed() > SILENCE || link.silence() > SILENCE {
            return EngineError::Unavailable(format!("the server has said nothing for {SILENCE:?}").into());
        }
    }
}

/// Carries out requests until one fails in a way that leaves unknown what is subscribed to.
async fn change(
    link: &Link,
    shared: &Shared,
    requests: &mut mpsc::UnboundedReceiver<Request>,
) -> EngineError {
    let mut waiting = None;
    loop {
        let first = match waiting.take() {
            Some(request) => request,
            None => next(requests).await,
        };
        // Those of the same kind that have come meanwhile are done together, the others after them.
        let mut group = Group::of(first);
        while let Ok(request) = requests.try_recv() {
            if let Some(other) = group.take(request) {
                waiting = Some(other);
                break;
            }
        }
        if let Err(why) = group.carry_out(link, shared).await {
            return why;
        }
    }
}

/// Requests of one kind.
struct Group {
    what: Change,
    done: Vec<oneshot::Sender<Result<(), EngineError>>>,
}

impl Group {
    fn of(request: Request) -> Self {
        Group { what: request.what, done: vec![request.done] }
    }

    /// Gives back a request of another kind.
    fn take(&mut self, request: Request) -> Option<Request> {
        match (&mut self.what, request.what) {
            (Change::Subscribe(all), Change::Subscribe(more)) => all.extend(more),
            (Change::Unsubscribe(all), Change::Unsubscribe(more)) => all.extend(more),
            (_, what) => return Some(Request { what, ..request }),
        }
        self.done.push(request.done);
        None
    }

    /// An error is one that the link does not survive.
    async fn carry_out(self, link: &Link, shared: &Shared) -> Result<(), EngineError> {
        let (done, new) = match self.what {
            Change::Subscribe(channels) => {
                // Known first, since messages may come before the server's confirmation is looked at.
                let new = shared.subscriptions.add(channels);
                (subscribe(link, &new).await, new)
            }
            Change::Unsubscribe(names) => {
                (unsubscribe(link, &shared.subscriptions.remove(names)).await, Vec::new())
            }
        };
        let why = done.err().map(cannot);
        let refused = matches!(why, Some(EngineError::Refused(_)));
        if refused {
            shared.subscriptions.remove(new);
        }
        for done in self.done {
            let _ = done.send(why.as_ref().map_or(Ok(()), |why| Err(again(why))));
        }
        match why {
            Some(why) if !refused => Err(why),
            _ => Ok(()),
        }
    }
}

async fn subscribe(link: &Link, names: &[String]) -> RedisResult<()> {
    let batches = stream::iter(names.chunks(BATCH)).map(Ok);
    batches.try_for_each_concurrent(AT_A_TIME, |batch| link.subscribe(batch)).await
}

async fn unsubscribe(link: &Link, names: &[String]) -> RedisResult<()> {
    for batch in names.chunks(BATCH) {
        link.unsubscribe(batch).await?;
    }
    Ok(())
}

/// The same error for another one who waits.
pub(super) fn again(why: &EngineError) -> EngineError {
    match why {
        EngineError::Timeout => EngineError::Timeout,
        EngineError::Refused(why) => EngineError::Refused(why.to_string().into()),
        EngineError::Unavailable(why) => EngineError::Unavailable(why.to_string().into()),
        why => EngineError::Unavailable(why.to_string().into()),
    }
}

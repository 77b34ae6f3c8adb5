//! Streams of channels that nobody uses any more are deleted: each costs its server memory and files, however little is in it.
//!
//! Every node looks at all of them from time to time, and remembers those of which nothing is kept. One at which nothing has happened for
//! long enough is deleted: nothing was appended, and no node has told that it uses the channel. Time is what the node's own clock
//! measures between two looks; the clocks of servers and of other nodes say nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::history::Histories;
use super::link::Link;
use super::stream::{Info, Refusal};

/// The longest between two looks.
const LONGEST: Duration = Duration::from_secs(600);

/// Streams of which nothing is kept, as they were found, and when they were first found so.
#[derive(Debug, Default)]
struct Idle(HashMap<String, (Trace, Instant)>);

/// What changes if somebody uses a stream.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    newest: u64,
    description: String,
}

impl Trace {
    /// Nothing if messages are kept.
    fn of(info: &Info) -> Option<Self> {
        let description = || info.config.description.clone();
        (info.state.messages == 0).then(|| Trace { newest: info.state.last_seq, description: description() })
    }
}

impl Idle {
    /// Takes note of all streams there are, and says which of them have been the same for so long.
    fn look(&mut self, streams: Vec<Info>, now: Instant, forget: Duration) -> Vec<String> {
        let mut before = std::mem::take(&mut self.0);
        let mut over = Vec::new();
        for info in streams {
            let Some(trace) = Trace::of(&info) else { continue };
            let name = info.config.name;
            let since =
                before.remove(&name).filter(|(then, _)| *then == trace).map_or(now, |(_, since)| since);
            if now.duration_since(since) >= forget {
                over.push(name.clone());
            }
            self.0.insert(name, (trace, since));
        }
        over
    }
}

/// Looks after the streams of a prefix, until the engine stops.
pub(super) async fn look_after(histories: Arc<Histories>, link: Arc<Link>) {
    let mut idle = Idle::default();
    loop {
        // Not all nodes at the same time.
        let pause = (histories.forget / 4).min(LONGEST);
        sleep(pause.mul_f64(1.0 - rand::random::<f64>() / 4.0)).await;
        if link.client().is_err() {
            continue;
        }
        match look(&mut idle, &histories).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "histories of channels that nobody uses were deleted"),
            Err(why) => tracing::debug!(?why, "it cannot be seen which channels nobody uses"),
        }
    }
}

async fn look(idle: &mut Idle, histories: &Histories) -> Result<usize, Refusal> {
    let mut streams = Vec::new();
    loop {
        let page = histories.api.list(&histories.prefix, streams.len()).await?;
        let more = page.streams.unwrap_or_default();
        if more.is_empty() {
            break;
        }
        streams.extend(more);
        if streams.len() >= page.total {
            break;
        }
    }
    let mut deleted = 0;
    for name in idle.look(streams, Instant::now(), histories.forget) {
        // A page may be old by the time of its turn.
        let info = histories.api.info(&name).await?;
        if idle.0.get(&name).is_some_and(|(then, _)| Trace::of(&info).as_ref() == Some(then)) {
            histories.api.delete(&name).await?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

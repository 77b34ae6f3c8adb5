//! What the engine's server does for a message: the constants of the scale model in `docs/cluster.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use endpoint_runtime::Bytes;
use tokio::task::JoinSet;

use crate::library::Library;
use crate::{Result, SIZE, process};

const CHANNEL: &str = "engine";
const SENDERS: usize = 256;
const SUBSCRIBERS: usize = 8;

/// Microseconds of the server's processor.
pub(crate) struct Engine {
    /// For a message that nobody subscribes to.
    pub(crate) publish: f64,
    /// For each subscriber that it is sent to, while there is much to send: then several go in one write.
    pub(crate) delivery: f64,
    /// For a message that is appended to a history, and that nobody subscribes to.
    pub(crate) append: f64,
}

pub(crate) async fn measure(url: &str, server: u32, messages: usize) -> Result<Engine> {
    let library = Library::connect(url, CHANNEL).await?;
    let publish = sent(&library, server, SENDERS, messages, false).await?;
    let append = sent(&library, server, SENDERS, messages / 4, true).await?;
    let heard = Arc::new(AtomicUsize::new(0));
    let mut subscriptions = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let heard = Arc::clone(&heard);
        let hear = move |_: &[u8]| {
            heard.fetch_add(1, Ordering::Relaxed);
        };
        subscriptions.push(Library::subscribe(url, CHANNEL, hear).await?);
    }
    let with_all = sent(&library, server, SENDERS, messages / 4, false).await?;
    let all = (messages / 4 / SENDERS * SENDERS) * SUBSCRIBERS;
    let end = Instant::now() + Duration::from_secs(10);
    while heard.load(Ordering::Relaxed) < all && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(Engine { publish, delivery: (with_all - publish) / SUBSCRIBERS as f64, append })
}

/// How long the server ran for each message.
async fn sent(library: &Library, server: u32, senders: usize, messages: usize, append: bool) -> Result<f64> {
    let rounds = messages / senders;
    let used = process::cpu(server)?;
    let sending: JoinSet<Result<()>> = (0..senders)
        .map(|_| {
            let (library, message) = (library.clone(), Bytes::from(vec![b'x'; SIZE]));
            async move {
                for _ in 0..rounds {
                    if append {
                        library.append(message.clone()).await?;
                    } else {
                        library.publish(message.clone()).await?;
                    }
                }
                Ok(())
            }
        })
        .collect();
    sending.join_all().await.into_iter().collect::<Result<()>>()?;
    Ok((process::cpu(server)? - used).as_secs_f64() * 1e6 / (rounds * senders) as f64)
}

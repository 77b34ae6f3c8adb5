//! A client for the servers of Autobahn's cases: it says back whatever it is told, while the server breaks the rules in every way.
//!
//! `fuzzed ws://HOST:PORT` asks how many cases there are, plays them one by one, and has the server write its report. It waits for the end
//! of each, and fails if one cannot be connected to at all; how well it did is the server's to say.

#![forbid(unsafe_code)]

use endpoint_runtime as runtime;
use runtime::prelude::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The name that the reports file us under.
const AGENT: &str = "endpoint";

/// Takes what it is told, for somebody else.
#[client_endpoint]
struct Listener {
    told: UnboundedSender<String>,
}

#[handlers]
impl Listener {
    #[on_message]
    fn told(&self, text: String) -> Result<()> {
        Ok(self.told.send(text)?)
    }
}

/// Says everything back. The largest message of the cases has 16 MiB.
#[client_endpoint(max_message_size = 33_554_432, send_buffer = 67_108_864, overflow = wait)]
struct Echo {
    ended: UnboundedSender<CloseReason>,
}

#[handlers]
impl Echo {
    #[on_message]
    fn text(&self, text: Text) -> Text {
        text
    }

    #[on_message]
    fn binary(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) -> Result<()> {
        Ok(self.ended.send(reason.clone())?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Some(url) = std::env::args().nth(1) else { return Err(Error::msg("usage: fuzzed ws://HOST:PORT")) };
    let client = runtime::client();

    let (told, mut tells) = unbounded_channel();
    client.connect(Listener { told }, format!("{url}/getCaseCount")).await?;
    let count = tells.recv().await.ok_or_else(|| Error::msg("the server did not tell how many cases"))?;
    let count: u32 = count.parse()?;

    let (ended, mut ends) = unbounded_channel();
    for case in 1..=count {
        let echo = Echo { ended: ended.clone() };
        client.connect(echo, format!("{url}/runCase?case={case}&agent={AGENT}")).await?;
        ends.recv().await;
    }

    // Either engine writes its reports before it answers this, and the original suite does not answer any more.
    let report = format!("{url}/updateReports?agent={AGENT}&shutdownOnComplete=true");
    if client.connect(Echo { ended }, report).await.is_ok() {
        ends.recv().await;
    }
    println!("{count} cases");
    Ok(())
}

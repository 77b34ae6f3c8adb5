//! Two endpoints for measuring tools: `/echo` says every message back, text as text and binary as binary; `/bcast`
//! sends every message to everyone who is connected there.
//!
//! `PORT=9000 cargo run --release --example echo` listens on `127.0.0.1:9000` (8080 without `PORT`). Messages may have
//! up to 64 MiB, for conformance and load tests. `Text` and `Bytes` are shared, not copied, on their way back.

#![forbid(unsafe_code)]

use endpoint_runtime as runtime;
use runtime::prelude::*;

// The queue holds a message of the largest size and then some. A peer of /echo that does not read is not read from
// either (`wait`); on /bcast nobody may be held up by another, so whoever is too slow is disconnected.
#[server_endpoint(
    "/echo",
    scope = singleton,
    max_message_size = 67_108_864,
    send_buffer = 134_217_728,
    overflow = wait
)]
struct Echo;

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
}

#[server_endpoint("/bcast", scope = singleton, max_message_size = 67_108_864, send_buffer = 134_217_728)]
struct Bcast;

#[handlers]
impl Bcast {
    #[on_message]
    async fn text(&self, text: Text, sessions: Sessions) {
        sessions.endpoint::<Bcast>().send(text).await;
    }

    #[on_message]
    async fn binary(&self, bytes: Bytes, sessions: Sessions) {
        sessions.endpoint::<Bcast>().send(bytes).await;
    }
}

/// One thread, because servers are compared core by core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> runtime::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    runtime::export_all().bind(format!("127.0.0.1:{port}")).serve().await
}
